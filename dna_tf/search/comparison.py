"""Compares searches on one problem: how far from the optimum, with how much work.

The optimum is that of `exact.best`, so a gap is exact, not estimated. A search that draws is
run once per seed, any other once.

Where nothing is trained, `draw_ratings` makes up ratings for comparing and timing searches.
They are not results: `plausible` ones fall with the logarithm of a path's MACs and have noise
for each path, as real ones do; `smooth` ones have a third of the noise; `noise` has no relation
to any cost.
"""

import functools
import statistics
import time

import numpy as np

from dna_tf.common import checks, formatting
from dna_tf.search import (
    aging,
    authors_traversal,
    beam,
    evolution,
    exact,
    q_learning,
    reinforce,
    trial_search,
)

KIND = "dna_tf.search_comparison"
BUDGETS = (1_000, 10_000)
BEAMS = (1, 10, 100)
TRAVERSAL_BUDGET = 300_000_000
# The searches that evaluate as many architectures as they may.
TRYING = {
    "random": trial_search.random_search,
    "evolution": evolution.evolve,
    "evolution, SPOS": evolution.spos,
    "evolution, regularised": aging.age,
    "REINFORCE": reinforce.reinforce,
    "Q-learning": q_learning.q_learning,
}
HEADS = (
    "search",
    "within limits",
    "gap",
    "gap %",
    "worst gap %",
    "evaluations",
    "to the end",
    "seconds",
)


def methods(problem, budgets=BUDGETS, beams=BEAMS, traversal_budget=TRAVERSAL_BUDGET):
    """The searches to compare.

    Args:
        problem: a `problems.SearchProblem`.
        budgets: numbers of evaluations of the searches that draw.
        beams: numbers of starts that a beam keeps.
        traversal_budget: how many paths the authors' traversal looks at, at most.

    Returns:
        A dict from name to `(search, is_seeded)`. `search(problem, limits)`, or with a further
        `seed` if it is seeded, returns a `trial_search.Outcome`.
    """
    searches = {"exact": (_exact, False)}
    for name, search in TRYING.items():
        for budget in budgets:
            searches[f"{name}, {budget:,}"] = (functools.partial(search, budget=budget), True)
    for starts in beams:
        budget = starts * beam.least_budget(problem)
        searches[f"beam of {starts:,}"] = (functools.partial(beam.beam, budget=budget), False)
    traversal = functools.partial(authors_traversal.traverse, budget=traversal_budget)
    searches["authors' traversal"] = (traversal, False)
    return searches


def compare(problem, limits, seeds, searches):
    """Compares searches under one set of limits.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6}`.
        seeds: the number of seeds, from 0.
        searches: a dict from `methods`.

    Returns:
        A list of dicts, JSON-able, one per search, in their order. Gaps, evaluations and
        seconds are medians over the seeds. `gap` is `None` where fewer than half of the seeds
        found an architecture within the limits. `finished` is the number of runs that ended
        before their budget: after the whole space, or all loops.

    Raises:
        exact.Infeasible: nothing meets the limits.
    """
    optimum = exact.best(problem, limits)[0].rating
    rows = []
    for name, (search, is_seeded) in searches.items():
        runs = []
        for seed in range(seeds if is_seeded else 1):
            drawn = {"seed": seed} if is_seeded else {}
            started = time.perf_counter()
            outcome = search(problem, limits, **drawn)
            runs.append((outcome, time.perf_counter() - started))
        rows.append(_row(name, runs, optimum))
    return rows


def cells(row):
    """A row of `compare` as texts, in the order of `HEADS`."""
    gap, worst = row["gap"], row["worst_gap"]
    gap_texts = ["none found", "-"] if gap is None else [f"{gap:.4f}", _percent(row, gap)]
    return [
        row["search"],
        f"{row['within_limits']} of {row['runs']}",
        *gap_texts,
        "-" if worst is None else _percent(row, worst),
        f"{row['evaluations']:,}" if row["evaluations"] else "-",
        "yes" if row["finished"] == row["runs"] else "no",
        f"{row['seconds']:.3g}",
    ]


def table(rows):
    """Rows of `compare` as aligned lines of text."""
    texts = [list(HEADS), *(cells(row) for row in rows)]
    return formatting.aligned(texts, right=range(1, len(HEADS)))


def _exact(problem, limits):
    best = exact.best(problem, limits)[0]
    # It considers all architectures, but evaluates none by itself.
    return trial_search.Outcome(best, best.rating, 0, ((0, best.rating),), True)


def _row(name, runs, optimum):
    met = sorted(outcome.value - optimum for outcome, _ in runs if outcome.best is not None)
    gaps = [*met, *[float("inf")] * (len(runs) - len(met))]
    middle = statistics.median(gaps)
    return {
        "search": name,
        "runs": len(runs),
        "within_limits": len(met),
        "finished": sum(outcome.exhausted for outcome, _ in runs),
        "optimum": optimum,
        "gap": middle if middle < float("inf") else None,
        "worst_gap": max(met) if met else None,
        "evaluations": round(statistics.median(outcome.evaluations for outcome, _ in runs)),
        "seconds": statistics.median(seconds for _, seconds in runs),
        "curves": [[list(point) for point in outcome.curve] for outcome, _ in runs],
    }


def _percent(row, gap):
    return f"{100 * gap / row['optimum']:.2f}" if row["optimum"] > 0 else "-"


NOISE = {"plausible": 0.01, "smooth": 0.003}
KINDS = (*NOISE, "noise")


def draw_ratings(space, table, kind="plausible", seed=0):
    """Makes up ratings of all paths of a space.

    Args:
        space: a `spaces.SearchSpace`.
        table: its `cost_tables.CostTable`.
        kind: one of `KINDS`.
        seed: an int; one seed gives the same ratings.

    Returns:
        A dict from `(block, cell)` to a float64 array with one rating per path.

    Raises:
        ValueError: the kind is unknown.
    """
    checks.choose(kind, KINDS, "kind of made-up ratings")
    rng, ratings = np.random.default_rng(seed), {}
    for b, c, _ in space.cells():
        macs = table.paths[b, c, space.input_widths(b)[0]]["macs"]
        if kind == "noise":
            ratings[b, c] = rng.random(len(macs))
        else:
            noise = NOISE[kind] * rng.standard_normal(len(macs))
            ratings[b, c] = 0.35 + 0.05 * b - 0.06 * np.log(macs / 1e7) + noise
    return ratings
