"""Draws paths from bins of a cost: first the bin, uniformly, then a path in it, uniformly.

A uniform path has a cost in the middle of what is possible nearly always. With bins, the networks
that a search may return are trained as often as those of the middle.

Source: the code of SPOS, Guo et al. 2020, which draws paths until one falls into the bin, 500
times at most. Here sums over layers are counted beforehand, so a bin without a path is an error.
"""

import numpy as np

from dna_tf.common import checks, formatting

_CELLS = 8192  # of the grid on which costs are added up
_TRIES = 10_000


class CostBins:
    """Bins of equal width over a cost that is a sum over the layers of a network.

    Args:
        layer_costs: for each layer a list of ints, the cost of each op; all of the same length.
        fixed: the cost of what every network has besides, such as stem and head.
        low: the lower end of the first bin, an int.
        high: the upper end of the last bin; the last bin is narrower if `width` does not divide.
        width: of a bin.
        name: of the cost, for errors.

    Attributes:
        ends: a list of `(low, high)`: a bin has the costs from `low`, below `high`; the last
            one also those of `high`.

    Raises:
        ValueError: the ends or the width cannot be used, or a bin has no path.
    """

    def __init__(self, layer_costs, fixed, low, high, width, name="macs"):
        self._costs, self._fixed = np.array(layer_costs, np.int64), int(fixed)
        self._name = name
        for what, value in (("low", low), ("high", high), ("width", width)):
            checks.check_whole(
                f"The {what} of the bins of {name}", value, 0 if what == "low" else 1
            )
        if low >= high:
            raise ValueError(
                f"The lowest cost of the bins must be below the highest. Received: {name} from "
                f"{low:,} to {high:,}"
            )
        starts = range(low, high, width)
        self.ends = [(start, min(start + width, high)) for start in starts]
        self._grid = max(1.0, float(self._costs.max(axis=1).sum()) / _CELLS)
        self._cells = np.rint(self._costs / self._grid).astype(np.int64)
        self._counts = self._count()
        self._check()

    @property
    def range(self):
        """The lowest and the highest cost of all networks, two ints."""
        low, high = self._costs.min(axis=1).sum(), self._costs.max(axis=1).sum()
        return int(low) + self._fixed, int(high) + self._fixed

    def draw(self, seed, step):
        """Draws a path for a step.

        Args:
            seed: an int.
            step: the step's number, from 0.

        Returns:
            An int32 array `(layers,)`, one op index per layer.
        """
        draws = np.random.default_rng([seed, step, 11])
        return self._draw_from(int(draws.integers(len(self.ends))), draws)

    def bin_of(self, path):
        """The number of the bin that a path falls into, from 0; `None` outside of all."""
        cost = self.cost_of(path)
        for number, (low, high) in enumerate(self.ends):
            if low <= cost < high or (cost == high and number + 1 == len(self.ends)):
                return number
        return None

    def cost_of(self, path):
        """The cost of a path, with what every network has besides."""
        return self._fixed + int(self._costs[np.arange(len(path)), np.asarray(path)].sum())

    def _count(self):
        """For each number of last layers, how many of their paths have a sum on the grid.

        Shares of all paths are counted, which do not overflow.
        """
        size = int(self._cells.max(axis=1).sum()) + 1
        counts = np.zeros((len(self._cells) + 1, size))
        counts[-1, 0] = 1.0
        for layer in reversed(range(len(self._cells))):
            for cell in self._cells[layer]:
                counts[layer, cell:] += counts[layer + 1, : size - cell]
            counts[layer] /= self._cells.shape[1]
        return counts

    def _weights(self, number):
        """The share of all paths at each sum on the grid near a bin; others have 0."""
        low, high = self.ends[number]
        sums = np.arange(self._counts.shape[1]) * self._grid + self._fixed
        most = (len(self._cells) / 2 + 1) * self._grid  # by which the grid is wrong
        return np.where((sums > low - most) & (sums < high + most), self._counts[0], 0.0)

    def _draw_from(self, number, draws):
        """A path of a bin: drawn on the grid near it, and taken if its cost is in it."""
        weights = self._weights(number)
        total = weights.sum()
        for _ in range(_TRIES if total > 0 else 0):
            left = int(draws.choice(len(weights), p=weights / total))
            path = []
            for layer, cells in enumerate(self._cells):
                rest = left - cells
                shares = np.where(rest >= 0, self._counts[layer + 1, np.maximum(rest, 0)], 0.0)
                op = int(draws.choice(len(cells), p=shares / shares.sum()))
                path.append(op)
                left -= int(cells[op])
            if self.bin_of(path) == number:
                return np.array(path, np.int32)
        raise self._empty(number)

    def _check(self):
        for number in range(len(self.ends)):
            self._draw_from(number, np.random.default_rng(number))

    def _empty(self, number):
        low, high = self.ends[number]
        least, most = self.range
        return ValueError(
            f"No network has {self._name} from {low:,} to {high:,}, the bin {number + 1} of "
            f"{len(self.ends)}. The networks of this space have from {least:,} "
            f"({formatting.format_count(least)}) to {most:,} ({formatting.format_count(most)}). "
            "Choose bins within that range, or wider ones."
        )
