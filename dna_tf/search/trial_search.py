"""Searches by trial: random search, and the trials that random search and evolution share.

Costs are cheap sums; the value of an architecture may be expensive (a network may have to be
run for it). So limits are checked first, only architectures within them are evaluated, and a
budget counts evaluations. No architecture is tried twice.
"""

import dataclasses
import math
import numbers

import numpy as np

from dna_tf.common import checks
from dna_tf.search import problems

SMALL = 200_000  # spaces of up to this many architectures are drawn from without replacement
STALE = 1000  # repeats in a row, after which a search that learns has converged
_TRIES = 100  # draws per evaluation, at most
_LEAST_TRIES = 10_000
_BATCH = 1000  # rows that random search draws at once


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a search, and its work.

    Args:
        best: the best `problems.Choice` within the limits; `None` if none was tried.
        value: its rating, or its objective; infinite without a best.
        evaluations: the number of evaluations; each search defines what counts as one.
        curve: `(evaluations, value)` of each improvement.
        exhausted: whether all architectures were tried, so that no other is better.
    """

    best: problems.Choice | None
    value: float
    evaluations: int
    curve: tuple
    exhausted: bool = False


class Trials:
    """Tries architectures, within limits and a budget.

    An architecture is a *row*: for each block an index into all its cells' open paths, one
    cell after another.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6}`.
        budget: the largest number of evaluations.
        seed: seeds `rng`, from which everything is drawn.
        objective: `f(cells, path_indices) -> float` to minimise, given two tuples with an
            int for each block; `None` is the problem's rating.
        small: spaces of up to this many architectures are drawn from without replacement.

    Raises:
        ValueError: limits, budget or seed are invalid.
    """

    def __init__(self, problem, limits, budget, seed, objective=None, small=SMALL):
        checks.check_whole("budget", budget, 1)
        checks.check_whole("seed", seed, 0)
        self.problem, self._objective = problem, objective
        self._lower, self._upper = problem.check_limits(limits)
        self.rng = np.random.default_rng(seed)
        self._numbers = iter(())
        options = [_options(problem, b) for b in range(len(problem.space.blocks))]
        self._cells, self._paths = zip(*options, strict=True)
        self._counts = [len(cells) for cells in self._cells]
        self._total = problem.num_architectures()
        self._order = self.rng.permutation(self._total) if self._total <= small else None
        self._drawn = 0
        self._seen, self._curve = {}, []  # values and excesses by row
        self._places = [_places(problem, b) for b in range(len(problem.space.blocks))]
        self._best, self._value, self._repeats = None, math.inf, 0
        self._budget, self.evaluations = budget, 0
        self._tries = max(_LEAST_TRIES, _TRIES * budget, min(self._total, SMALL))

    @property
    def is_over(self):
        """Whether the budget or the tries are spent, or the whole space was tried."""
        return self.evaluations >= self._budget or self._tries <= 0 or self._is_exhausted()

    @property
    def is_stale(self):
        """Whether `value_of` got nothing new `STALE` times in a row: a search has converged."""
        return self._repeats >= STALE

    @property
    def tried(self):
        """The number of different architectures that were tried, also beyond the limits."""
        return len(self._seen)

    def _is_exhausted(self):
        return len(self._seen) >= self._total

    def draw(self, count):
        """Draws rows that were not tried yet, all architectures equally likely.

        Args:
            count: how many.

        Returns:
            int64 `(rows, blocks)`; fewer rows if the space or the tries are exhausted.
        """
        rows = []
        while len(rows) < count and self._tries > 0 and not self._is_exhausted():
            drawn = self._draw(count - len(rows))  # no more: those left over would be lost
            if not len(drawn):
                break
            self._tries -= len(drawn)
            rows += [row for row in drawn if row.tobytes() not in self._seen]
        return np.array(rows, np.int64).reshape(-1, len(self._counts))

    def _draw(self, count):
        if self._order is None:
            return self.rng.integers(0, self._counts, (count, len(self._counts)))
        indices = self._order[self._drawn : self._drawn + count]
        self._drawn += len(indices)
        return np.stack(np.unravel_index(indices, self._counts), axis=1)

    def uniform(self):
        """A float drawn uniformly from [0, 1), from `rng`, in blocks because that is faster."""
        for number in self._numbers:
            return number
        self._numbers = iter(self.rng.random(_BATCH).tolist())
        return next(self._numbers)

    def rows(self, cells, paths):
        """Rows of the architectures that were not tried yet; each one counts as a try.

        Args:
            cells: int `(architectures, blocks)`.
            paths: int `(architectures, blocks)`, path indices. Architectures with a path that
                the problem leaves out have no row.

        Returns:
            int64 `(rows, blocks)`, each row once.
        """
        self._tries -= len(cells)
        rows = np.full(cells.shape, -1)
        for b, of_cells in enumerate(self._places):
            for c, places in of_cells.items():
                if len(of_cells) == 1:
                    rows[:, b] = places[paths[:, b]]
                else:
                    here = np.flatnonzero(cells[:, b] == c)
                    rows[here, b] = places[paths[here, b]]
        return self._fresh(rows[(rows >= 0).all(axis=1)])

    def _fresh(self, rows):
        """The rows that were not tried, each once."""
        keyed = {row.tobytes(): row for row in rows}
        fresh = [row for key, row in keyed.items() if key not in self._seen]
        return np.array(fresh, np.int64).reshape(-1, len(self._counts))

    def choices(self, rows):
        """`(cells, path_indices)` of rows, int64 `(rows, blocks)` each."""
        cells = [of_block[rows[:, b]] for b, of_block in enumerate(self._cells)]
        paths = [of_block[rows[:, b]] for b, of_block in enumerate(self._paths)]
        return np.stack(cells, axis=1), np.stack(paths, axis=1)

    def look(self, rows):
        """Tries rows in order until the budget is spent.

        Args:
            rows: int64 `(rows, blocks)`; equal ones are tried once.

        Returns:
            `(rows, values, excess)` of the tried rows. `values` are infinite where a limit is
            not met. `excess` is the sum over the limits of how far each is missed, as a share
            of it; 0 where all are met.
        """
        rows = self._fresh(rows)
        cells, paths = self.choices(rows)
        ratings, costs = self.problem.evaluate_many(cells, paths)
        excess = self._excess(costs)
        met = np.cumsum(excess == 0)
        left = self._budget - self.evaluations
        if len(met) and met[-1] > left:  # up to the last one that may be evaluated
            size = int(np.searchsorted(met, left, side="right"))
            rows, cells, paths = rows[:size], cells[:size], paths[:size]
            ratings, excess = ratings[:size], excess[:size]
        values = np.where(excess == 0, ratings, np.inf)
        for i, row in enumerate(rows):
            if excess[i] == 0:
                if self._objective is not None:
                    values[i] = self._evaluate(cells[i].tolist(), paths[i].tolist())
                self.evaluations += 1
            self._seen[row.tobytes()] = (float(values[i]), float(excess[i]))
            if excess[i] == 0:
                if values[i] < self._value:
                    self._best, self._value = row, float(values[i])
                    self._curve.append((self.evaluations, self._value))
        return rows, values, excess

    def value_of(self, cells, path_indices):
        """Tries one architecture, or remembers what an earlier trial of it gave.

        Searches that learn draw the same architecture again and again. A repeat is no
        evaluation, but it counts as a try, so that such a search ends.

        Args:
            cells: a cell for each block.
            path_indices: a path for each block; none that the problem leaves out.

        Returns:
            `(value, excess)` as from `look`, two floats; `None` for a new architecture once
            the budget is spent.
        """
        self._tries -= 1
        row = np.empty(len(self._counts), np.int64)
        for b, (c, p) in enumerate(zip(cells, path_indices, strict=True)):
            row[b] = self._places[b][c][p]
        key = row.tobytes()
        self._repeats += 1
        if key not in self._seen:
            self.look(row[None])
            self._repeats = 0
        return self._seen.get(key)

    def outcome(self):
        """The `Outcome` so far."""
        best = None
        if self._best is not None:
            best = self.problem.choices(*self.choices(self._best[None]))[0]
        curve, exhausted = tuple(self._curve), self._is_exhausted()
        return Outcome(best, self._value, self.evaluations, curve, exhausted)

    def _evaluate(self, cells, paths):
        value = self._objective(tuple(cells), tuple(paths))
        if not isinstance(value, numbers.Real) or math.isnan(value):
            raise ValueError(
                "An objective must return a number, lower is better; math.inf rules an "
                f"architecture out. Received: {value!r} for cells={cells}, paths={paths}"
            )
        return value

    def _excess(self, costs):
        total = np.zeros(costs.shape[1])
        for sign, limits in ((1, self._upper), (-1, self._lower)):
            for name, limit in limits.items():
                over = sign * (costs[self.problem.names.index(name)] - limit)
                total += np.maximum(over, 0.0) / (abs(limit) or 1.0)
        return total


def _places(problem, block):
    """A dict from cell to an array: where each of its paths stands in a row; -1 if left out."""
    first, by_cell = 0, {}
    for c in problem.cells(block):
        opened = problem.open_paths[block, c]
        paths = len(problem.space.ops) ** problem.space.blocks[block].cells[c].layers
        by_cell[c] = np.full(max(paths, int(opened[-1]) + 1), -1)
        by_cell[c][opened] = first + np.arange(len(opened))
        first += len(opened)
    return by_cell


def _options(problem, block):
    """All choices of a block: `(cells, path_indices)`, cells ascending."""
    opened = [(c, problem.open_paths[block, c]) for c in problem.cells(block)]
    cells = np.concatenate([np.full(len(paths), c) for c, paths in opened])
    return cells, np.concatenate([paths for _, paths in opened])


def random_search(problem, limits=None, budget=1000, seed=0, objective=None):
    """Draws architectures that meet the limits, and keeps the best.

    All architectures are equally likely, and none is tried twice. With a budget of at least
    the number of architectures, all of a space of up to 200,000 are tried, and the result is
    exact.

    An objective need not be a sum over blocks. Suppose that errors grow along a chain of blocks,
    and that your own function `drift` measures this:

        def objective(cells, path_indices):
            rating, costs = problem.evaluate(cells, path_indices)
            return rating + drift(cells, path_indices)

        random_search(problem, {"max_macs": 350e6}, budget=500, objective=objective)

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many architectures within the limits to evaluate. Others are drawn again;
            draws are limited to 100 times the budget (10,000 at least).
        seed: an int of at least 0; one seed gives one result.
        objective: `f(cells, path_indices) -> float` to minimise, given two tuples with an
            int for each block; `None` is the problem's rating.

    Returns:
        An `Outcome`; `best` is `None` if no draw met the limits.

    Raises:
        ValueError: an argument is invalid, or the objective does not return a number.

    Source: Li and Talwalkar, 2019 ("Random Search and Reproducibility for Neural Architecture
    Search").
    """
    trials = Trials(problem, limits, budget, seed, objective)
    while not trials.is_over:
        rows = trials.draw(min(_BATCH, budget))
        if not len(rows):
            break
        trials.look(rows)
    return trials.outcome()
