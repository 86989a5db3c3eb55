"""How long the exact search takes over the paper's full space, and how much memory.

    python -m benchmarks.search --json

Ratings are made up, in three kinds: `plausible` ones fall with the logarithm of the MACs,
with noise for each path; `noise` has no relation to any cost; `smooth` (with --smooth only)
has a third of the noise, which makes fronts long. Latency is MACs with 30 % noise for each
path and width. Figures are medians in seconds:

  one_cost_s      the front of rating and MACs, and twenty limits answered from it
  three_costs_s   the front over params, MACs and latency
  three_limits_s  the optimum under limits on all three, without a front
  top_1000_s      the thousand best under them
  window_s        the optimum between lower and upper limits
  four_ops_s, single_cell_s   as one_cost_s, over those spaces
  tool_s          tools/search.py with one limit, from shell to answer

and `three_costs_gib`, the peak memory of the process after all three-cost searches.
Figures of `noise` and `smooth` have their names at the end.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl import flags

from benchmarks import machine
from dna_tf import cli, workdirs
from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.search import comparison, exact, fronts, problem_building
from dna_tf.space import cost_tables, presets, ratings, spaces, tasks

cli.define_run_flags()
flags.DEFINE_integer("runs", 5, "How many times each thing is done.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds the ratings.")
flags.DEFINE_bool("smooth", False, "Also search smooth ratings, whose fronts take a minute.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

TASK = tasks.Task()
THREE = ("params", "macs", "latency_ms")


def main():
    """Times all searches."""
    machine.check_no_workdir("makes its own run")
    runs, seed = cli.FLAGS.runs, cli.FLAGS.seed
    space, figures = presets.PRESETS["dna"], {"runs": runs}
    for kind in ("plausible", "noise", *(["smooth"] if cli.FLAGS.smooth else [])):
        problem = make_problem(space, kind, seed)
        ending = "" if kind == "plausible" else f"_{kind}"
        once = 1 if kind == "smooth" else runs
        figures[f"one_cost_s{ending}"] = machine.median_seconds(
            lambda p=problem: _one_cost(p), runs
        )
        for name, value in _three_costs(problem, once).items():
            figures[f"{name}{ending}"] = value
    for name, variant in (("four_ops_s", "dna_four_ops"), ("single_cell_s", "dna_single")):
        for kind in ("plausible", "noise"):
            problem = make_problem(presets.PRESETS[variant], kind, seed)
            ending = "" if kind == "plausible" else f"_{kind}"
            figures[name + ending] = machine.median_seconds(lambda p=problem: _one_cost(p), runs)
    figures["tool_s"] = _tool(space, seed, runs)
    machine.report(figures, seed)


def make_problem(space, kind, seed):
    """A search problem with made-up ratings and latencies."""
    table = cost_tables.cost_table(space, TASK)
    rng = np.random.default_rng(seed)
    paths = {
        key: columns["macs"] / 2e7 * rng.uniform(1, 1.3, len(columns["macs"]))
        for key, columns in table.paths.items()
    }
    latency = cost_tables.PathCosts("latency_ms", paths, 1.0, dict.fromkeys(table.heads, 1.0))
    ratings_by_cell = comparison.draw_ratings(space, table, kind, seed)
    return problem_building.build_problem(space, ratings_by_cell, table, [latency])


def _one_cost(problem):
    front = fronts.front(problem, ("macs",))
    for limit in np.linspace(problem.lowest("macs"), problem.highest("macs"), 20):
        fronts.best_under(front, {"max_macs": float(limit)})
    return front


def _three_costs(problem, runs):
    """Figures of the searches with three costs, and the lengths of their fronts."""
    limits = {"max_macs": 350e6, "max_params": 4.2e6, "max_latency_ms": 20.0}
    window = {"max_macs": 350e6, "min_macs": 300e6, "min_params": 4.4e6, "max_params": 4.6e6}
    figures = {
        "three_limits_s": machine.median_seconds(lambda: exact.best(problem, limits), runs),
        "top_1000_s": machine.median_seconds(lambda: exact.best(problem, limits, 1000), runs),
        "window_s": machine.median_seconds(lambda: exact.best(problem, window), runs),
        "three_costs_s": machine.median_seconds(lambda: fronts.front(problem, THREE), runs),
        "three_costs_entries": len(fronts.front(problem, THREE)),
    }
    figures["three_costs_gib"] = round(machine.peak_gib(), 3)
    return figures


def _tool(space, seed, runs):
    """Times the tool on a run with made-up ratings of the full space."""
    with tempfile.TemporaryDirectory() as folder:
        write_run(pathlib.Path(folder), space, seed)
        words = [sys.executable, "-m", "tools.search", f"--workdir={folder}"]
        return machine.median_seconds(lambda: _checked([*words, "--max_macs=350M"]), runs)


def _checked(words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


def write_run(folder, space, seed):
    """Writes a run that is ready to be searched."""
    config = run_config.default_config()
    config.space, config.data.image_size = space.name, TASK.image_size
    config.teacher.cuts = ()
    workdir, config = workdirs.open_workdir(folder, config)
    result = {"kind": workdirs.TEACHER_KIND, "fingerprint": "teacher", "data_fingerprint": "data"}
    result |= {"image_shape": [224, 224, 3], "num_classes": TASK.num_classes}
    files.write_json(workdir.teacher / "result.json", result)
    table = cost_tables.cost_table(space, TASK)
    for (b, c), values in comparison.draw_ratings(space, table, "plausible", seed).items():
        name = spaces.cell_name(b, c)
        cell = {"kind": workdirs.CELL_KIND, "cell": name, "teacher": "teacher", "fingerprint": name}
        files.write_json(workdir.cell(name), {**cell, "losses": []})
        rated = ratings.RatedCell({"relative_l1": np.stack([values, 0 * values])}, 1)
        path = workdir.ratings / f"{name}.json"
        ratings.save(path, space, b, c, rated, workdir.ratings_made_from(config, name))


if __name__ == "__main__":
    cli.run(main)
