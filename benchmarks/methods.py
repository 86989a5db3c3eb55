"""How long it takes to rank networks, and to search on tables of them.

    python -m benchmarks.methods --json

Truth and scores are made up, with ties as accuracies have them. Figures are medians in seconds:

  tau_s        Kendall's tau-b with 2,000 bootstraps over 1,176 networks
  tau_all_s    Kendall's tau-b over 15,625 networks
  ranking_s    a whole ranking of 1,176 networks beside two costs, all intervals included
  random_s     1,000 evaluations of random search on a table of 15,625 networks
  evolution_s  1,000 evaluations of evolution on it
"""

import statistics
import time

import numpy as np
from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.common import rank_correlation
from dna_tf.search import evolution, table_problems, trial_search
from dna_tf.truth import choice_tables, ranking

cli.define_run_flags()
flags.DEFINE_integer("runs", 5, "How many times each thing is done.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds truth and scores.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

FEW, ALL = 1176, (5,) * 6  # our networks of NAS-Bench-Macro; NAS-Bench-201


def main():
    """Times all of it."""
    machine.check_no_workdir("makes up its own truth")
    runs, seed = cli.FLAGS.runs, cli.FLAGS.seed
    truth, score, costs = columns(FEW, seed)
    all_truth, all_scores, _ = columns(5**6, seed)
    table = make_table(all_truth)
    problem = table_problems.table_problem(table, "test")
    actions = {
        "tau_s": lambda: rank_correlation.tau(score, truth, seed),
        "tau_all_s": lambda: rank_correlation.kendall_tau(all_scores, all_truth),
        "ranking_s": lambda: ranking.rank_score(truth, score, costs, seed),
        "random_s": lambda: trial_search.random_search(problem, budget=1000, seed=seed),
        "evolution_s": lambda: evolution.evolve(problem, budget=1000, seed=seed),
    }
    figures = {name: _median(action, runs) for name, action in actions.items()}
    machine.report({"runs": runs, **figures}, seed)


def columns(count, seed):
    """Made-up `(truth, score, costs)` of networks: larger ones are better, with noise."""
    rng = np.random.default_rng(seed)
    macs, params = rng.integers(8_000_000, 100_000_000, (2, count))
    truth = np.round(90 + np.log(macs / 8e6) + 0.5 * rng.standard_normal(count), 2)
    score = truth + 0.5 * rng.standard_normal(count)
    return truth, score, {"macs": macs, "params": params}


def make_table(truth):
    """A table of `ALL` networks whose MACs add up over its positions."""
    macs = sum(np.ix_(*(np.arange(1, count + 1) * 1000 for count in ALL)))
    return choice_tables.ChoiceTable("made up", ALL, {"test": truth.reshape(ALL)}, {"macs": macs})


def _median(action, runs):
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds), 4)


if __name__ == "__main__":
    cli.run(main)
