"""The networks with the largest angle under limits: exact, or with the gap to the best possible.

The cosine of a network's angle, D / sqrt(N0 * N), is no sum over its blocks, so `exact` cannot
minimise it at once, and the best op of each layer need not make the best network. But D, N0 and N
are sums (`space.angle_sums`), and for every t > 0

    sqrt(N0 * N) <= q_t = (t * N0 + N / t) / 2,   equal at t = sqrt(N / N0),

so a network with D > 0 has a cosine of at least D / q_t, a ratio of two sums. For a number r,

    all networks with a cosine of at most r >= 0 have   D - r * q_t <= 0,

also those with D <= 0. The left side is a sum over blocks: `exact` minimises it under limits on
any costs, and `listing` lists all networks with which it is at most 0. For r < 0 the same holds
with the sum of the blocks' own sqrt(N0 * N) in the place of q_t (Cauchy-Schwarz). So:

1. From a network, take its cosine as r and its sqrt(N / N0) as t, and minimise D - r * q_t
   exactly. If that gives a network with a smaller cosine, go on from there.
2. List all networks with D - r * q_t <= 0 for the smallest cosine r so far (for the k best: the
   k-th), and compute their cosines. None that is better is missing: the answer is certified.
3. If the list is too long, look for the t with the best bound: 1 / (least D / q_t) is convex in
   log t, and the network at which the bound is attained says on which side of t the best one
   lies. List with that t; if that is too long again, the bound and the best network met are
   returned as they are, not certified.

Limits are kept exactly, as in `exact`. Cosines are equal to the bit to those of brute force that
adds first block first.

Source: Dinkelbach, 1967 (ratios of sums); the use for angles is ours.
"""

import dataclasses
import math
import typing

import numpy as np

from dna_tf.search import bounds, exact, listing, problems
from dna_tf.space import angle_sums, architectures, cost_limits

_STEPS = 60  # of each search for a better network or bound; a few are usual
_CLOSE = 1e-13


@dataclasses.dataclass(frozen=True)
class LargestAngles:
    """The networks with the largest angles.

    Args:
        choices: a list of `problems.Choice`, the largest angle first.
        cosines: the cosine of each.
        bound: no network within the limits has a lower cosine (but for rounding).
        certified: whether the choices are proven to be the best. If not, better ones may exist;
            the best has a cosine from `bound` to `cosines[0]`.
        searches: how many exact searches it took.
    """

    choices: list
    cosines: list
    bound: float
    certified: bool
    searches: int


def best(problem, sums, limits=None, k=1, max_pairs=exact.MOST_PAIRS):
    """Finds the k networks with the largest angles within limits.

    Args:
        problem: a `problems.SearchProblem`. Its ratings are not used, but paths that it leaves
            out are.
        sums: the `angle_sums.AngleSums` of the space.
        limits: as `exact.best` takes them.
        k: how many to find.
        max_pairs: how many pairs of a start and a path may be looked at in a list.

    Returns:
        A `LargestAngles`; fewer than k choices if no more meet the limits. They are sorted by
        cosine, then by costs, cells and path indices.

    Raises:
        ValueError: sums, limits or k cannot be used.
        exact.Infeasible: no network meets the limits.
    """
    exact.check_k(k)
    angle_sums.check(sums, problem.space, problem.open_paths)
    search = _Search(problem, sums, exact.question(problem, limits))
    t = search.descend()
    if not search.met:
        raise exact.infeasible(problem, limits)
    if k > 1:
        search.solve(search.worst(1), t, k)
    ends, bound = None, None
    for pairs in (min(exact.MANY_PAIRS, max_pairs), max_pairs):
        try:
            ends = search.list(search.worst(k), t, (exact.MAX_STATES, pairs))
            break
        except listing.TooMany:
            if bound is None:
                bound, t = search.bound(t)
    if ends is None:
        cells, paths = np.split(np.array(list(search.met), np.int64), 2, axis=1)
    else:
        cells, paths = ends.cells, ends.paths
    choices, cosines = _sorted(problem, sums, cells, paths, k)
    bound = cosines[0] if ends is not None else bound
    is_certified = ends is not None or cosines[-1] <= bound + 10 * _CLOSE
    return LargestAngles(choices, cosines, bound, is_certified, search.searches)


def find_largest_angles(
    problem: problems.SearchProblem,
    sums: angle_sums.AngleSums,
    *,
    count: int = 1,
    limits: "cost_limits.Limits | dict | str | None" = None,
    name: str = "",
    **more_limits: typing.Any,
) -> list[architectures.Architecture]:
    """Finds the networks whose weights training turned most, under limits, exactly.

    Example:

        import numpy as np
        import dna_tf

        space, rng = dna_tf.get_space("digits"), np.random.default_rng(0)
        paths = {}
        for b, c, _ in space.cells():  # made-up weights; dna_tf.angles has those of trained cells
            first = rng.normal(size=(space.num_paths(b, c), 9))
            trained = first + rng.normal(size=first.shape)
            paths[b, c] = np.array(
                [(first * trained).sum(1), (first**2).sum(1), (trained**2).sum(1)]
            )
        zeros = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
        problem = dna_tf.search_problem(space, zeros, dna_tf.Task(32, 3, 10))
        sums = dna_tf.AngleSums(paths)
        (best,) = dna_tf.find_largest_angles(problem, sums, max_macs="1.5M")
        print(best.origin["cosine"], best.origin["certified"], best.costs()["macs"])

    Args:
        problem: from `search_problem`; its costs are used, and its ratings are not.
        sums: from `angles`.
        count: how many architectures to find.
        limits: `Limits`, or what makes one: text such as `"max_macs=350M"` or a dict.
        name: name of the first architecture; `""` makes it from the limits. The others are
            called NAME_2, NAME_3, ...
        more_limits: further limits by name, such as `max_macs="350M"` or `min_params=4e6`.

    Returns:
        A list of `Architecture`, the largest angle first. `origin` has the `cosine` and whether
        it is `certified` that no network has a larger angle; if not, none has a lower cosine
        than `bound`.

    Raises:
        ValueError: sums, limits or count cannot be used.
        exact.Infeasible: no architecture meets the limits. It is a `ValueError`.

    Source: RLNAS, Zhang et al., 2021 (the angle); the exact search is ours.
    """
    limits = cost_limits.Limits(limits, **more_limits)
    largest = best(problem, sums, limits, count)
    name = name or "_".join(filter(None, ("angle", limits.name())))
    return [
        problem.architecture(
            choice,
            name if number == 1 else f"{name}_{number}",
            {**origin(largest, number, limits), "space": problem.space.name},
        )
        for number, choice in enumerate(largest.choices, 1)
    ]


def origin(largest, number, limits):
    """What an architecture file says of the search that it comes from, JSON-able.

    Args:
        largest: the `LargestAngles`.
        number: the place of the architecture among them, from 1.
        limits: a `cost_limits.Limits`.
    """
    return {
        "by": "angle",
        "limits": dict(limits),
        "rank": number,
        "cosine": largest.cosines[number - 1],
        "bound": largest.bound,
        "certified": largest.certified,
    }


def lower_bound(problem, sums, limits=None):
    """The best bound of step 3: no network within the limits has a lower cosine.

    Args:
        problem, sums, limits: as of `best`.

    Returns:
        A float: at most the least cosine, and equal to it if a t attains it.
    """
    angle_sums.check(sums, problem.space, problem.open_paths)
    search = _Search(problem, sums, exact.question(problem, limits))
    t = search.descend()
    if not search.met:
        raise exact.infeasible(problem, limits)
    return search.bound(t)[0]


class _Search:
    """One search: its problem, and the networks that it met.

    Attributes:
        met: a dict from `(*cells, *path_indices)` to the cosine.
        searches: the number of exact searches.
    """

    def __init__(self, problem, sums, columns):
        self._problem, self._sums, self._columns = problem, sums, columns
        self._blocks = range(len(problem.space.blocks))
        self.met, self.searches = {}, 0

    def worst(self, k):
        """The k-th smallest cosine of the networks met; infinite if there are fewer."""
        cosines = sorted(self.met.values())
        return cosines[k - 1] if len(cosines) >= k else math.inf

    def solve(self, ratio, t, k=1):
        """The k networks with the least `D - ratio * q`: pairs of `(D, N0, N)` and `q`."""
        choices = exact.solve(self._reduced(ratio, t), self._columns, k)
        self.searches += 1
        if not choices:
            return []
        cells = np.array([choice.cells for choice in choices])
        paths = np.array([choice.path_indices for choice in choices])
        totals = self._sums.totals(cells, paths)
        cosines = angle_sums.cosines_of(totals)
        for c, p, cosine in zip(cells.tolist(), paths.tolist(), cosines.tolist(), strict=True):
            self.met[*c, *p] = cosine
        return [
            (total, _weighed(self._sums.fixed, t, ratio) + self._weight_of(choice, t, ratio))
            for total, choice in zip(totals.T, choices, strict=True)
        ]

    def _weight_of(self, choice, t, ratio):
        """The `q` of a network, added up over its blocks."""
        pairs = enumerate(zip(choice.cells, choice.path_indices, strict=True))
        return sum(float(_weighed(self._sums.paths[b, c][:, p], t, ratio)) for b, (c, p) in pairs)

    def descend(self):
        """Goes from network to network with a smaller cosine; returns the last one's t."""
        ratio, t = 1.0, 1.0
        for _ in range(_STEPS):
            reached = self.solve(ratio, t)
            if not reached or self.worst(1) >= ratio:
                return t
            ratio, t = self.worst(1), _length_ratio(reached[0][0])
        return t

    def list(self, ratio, t, most):
        """All networks with a cosine of at most `ratio` and possibly others, `listing.Ends`."""
        ratio = min(ratio, 1.0)
        program = bounds.Program(self._reduced(ratio, t), self._columns)
        # What is listed are differences of numbers that are larger by far.
        fixed = _weighed(self._sums.fixed, t, ratio)
        size = abs(self._sums.fixed[0]) + abs(ratio * fixed)
        for b in self._blocks:
            parts = [self._part(b, c) for c in self._problem.cells(b)]
            size += max(np.max(np.abs(s[0]) + np.abs(ratio * _weighed(s, t, ratio))) for s in parts)
        threshold = ratio * fixed - self._sums.fixed[0] + 2 * bounds.ROUNDING * size
        multipliers = bounds.best_bound(program).multipliers
        # From this k on no dominated states are dropped: all networks are listed.
        return listing.enumerate_below(program, multipliers, threshold, listing.LAYERS + 1, most)

    def bound(self, t):
        """The best bound over all t, from one t on, and its t."""
        best, best_t, left, right = -math.inf, t, None, None
        for _ in range(_STEPS):
            ratio, totals = self._least_ratio(t)
            if ratio <= 0:
                return ratio, t  # it does not depend on t
            if ratio > best:
                best, best_t = ratio, t
            own = _length_ratio(totals)
            if own > t:
                left = totals
            else:
                right = totals
            following = own if left is None or right is None else _crossing(left, right)
            if following is None or abs(following / t - 1) <= _CLOSE:
                break  # attained at this t, or no t is better
            t = following
        return min(best, self.worst(1)), best_t

    def _least_ratio(self, t):
        """The least `D / q` of all networks, and the sums of the one that has it."""
        ratio, least = self.worst(1), None
        for _ in range(_STEPS):
            totals, weight = self.solve(ratio, t)[0]
            reached = float(totals[0] / weight)
            if reached < 0 <= ratio:  # then q is another one, and all begins again
                ratio, least = self.worst(1), None
            elif least is not None and reached >= ratio - _CLOSE * abs(ratio):
                break
            else:
                ratio, least = reached, totals
        return ratio, least

    def _part(self, block, cell):
        return self._sums.paths[block, cell][:, self._problem.open_paths[block, cell]]

    def _reduced(self, ratio, t):
        """The problem with the parts of `D - ratio * q` as ratings."""
        ratio = min(ratio, 1.0)
        reduced = {
            key: part[0] - ratio * _weighed(part, t, ratio)
            for key, part in self._sums.paths.items()
        }
        return dataclasses.replace(self._problem, ratings=reduced)


def _weighed(sums, t, ratio):
    """What stands for `sqrt(N0 * N)`, of sums `(3,)` or `(3, paths)`; additive over blocks."""
    _, first, trained = sums
    return np.sqrt(first * trained) if ratio < 0 else (t * first + trained / t) / 2


def _length_ratio(totals):
    """The t of a network: length of its trained weights by that of the first ones."""
    return math.sqrt(totals[2] / totals[1])


def _crossing(left, right):
    """The t at which two networks have the same `q_t / D`; `None` if there is none."""
    (d1, first1, trained1), (d2, first2, trained2) = left, right
    above, below = trained2 / d2 - trained1 / d1, first1 / d1 - first2 / d2
    return math.sqrt(above / below) if below and above / below > 0 else None


def _sorted(problem, sums, cells, paths, k):
    """The first k networks by cosine, costs and choices, and their cosines."""
    cosines = sums.cosines(cells, paths)
    kth = np.partition(cosines, k - 1)[k - 1] if len(cosines) > k else math.inf
    near = np.flatnonzero(cosines <= kth)
    cells, paths, cosines = cells[near], paths[near], cosines[near]
    _, costs = problem.evaluate_many(cells, paths)
    choices = np.stack([cells, paths], axis=2).reshape(len(near), -1)
    order = np.lexsort([*choices.T[::-1], *costs[::-1], cosines])[:k]
    return problem.choices(cells[order], paths[order]), cosines[order].tolist()
