"""The authors' traversal search, for comparison: as in the paper, and as in their code.

Both sort the paths of each block by rating, best first, and go through all combinations in
nested loops, block 1 outermost. A start (the choice for the first blocks) is skipped when its
cost exceeds the limit. In the last block the first path that fits is the best for its start, so
its loop ends there.

In the paper (DNA Algorithm 2) nothing else is skipped. That is exact, but visits nearly all
starts: possible for a few thousand combinations, hopeless for 2e17.

The published code (repository changlin31/DNA, searching/process_potential.py) prunes with a
*cap* for each block but the first: paths from the cap on are not looked at. When
the last block's path i fits, its cap becomes i: for a start that is better in the other
blocks only better paths than i could pay. When a cap falls to 0, the cap of the block before
becomes that block's present path, and the fallen one is opened again. This is where it goes
wrong. A cap is valid only as long as the paths of the outer blocks do not change. When an
outer block moves on to a path that is worse and cheaper, a worse path of an inner block may fit
and pay, but the cap excludes it. And a cap that falls to 0 in the last turn of its loop is
never opened again: from then on nothing is found.

Over synthetic tables that code, unmodified, missed the optimum in 28 of 30 dense random
cases (five blocks of 36, 60, 60, 60 and 60 paths; median excess loss 10.7 %, worst 81 %) and
in 20 of 20 cases with costs of layers (5 x 36 paths; 0.9 to 5 %). The real tables behind
DNA-a to DNA-d are not published, so nobody can say what it missed there.

Equal to their code: the order, the caps, when they fall and open, skipping by the least cost
to come, and that a network at exactly the limit does not count (in the last block a cost must
be below it).

Different here: any number of blocks, and of cells in one list per block; costs that depend on
the width before, so the least cost to come is that for the present width; several limits, lower
ones checked in the last block; all blocks are searched (their code fixes the last one); ratings
in float64 (theirs: float16); ties keep the order of paths; the search stops once a cap can never
open again (theirs idles to the end); and a budget.
"""

import numpy as np

from dna_tf.common import checks
from dna_tf.search import bounds, exact, trial_search


def traverse(problem, limits=None, budget=1_000_000, caps=True):
    """Searches as DNA's authors do.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many paths to look at, in all loops together.
        caps: `True` is the published code, which misses optima; `False` is the algorithm of
            the paper, which is exact if the budget suffices.

    Returns:
        A `trial_search.Outcome`. `exhausted` says that the loops came to their end within the
        budget; `evaluations` counts the paths looked at, over all starts. There is no seed,
        because nothing is drawn.

    Raises:
        ValueError: limits or budget are invalid.

    Source: DNA Algorithm 2, and the code of its authors.
    """
    checks.check_whole("budget", budget, 1)
    loops = Loops(problem, exact.question(problem, limits), budget, caps)
    loops.run()
    return loops.outcome()


class _OutOfBudget(Exception):
    pass


class _NeverOpens(Exception):
    """A cap is 0 for good: the loops would find nothing more."""


class _Pool:
    """The paths of a block, best rating first, and what follows each."""

    def __init__(self, program, block, least):
        problem = program.problem
        cells = problem.cells(block)
        opened = [problem.open_paths[block, c] for c in cells]
        ratings = np.concatenate([problem.ratings[block, c][problem.open_paths[block, c]]
                                  for c in cells])  # fmt: skip
        order = np.argsort(ratings, kind="stable")
        cell = np.concatenate([np.full(len(p), c) for c, p in zip(cells, opened, strict=True)])
        self.cells, self.paths = cell[order], np.concatenate(opened)[order]
        self.ratings = ratings[order]
        widths = {c: problem.space.blocks[block].cells[c].width for c in cells}
        self.widths = np.array([widths[c] for c in self.cells.tolist()])
        self.costs = {}
        for width in problem.input_widths(block):
            rows = [p.rows[1:] for p in program.blocks[block] if p.in_width == width]
            self.costs[width] = np.concatenate(rows, axis=1)[:, order]
        # The least of each limited cost that can follow a path, the head included.
        after = [[a[block + 1][w] for w in self.widths.tolist()] for a in least]
        self.least = np.array(after).reshape(len(least), len(order))


class Loops:
    """The nested loops, one level for each block.

    Args:
        problem: a `problems.SearchProblem`.
        columns: the limits, a list of `bounds.Column`.
        budget: how many paths to look at.
        capped: whether caps are used.

    Attributes:
        caps: the cap of each block: its paths from there on are not looked at.
    """

    def __init__(self, problem, columns, budget, capped):
        self._problem, self._capped, self._budget = problem, capped, budget
        program = bounds.Program(problem, columns)
        least = [program.to_go(row)[0] for row in np.eye(1 + len(columns))[1:]]
        blocks = range(len(program.blocks))
        self._pools = [_Pool(program, b, least) for b in blocks]
        self._start, self._upper, self._lower = program.start[1:], program.upper, program.lower
        # Sums of rows err; no start may be lost by that.
        self._room = program.upper + bounds.ROUNDING * program.largest[1:]
        self.caps = [len(pool.ratings) for pool in self._pools]
        self._place = [0] * len(self._pools)  # the present path of each block
        self._best, self._rating = None, np.inf
        self._evaluations, self._curve, self._ended = 0, [], False

    def run(self):
        try:
            self._visit(0, self._problem.space.frame.stem_output_width, self._start, 0.0)
            self._ended = True
        except _NeverOpens:
            self._ended = True
        except _OutOfBudget:
            pass

    def outcome(self):
        if self._best is None:
            return trial_search.Outcome(None, np.inf, self._evaluations, (), self._ended)
        pairs = zip(self._pools, self._best, strict=True)
        cells, paths = zip(*((pool.cells[i], pool.paths[i]) for pool, i in pairs), strict=True)
        best = self._problem.choices(np.array([cells]), np.array([paths]))[0]
        count, curve = self._evaluations, tuple(self._curve)
        return trial_search.Outcome(best, best.rating, count, curve, self._ended)

    def _visit(self, block, width, costs, rating):
        """One loop over the paths of a block, behind one start."""
        if block == len(self._pools) - 1:
            self._last(block, width, costs, rating)
            return
        pool, stop = self._pools[block], self.caps[block]
        if stop == 0:
            raise _NeverOpens
        sums = costs[:, None] + pool.costs[width][:, :stop]
        fits = np.flatnonzero((sums + pool.least[:, :stop] <= self._room[:, None]).all(axis=0))
        seen = 0
        for i in fits.tolist():
            self._count(i + 1 - seen)
            seen, self._place[block] = i + 1, i
            after = int(pool.widths[i])
            self._visit(block + 1, after, sums[:, i], rating + float(pool.ratings[i]))
            if block > 0 and self.caps[block] < stop:  # the block after has lowered it to i
                if i + 1 < stop:  # only a turn that is left to do looks at caps
                    self._count(1)
                    self._open_if_fallen(block)
                return
        self._count(stop - seen)

    def _last(self, block, width, costs, rating):
        pool, stop = self._pools[block], self.caps[block]
        sums = costs[:, None] + pool.costs[width][:, :stop] + pool.least[:, :stop]
        upper, lower = self._upper[:, None], self._lower[:, None]
        below = sums < upper if self._capped else sums <= upper
        fits = np.flatnonzero((below & (sums >= lower)).all(axis=0))
        if not len(fits):
            self._count(stop)
            return
        i = int(fits[0])
        self._count(i + 1)
        total = rating + float(pool.ratings[i])
        if total < self._rating:
            self._place[block] = i
            self._best, self._rating = tuple(self._place), total
            self._curve.append((self._evaluations, total))
        if self._capped and block > 0:
            self.caps[block] = i
            self._open_if_fallen(block)

    def _open_if_fallen(self, block):
        """A cap at 0 opens again, and becomes the present path of the block before."""
        if self.caps[block] == 0:
            self.caps[block - 1] = self._place[block - 1]
            self.caps[block] = len(self._pools[block].ratings)

    def _count(self, number):
        self._evaluations += number
        if self._evaluations > self._budget:
            raise _OutOfBudget
