"""Compares searches on a table of trained networks: what they end at, over seeds.

A search sees one column of the table, the *signal* (such as the accuracy after 12 epochs), and
what it ends at is reported in another (the test accuracy after 200). All searches of a budget
evaluate as many different networks. Random search has a closed form besides. What a search cannot
have is marked as an oracle: it reads the whole table.

Two trainings of one network differ. So beside the share of runs that ended at the optimum there is
the share that ended within this noise of it. The share that ended at the best signal says how well
a search solved what it saw; the rest of the way to the optimum is the signal's.
"""

import dataclasses
import functools
import math
import statistics

import numpy as np

from dna_tf.common import formatting
from dna_tf.search import (
    comparison,
    exact,
    op_trees,
    table_problems,
    tnas,
    tree_search,
)
from dna_tf.space import cost_limits
from dna_tf.truth import expected_best

KIND = "dna_tf.table_comparison"
BUDGETS = (100, 300, 1_000)
SEARCHES = comparison.TRYING
# The grouping that TNAS publishes, for tables of which it is known: convolutions (1x1, 3x3) or
# not (skip, pool), then which; edges without an op are not searched.
TREES = {"nb201": ([[2, 3], [1, 4]], (0,))}
HEADS = ("search", "budget", "reported", "sd", "best signal", "at optimum", "within noise")
HEADS += ("evaluations",)
_LEAST = 0.5  # of the optimum: below it a training failed, and its noise says nothing


@dataclasses.dataclass(frozen=True)
class Question:
    """What is compared: a table, the columns, the limits, and the work.

    Args:
        table: a `choice_tables.ChoiceTable`.
        signal: the column that searches see.
        report: the column that is reported.
        limits: a `cost_limits.Limits`.
        budgets: the numbers of evaluations.
        seeds: the number of seeds, from 0.

    Raises:
        ValueError: a column or cost is unknown, nothing meets the limits, or a budget is not
            from 1 to the number of networks within them.
    """

    table: object
    signal: str
    report: str
    limits: cost_limits.Limits
    budgets: tuple = BUDGETS
    seeds: int = 20

    def __post_init__(self):
        self.table.column(self.report)
        self.table.best(self.signal, self.limits)  # raises if nothing meets the limits
        count = int(self.table.within(self.limits).sum())
        if count == 1:
            raise ValueError(
                f"Only one network of {self.table.name!r} meets {self.limits.text()}: there is "
                "nothing to search. Loosen the limits."
            )
        for budget in self.budgets:
            if not 1 <= budget <= count:
                raise ValueError(
                    f"A budget is a number of evaluations from 1 to {count:,}, the networks of "
                    f"{self.table.name!r} that meet the limits ({self.limits.text()}). "
                    f"Received: {budget:,}"
                )

    @functools.cached_property
    def problem(self):
        """The `table_problems.TableProblem` of the signal."""
        return table_problems.table_problem(self.table, self.signal)

    @functools.cached_property
    def facts(self):
        """What does not depend on any search: a dict, JSON-able."""
        allowed = self.table.within(self.limits)
        row, best = self.table.best(self.report, self.limits)
        signal_row, _ = self.table.best(self.signal, self.limits)
        deviation, functions = self.table.noise(self.report, _LEAST * best)
        reported = self.table.column(self.report)[allowed]
        return {
            "networks": int(allowed.sum()),
            "optimum": best,
            "optimum_row": list(row),
            "reported_at_best_signal": float(self.table.column(self.report)[signal_row]),
            "best_signal_row": list(signal_row),
            "noise": deviation,
            "noise_functions": functions,
            "networks_within_noise": int((reported >= best - (deviation or 0.0)).sum()),
            "additive_r2": _r_squared(self),
        }


@dataclasses.dataclass(frozen=True)
class Work:
    """One search at one budget and with one seed.

    Args:
        search: its name.
        budget: evaluations; 0 of an oracle, which reads all.
        seed: of the search; 0 of one that draws nothing.
    """

    search: str
    budget: int
    seed: int

    @property
    def key(self):
        """A text that names it in a file."""
        return f"{self.search}|{self.budget}|{self.seed}"


def works(question):
    """All `Work` of a question, cheap budgets first."""
    names = [*SEARCHES, *(["TNAS, drawn groups"] if _trees(question) else [])]
    listed = [
        Work(name, budget, seed)
        for budget in question.budgets
        for name in names
        for seed in range(question.seeds)
    ]
    listed += [Work(f"oracle: {_EXACT}", 0, 0)]
    if _trees(question):
        layers = len(question.table.options)
        for at_once in sorted({layers, 3, 2, 1} & set(range(1, layers + 1)), reverse=True):
            seeds = range(question.seeds if at_once < layers else 1)
            listed += [Work(f"oracle: TNAS, {at_once} at once", 0, seed) for seed in seeds]
    return listed


_EXACT = "exact on the additive fit"


def run(question, work):
    """Does one `Work`.

    Returns:
        A dict, JSON-able: the row that it ended at, the number of evaluations, and why there is
        no row.
    """
    if work.search == f"oracle: {_EXACT}":
        return _exact(question)
    if work.search.startswith("oracle: TNAS"):
        at_once = int(work.search.split()[2])
        allowed = question.table.within(question.limits)
        values = -question.table.column(question.signal)
        value = tree_search.GroupValue(values, "mean", allowed)
        outcome = tree_search.search_tree(_trees(question), value, at_once, work.seed)
        problem = "" if outcome.path else "every group of a step was ruled out by the limits"
        return {"row": list(outcome.path), "evaluations": outcome.children, "problem": problem}
    if work.search in SEARCHES:
        search = SEARCHES[work.search]
    else:
        search = functools.partial(tnas.search, trees=_trees(question))
    outcome = search(question.problem, question.limits, work.budget, work.seed)
    row = [] if outcome.best is None else list(outcome.best.path_indices)
    problem = "" if row else "no network within the limits was drawn"
    return {"row": row, "evaluations": outcome.evaluations, "problem": problem}


def _trees(question):
    """The trees of a table; `None` if its grouping is not known."""
    if question.table.name not in TREES:
        return None
    nested, left_out = TREES[question.table.name]
    return [op_trees.from_nested(nested, count, left_out) for count in question.table.options]


def _exact(question):
    """The best of the additive fit of the signal, if the limited costs are sums, too."""
    problem = table_problems.as_search_problem(question.table, question.signal)
    try:
        best = exact.best(problem, question.limits)[0]
    except cost_limits.UnknownCost as error:
        reason = f"a limited cost is no sum over positions: {error}"
        return {"row": [], "evaluations": 0, "problem": reason}
    return {"row": list(best.path_indices), "evaluations": 0, "problem": ""}


def _r_squared(question):
    """The share of the signal's variance over all networks that a sum over positions has."""
    fitted = table_problems.as_search_problem(question.table, question.signal)
    rows = question.table.rows()
    ratings, _ = fitted.evaluate_many(np.zeros_like(rows), rows)
    values = question.table.column(question.signal).ravel()
    variance = float(values.var())
    return 1 - float((values + ratings).var()) / variance if variance else 1.0


def summary(question, results):
    """What the searches ended at, by search and budget.

    Args:
        question: a `Question`.
        results: a dict from the key of each `Work` to what `run` returned.

    Returns:
        A list of dicts, JSON-able: the closed form of random search first.
    """
    facts = question.facts
    rows = [closed_form(question, budget) for budget in question.budgets]
    grouped = {}
    for work in works(question):
        if work.key in results:
            grouped.setdefault((work.search, work.budget), []).append(results[work.key])
    return rows + [_row(question, facts, *key, runs) for key, runs in grouped.items()]


def closed_form(question, budget):
    """Random search in closed form: a row of `summary` without its error.

    The best signal among the draws decides; of networks with equal signals any one, equally
    likely. The chances are those of `expected_best`.
    """
    allowed = question.table.within(question.limits)
    signal = question.table.column(question.signal)[allowed]
    reported = question.table.column(question.report)[allowed]
    facts = question.facts
    order = np.argsort(-signal, kind="stable")
    weights = expected_best.best_weights(len(signal), budget)
    _, tied = np.unique(-signal[order], return_inverse=True)
    weights = (np.bincount(tied, weights) / np.bincount(tied))[tied]
    ends = reported[order]
    mean = float(weights @ ends)
    noise = facts["noise"]
    return {
        "search": "random, closed form",
        "budget": budget,
        "runs": 0,
        "mean": mean,
        "sd": math.sqrt(max(0.0, float(weights @ (ends - mean) ** 2))),
        "at_best_signal": float(weights[tied == 0].sum()),
        "at_optimum": float(weights[ends >= facts["optimum"]].sum()),
        "within_noise": None
        if noise is None
        else float(weights[ends >= facts["optimum"] - noise].sum()),
        "evaluations": budget,
        "costs": {
            name: float(weights @ question.table.cost(name)[allowed][order])
            for name in _costs(question)
        },
        "problem": "",
    }


def _costs(question):
    return [name for name in ("params", "macs") if name in question.table.costs]


def _row(question, facts, search, budget, runs):
    ended = [tuple(run["row"]) for run in runs if run["row"]]
    reported = [float(question.table.column(question.report)[row]) for row in ended]
    signal = question.table.column(question.signal)
    signals, best = [signal[row] for row in ended], signal[tuple(facts["best_signal_row"])]
    least = facts["optimum"] - (facts["noise"] or 0.0)

    def share(threshold):
        return sum(value >= threshold for value in reported) / len(runs)

    return {
        "search": search,
        "budget": budget,
        "runs": len(runs),
        "mean": statistics.fmean(reported) if reported else None,
        "sd": statistics.stdev(reported) if len(reported) > 1 else None,
        "at_best_signal": sum(value >= best for value in signals) / len(runs),
        "at_optimum": share(facts["optimum"]),
        "within_noise": None if facts["noise"] is None else share(least),
        "evaluations": statistics.fmean(run["evaluations"] for run in runs),
        "costs": {
            name: statistics.fmean(float(question.table.cost(name)[row]) for row in ended)
            if ended
            else None
            for name in _costs(question)
        },
        "problem": next((run["problem"] for run in runs if run["problem"]), ""),
    }


def cells(row):
    """A row of `summary` as texts: those of `HEADS`, then the costs."""

    def text(value, form):
        return "-" if value is None else form.format(value)

    return [
        row["search"],
        f"{row['budget']:,}" if row["budget"] else "all",
        text(row["mean"], "{:.3f}"),
        text(row["sd"], "{:.3f}"),
        text(row["at_best_signal"], "{:.0%}"),
        text(row["at_optimum"], "{:.0%}"),
        text(row["within_noise"], "{:.0%}"),
        text(row["evaluations"], "{:,.0f}"),
        *("-" if v is None else formatting.format_count(round(v)) for v in row["costs"].values()),
    ]


def report_lines(question, rows):
    """What was compared, the facts of the table, and the rows of `summary`, as lines of text."""
    facts, unit = question.facts, question.table.cost
    lines = [
        f"{question.table.name}, {facts['networks']:,} networks ({question.limits.text()}): "
        f"searched by {question.signal}, reported in {question.report}, {question.seeds} seeds."
    ]
    optimum, best = facts["optimum"], facts["reported_at_best_signal"]
    lines.append(f"Optimum {optimum:.3f}; the network of the best signal has {best:.3f}.")
    if facts["noise"] is None:
        lines.append("The noise of a training is not known here.")
    else:
        lines.append(
            f"Noise of a training: a standard deviation of {facts['noise']:.3f} "
            f"({facts['noise_functions']:,} functions trained several times); "
            f"{facts['networks_within_noise']:,} networks are within it of the optimum."
        )
    lines.append(f"A sum over positions has an R2 of {facts['additive_r2']:.3f} of the signal.")
    best_costs = ", ".join(
        f"{name} {formatting.format_count(round(float(unit(name)[tuple(facts['optimum_row'])])))}"
        for name in _costs(question)
    )
    if best_costs:
        lines.append(f"The optimum has {best_costs}.")
    heads = [*HEADS, *rows[0]["costs"]]
    texts = [heads, *map(cells, rows)]
    lines += [f"  {line}" for line in formatting.aligned(texts, right=range(1, len(heads)))]
    problems = {row["search"]: row["problem"] for row in rows if row["problem"]}
    return lines + [f"  {search}: {problem}" for search, problem in problems.items()]
