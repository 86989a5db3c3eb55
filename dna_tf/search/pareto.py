"""Filters of dominated points, in NumPy.

A column of `rows` is a point, and lower is better in every row. One point dominates
another if it is at most equal to it in every row; of equal points the earlier one
dominates. The points that no other dominates are the front.

Points are sorted by their first row (then by the others), so that only earlier ones can
dominate. With two rows the rest is a running minimum. With more, a grid over the other
rows first drops most points: each grid cell knows the lowest first row of all points in
cells that are lower in every row. What remains is split into halves: the front of all is
the front of the first half, and of the front of the second what the first does not
dominate. Whether one set dominates points of another is asked by splitting both at a
median of their last row, which leaves one row less to compare between the lower and the
upper part; two rows take one sort. That is O(n log n) with two rows, O(n (log n)**2) with
three and a further log n with each more (Kung, Luccio and Preparata, 1975).
"""

import numpy as np

SMALL = 96  # halves of at most this many points are compared directly
PAIRS = 1 << 14  # so are two sets with at most this many pairs
_GRID = 1 << 17  # cells of the grid
WORTH_A_GRID = 2000  # points


def front_indices(rows, order=None):
    """The points that no other dominates.

    Args:
        rows: `(rows, points)`, at least one row.
        order: `(points,)`: of equal points the one with the lowest number is kept;
            `None` is their position.

    Returns:
        Indices of the kept points, sorted by the rows (the first row first).
    """
    if rows.shape[0] > 2 and rows.shape[1] > WORTH_A_GRID:
        # Before sorting, which takes longer.
        left = np.flatnonzero(Grid(rows).may_stay(rows))
        return left[_front(rows[:, left], None if order is None else order[left])]
    return _front(rows, order)


def _front(rows, order):
    """As `front_indices`, without the grid."""
    by_rows = np.lexsort(rows[::-1] if order is None else [order, *rows[::-1]])
    if rows.shape[0] == 1:
        return by_rows[:1]
    rest = rows[1:, by_rows]
    if rest.shape[0] == 1:
        before = np.minimum.accumulate(np.concatenate([[np.inf], rest[0, :-1]]))
        return by_rows[: rest.shape[1]][rest[0] < before]
    return by_rows[_sweep(rest)]


class Grid:
    """A coarse summary of a set of points, to discard most dominated points cheaply.

    Args:
        rows: `(rows, points)` with at least two rows and one point.
    """

    def __init__(self, rows):
        ends = rows[1:].min(axis=1), rows[1:].max(axis=1)
        size = int(_GRID ** (1 / len(ends[0])))
        self._low, self._last = ends[0][:, None], size - 1
        width = (ends[1] - ends[0])[:, None]
        self._scale = np.divide(size, width, out=np.zeros_like(width), where=width > 0)
        lowest = np.full((size,) * len(ends[0]), np.inf)
        np.minimum.at(lowest.reshape(-1), self._cells(rows, size), rows[0])
        for axis in range(lowest.ndim):
            lowest = np.minimum.accumulate(lowest, axis=axis)
        # One further along every axis: the lowest of the cells below in every row.
        below = np.full((size + 1,) * lowest.ndim, np.inf)
        below[(slice(1, None),) * lowest.ndim] = lowest
        self._below = below.reshape(-1)
        self._size = size

    def _cells(self, rows, size):
        """Flat index of each point's grid cell in an array of `size` along each axis."""
        places = ((rows[1:] - self._low) * self._scale).clip(0, self._last).astype(np.int64)
        index = places[0]
        for place in places[1:]:
            index = index * size + place
        return index

    def may_stay(self, rows):
        """False where a point is dominated by one in a lower cell, `(points,)`.

        Sound because the cell of a point does not fall when a coordinate rises: a point in
        a cell that is lower along an axis is lower in that row.
        """
        return self._below[self._cells(rows, self._size + 1)] > rows[0]


def _sweep(rest):
    """True where no earlier point is at most equal in every row."""
    count = rest.shape[1]
    if count <= SMALL:
        return ~np.triu(_at_most(rest, rest), 1).any(axis=0)
    middle = count // 2
    kept = np.concatenate([_sweep(rest[:, :middle]), _sweep(rest[:, middle:])])
    first = np.flatnonzero(kept[:middle])
    second = middle + np.flatnonzero(kept[middle:])
    kept[second] = ~_dominated(rest[:, first], rest[:, second])
    return kept


def _at_most(left, right):
    """`(left points, right points)`: whether left is at most equal to right in every row."""
    at_most = left[0][:, None] <= right[0]
    for left_row, right_row in zip(left[1:], right[1:], strict=True):
        at_most &= left_row[:, None] <= right_row
    return at_most


def _dominated(left, right):
    """True where a point of `right` is at least some point of `left` in every row."""
    if not left.shape[1] or not right.shape[1]:
        return np.zeros(right.shape[1], bool)
    if left.shape[0] == 1:
        return right[0] >= left[0].min()
    if left.shape[1] * right.shape[1] <= PAIRS:
        return _at_most(left, right).any(axis=0)
    if left.shape[0] == 2:
        left = left[:, np.argsort(left[0])]
        lowest = np.minimum.accumulate(np.concatenate([[np.inf], left[1]]))
        return lowest[np.searchsorted(left[0], right[0], side="right")] <= right[1]
    last = np.concatenate([left[-1], right[-1]])
    middle = np.partition(last, len(last) // 2)[len(last) // 2]
    if middle == last.max():  # more than half are equal: split below them
        smaller = last[last < middle]
        if not len(smaller):  # all are equal in this row
            return _dominated(left[:-1], right[:-1])
        middle = smaller.max()
    low_left, low_right = left[-1] <= middle, right[-1] <= middle
    dominated = np.zeros(right.shape[1], bool)
    dominated[low_right] = _dominated(left[:, low_left], right[:, low_right])
    high = _dominated(left[:, ~low_left], right[:, ~low_right])
    rest = np.flatnonzero(~low_right)
    dominated[rest[high]] = True
    rest = rest[~high]
    dominated[rest] = _dominated(left[:-1, low_left], right[:-1, rest])
    return dominated
