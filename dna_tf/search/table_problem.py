"""Search problems over a table: the value and the costs of every network are there already.

A table has some positions with a few options each, and arrays with one number for every
combination. In the words of the searches each position is a block with one cell of one layer, and
the index of a path is that of an option. So all searches by trial run on a table unchanged.

The value of a network is no sum over positions, so the exact search does not apply. It applies to
`additive_problem`, the best approximation of a table by such a sum.
"""

import dataclasses
import functools
import math

import numpy as np

from dna_tf.search import problems

_WIDTH = 1  # of every block: what stands before does not matter
_LIKE_A_SUM = 1e-9  # largest relative difference of a sum of parts from a measured cost


@dataclasses.dataclass(frozen=True)
class _Cell:
    layers: int = 1
    width: int = _WIDTH


@dataclasses.dataclass(frozen=True)
class _Block:
    cells: tuple = (_Cell(),)
    stride: int = 1


@dataclasses.dataclass(frozen=True)
class _Frame:
    stem_output_width: int = _WIDTH


@dataclasses.dataclass(frozen=True)
class ChoiceSpace:
    """Positions with options, with the members of a `spaces.SearchSpace` that searches use.

    Args:
        name: the name of the table.
        options: the number of options of each position.
    """

    name: str
    options: tuple
    frame: _Frame = _Frame()

    @property
    def blocks(self):
        """A block for each position, with one cell of one layer."""
        return (_Block(),) * len(self.options)

    @property
    def ops(self):
        """As many ops as the largest position has options."""
        return tuple(range(max(self.options)))

    def num_paths(self, block, cell):
        """The number of options of a position."""
        return self.options[block]

    def cells(self):
        """Yields `(block, 0, cell)` for each position."""
        for b, block in enumerate(self.blocks):
            yield b, 0, block.cells[0]


class TableProblem(problems.SearchProblem):
    """The networks of a table, with a value to minimise and costs.

    Args:
        name: the name of the table.
        values: float array with an axis for each position; lower is better.
        costs: a dict from name to an array of that shape; ints are counts.

    Raises:
        ValueError: an array has another shape, or a number that is not finite.
    """

    def __init__(self, name, values, costs):
        values = np.asarray(values, np.float64)
        arrays = {cost: np.asarray(array) for cost, array in costs.items()}
        for what, array in {"value": values, **arrays}.items():
            if array.shape != values.shape or not array.ndim or not np.isfinite(array).all():
                raise ValueError(
                    f"The table {name!r} needs a finite number for each combination of options. "
                    f"Received: {what} of shape {array.shape} (values: {values.shape}), "
                    f"{int((~np.isfinite(array)).sum())} of them not finite."
                )
        counted = frozenset(c for c, array in arrays.items() if array.dtype.kind in "iu")
        blocks = range(values.ndim)
        object.__setattr__(self, "values", values)
        columns = [arrays[cost].astype(np.float64).ravel() for cost in arrays]
        object.__setattr__(self, "_columns", np.stack(columns) if columns else np.empty((0, values.size)))
        super().__init__(
            space=ChoiceSpace(name, values.shape),
            task=None,
            names=tuple(arrays),
            counted=counted,
            measured=_NotASum(name),
            ratings=_NotASum(name),
            costs=_NotASum(name),
            stem=np.zeros(len(arrays)),
            heads={_WIDTH: np.zeros(len(arrays))},
            open_paths={(b, 0): np.arange(values.shape[b]) for b in blocks},
            weights=(1.0,) * values.ndim,
        )

    def left_out(self):
        """No path is left out: an empty dict."""
        return {}

    def evaluate(self, cells, path_indices):
        """The value and the costs of one network, as `problems.SearchProblem.evaluate`."""
        self._check_choice(cells, path_indices)
        values, costs = self.evaluate_many(np.array([cells]), np.array([path_indices]))
        return float(values[0]), self.named(costs[:, 0].tolist())

    def evaluate_many(self, cells, path_indices):
        """Values and costs of many networks, as `problems.SearchProblem.evaluate_many`."""
        places = np.ravel_multi_index(tuple(path_indices.T), self.values.shape)
        return self.values.ravel()[places], self._columns[:, places]

    def cost(self, name):
        """The cost of all networks: float64, in the shape of `values`."""
        return self._columns[self.names.index(name)].reshape(self.values.shape)

    def allowed(self, limits):
        """Which networks keep within limits: bool, in the shape of `values`."""
        return self.within(self._columns, *self.check_limits(limits)).reshape(self.values.shape)

    def describe(self, choice):
        """The options of a `problems.Choice` in one line."""
        return " ".join(map(str, choice.path_indices))

    def _extreme(self, name, of_two, of_array):
        value = of_array(self.cost(name))
        return int(value) if name in self.counted else float(value)

    def _check_choice(self, cells, path_indices):
        options = self.space.options
        pairs = zip(path_indices, options, strict=False)
        if len(path_indices) != len(options) or not all(0 <= p < n for p, n in pairs) or any(cells):
            raise ValueError(
                f"A network of {self.space.name!r} has the cell 0 and an option for each of its "
                f"{len(options)} positions, of {options} options. Received: "
                f"cells={tuple(cells)}, paths={tuple(path_indices)}"
            )


class _NotASum(dict):
    """In place of ratings by position: a search that adds them up gets an error, not an answer."""

    def __init__(self, name):
        super().__init__()
        self._name = name

    def __missing__(self, key):
        raise ValueError(
            f"The values of {self._name!r} are no sums over positions, so they cannot be added "
            "up. Search by trial, or search table_problem.additive_problem of it."
        )


def main_effects(values):
    """The best approximation of a complete table by a sum over positions.

    Args:
        values: float array with an axis for each position.

    Returns:
        `(mean, effects)`: the mean, and for each position an array with the mean of its options
        minus the whole mean. Least squares, as every combination occurs once.
    """
    mean = float(values.mean())
    axes = range(values.ndim)
    effects = [values.mean(axis=tuple(a for a in axes if a != b)) - mean for b in axes]
    return mean, effects


def sum_of(constant, parts):
    """The array with one number for each combination: the constant and a part of each position."""
    return functools.reduce(np.add.outer, parts, np.float64(constant))


def r_squared(values):
    """The share of the variance of a table that a sum over positions explains; 1 of a constant."""
    rest = values - sum_of(*main_effects(values))
    variance = float(values.var())
    return 1 - float(rest.var()) / variance if variance else 1.0


def additive_problem(problem):
    """The problem whose values are the best sums over positions, for the exact search.

    Args:
        problem: a `TableProblem`.

    Returns:
        `(additive, dropped)`: a `problems.SearchProblem`, and the names of the costs that are no
        sums over positions, which it does not have.
    """
    mean, effects = main_effects(problem.values)
    sums = {name: _parts(problem.cost(name)) for name in problem.names}
    names = tuple(name for name, parts in sums.items() if parts is not None)
    blocks = range(problem.values.ndim)
    ratings = {(b, 0): effects[b] + (mean if b == 0 else 0.0) for b in blocks}
    costs = {
        (b, 0, _WIDTH): np.stack([sums[name][1][b] for name in names])
        if names
        else np.empty((0, problem.values.shape[b]))
        for b in blocks
    }
    additive = problems.SearchProblem(
        space=problem.space,
        task=None,
        names=names,
        counted=problem.counted & set(names),
        measured=ratings,
        ratings=ratings,
        costs=costs,
        stem=np.array([sums[name][0] for name in names], np.float64),
        heads={_WIDTH: np.zeros(len(names))},
        open_paths=problem.open_paths,
        weights=problem.weights,
    )
    return additive, tuple(name for name in problem.names if name not in names)


def _parts(cost):
    """`(constant, parts)` of a cost that is a sum over positions; `None` of another."""
    first = float(cost[(0,) * cost.ndim])
    parts = []
    for axis in range(cost.ndim):
        index = [0] * cost.ndim
        index[axis] = slice(None)
        parts.append(cost[tuple(index)] - first)
    error = np.abs(sum_of(first, parts) - cost).max()
    return (first, parts) if error <= _LIKE_A_SUM * max(1.0, math.fabs(cost.max())) else None
