"""Kendall's tau-b and other correlations, with bootstrap intervals: the one place for both.

Networks are resampled, not pairs: a network is drawn several times or not at all, and all pairs
with it too. Several correlations of one `Bootstrap` see the same resamples, so their differences
have intervals as well.

Counts of pairs are exact. For up to `EXACT` networks each resample is counted pair by pair, as
products of matrices; above, by the linear part of the count (each network's share in it), which
many networks make as good and which takes a second where the other would take minutes. SciPy has
a tau too; importing it takes longer than all of this.
"""

import dataclasses
import math

import numpy as np

RESAMPLES = 2000
EXACT = 4096  # below, all sums of a resample are whole numbers that float32 holds
_CHUNK = 256  # rows of pairs at once
_CACHED = 2**26  # counts that are kept; more are drawn anew for each use


@dataclasses.dataclass(frozen=True)
class Interval:
    """A correlation with its 95 % bootstrap interval over networks.

    Args:
        value: the correlation; `nan` if one side is constant.
        low, high: ends of the interval; `nan` if it is unknown.
    """

    value: float
    low: float
    high: float

    def text(self, digits=2):
        """For tables, such as `"+0.64 (+0.61 to +0.67)"`; `"-"` if there is no value."""
        if math.isnan(self.value):
            return "-"
        if math.isnan(self.low):
            return f"{self.value:+.{digits}f}"
        return f"{self.value:+.{digits}f} ({self.low:+.{digits}f} to {self.high:+.{digits}f})"


def kendall_tau(one, other):
    """Kendall's tau-b of two arrays of numbers, ties accounted for; `nan` if one is constant.

    Args:
        one, other: numbers of the same networks.

    Returns:
        A float from -1 to 1. Counts are exact, in n log(n)^2 steps.

    Raises:
        ValueError: a number is NaN, or there are not as many on both sides.

    Source: Kendall, 1945.
    """
    one, other = _checked(one, other)
    untied = _untied(one) * _untied(other)
    if untied == 0:
        return float("nan")
    agreement = int(_below(one, other).sum()) - int(_below(one, -other).sum())
    return agreement / math.sqrt(untied)


def tau(one, other, seed=0, resamples=RESAMPLES):
    """Kendall's tau-b with its interval: an `Interval`. Arguments as `kendall_tau`, `Bootstrap`."""
    one, other = _checked(one, other)
    bootstrap = Bootstrap(len(one), seed, resamples)
    return bootstrap.interval(*bootstrap.tau(one, other))


class Bootstrap:
    """Resamples of networks, the same for every correlation.

    Each correlation is a pair `(value, draws)`: that of the networks, and a float64 array with
    that of each resample, `nan` where it has none.

    Args:
        count: the number of networks.
        seed: an int of at least 0.
        resamples: how many.
    """

    def __init__(self, count, seed=0, resamples=RESAMPLES):
        self.count, self.resamples, self._seed = count, resamples, seed
        self._kept, self._pairs = None, {}
        if count * resamples <= _CACHED:
            self._kept = list(self._draw())

    def interval(self, value, draws):
        """An `Interval` from a value and its resamples: percentiles 2.5 and 97.5."""
        draws = draws[~np.isnan(draws)]
        if not len(draws) or math.isnan(value):
            return Interval(float(value), float("nan"), float("nan"))
        low, high = np.percentile(draws, (2.5, 97.5))
        return Interval(float(value), float(low), float(high))

    def tau(self, one, other):
        """Kendall's tau-b: `(value, draws)`."""
        one, other = _checked(one, other)
        value = kendall_tau(one, other)
        if math.isnan(value):
            return value, np.full(self.resamples, np.nan)
        bottom = self._untied(one) * self._untied(other)
        return value, _ratio(self._agreement(one, other), np.sqrt(bottom))

    def tau_in_band(self, one, other, cost, width):
        """Kendall's tau-b over the pairs of networks of nearly the same cost.

        Args:
            one, other: numbers of the networks; pairs are counted as right against `other`.
            cost: above 0; the larger of a pair is at most `1 + width` times the smaller.
            width: such as 0.03.

        Returns:
            `(value, draws, right, pairs)`: `pairs` of the band have different values in
            `other`, and in `right` of them `one` has the same order.
        """
        one, other = _checked(one, other)
        order = np.argsort(cost, kind="stable")
        ranks = [_ranks(values)[order] for values in (one, other)]
        cost = np.asarray(cost, np.float64)[order]
        ends = np.searchsorted(cost, cost * (1 + width), side="right")
        sums, shares = np.zeros((3, self.resamples)), np.zeros((3, self.count))
        right, exact = 0, self.count <= EXACT
        gathered = list(self._chunks(order)) if exact else []
        for start in range(0, self.count, _CHUNK):
            rows = slice(start, min(start + _CHUNK, self.count))
            columns = slice(start, int(ends[rows.stop - 1]))
            place = np.arange(columns.start, columns.stop)
            inside = place > np.arange(rows.start, rows.stop)[:, None]
            inside &= place < ends[rows, None]
            first, second = (np.sign(r[rows, None] - r[columns]) * inside for r in ranks)
            kernels = (first * second, np.abs(first), np.abs(second))
            right += int((kernels[0] > 0).sum())
            for k, kernel in enumerate(kernels):
                shares[k, rows] += kernel.sum(axis=1)
                shares[k, columns] += kernel.sum(axis=0)
                for part, counts in gathered:
                    sums[k, part] += _quadratic(kernel, counts[rows], counts[columns])
        if not exact:
            for part, counts in self._chunks(order):
                sums[:, part] = shares @ counts - shares.sum(axis=1, keepdims=True) / 2
        top, *bottoms = shares.sum(axis=1) / 2
        value = top / math.sqrt(bottoms[0] * bottoms[1]) if all(bottoms) else float("nan")
        return value, _ratio(sums[0], np.sqrt(sums[1] * sums[2])), right, int(bottoms[1])

    def spearman(self, one, other):
        """Spearman's rank correlation, ties at their mean rank: `(value, draws)`."""
        groups = [_groups(values) for values in _checked(one, other)]
        once = np.ones((self.count, 1))
        value = _weighted_pearson(*(_mid_ranks(g, once) for g in groups), once)
        draws = [
            _weighted_pearson(*(_mid_ranks(g, counts) for g in groups), counts)
            for _, counts in self._chunks()
        ]
        return float(value[0]), np.concatenate(draws)

    def pearson(self, one, other):
        """Pearson's correlation: `(value, draws)`."""
        one, other = (values[:, None] for values in _checked(one, other))
        value = _weighted_pearson(one, other, np.ones((self.count, 1)))
        draws = [_weighted_pearson(one, other, counts) for _, counts in self._chunks()]
        return float(value[0]), np.concatenate(draws)

    def _draw(self):
        """Yields counts of networks, float32 `(networks, some resamples)`."""
        draws = np.random.default_rng(self._seed)
        size = max(1, 2**24 // max(1, self.count))
        for start in range(0, self.resamples, size):
            chunk = min(size, self.resamples - start)
            chosen = draws.integers(max(1, self.count), size=(chunk, self.count))
            flat = (chosen + self.count * np.arange(chunk)[:, None]).ravel()
            counts = np.bincount(flat, minlength=chunk * self.count)
            yield np.ascontiguousarray(counts.reshape(chunk, self.count).T, np.float32)

    def _chunks(self, order=slice(None)):
        """Yields `(slice of resamples, counts)`, networks in an order."""
        start = 0
        for counts in self._kept or self._draw():
            yield slice(start, start + counts.shape[1]), counts[order]
            start += counts.shape[1]

    def _agreement(self, one, other):
        """Pairs of equal order less pairs of opposite order, of each resample."""
        sums = np.zeros(self.resamples)
        if self.count > EXACT:
            share = _below(one, other) + _below(-one, -other)
            share = (share - _below(one, -other) - _below(-one, other)).astype(np.float64)
            for part, counts in self._chunks():
                sums[part] = share @ counts - share.sum() / 2
            return sums
        ranks = [_ranks(values) for values in (one, other)]
        for start in range(0, self.count, _CHUNK):
            rows, columns = slice(start, start + _CHUNK), slice(start, None)
            first, second = (np.sign(r[rows, None] - r[columns]) for r in ranks)
            kernel = first * second
            kernel[:, :_CHUNK] /= 2  # the square on the diagonal has each pair twice
            for part, counts in self._chunks():
                sums[part] += _quadratic(kernel, counts[rows], counts[columns])
        return sums

    def _untied(self, values):
        """Pairs with different values, of each resample."""
        key = values.tobytes()  # a score is compared with several others
        if key not in self._pairs:
            groups, sums = _groups(values), np.zeros(self.resamples)
            for part, counts in self._chunks():
                tied = (_group_counts(groups, counts) ** 2).sum(axis=0)
                sums[part] = (float(self.count) ** 2 - tied) / 2
            self._pairs[key] = sums
        return self._pairs[key]


def _checked(one, other):
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(
            "A correlation needs as many numbers on both sides. Received: the shapes "
            f"{one.shape} and {other.shape}"
        )
    for values in (one, other):
        if np.isnan(values).any():
            raise ValueError(
                f"A correlation needs numbers. Received: NaN at {int(np.isnan(values).argmax())} "
                f"of {len(values)}. Leave networks without a value out of both sides."
            )
    return one, other


def _untied(values):
    """The number of pairs with different values, an exact int."""
    _, counts = np.unique(values, return_counts=True)
    count = len(values)
    return (count * count - int((counts.astype(np.int64) ** 2).sum())) // 2


def _below(one, other):
    """For each network the number of others that are lower in both, int64 `(networks,)`.

    Sorted by `one` (of equals the highest `other` first), they are the earlier ones with a lower
    `other`. Those are counted from halves of growing size: for each network of a right half the
    lower ones of the left half.
    """
    count = len(one)
    order = np.lexsort((-other, one))
    ranks, place = _ranks(other)[order], np.arange(count)
    below, size = np.zeros(count, np.int64), 1
    while size < count:
        pair, is_left = place // (2 * size), place // size % 2 == 0
        merged = np.lexsort((is_left, ranks, pair))  # of equals the right half first
        before = np.cumsum(is_left[merged]) - size * pair[merged]
        right = ~is_left[merged]
        below[merged[right]] += before[right]
        size *= 2
    result = np.empty(count, np.int64)
    result[order] = below
    return result


def _ranks(values):
    """Ranks from 0, equals alike, as float32."""
    return np.unique(values, return_inverse=True)[1].astype(np.float32)


def _groups(values):
    """`(order, starts, number of each)`: the groups of equal values, ascending."""
    _, numbers = np.unique(values, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    return order, np.searchsorted(numbers[order], np.arange(numbers.max() + 1)), numbers


def _group_counts(groups, counts):
    order, starts, _ = groups
    return np.add.reduceat(counts[order], starts, axis=0).astype(np.float64)


def _mid_ranks(groups, counts):
    """Ranks of networks in each resample, `(networks, resamples)`; equals at their mean."""
    of_group = _group_counts(groups, counts)
    return (np.cumsum(of_group, axis=0) - (of_group - 1) / 2)[groups[2]]


def _weighted_pearson(one, other, counts):
    total = counts.sum(axis=0, dtype=np.float64)
    one = one - (one * counts).sum(axis=0) / total
    other = other - (other * counts).sum(axis=0) / total
    top = (one * other * counts).sum(axis=0)
    return _ratio(top, np.sqrt((one**2 * counts).sum(axis=0) * (other**2 * counts).sum(axis=0)))


def _quadratic(kernel, left, right):
    """`left.T @ kernel @ right` of each resample alone."""
    return np.einsum("ir,ir->r", kernel @ right, left).astype(np.float64)


def _ratio(top, bottom):
    """A quotient that is `nan` where the bottom is 0."""
    safe = np.where(bottom > 0, bottom, 1.0)
    return np.where(bottom > 0, top / safe, np.nan)
