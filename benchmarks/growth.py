"""How the exact search grows: blocks, paths of a block, and costs that are limited at once.

    python -m benchmarks.growth --json

A space of layers, as of LANA: each block is one layer that has candidates of its own, `paths` of
them, so that there are paths ** blocks networks; 50 blocks of 100 candidates are 1e100. Ratings
fall with the logarithm of the MACs and have noise for each candidate; the other costs have noise
of their own. Figures are medians in seconds:

  best_BxP_s      the optimum under one limit, half of the highest MACs
  front_BxP_s     the whole front of rating and MACs; front_BxP_entries is its length
  best_costs_N_s  the optimum under N limits at once, 20 blocks of 100
  lana_best_s, lana_front_s   those of 50 blocks of 100

MACs are whole thousands from 100 k to 10 M for a layer. `peak_gib` is the memory of the process
after all of it.
"""

import numpy as np
from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.search import exact, fronts, problems, table_problems
from dna_tf.space import tasks

cli.define_run_flags()
flags.DEFINE_integer("runs", 3, "How many times each thing is done.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds ratings and costs.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

_NAMES = ("macs", "params", "latency_ms")
_SIZES = ((10, 100), (20, 100), (50, 100), (100, 100), (50, 10), (50, 1000))


def main():
    """Times all searches."""
    machine.check_no_workdir("makes its own problems")
    figures, runs = {"runs": cli.FLAGS.runs}, cli.FLAGS.runs
    for blocks, paths in _SIZES:
        problem = layer_problem(blocks, paths, cli.FLAGS.seed)
        limits = {"max_macs": problem.highest("macs") / 2}
        size = f"{blocks}x{paths}"
        figures[f"best_{size}_s"] = machine.median_seconds(
            lambda p=problem, m=limits: exact.best(p, m), runs
        )
        figures[f"front_{size}_s"] = machine.median_seconds(
            lambda p=problem: fronts.front(p, ("macs",)), runs
        )
        figures[f"front_{size}_entries"] = len(fronts.front(problem, ("macs",)))
    for count in (1, 2, 3):
        problem = layer_problem(20, 100, cli.FLAGS.seed)
        limits = {f"max_{name}": problem.highest(name) / 2 for name in _NAMES[:count]}
        figures[f"best_costs_{count}_s"] = machine.median_seconds(
            lambda p=problem, m=limits: exact.best(p, m), runs
        )
    figures["lana_best_s"], figures["lana_front_s"] = (
        figures["best_50x100_s"],
        figures["front_50x100_s"],
    )
    figures["peak_gib"] = round(machine.peak_gib(), 2)
    machine.report(figures, cli.FLAGS.seed)


def layer_problem(blocks, paths, seed):
    """A search problem of layers: whole MACs and params, and a latency in milliseconds."""
    rng = np.random.default_rng([seed, blocks, paths])
    space = table_problems.ChoiceSpace("layers", (paths,) * blocks)
    macs = rng.integers(100, 10_000, (blocks, paths)) * 1000
    params = np.round(macs / 50 * rng.uniform(0.5, 2, macs.shape))
    latency = macs / 1e7 * rng.uniform(1, 1.3, macs.shape)
    values = np.stack([macs, params, latency], axis=1).astype(np.float64)
    ratings = 1 - 0.1 * np.log(macs / 1e5) + rng.normal(0, 0.1, macs.shape)
    return problems.SearchProblem(
        space=space,
        task=tasks.Task(),
        names=_NAMES,
        counted=frozenset(_NAMES[:2]),
        measured={(b, 0): ratings[b] for b in range(blocks)},
        ratings={(b, 0): ratings[b] for b in range(blocks)},
        costs={(b, 0, 1): values[b] for b in range(blocks)},
        stem=np.zeros(3),
        heads={1: np.zeros(3)},
        open_paths={(b, 0): np.arange(paths) for b in range(blocks)},
        weights=(1.0,) * blocks,
    )


if __name__ == "__main__":
    cli.run(main)
