"""The whole Pareto front of rating against costs, exact or with a proven loss.

The blocks are merged one after another. A *state* is a choice for the blocks so far. Only its
costs, its sum of ratings and the width of its last cell matter for later blocks, because the
next block's first layer reads that width and nothing else.

Why it is exact: take two states with the same last width, the first at most equal to the second
in rating and in every cost. All choices that complete the second complete the first, and the
first stays at most equal: rounded addition is monotone, a <= b gives fl(a + c) <= fl(b + c). So
the front does not need the second state, and the first meets every limit that the second meets.
For a cost with a lower limit larger may be better; such a cost is compared with both signs, so
that only states of equal cost are compared. By induction over the blocks the last states
contain the front, equal to the bit to brute force that adds in the same order.

Time: the sum over the blocks of S * P candidates, where S is the number of kept states and P
the number of paths of the block that no path of the same cell dominates. They are filtered as
in `pareto`, with one cost in S * P * log(S * P). S grows with the number of costs: in the space
`dna` some hundred states with one, thousands with two, ten thousands with three.

Rounding: with `rounding=r`, each path's cost is rounded up to a multiple of r * cheapest /
blocks, where cheapest is the lowest cost of any network. The rounded cost of an architecture
exceeds its cost by less than r * cheapest, because each block adds less than one multiple. Let
e be the entry of the rounded front that dominates an architecture a. The cost of e is at most
its rounded cost, which is at most that of a, which is below cost(a) + r * cheapest <= (1 + r) *
cost(a); and its rating is at most that of a. So for every architecture there is an entry with
at most its rating that costs less than the share r more, in each cost. Entries have their true
costs, and meet the upper limits. An architecture within the last share r below an upper limit
may be missed. (All to float rounding, 1e-12 of a cost.)

Source: DNA Algorithm 2 states the problem.
"""

import dataclasses

import numpy as np

from dna_tf.search import bounds, pareto, trails
from dna_tf.space import cost_limits

MAX_STATES = 1_000_000
CHUNK = 500_000  # candidates built at once
PILE = 20_000  # states from which on a filter is worth its time


class FrontTooLarge(ValueError):
    """A front has more states, in the end or on the way, than are allowed.

    Attributes:
        rounding: a rounding that makes it smaller.
    """

    def __init__(self, message, rounding):
        super().__init__(message)
        self.rounding = rounding


@dataclasses.dataclass
class _States:
    """States that end in one width."""

    rows: np.ndarray  # (rows, states): rating, then costs
    order: np.ndarray  # (states,) int64: rises with (state before, cell, path)

    def take(self, index):
        return _States(self.rows[:, index], self.order[index])


def front(problem, names=("macs",), limits=None, rounding=0.0, max_states=MAX_STATES):
    """Finds the Pareto front of the rating against costs.

    Args:
        problem: a `problems.SearchProblem`.
        names: the costs to trade against the rating; `()` finds the best rating alone.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`, on any costs.
        rounding: share of the cheapest network's cost by which entries may miss the front, as
            said above; 0 is exact.
        max_states: how many states may be kept at once (some 200 bytes each).

    Returns:
        A list of `problems.Choice`, best rating first, empty if no architecture meets the
        limits. Of equal entries the one with the lowest limited costs, then with the
        smallest cell and path indices, is kept.

    Raises:
        ValueError: a cost is unknown, or limits or rounding are invalid.
        FrontTooLarge: more than `max_states` states; the message offers rounding.
    """
    names = tuple(dict.fromkeys(names))
    problem.check_names(names)
    if not isinstance(rounding, int | float) or not 0 <= rounding <= 1:
        raise ValueError(f"rounding is a share from 0 to 1, such as 0.001. Received: {rounding!r}")
    lower, upper = problem.check_limits(limits)
    columns = _columns(problem, names, lower, upper, rounding)
    merger = _Merger(problem, columns, names, rounding, max_states)
    cells, paths, order = merger.choices()
    if not len(cells):
        return []
    ratings, costs = problem.evaluate_many(cells, paths)
    keep = problem.within(costs, lower, upper)
    cells, paths, order, ratings = cells[keep], paths[keep], order[keep], ratings[keep]
    costs = costs[:, keep]
    chosen = costs[np.array([problem.names.index(name) for name in names], np.int64)]
    limited = [*upper, *lower]
    ties = [costs[problem.names.index(n)] * (1 if n in upper else -1) for n in limited]
    place = np.empty(len(order), np.int64)
    place[np.lexsort([order, *ties[::-1]])] = np.arange(len(order))
    kept = pareto.front_indices(np.concatenate([ratings[None], chosen]), place)
    return problem.choices(cells[kept], paths[kept])


def best_under(entries, limits):
    """Returns the best entry of a front within limits, or `None`.

    An exact front over some costs has an optimum for all upper limits on those costs.

    Args:
        entries: a list from `front`.
        limits: a dict such as `{"max_macs": 350e6}`, on costs of the front.

    Raises:
        ValueError: a limit is a lower one, for which a front need not have an optimum.
    """
    lower, upper = cost_limits.Limits(limits).sides()
    if lower:
        raise ValueError(
            "A front has optima under upper limits only; search for lower ones with "
            f"exact.best. Received: {limits}"
        )
    for entry in entries:
        if all(entry.costs[name] <= limit for name, limit in upper.items()):
            return entry
    return None


def _columns(problem, names, lower, upper, rounding):
    """The costs that are traded or limited, as `bounds.Column`."""
    columns = []
    for name in dict.fromkeys([*names, *upper, *lower]):
        column = bounds.cost_column(
            problem, name, lower.get(name, -np.inf), upper.get(name, np.inf)
        )
        columns.append(_rounded(column, problem, name, rounding) if rounding else column)
    return columns


def _rounded(column, problem, name, rounding):
    step = rounding * problem.lowest(name) / len(problem.space.blocks)
    if step == 0:
        return column
    paths = {key: np.ceil(values / step) * step for key, values in column.paths.items()}
    return dataclasses.replace(column, paths=paths)


class _Merger:
    """Merges block by block; a trail records the choices of each state."""

    def __init__(self, problem, columns, names, rounding, max_states):
        self._problem, self._names = problem, names
        self._rounding, self._max_states = rounding, max_states
        self._program = bounds.Program(problem, columns)
        self._both = np.flatnonzero(np.isfinite(self._program.lower)) + 1
        self._trail = trails.Trail(problem)
        slack = bounds.ROUNDING * self._program.largest
        size = len(self._program.start)
        self._least = [self._program.to_go(row)[0] for row in np.eye(size)]
        self._most = [self._program.to_go(-row)[0] for row in np.eye(size)]
        self._room = self._program.upper + slack[1:]
        self._need = self._program.lower - slack[1:]

    def choices(self):
        """`(cells, paths, order)` of the last states; `order` rises with the choices."""
        program = self._program
        width = self._problem.space.frame.stem_output_width
        states = {width: _States(program.start[:, None], np.zeros(1, np.int64))}
        for b, parts in enumerate(program.blocks):
            merged = {}
            for part in parts:
                if part.in_width in states:
                    pile = merged.setdefault(
                        part.out_width, _Pile(self._filter, not len(self._both))
                    )
                    self._merge(pile, b, states[part.in_width], part)
            states = {w: pile.states() for w, pile in merged.items()}
            states = {w: kept for w, kept in states.items() if len(kept.order)}
            self._check_size(b, sum(len(kept.order) for kept in states.values()))
            self._record(states)
        ends = [_States(s.rows + program.heads[w][:, None], s.order) for w, s in states.items()]
        if not ends:
            empty = np.zeros((0, len(program.blocks)), np.int64)
            return empty, empty, np.zeros(0, np.int64)
        end = self._filter(_join(ends))
        cells, paths = self._trail.choices(end.order)
        return cells, paths, end.order

    def _filter(self, states):
        rows = states.rows
        if len(self._both):
            rows = np.concatenate([rows, -rows[self._both]])
        return states.take(pareto.front_indices(rows, states.order))

    def _merge(self, pile, b, states, part):
        """Adds every state with every path of a cell to a pile, where they can meet the limits."""
        codes = self._trail.codes(b, part.cell, part.paths)
        options = self._filter(_States(part.rows, codes))
        width = part.out_width
        step = max(1, CHUNK // len(options.order))
        least = np.array([ahead[b + 1][width] for ahead in self._least])[1:, None]
        most = -np.array([ahead[b + 1][width] for ahead in self._most])[1:, None]
        for start in range(0, len(states.order), step):
            some = states.take(slice(start, start + step))
            rows = (some.rows[:, :, None] + options.rows[:, None, :]).reshape(len(least) + 1, -1)
            order = (some.order[:, None] + options.order).reshape(-1)
            sums = rows[1:]
            fits = (sums + least <= self._room[:, None]).all(axis=0)
            fits &= (sums + most >= self._need[:, None]).all(axis=0)
            if not fits.all():
                rows, order = rows[:, fits], order[fits]
            pile.add(_States(rows, order))
            self._check_size(b, pile.size)

    def _record(self, states):
        """Adds the states of all widths to the trail."""
        order = np.concatenate([np.zeros(0, np.int64), *(kept.order for kept in states.values())])
        places = self._trail.add(order)
        for kept in states.values():
            count = len(kept.order)
            kept.order, places = places[:count], places[count:]

    def _check_size(self, b, size):
        if size > self._max_states:
            rounding = self._rounding * 4 or 0.001
            raise FrontTooLarge(
                f"The front over {', '.join(self._names)} grows beyond {self._max_states:,} "
                f"states at block {b + 1} (some {self._max_states * 200 / 2**20:,.0f} MiB). Trade "
                "fewer costs against the rating, set limits (the best under limits is found "
                f"without a front), or round: with rounding={rounding:g} every architecture has "
                "an entry with at most its rating that is dearer by less than "
                f"{100 * rounding:.3g} % in each cost.",
                rounding,
            )


class _Pile:
    """Collects states of one width and filters them whenever they have doubled."""

    def __init__(self, keep, may_use_grid):
        self._keep, self._parts, self._grid = keep, [], None
        self._may_use_grid = may_use_grid
        self._kept, self.size, self._waiting = 0, 0, 0

    def add(self, states):
        if self._grid is not None and len(states.order):
            states = states.take(np.flatnonzero(self._grid.may_stay(states.rows)))
        if len(states.order) > PILE:
            states = self._keep(states)
        self._parts.append(states)
        self._waiting += len(states.order)
        if self._waiting > max(self._kept, PILE):
            self._reduce()

    def states(self):
        self._reduce()
        return self._parts[0]

    def _reduce(self):
        if self._waiting:
            self._parts = [self._keep(_join(self._parts))]
            self._kept, self._waiting = len(self._parts[0].order), 0
            self.size = self._kept
            rows = self._parts[0].rows
            if self._may_use_grid and self._kept > 500 and 2 < len(rows) < 7:
                self._grid = pareto.Grid(rows)


def _join(parts):
    return _States(
        np.concatenate([part.rows for part in parts], axis=1),
        np.concatenate([part.order for part in parts]),
    )
