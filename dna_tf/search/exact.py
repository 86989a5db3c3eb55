"""The best architectures under limits, exactly, without building a front.

Why it is exact. `bounds` gives multipliers m and a bound: every architecture has

    value >= reduced - support,   reduced = base * rating + sum m * column,

where `reduced` is a sum over paths. So all architectures with a value up to a threshold t
have reduced <= t + support. `listing` lists all of those: it puts paths together block
by block and drops a start only if even the least that can follow it (known from the bound's
dynamic programming) goes beyond. Of what it lists, values and limits are computed anew. If
the k-th best value among them is at most t, nothing that was not listed is better, and the
k best are found. Else t is raised, at most to that k-th value, and the listing repeated.

This needs no dominance, so lower limits, several best, ties and bounds on shared ops cost
nothing in exactness; they only widen the gap between bound and optimum. In rounded
arithmetic starts are dropped with a slack of 1e-12 of the largest possible sum, a thousand
times what ten rounded additions can err; values are sums from left to right, the same bits
as brute force finds that adds in the same order, and limits are compared with those.

Order of its cost: each bound takes one pass over all paths and the widths they may read
(40,000 numbers for the space `dna`), some hundreds of passes with three limits; then each
listing costs its sorting plus the number of starts within the gap, usually thousands. It
has no good worst case: with many ties, or limits so narrow that hardly any architecture
fits, the gap may hold too many. Then states that cannot matter are dropped too: those that
k others with the same last width dominate in the rating and in all columns (or, where a
column has a lower limit, those with k better ones of equal columns). If that does not help,
`listing.TooMany` is raised; a wrong answer is never given.

Source: our choice; see `bounds`.
"""

import dataclasses

import numpy as np

from dna_tf.search import bounds, listing
from dna_tf.space import cost_limits

MOST = 1_000_000  # of k
MAX_STATES = 3_000_000
_MANY_PAIRS = 5_000_000
_MOST_PAIRS = 300_000_000
_FEW = 10_000  # states below which a listing may grow fast


class Infeasible(ValueError):
    """No architecture meets the limits.

    Attributes:
        nearest: the `problems.Choice` that misses them least; `None` where not asked.
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
        and path indices of block 1, block 2, ... (Of several that are equal in value,
        dropping dominated states, which helps where millions tie, may keep others.)

    Raises:
        ValueError: limits, penalties or k cannot be.
        Infeasible: nothing meets the limits; the message has the cheapest possible for each
            cost and the nearest miss.
        listing.TooMany: more than `max_states` states.
    """
    check_k(k)
    found = solve(problem, question(problem, limits, penalties), k, max_states)
    if not found:
        raise infeasible(problem, limits)
    return found


def question(problem, limits=None, penalties=None):
    """Limits and penalties, checked, as a list of `bounds.Column`."""
    penalties = problem.check_penalties(penalties)
    soft = [
        bounds.cost_column(problem, name, upper=target, slope=factor)
        for name, (factor, target) in penalties.items()
        if factor
    ]
    return [*_limit_columns(problem, *problem.check_limits(limits)), *soft]


def check_k(k):
    """Checks how many architectures are asked for.

    Raises:
        ValueError: it is no whole number from 1 to `MOST`.
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
    """Finds the k best of a question that is given as columns.

    Args:
        problem: a `problems.SearchProblem`.
        columns: a list of `bounds.Column`.
        k: how many to find.
        max_states: as `best` has it.

    Returns:
        As `best`; an empty list if nothing meets the limits.

    Raises:
        listing.TooMany: as `best`.
    """
    program = bounds.Program(problem, columns)
    return _sorted_ends(problem, _search(program, k, max_states), k)


def _search(program, k, max_states):
    """The architectures among which the k best are, as `listing.Ends`."""
    bound = bounds.best_bound(program)
    if k > listing.LAYERS:
        return _deepen(program, bound, k, max_states, _MOST_PAIRS)
    try:
        return _deepen(program, bound, k, max_states, _MANY_PAIRS)
    except listing.TooMany:  # so it is worth the time to drop dominated paths first
        program = program.filtered(lambda part: listing.needed(program, part.rows, part.paths, k))
        return _deepen(program, bound, k, max_states, _MOST_PAIRS)


def infeasible(problem, limits):
    """An `Infeasible` that names the possible range of each cost and the nearest miss."""
    lower, upper = problem.check_limits(limits)
    possible = [f"{n} {_shown(problem.lowest(n))} at least" for n in upper]
    possible += [f"{n} {_shown(problem.highest(n))} at most" for n in lower]
    together, names = " (each alone)" if len(possible) > 1 else "", dict.fromkeys([*upper, *lower])
    try:
        nearest = nearest_miss(problem, lower, upper)
        missed = ", ".join(f"{n} {_shown(nearest.costs[n])}" for n in names)
    except listing.TooMany:
        nearest, missed = None, "too many equals to be told"
    error = Infeasible(
        f"No architecture of the space {problem.space.name!r} meets "
        f"{cost_limits.Limits(limits).text()}. Possible: {', '.join(possible)}{together}. The "
        f"nearest miss has {missed}. Loosen the limits."
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


def _shown(number):
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
    # All have a value below this: the rating's largest, and all soft columns' largest.
    sums = np.where(soft, program.slope, 0.0) @ (program.largest[1:] + np.abs(_ends(program)))
    highest = program.base * program.largest[0] + sums
    vector = np.concatenate([[program.base], bound.multipliers])
    rounding = bounds.ROUNDING * (np.abs(vector) @ program.largest + abs(highest))
    if bound.bound > highest + rounding:
        return listed(-np.inf)  # none meets the limits
    gap = least = max(scale, 1e-6 * highest, rounding) * 1e-4
    if np.isfinite(bound.incumbent):
        gap = min(gap, max(least * 1e-5, (bound.incumbent - bound.bound) / 8))
    # No value that may count is above this one; it falls as architectures are found.
    known = min(bound.incumbent, highest) if k == 1 else highest
    while True:
        threshold = max(min(bound.bound + gap, known), bound.bound)
        ends = listed(threshold)
        if len(ends.values) >= k:
            known = min(known, np.partition(ends.values, k - 1)[k - 1])
        if known <= threshold:
            return ends
        gap *= 2 if ends.states < _FEW else 1.4


def _ends(program):
    """The finite end of each column that a penalty starts at; 0 without one."""
    ends = np.where(np.isfinite(program.upper), program.upper, program.lower)
    return np.where(np.isfinite(ends), ends, 0.0)


def _sorted_ends(problem, ends, k):
    """The first k in order, as a list of `Found`."""
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
