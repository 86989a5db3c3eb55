"""What all benchmarks share: they need no run, and say where and how their figures were made."""

import json
import os
import platform
import resource
import statistics
import sys
import time

from dna_tf import cli


def describe():
    """The machine: processor, cores and memory."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        name = models[0] if models else name
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {gib:.0f} GiB, {platform.system()}"


def peak_gib():
    """The most memory that the process has taken so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2 ** (30 if sys.platform == "darwin" else 20)


def median_seconds(action, runs):
    """The median of the seconds that a function takes, over some calls."""
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds), 4)


def check_no_workdir(does="needs no run"):
    """Checks that a benchmark did not receive a run.

    Args:
        does: what it does without one, for the message.

    Raises:
        ValueError: `--workdir` was given.
    """
    if cli.FLAGS.workdir:
        raise ValueError(f"The benchmark {does}. Leave --workdir out.")


def report(figures, seed):
    """Prints figures by name; with `--json` one JSON object last, with command and machine."""
    for name, value in figures.items():
        print(f"{name}: {value}")
    if cli.FLAGS.json:
        command = " ".join(["python -m", f"benchmarks.{_module()}", *sys.argv[1:]])
        report = {"figures": figures, "command": command, "seed": seed, "machine": describe()}
        print(json.dumps(report), flush=True)


def _module():
    return os.path.splitext(os.path.basename(sys.argv[0]))[0]
