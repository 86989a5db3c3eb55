"""The best architectures under limits, exactly, without building a front.

Why it is exact: `bounds` gives multipliers m and a bound. Every architecture has

    value >= reduced - support,   reduced = base * rating + sum m * column,

where `reduced` is a sum over paths. So all architectures with a value up to a threshold t
have reduced <= t + support. `listing` lists all of those: it combines paths block by block and
drops a start only if even the least that can follow it (known from the bound's dynamic
programming) exceeds t. Values and limits of the listed architectures are then computed anew. If
the k-th best value among them is at most t, no other architecture is better, and they contain
the k best. Otherwise t is raised, at most to that k-th value, and the listing is repeated.

This does not use dominance, so it stays exact with lower limits, several best, ties and bounds
on shared ops; they only widen the gap between bound and optimum. For rounding errors starts are
dropped with a slack of 1e-12 of the largest possible sum, a thousand times the error of ten
additions. Values are sums from left to right, equal to the bit to brute force that adds in the
same order, and limits are compared with those.

Time: each bound takes one pass over all paths and the widths that they may read (40,000 numbers
for the space `dna`), some hundreds of passes with three limits. Each listing takes its sorting
and the number of starts within the gap, usually thousands. The worst case is bad: with many
ties, or limits that hardly any architecture meets, the gap may contain too many starts. Then
starts that cannot matter are dropped too: those that k others with the same last width dominate
in the rating and in all columns (or, where a column has a lower limit, those with k better ones
of equal columns). If that does not help, `listing.TooMany` is raised; a wrong answer is never
given.

Source: Lagrangian relaxation, see `bounds`.
"""

import dataclasses

import numpy as np

from dna_tf.search import bounds, listing
from dna_tf.space import cost_limits

MOST = 1_000_000  # of k
MAX_STATES = 3_000_000
MANY_PAIRS = 5_000_000
MOST_PAIRS = 300_000_000
_FEW = 10_000  # states below which a listing may grow fast


class Infeasible(ValueError):
    """No architecture meets the limits.

    Attributes:
        nearest: the `problems.Choice` that misses them least; `None` if it is unknown.
    """

    nearest = None


def best(problem, limits=None, k=1, penalties=None, max_states=MAX_STATES):
    """Finds the k best architectures within limits.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        k: how many to find.
        penalties: a dict from cost name to a factor, or to `(factor, target)`: the value to
            minimise is the rating and `factor * max(0, cost - target)`.
        max_states: how many states may be kept at once.

    Returns:
        A list of `problems.Choice`, fewer than k if no more meet the limits. They are
        sorted by value, then by the costs in the order of `problem.names`, then by cells
        and path indices of block 1, block 2, ... (Where millions of architectures tie,
        dominated states are dropped, so others of the same value may be returned.)

    Raises:
        ValueError: limits, penalties or k are invalid.
        Infeasible: no architecture meets the limits; the message has the possible range of
            each cost and the nearest miss.
        listing.TooMany: more than `max_states` states.
    """
    check_k(k)
    choices = solve(problem, question(problem, limits, penalties), k, max_states)
    if not choices:
        raise infeasible(problem, limits)
    return choices


def question(problem, limits=None, penalties=None):
    """Checks limits and penalties, and returns them as a list of `bounds.Column`."""
    penalties = problem.check_penalties(penalties)
    soft = [
        bounds.cost_column(problem, name, upper=target, slope=factor)
        for name, (factor, target) in penalties.items()
        if factor
    ]
    return [*_limit_columns(problem, *problem.check_limits(limits)), *soft]


def check_k(k):
    """Checks the number of architectures to find.

    Raises:
        ValueError: it is not a whole number from 1 to `MOST`.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST:
        raise ValueError(
            f"The number of architectures to find must be a whole number from 1 to {MOST:,}. "
            f"Received: {k!r}"
        )


def _limit_columns(problem, lower, upper):
    return [
        bounds.cost_column(problem, n, lower.get(n, -np.inf), upper.get(n, np.inf))
        for n in dict.fromkeys([*upper, *lower])
    ]


def solve(problem, columns, k=1, max_states=MAX_STATES):
    """Finds the k best under limits and penalties that are given as columns.

    Args:
        problem: a `problems.SearchProblem`.
        columns: a list of `bounds.Column`.
        k: how many to find.
        max_states: as `best` takes it.

    Returns:
        As `best`; an empty list if no architecture meets the limits.

    Raises:
        listing.TooMany: as `best`.
    """
    program = bounds.Program(problem, columns)
    return _sorted_ends(problem, _search(program, k, max_states), k)


def _search(program, k, max_states):
    """Architectures that include the k best, as `listing.Ends`."""
    bound = bounds.best_bound(program)
    if k > listing.LAYERS:
        return _deepen(program, bound, k, max_states, MOST_PAIRS)
    try:
        return _deepen(program, bound, k, max_states, MANY_PAIRS)
    except listing.TooMany:  # then dropping dominated paths first is worth its time
        program = program.filtered(lambda part: listing.needed(program, part.rows, part.paths, k))
        return _deepen(program, bound, k, max_states, MOST_PAIRS)


def infeasible(problem, limits):
    """An `Infeasible` that names the possible range of each cost and the nearest miss."""
    lower, upper = problem.check_limits(limits)
    possible = [f"{n} {_number_text(problem.lowest(n))} at least" for n in upper]
    possible += [f"{n} {_number_text(problem.highest(n))} at most" for n in lower]
    together, names = " (each alone)" if len(possible) > 1 else "", dict.fromkeys([*upper, *lower])
    try:
        nearest = nearest_miss(problem, lower, upper)
        missed = ", ".join(f"{n} {_number_text(nearest.costs[n])}" for n in names)
    except listing.TooMany:
        nearest, missed = None, None
    near = f"The nearest miss has {missed}. " if missed else ""
    error = Infeasible(
        f"No architecture of the space {problem.space.name!r} meets "
        f"{cost_limits.Limits(limits).text()}. Possible: {', '.join(possible)}{together}. {near}"
        "Loosen the limits."
    )
    error.nearest = nearest
    return error


def nearest_miss(problem, lower, upper):
    """The architecture that misses limits least.

    Args:
        problem: a `problems.SearchProblem`.
        lower: a dict from cost name to its lower limit.
        upper: likewise.

    Returns:
        The `problems.Choice` with the smallest sum of excesses, each as a share of
        its limit.
    """
    columns = _limit_columns(problem, lower, upper)
    return _sorted_ends(problem, _excess(problem, columns), 1)[0]


def _number_text(number):
    return f"{number:,}" if isinstance(number, int) else f"{number:.6g}"


def _excess(problem, columns):
    """The architecture with the least sum of relative excesses, as `listing.Ends`."""
    soft = []
    for column in columns:
        ends = [abs(end) for end in (column.lower, column.upper) if np.isfinite(end) and end]
        soft.append(dataclasses.replace(column, slope=1 / min(ends, default=1.0)))
    program = bounds.Program(problem, soft, base=0.0)
    return _search(program, 1, MAX_STATES)


def _deepen(program, bound, k, max_states, most_pairs):
    """Lists architectures up to a threshold that rises until the k best are among them."""

    def listed(threshold):
        most = (max_states, most_pairs)
        return listing.enumerate_below(program, bound.multipliers, threshold, k, most)

    spreads = program.spreads()
    soft = np.isfinite(program.slope)
    scale = program.base * spreads[0] + program.slope[soft] @ spreads[1:][soft]
    # No value is above this: the largest rating and the largest penalties of all columns.
    sums = np.where(soft, program.slope, 0.0) @ (program.largest[1:] + np.abs(_ends(program)))
    highest = program.base * program.largest[0] + sums
    vector = np.concatenate([[program.base], bound.multipliers])
    rounding = bounds.ROUNDING * (np.abs(vector) @ program.largest + abs(highest))
    if bound.bound > highest + rounding:
        return listed(-np.inf)  # no architecture meets the limits
    gap = least = max(scale, 1e-6 * highest, rounding) * 1e-4
    if np.isfinite(bound.incumbent):
        gap = min(gap, max(least * 1e-5, (bound.incumbent - bound.bound) / 8))
    # The k best have at most this value; it falls as architectures are listed.
    largest = min(bound.incumbent, highest) if k == 1 else highest
    while True:
        threshold = max(min(bound.bound + gap, largest), bound.bound)
        ends = listed(threshold)
        if len(ends.values) >= k:
            largest = min(largest, np.partition(ends.values, k - 1)[k - 1])
        if largest <= threshold:
            return ends
        gap *= 2 if ends.states < _FEW else 1.4


def _ends(program):
    """The finite end of each column, where its penalty starts; 0 without one."""
    ends = np.where(np.isfinite(program.upper), program.upper, program.lower)
    return np.where(np.isfinite(ends), ends, 0.0)


def _sorted_ends(problem, ends, k):
    """The first k in order, as a list of `problems.Choice`."""
    if len(ends.values) > k:
        kth = np.partition(ends.values, k - 1)[k - 1]
        near = np.flatnonzero(ends.values <= kth)
    else:
        near = np.arange(len(ends.values))
    if not len(near):
        return []
    cells, paths, values = ends.cells[near], ends.paths[near], ends.values[near]
    _, costs = problem.evaluate_many(cells, paths)
    choices = np.stack([cells, paths], axis=2).reshape(len(near), -1)
    order = np.lexsort([*choices.T[::-1], *costs[::-1], values])
    chosen = order[:k]
    return problem.choices(cells[chosen], paths[chosen], ends.penalties[near][chosen])
