"""A table of trained networks: accuracies and costs of every network of a small space, dense.

A network is a *row*: one option for each position. NAS-Bench-201 has six positions (the edges of
its cell) of five options, NAS-Bench-Macro eight (its layers) of three. Every column of truth and
every cost is an array whose shape is the numbers of options, so that `array[tuple(row)]` is the
value of a network, and a search on a table trains nothing.
"""

import dataclasses
import math

import numpy as np

from dna_tf.common import checks
from dna_tf.space import cost_limits, cost_tables

_MOST = 10**7  # networks of a table: all arrays are dense


@dataclasses.dataclass(frozen=True, eq=False)
class ChoiceTable:
    """Truth and costs of all networks of a space of choices.

    Args:
        name: how the table is called.
        options: the number of options of each position.
        truth: a dict from column, such as `"test200_cifar10"`, to an array of shape `options`;
            higher is better.
        costs: a dict from cost, such as `"macs"`, to an array of that shape; at least 0.
        functions: networks with the same number compute the same function, ints of that shape;
            `None` if that is not known. What two such networks differ by is noise of training.

    Raises:
        ValueError: an array has another shape, is not of numbers, or has NaN; a name is not fit
            for a cost.

    Example:

        >>> import numpy as np
        >>> from dna_tf.truth import choice_tables
        >>> table = choice_tables.ChoiceTable(
        ...     "two layers",
        ...     (2, 3),
        ...     truth={"test": np.array([[90.0, 91.0, 93.0], [92.0, 94.0, 95.0]])},
        ...     costs={"macs": np.array([[10, 20, 30], [20, 30, 40]])},
        ... )
        >>> table.best("test", {"max_macs": 30})
        ((1, 1), 94.0)
    """

    name: str
    options: tuple
    truth: dict
    costs: dict
    functions: np.ndarray | None = None

    def __post_init__(self):
        options = tuple(checks.check_sequence("options of a table", self.options))
        for position, count in enumerate(options, 1):
            checks.check_whole(f"The number of options of position {position}", count, 1)
        if not options or math.prod(options) > _MOST:
            raise ValueError(
                f"A table has from one position up, and at most {_MOST:,} networks, because its "
                f"arrays are dense. Received: options={options}"
            )
        if not self.truth:
            raise ValueError(f"The table {self.name!r} has no truth. Give at least one column.")
        for cost in self.costs:
            if cost not in cost_tables.COSTS and not cost_limits.is_cost_name(str(cost)):
                raise ValueError(
                    f"A cost is called one of {list(cost_tables.COSTS)}, or in lower case by "
                    f"quantity and unit, such as 'latency_ms'. Received: {cost!r}"
                )
        put = object.__setattr__  # of a frozen dataclass
        put(self, "options", options)
        for kind in ("truth", "costs"):
            arrays = {
                name: _dense(f"The column {name!r} of {self.name!r}", array, options)
                for name, array in getattr(self, kind).items()
            }
            put(self, kind, arrays)
        for name, array in self.costs.items():
            if array.min() < 0:
                raise ValueError(
                    f"The cost {name!r} of {self.name!r} must be at least 0. Received: "
                    f"{array.min():g}"
                )
        if self.functions is not None:
            name = f"The column of functions of {self.name!r}"
            array = _dense(name, self.functions, options)
            if (array % 1).any():
                raise ValueError(
                    f"{name} must be whole numbers. Received: {array[array % 1 > 0][0]}"
                )
            put(self, "functions", array.astype(np.int64))

    @property
    def num_networks(self):
        """The number of networks, an exact int."""
        return math.prod(self.options)

    def rows(self):
        """All networks, int64 `(networks, positions)`: the last position changes fastest."""
        return np.indices(self.options).reshape(len(self.options), -1).T

    def column(self, name):
        """A column of truth, float64 of shape `options`.

        Raises:
            ValueError: there is no such column; near names are given.
        """
        return self.truth[checks.choose(name, self.truth, f"column of the table {self.name!r}")]

    def cost(self, name):
        """A cost of all networks, float64 of shape `options`.

        Raises:
            cost_limits.UnknownCost: there is no such cost; near names are given.
        """
        cost_limits.check_costs([name], self.costs)
        return self.costs[name]

    def values(self, name, rows):
        """The values of networks in a column of truth or in a cost.

        Args:
            name: the column, or the cost.
            rows: ints `(networks, positions)`, or one row.

        Returns:
            float64 `(networks,)`; of one row a float.

        Raises:
            ValueError: there is no such column or cost, or no such network.
        """
        rows = self._checked(rows)
        array = self.costs[name] if name in self.costs else self.column(name)
        return array[tuple(np.moveaxis(rows, -1, 0))]

    def within(self, limits):
        """Which networks meet limits, bool of shape `options`.

        Args:
            limits: a `cost_limits.Limits`, or what makes one; `None` limits nothing.

        Raises:
            ValueError: they are no limits, or limit a cost that the table does not have.
        """
        lower, upper = cost_limits.Limits(limits).sides()
        keep = np.ones(self.options, bool)
        for name, limit in upper.items():
            keep &= self.cost(name) <= limit
        for name, limit in lower.items():
            keep &= self.cost(name) >= limit
        return keep

    def best(self, column, limits=None):
        """The best network under limits, by looking at all.

        Args:
            column: of truth.
            limits: as `within`.

        Returns:
            `(row, value)`: a tuple of ints and a float; of equals the first row.

        Raises:
            ValueError: nothing meets the limits, or column or limits are invalid.
        """
        values, keep = self.column(column), self.within(limits)
        if not keep.any():
            ranges = [
                f"{name} {self.costs[name].min():g} to {self.costs[name].max():g}"
                for name in dict.fromkeys(key[4:] for key in cost_limits.Limits(limits))
            ]
            raise ValueError(
                f"No network of the table {self.name!r} meets "
                f"{cost_limits.Limits(limits).text()}. It has {', '.join(ranges)}."
            )
        index = int(np.argmax(np.where(keep, values, -np.inf)))
        row = tuple(int(option) for option in np.unravel_index(index, self.options))
        return row, float(values[row])

    def objective(self, column):
        """What a search minimises: `f(cells, path_indices) -> float`, less is better.

        `path_indices` are the row; `cells`, one for each position, are all 0 (see
        `search.table_problems`).
        """
        values = self.column(column)

        def minus_truth(cells, path_indices):
            return -float(values[tuple(path_indices)])

        return minus_truth

    def noise(self, column, least=-math.inf):
        """How far two trainings of one function differ.

        Args:
            column: of truth.
            least: only functions whose networks all have at least this value.

        Returns:
            `(deviation, count)`: the standard deviation within functions of several networks,
            pooled over them, and their number. `(None, 0)` without any.
        """
        values = self.column(column).ravel()
        if self.functions is None:
            return None, 0
        _, numbers = np.unique(self.functions.ravel(), return_inverse=True)
        counts, lowest = np.bincount(numbers), np.full(numbers.max() + 1, np.inf)
        np.minimum.at(lowest, numbers, values)
        means = np.bincount(numbers, values) / counts
        several = (counts > 1) & (lowest >= least)
        if not several.any():
            return None, 0
        inside = several[numbers]
        squares = ((values - means[numbers])[inside] ** 2).sum()
        degrees = (counts[several] - 1).sum()
        return float(math.sqrt(squares / degrees)), int(several.sum())

    def _checked(self, rows):
        rows = np.asarray(rows)
        whole = rows.ndim in (1, 2) and rows.shape[-1] == len(self.options)
        if not whole or not np.issubdtype(rows.dtype, np.integer):
            raise ValueError(
                f"A network of the table {self.name!r} is a row of {len(self.options)} ints. "
                f"Received: {checks.short_repr(rows)}"
            )
        if ((rows < 0) | (rows >= self.options)).any():
            raise ValueError(
                f"The positions of the table {self.name!r} have {self.options} options, counted "
                f"from 0. Received a row outside: {checks.short_repr(rows)}"
            )
        return rows


def _dense(what, array, options):
    """A read-only float64 copy of an array, checked."""
    array = np.asarray(array)
    if array.shape != options:
        raise ValueError(
            f"{what} must have the shape {options}, a value for each network. Received: the shape "
            f"{array.shape}"
        )
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} must be of numbers. Received: the type {array.dtype}")
    copied = array.astype(np.float64)
    if not np.isfinite(copied).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(copied))[0])
        raise ValueError(
            f"{what} must be finite: a network without a value cannot be ranked or searched. "
            f"Received: {copied[place]} at {place}"
        )
    copied.setflags(write=False)
    return copied
