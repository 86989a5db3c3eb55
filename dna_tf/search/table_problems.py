"""Tables of trained networks as search problems: one block for each position, one cell each.

`table_problem` looks costs and truth up, so any search by trial runs on it: random search,
evolution and others. `as_search_problem` is the additive fit of a table, on which the exact search
can be compared with looking at every network.
"""

import dataclasses
import math

import numpy as np

from dna_tf.search import problems
from dna_tf.space import cost_tables, spaces


@dataclasses.dataclass(frozen=True)
class ChoiceFrame:
    """The part of a `spaces.Frame` that searches read."""

    stem_output_width: int = 1


@dataclasses.dataclass(frozen=True)
class ChoiceSpace:
    """The options of a table with the members of a `spaces.SearchSpace` that searches read.

    Every position is a block with one cell of one layer; its paths are its options.

    Args:
        name: of the table.
        options: the number of options of each position.
        frame: it has the width that the first block reads.
    """

    name: str
    options: tuple
    frame: ChoiceFrame = ChoiceFrame()

    @property
    def ops(self):
        """Names of the options of the position that has most."""
        return tuple(map(str, range(max(self.options))))

    @property
    def blocks(self):
        """A block for each position."""
        return (spaces.Block(1, (spaces.Cell(1, 1),)),) * len(self.options)

    def cells(self):
        """Yields `(block index, cell index, Cell)`, as `spaces.SearchSpace.cells` does."""
        for b, block in enumerate(self.blocks):
            yield b, 0, block.cells[0]

    def num_paths(self, block, cell):
        """The number of options of a position."""
        return self.options[block]

    def num_architectures(self):
        """The number of networks, an exact int."""
        return math.prod(self.options)


class TableProblem(problems.SearchProblem):
    """A problem whose ratings and costs are looked up in a table, not added.

    Its `ratings` and `costs` by block are 0: only searches by trial can use it.
    """

    is_sum = False

    def __init__(self, table, column):
        names = tuple(table.costs)
        arrays = _arrays(table, {b: np.zeros(n) for b, n in enumerate(table.options)})
        costs = {key: np.zeros((len(names), len(r))) for key, r in _by_width(arrays).items()}
        super().__init__(**_fields(table, names, arrays, costs, np.zeros(len(names))))
        object.__setattr__(self, "_minus_truth", -table.column(column))
        object.__setattr__(self, "_looked_up", [table.costs[name] for name in names])

    def evaluate(self, cells, path_indices):
        """Minus the truth of a network, and its costs; as `problems.SearchProblem.evaluate`."""
        self._check_choice(cells, path_indices)
        ratings, costs = self.evaluate_many(np.array([cells]), np.array([path_indices]))
        return float(ratings[0]), self.named(costs[:, 0].tolist())

    def evaluate_many(self, cells, path_indices):
        """The same for many networks; as `problems.SearchProblem.evaluate_many`."""
        rows = tuple(np.asarray(path_indices).T)
        costs = np.array([array[rows] for array in self._looked_up])
        return self._minus_truth[rows], costs.reshape(len(self.names), len(path_indices))

    def lowest(self, name):
        """The lowest value of a cost, over all networks."""
        return self.named([array.min() for array in self._looked_up])[name]

    def highest(self, name):
        """The highest value of a cost, over all networks."""
        return self.named([array.max() for array in self._looked_up])[name]

    def describe(self, choice):
        """The row of a `problems.Choice` as text."""
        return " ".join(map(str, choice.path_indices))

    def architecture(self, choice, name, origin):
        """There is none: a table has numbers, and no layers.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"The table {self.space.name!r} has rows of numbers, not architectures.")


def table_problem(table, column):
    """A table as a problem for searches by trial, such as `trial_search.random_search`.

    Its rating is minus the truth, and its limits are those of the table's own costs, exactly,
    whether they are sums over positions or not. To search on one column and report another, give
    `objective=table.objective(signal)`, or make the problem of the signal.

    Args:
        table: a `choice_tables.ChoiceTable`.
        column: of its truth.

    Returns:
        A `TableProblem`.

    Raises:
        ValueError: there is no such column.
    """
    return TableProblem(table, column)


def as_search_problem(table, column):
    """The additive fit of a table: least squares over all networks, a value for each option.

    Over a full table the fit is a mean for each option, less the mean of all. A cost is taken
    over if it is a sum over positions exactly; others are left out, and a limit on them is an
    error of the search.

    Args:
        table: a `choice_tables.ChoiceTable`.
        column: of its truth.

    Returns:
        A `problems.SearchProblem` for the exact search; its rating is minus the fitted truth.

    Raises:
        ValueError: there is no such column.
    """
    fitted, mean = _effects(-table.column(column))
    fitted[0] = fitted[0] + mean
    names, stems, parts = [], [], []
    for name in table.costs:
        split = _additive(table.costs[name])
        if split is not None:
            names.append(name)
            stems.append(split[0])
            parts.append(split[1])
    arrays = _arrays(table, fitted)
    costs = {
        (b, c, w): np.array([part[b] for part in parts]).reshape(len(names), table.options[b])
        for b, c, w in _by_width(arrays)
    }
    stem = np.array(stems, np.float64)
    return problems.SearchProblem(**_fields(table, tuple(names), arrays, costs, stem))


def _effects(values):
    """The means of an array by option less its mean: `(by position, mean)`."""
    mean = values.mean()
    axes = range(values.ndim)
    return {b: values.mean(axis=tuple(a for a in axes if a != b)) - mean for b in axes}, mean


def _additive(values):
    """A cost as a stem and parts of at least 0, or `None` if it is no sum over positions.

    Counts stay whole: parts are differences of single networks, not means.
    """
    first = (0,) * values.ndim
    parts, total = {}, np.full(values.shape, values[first])
    for b in range(values.ndim):
        along = values[first[:b] + (slice(None),) + first[b + 1 :]] - values[first]
        total += along.reshape([-1 if a == b else 1 for a in range(values.ndim)])
        parts[b] = along - along.min()
    if not np.allclose(total, values, rtol=1e-9, atol=0):
        return None
    return float(values.min()), parts


def _arrays(table, by_position):
    return {(b, 0): np.asarray(by_position[b], np.float64) for b in range(len(table.options))}


def _by_width(arrays):
    return {(b, c, 1): array for (b, c), array in arrays.items()}


def _fields(table, names, ratings, costs, stem):
    """The fields of a `problems.SearchProblem`."""
    return {
        "space": ChoiceSpace(table.name, table.options),
        "task": None,
        "names": names,
        "counted": frozenset(cost_tables.COSTS) & frozenset(names),
        "measured": ratings,
        "ratings": ratings,
        "costs": costs,
        "stem": stem,
        "heads": {1: np.zeros(len(names))},
        "open_paths": {key: np.arange(len(array)) for key, array in ratings.items()},
        "weights": (1.0,) * len(table.options),
    }
