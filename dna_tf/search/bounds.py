"""Lower bounds for the exact search: the least cost of later blocks, and multipliers.

A `Program` is one problem: minimise

    value = base * rating + sum over columns of a penalty for leaving [lower, upper],

where a column is a cost (or any number that is added up over paths), and the penalty is
infinite (a limit) or rises with a slope (a soft limit). For multipliers m, one per column
and no steeper than the slopes, every architecture has

    value >= base * rating + sum m * column - sum max(m * lower, m * upper),

because the penalty of a column is at least m * (column - upper) where m > 0, and at least
m * (column - lower) where m < 0. The right side is a sum over paths plus a constant, so its
minimum over all architectures takes one pass over the blocks and the widths between them
(dynamic programming); it is the bound of m. The bound is concave in m, and the ellipsoid method
looks for the m with the highest bound. Any m gives a valid bound; a better one leaves less to
enumerate.

Source: Lagrangian relaxation of the multiple-choice knapsack problem; ellipsoid method with
deep cuts.
"""

import copy
import dataclasses

import numpy as np

# Relative to the largest sum that can occur; sums of some ten float64 err by 1e-15 of it.
ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Column:
    """One number that is added up over the paths, and the interval it should lie in.

    Args:
        paths: `paths[block, cell, in_width]`, float64, one number per open path.
        stem: the number of every network.
        heads: by the width of the last cell.
        lower: lower end of the interval, or minus infinity.
        upper: upper end, or infinity.
        slope: penalty for each unit outside; infinite for a limit.
    """

    paths: dict
    stem: float
    heads: dict
    lower: float = -np.inf
    upper: float = np.inf
    slope: float = np.inf


def cost_column(problem, name, lower=-np.inf, upper=np.inf, slope=np.inf):
    """The `Column` of a cost of a `problems.SearchProblem`."""
    row = problem.names.index(name)
    paths = {
        (b, c, width): values[row, problem.open_paths[b, c]]
        for (b, c, width), values in problem.costs.items()
    }
    heads = {width: float(head[row]) for width, head in problem.heads.items()}
    return Column(paths, float(problem.stem[row]), heads, lower, upper, slope)


@dataclasses.dataclass(frozen=True)
class Part:
    """The paths of one cell, for one number of channels that it may read.

    Args:
        cell: index of the cell.
        in_width: channels that its first layer reads.
        out_width: width of the cell.
        rows: `(1 + columns, paths)`: the rating, then the columns.
        paths: int64 `(paths,)`: their path indices.
    """

    cell: int
    in_width: int
    out_width: int
    rows: np.ndarray
    paths: np.ndarray


class Program:
    """One problem in arrays: row 0 is the rating, the others are the columns.

    Args:
        problem: a `problems.SearchProblem`.
        columns: a list of `Column`.
        base: the factor of the rating in the value: 1, or 0 to minimise the penalties only.
    """

    def __init__(self, problem, columns, base=1.0):
        if not problem.is_sum:
            raise ValueError(
                f"Exact searches need ratings that are sums over blocks, and those of "
                f"{problem.space.name!r} are looked up. Take the additive fit, "
                "table_problems.as_search_problem, or a search by trial."
            )
        self.problem, self.base, self.columns = problem, base, tuple(columns)
        self.lower = np.array([c.lower for c in columns], np.float64)
        self.upper = np.array([c.upper for c in columns], np.float64)
        self.slope = np.array([c.slope for c in columns], np.float64)
        self.start = np.array([0.0, *(c.stem for c in columns)])
        self.blocks = [
            [
                Part(c, w, block.cells[c].width, self._rows(b, c, w), problem.open_paths[b, c])
                for c in problem.cells(b)
                for w in problem.input_widths(b)
            ]
            for b, block in enumerate(problem.space.blocks)
        ]
        last = {
            problem.space.blocks[-1].cells[c].width for c in problem.cells(len(self.blocks) - 1)
        }
        self.heads = {w: np.array([0.0, *(c.heads[w] for c in columns)]) for w in sorted(last)}
        heads = np.array(list(self.heads.values()))
        largest = np.abs(self.start) + np.abs(heads).max(axis=0)
        for parts in self.blocks:
            largest = largest + np.max([np.abs(p.rows).max(axis=1) for p in parts], axis=0)
        self.largest = largest  # no sum of a row is larger

    def filtered(self, keep):
        """The same program with fewer paths.

        Args:
            keep: a function from a `Part` to the positions of its paths to keep.
        """
        program = copy.copy(self)
        program.blocks = [[_taken(part, keep(part)) for part in parts] for parts in self.blocks]
        return program

    def _rows(self, b, c, width):
        rating = self.problem.ratings[b, c][self.problem.open_paths[b, c]]
        return np.array([rating, *(column.paths[b, c, width] for column in self.columns)])

    def values(self, totals):
        """The value of architectures from their sums.

        Args:
            totals: `(1 + columns, architectures)`, rating first.

        Returns:
            float64 `(architectures,)`; infinite where a limit is not met.
        """
        return self.base * totals[0] + self.penalties(totals)

    def penalties(self, totals):
        """The sum of the columns' penalties, added in their order."""
        penalty = np.zeros(totals.shape[1])
        for k in range(len(self.columns)):
            column = totals[k + 1]
            outside = np.maximum(np.maximum(column - self.upper[k], self.lower[k] - column), 0.0)
            if np.isinf(self.slope[k]):
                penalty = penalty + np.where(outside > 0, np.inf, 0.0)
            else:
                penalty = penalty + self.slope[k] * outside
        return penalty

    def support(self, multipliers):
        """The constant of a bound: the sum of max(m * lower, m * upper)."""
        ends = np.where(multipliers > 0, self.upper, np.where(multipliers < 0, self.lower, 0.0))
        used = multipliers != 0
        return float(multipliers[used] @ ends[used])

    def to_go(self, vector):
        """The least of `vector @ rows` over all later choices, by block and width read.

        Args:
            vector: a factor for each row.

        Returns:
            `(ahead, combined)`: `ahead[block][width]` is the least sum over that block, all
            later ones and the head; `combined[block]` has an array per entry of
            `self.blocks[block]`, one number per path.
        """
        ahead = [{width: float(vector @ head) for width, head in self.heads.items()}]
        combined = []
        for parts in reversed(self.blocks):
            here, arrays = {}, []
            for part in parts:
                array = vector @ part.rows
                arrays.append(array)
                least = float(array.min()) + ahead[0][part.out_width]
                here[part.in_width] = min(here.get(part.in_width, np.inf), least)
            ahead.insert(0, here)
            combined.insert(0, arrays)
        return ahead, combined

    def solve(self, vector):
        """The architecture with the least `vector @ rows`.

        Returns:
            `(least, totals)`: that number, and the architecture's sums `(1 + columns,)`.
        """
        ahead, combined = self.to_go(vector)
        width = self.problem.space.frame.stem_output_width
        totals = self.start
        for b, parts in enumerate(self.blocks):
            best = np.inf
            for part, array in zip(parts, combined[b], strict=True):
                if part.in_width == width:
                    path = int(array.argmin())
                    reached = array[path] + ahead[b + 1][part.out_width]
                    if reached < best:
                        best, chosen, following = reached, part.rows[:, path], part.out_width
            totals, width = totals + chosen, following
        first = ahead[0][self.problem.space.frame.stem_output_width]
        return float(vector @ self.start) + first, totals + self.heads[width]

    def spreads(self):
        """Highest less lowest sum of each row over all architectures, `(1 + columns,)`."""
        width = self.problem.space.frame.stem_output_width
        spreads = []
        for row in np.eye(len(self.start)):
            lowest = self.to_go(row)[0][0][width]
            spreads.append(-self.to_go(-row)[0][0][width] - lowest)
        return np.array(spreads)


@dataclasses.dataclass(frozen=True)
class Bound:
    """A lower bound of a program's value.

    Args:
        bound: no architecture has a lower value (but for rounding).
        multipliers: float64 `(columns,)`, from which it follows.
        incumbent: the lowest value of an architecture met on the way; infinite if none met the
            limits.
    """

    bound: float
    multipliers: np.ndarray
    incumbent: float


def _taken(part, index):
    return dataclasses.replace(part, rows=part.rows[:, index], paths=part.paths[index])


def best_bound(program, precision=1e-5):
    """Searches for the multipliers with the highest bound.

    Args:
        program: a `Program`.
        precision: stop when the bound can rise by no more than this share of the spread of
            ratings, or of the distance between bound and incumbent.

    Returns:
        A `Bound`.
    """
    spreads = program.spreads()
    soft = np.where(np.isinf(program.slope), 0.0, program.slope) @ spreads[1:]
    scale = program.base * spreads[0] + soft or 1.0
    free = np.flatnonzero(spreads[1:] > 0)  # the others are constant and need no multiplier
    units = np.zeros(len(spreads) - 1)
    units[free] = scale / spreads[1:][free]
    search = _Ellipsoid(program, units, free, scale, precision)
    center, radius = np.zeros(len(free)), 10.0
    for _ in range(3):
        center = search.run(center, radius)
        if np.linalg.norm(center) < 0.5 * radius or search.best > scale * 1e6:
            break
        radius *= 30  # the best lies near the boundary: the limits are tight
    return Bound(search.best, search.multipliers, search.incumbent)


class _Ellipsoid:
    """The ellipsoid method, over y; the multipliers are `units * y`."""

    def __init__(self, program, units, free, scale, precision):
        self._program, self._units, self._free = program, units, free
        self._scale, self._precision = scale, precision
        self.best, self.incumbent = -np.inf, np.inf
        self.multipliers = np.zeros(len(units))

    def run(self, center, radius):
        """Searches a ball; returns the center with the best bound."""
        size = len(center)
        shape, best_center = np.eye(size) * radius**2, center
        for _ in range(40 * max(size, 1) + 20 * size**2 + 1):
            bound, slope = self._look(center)
            if bound > self.best:
                best_center = center
                self.best, self.multipliers = bound, self._multipliers(center)
            reach = float(np.sqrt(max(slope @ shape @ slope, 0.0)))
            gap = min(self.incumbent - self.best, self._scale) if np.isfinite(self.best) else 0.0
            depth = 0.0
            if np.isfinite(bound):
                if reach <= max(self._precision * self._scale * 1e-2, self._precision * gap):
                    break
                depth = min((self.best - bound) / reach, 0.9)
            if reach == 0:
                break
            center, shape = _cut(center, shape, slope, reach, depth)
        return best_center

    def _multipliers(self, center):
        multipliers = np.zeros(len(self._units))
        multipliers[self._free] = self._units[self._free] * center
        return multipliers

    def _look(self, center):
        """The bound at a center and a direction in which it rises (a supergradient)."""
        program, multipliers = self._program, self._multipliers(center)
        steep = np.abs(multipliers) > program.slope
        no_end = ((multipliers > 0) & np.isinf(program.upper)) | (
            (multipliers < 0) & np.isinf(program.lower)
        )
        wrong = (steep | no_end)[self._free]
        if wrong.any():  # no bound here: back to where it is one
            first = np.flatnonzero(wrong)[0]
            return -np.inf, -np.sign(center[first]) * np.eye(len(center))[first]
        least, totals = program.solve(np.concatenate([[program.base], multipliers]))
        self.incumbent = min(self.incumbent, float(program.values(totals[:, None])[0]))
        columns = totals[1:]
        ends = np.where(
            multipliers > 0,
            program.upper,
            np.where(
                multipliers < 0, program.lower, np.clip(columns, program.lower, program.upper)
            ),
        )
        rise = np.zeros(len(columns))
        rise[self._free] = ((columns - ends) * self._units)[self._free]
        return least - program.support(multipliers), rise[self._free]


def _cut(center, shape, slope, reach, depth):
    """The smallest ellipsoid around the half of one in which the bound may be higher."""
    size, step = len(center), shape @ slope / reach
    if size == 1:
        return center + step * (1 + depth) / 2, shape * ((1 - depth) / 2) ** 2
    center = center + step * (1 + size * depth) / (size + 1)
    narrow = 2 * (1 + size * depth) / ((size + 1) * (1 + depth))
    factor = size**2 * (1 - depth**2) / (size**2 - 1)
    return center, factor * (shape - narrow * np.outer(step, step))
