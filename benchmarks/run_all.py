"""Runs all benchmarks, keeps their figures by commit, and says what got slower.

    python -m benchmarks.run_all
    python -m benchmarks.run_all --only=search,growth
    python -m benchmarks.run_all --compare=benchmarks/history/A.json,benchmarks/history/B.json

Each benchmark runs in a process of its own, one after another, with a calibration before and after
it (benchmarks/history.py). Seconds are compared as multiples of the calibration, with the newest
file of the same machine. On a busy machine only ratios are printed, and the file says so.

Writes: benchmarks/history/COMMIT.json (--folder). Benchmarks that are there are run again; others
        of the file stay.
"""

import datetime
import json
import os
import subprocess
import sys

from absl import flags

from benchmarks import history, machine
from dna_tf import cli

# In this order; `pipeline` trains the whole digits run and takes minutes.
BENCHMARKS = (
    "search",
    "growth",
    "methods",
    "rating",
    "supernet",
    "input_pipeline",
    "retrain",
    "compress",
    "evaluation",
    "latency",
    "pipeline",
)

cli.define_run_flags()
flags.DEFINE_list("only", [], "Names of benchmarks. Default: all.")
flags.DEFINE_string("folder", "benchmarks/history", "Folder of the figures by commit.")
flags.DEFINE_list("compare", [], "Two files, the older one first: compares them, runs nothing.")


def main():
    """Runs the benchmarks, or compares two files."""
    from dna_tf.common import checks, files

    flag = cli.FLAGS
    if flag.compare:
        if len(flag.compare) != 2:
            raise ValueError(f"--compare takes two files. Received: {flag.compare}")
        contents = [files.read_json(path, history.KIND, history.HINT) for path in flag.compare]
        return _print(*contents)
    for name in flag.only:
        if name not in BENCHMARKS:
            raise ValueError(
                f"There is no benchmark {name!r}.{checks.near_names(name, BENCHMARKS)} Expected "
                f"one of {', '.join(BENCHMARKS)}."
            )
    commit = _git("rev-parse", "--short=12", "HEAD") or "without_git"
    commit += "_changed" if _git("status", "--porcelain", "--untracked-files=no") else ""
    path = files.as_path(flag.folder) / f"{commit}.json"
    content = {"kind": history.KIND, "commit": commit, "machine": machine.describe()}
    content["benchmarks"] = {}
    if path.exists():
        content = files.read_json(path, history.KIND, history.HINT)
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in flag.only or BENCHMARKS:
        print(f"\n== {name}", flush=True)
        content["benchmarks"][name] = run_one(name)
        content["date"] = datetime.datetime.now().isoformat(timespec="seconds")
        files.write_json(path, content)
    print(f"\n{path}")
    former = history.latest(path.parent, content["machine"], without=path)
    if former is None:
        print("Nothing to compare with: no other commit has figures of this machine.")
    else:
        print(f"Compared with {former[0]}:")
        _print(former[1], content)


def run_one(name):
    """The figures of a benchmark, with its calibration."""
    load, before = os.getloadavg()[0], history.calibrate()
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    after = history.calibrate()
    report = json.loads(done.stdout.strip().splitlines()[-1])
    busy = history.is_busy(before, after, load, os.cpu_count())
    if busy:
        print(
            f"The machine is busy (load {load:.2f} on {os.cpu_count()} cores; calibration "
            f"{before:.4f} s before, {after:.4f} s after): only ratios can be read."
        )
    else:
        for figure, value in report["figures"].items():
            print(f"{figure}: {value}")
    return {
        "figures": report["figures"],
        "command": report["command"],
        "seed": report["seed"],
        "calibration_s": (before + after) / 2,
        "busy": busy,
    }


def _print(before, after):
    if before["machine"] != after["machine"]:
        print(f"Different machines: {before['machine']}; {after['machine']}. Only ratios count.")
    runs = (*before["benchmarks"].values(), *after["benchmarks"].values())
    quiet = before["machine"] == after["machine"] and not any(run["busy"] for run in runs)
    for line in history.lines(history.compare(before, after), with_figures=quiet):
        print(f"  {line}")


def _git(*words):
    """The output of a command of git; empty where there is none."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    cli.run(main)
