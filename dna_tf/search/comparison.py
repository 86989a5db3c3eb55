"""Searches side by side on one problem: how far from the optimum, and at what price.

The optimum is that of `exact.best`, so a gap is known, not estimated. One run each
is timed of what draws nothing; of what is seeded, one for each seed.
"""
# MERGED: "Made-up ratings, for comparing and timing searches where no

import functools
import statistics
import time

import numpy as np

from dna_tf.common import formatting
from dna_tf.search import authors_traversal, beam, evolution, exact, trial_search

KIND = "dna_tf.search_comparison"
BUDGETS = (1_000, 10_000)
BEAMS = (1, 10, 100)
TRAVERSAL_BUDGET = 300_000_000
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
        budgets: evaluations of random search and evolution.
        beams: how many starts a beam keeps.
        traversal_budget: paths that the authors' traversal looks at, at most.

    Returns:
        A dict from name to `(search, is_seeded)`; `search(problem, limits)`, with a `seed` too
        if it is seeded, returns a `trial_search.Outcome`.
    """
    made = {"exact": (_exact, False)}
    for budget in budgets:
        random = functools.partial(trial_search.random_search, budget=budget)
        made[f"random, {budget:,}"] = (random, True)
    for budget in budgets:
        evolve = functools.partial(evolution.evolve, budget=budget)
        made[f"evolution, {budget:,}"] = (evolve, True)
    for starts in beams:
        budget = starts * beam.least_budget(problem)
        made[f"beam of {starts:,}"] = (functools.partial(beam.beam, budget=budget), False)
    traversal = functools.partial(authors_traversal.traverse, budget=traversal_budget)
    made["authors' traversal"] = (traversal, False)
    return made


def compare(problem, limits, seeds, searches):
    """Compares searches under one set of limits.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6}`.
        seeds: how many seeds, from 0 on.
        searches: what `methods` returned.

    Returns:
        A list of dicts, JSON-able, one for each search, in their order. Gaps, evaluations and
        seconds are medians over the seeds; `gap` is `None` where fewer than half of them
        found anything within the limits. `finished` is the number of runs that came to
        their own end: all the space, or all loops.

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
    shown = ["none found", "-"] if gap is None else [f"{gap:.4f}", _percent(row, gap)]
    return [
        row["search"],
        f"{row['within_limits']} of {row['runs']}",
        *shown,
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
    found = exact.best(problem, limits)[0]
    # All architectures are weighed, none is looked at by itself.
    return trial_search.Outcome(found, found.rating, 0, ((0, found.rating),), True)


def _row(name, runs, optimum):
    met = sorted(outcome.value - optimum for outcome, _ in runs if outcome.found is not None)
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
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"Made-up ratings are of a kind of {KINDS}. Received: {kind!r}")
    rng, made = np.random.default_rng(seed), {}
    for b, c, _ in space.cells():
        macs = table.paths[b, c, space.input_widths(b)[0]]["macs"]
        if kind == "noise":
            made[b, c] = rng.random(len(macs))
        else:
            noise = NOISE[kind] * rng.standard_normal(len(macs))
            made[b, c] = 0.35 + 0.05 * b - 0.06 * np.log(macs / 1e7) + noise
    return made
