"""Beam search: block by block, only the best starts are continued.

A start is a choice for the first blocks. With few starts kept, expensive paths are chosen for
the first blocks, because only the limits themselves exclude them, and little of the cost is
left for the later ones. A beam that keeps all starts is exact.

Source: Lowerre, 1976. Starts that can no longer meet the limits are dropped.
"""

import numpy as np

from dna_tf.common import checks
from dna_tf.search import bounds, exact, trial_search

_CHUNK = 500_000  # pairs of a state and a path that are built at once


def beam(problem, limits=None, budget=1_000_000):
    """Searches block by block and keeps as many starts as the budget allows.

    The kept starts are those with the least rating that they can end in without limits: their
    rating so far plus the best ratings to come. Starts that cannot meet the limits any more are
    dropped. Nothing is drawn, so there is no seed. Only the sum of ratings can be minimised:
    with another objective a start would have no value.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many sums of a start and a path to compute at most. Such a sum is far
            cheaper than an evaluation of other searches. One start needs `least_budget`.

    Returns:
        A `trial_search.Outcome`; `best` is `None` if no kept start leads to an architecture
        within the limits (possible with several limits). `exhausted` says that starts were
        dropped for the limits only, so the result is exact.

    Raises:
        ValueError: limits or budget are invalid.
    """
    checks.check_whole("budget", budget, 1)
    if budget < least_budget(problem):
        raise ValueError(
            f"The space {problem.space.name!r} needs a budget of at least "
            f"{least_budget(problem):,}: one sum for each of its paths. Received: {budget}"
        )
    return _Beam(problem, limits, budget // least_budget(problem)).run()


def least_budget(problem):
    """How many sums a beam of one start computes at most: one for each open path."""
    return sum(len(paths) for paths in problem.open_paths.values())


class _Beam:
    def __init__(self, problem, limits, width):
        columns = exact.question(problem, limits)
        self._problem, self._limits, self._width = problem, problem.check_limits(limits), width
        self._program = bounds.Program(problem, columns)
        rows = np.eye(1 + len(columns))
        self._least = [self._program.to_go(row)[0] for row in rows]
        self._most = [self._program.to_go(-row)[0] for row in rows]
        slack = bounds.ROUNDING * self._program.largest[1:]
        self._room, self._need = self._program.upper + slack, self._program.lower - slack
        self._evaluations, self._has_dropped = 0, False

    def run(self):
        stem = self._problem.space.frame.stem_output_width
        sums, widths = self._program.start[:, None], np.array([stem])
        chosen = np.zeros((1, 0, 2), np.int64)
        for b in range(len(self._program.blocks)):
            sums, widths, chosen = self._extended(b, sums, widths, chosen)
        return self._outcome(chosen[:, :, 0], chosen[:, :, 1])

    def _extended(self, block, sums, widths, chosen):
        """The best starts with one block more: `(sums, widths, chosen)`."""
        kept = (sums[:, :0], widths[:0], np.zeros((0, block + 1, 2), np.int64), np.zeros(0))
        for part in self._program.blocks[block]:
            states = np.flatnonzero(widths == part.in_width)
            step = max(1, _CHUNK // len(part.paths))
            for start in range(0, len(states), step):
                some = states[start : start + step]
                more = self._with_part(block, part, sums, chosen, some)
                kept = [np.concatenate(pair, axis=-1 if pair[0].ndim == 2 else 0)
                        for pair in zip(kept, more, strict=True)]  # fmt: skip
                order = np.argsort(kept[3], kind="stable")
                self._has_dropped |= len(order) > self._width
                order = order[: self._width]
                kept = (kept[0][:, order], kept[1][order], kept[2][order], kept[3][order])
        return kept[:3]

    def _with_part(self, block, part, sums, chosen, some):
        """The best of some states with each path of a part."""
        count, options = len(some), len(part.paths)
        self._evaluations += count * options
        extended = (sums[:, some, None] + part.rows[:, None, :]).reshape(len(sums), -1)
        least = np.array([ahead[block + 1][part.out_width] for ahead in self._least])
        most = -np.array([ahead[block + 1][part.out_width] for ahead in self._most])
        fits = (extended[1:] + least[1:, None] <= self._room[:, None]).all(axis=0)
        fits &= (extended[1:] + most[1:, None] >= self._need[:, None]).all(axis=0)
        fits = np.flatnonzero(fits)
        scores = extended[0, fits] + least[0]
        best = np.argsort(scores, kind="stable")
        self._has_dropped |= len(best) > self._width
        best = best[: self._width]
        state, path = np.divmod(fits[best], options)
        last = np.stack([np.full(len(path), part.cell), part.paths[path]], axis=1)
        before = chosen[some[state]]
        widths = np.full(len(path), part.out_width)
        ends = np.concatenate([before, last[:, None]], axis=1)
        return extended[:, fits[best]], widths, ends, scores[best]

    def _outcome(self, cells, paths):
        lower, upper = self._limits
        ratings, costs = self._problem.evaluate_many(cells, paths)
        keep = np.flatnonzero(self._problem.within(costs, lower, upper))
        exhausted = not self._has_dropped
        if not len(keep):
            return trial_search.Outcome(None, np.inf, self._evaluations, (), exhausted)
        lowest = keep[np.argmin(ratings[keep])]
        best = self._problem.choices(cells[[lowest]], paths[[lowest]])[0]
        curve = ((self._evaluations, best.rating),)
        return trial_search.Outcome(best, best.rating, self._evaluations, curve, exhausted)
