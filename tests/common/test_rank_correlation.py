"""Correlations against SciPy and against counting, and the bootstrap against resampled arrays."""

import itertools

import numpy as np
import pytest
import scipy.stats

from dna_tf.common import rank_correlation


def by_hand(first, second, pairs):
    """Tau-b over pairs of indices, one by one: `(tau, right pairs, pairs that differ)`."""
    top = ties_first = ties_second = right = 0
    for i, j in pairs:
        a, b = np.sign(first[i] - first[j]), np.sign(second[i] - second[j])
        top, right = top + a * b, right + (a * b > 0)
        ties_first, ties_second = ties_first + abs(a), ties_second + abs(b)
    return top / np.sqrt(ties_first * ties_second), right, ties_second


def columns(count, seed, digits=1):
    """Three related columns with ties, the last one positive."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=count)
    second = first + rng.normal(size=count)
    return first.round(digits), second.round(digits), rng.uniform(1, 1.3, count)


def resampled(count, resamples, seed):
    """The indices of each resample, as `Bootstrap` draws them."""
    return np.random.default_rng(seed).integers(count, size=(resamples, count))


@pytest.mark.parametrize("count", [2, 3, 4, 5, 16, 17, 33])
def test_tau_counts_pairs(count):
    for seed in range(5):
        rng = np.random.default_rng([count, seed])
        first, second = rng.integers(0, 6, (2, count)).astype(float)
        tau = rank_correlation.kendall_tau(first, second)
        expected = scipy.stats.kendalltau(first, second).statistic
        np.testing.assert_allclose(tau, expected, rtol=1e-12)
        if not np.isnan(tau):
            pairs = itertools.combinations(range(count), 2)
            np.testing.assert_allclose(tau, by_hand(first, second, pairs)[0], rtol=1e-12)


def test_tau_of_order_and_of_none():
    values = np.array([3.0, 1.0, 2.0, 2.0])
    assert rank_correlation.kendall_tau(values, values) == pytest.approx(1.0)
    assert rank_correlation.kendall_tau(values, -values) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation.kendall_tau(values, np.ones(4)))
    assert np.isnan(rank_correlation.kendall_tau([], []))
    assert rank_correlation.tau(values, np.ones(4)).text() == "-"
    assert rank_correlation.Interval(0.5, np.nan, np.nan).text() == "+0.50"
    assert rank_correlation.Interval(0.5, 0.25, -0.125).text(1) == "+0.5 (+0.2 to -0.1)"


def test_tau_of_many_is_that_of_scipy():
    first, second, _ = columns(15_625, 0, digits=2)
    expected = scipy.stats.kendalltau(first, second).statistic
    np.testing.assert_allclose(rank_correlation.kendall_tau(first, second), expected, rtol=1e-12)


@pytest.mark.parametrize("count", [20, 300])  # one chunk of rows, and several
def test_each_resample_is_that_of_the_arrays(count):
    first, second, cost = columns(count, 1)
    bootstrap = rank_correlation.Bootstrap(count, seed=3, resamples=12)
    tau, taus = bootstrap.tau(first, second)
    rho, rhos = bootstrap.spearman(first, second)
    r, rs = bootstrap.pearson(first, second)
    band, bands, right, pairs = bootstrap.tau_in_band(first, second, cost, 0.03)
    cases = [(np.arange(count), (tau, rho, r, band))]
    cases += zip(resampled(count, 12, 3), zip(taus, rhos, rs, bands, strict=True), strict=True)
    for number, (chosen, values) in enumerate(cases):
        a, b, c = first[chosen], second[chosen], cost[chosen]
        near = [
            (i, j)
            for i, j in itertools.combinations(range(count), 2)
            if max(c[i], c[j]) <= 1.03 * min(c[i], c[j])
        ]
        in_band = by_hand(a, b, near)
        expected = (
            scipy.stats.kendalltau(a, b).statistic,
            scipy.stats.spearmanr(a, b).statistic,
            scipy.stats.pearsonr(a, b).statistic,
            in_band[0],
        )
        np.testing.assert_allclose(values, expected, rtol=1e-5)
        if number == 0:
            assert (right, pairs) == in_band[1:]


def test_an_interval_is_the_middle_of_the_resamples():
    first, second, _ = columns(60, 2)
    bootstrap = rank_correlation.Bootstrap(60, seed=0, resamples=400)
    value, draws = bootstrap.tau(first, second)
    interval = bootstrap.interval(value, draws)
    assert (interval.low, interval.high) == tuple(np.percentile(draws, (2.5, 97.5)))
    assert interval.low < value < interval.high
    assert rank_correlation.tau(first, second, 0, 400) == interval
    assert rank_correlation.tau(first, second, 1, 400) != interval


def test_above_a_size_the_linear_part_gives_the_interval(monkeypatch):
    first, second, cost = columns(1500, 4, digits=2)
    bootstrap = rank_correlation.Bootstrap(1500, seed=0, resamples=500)
    exact = bootstrap.interval(*bootstrap.tau(first, second))
    exact_band = bootstrap.tau_in_band(first, second, cost, 0.03)
    monkeypatch.setattr(rank_correlation, "EXACT", 100)
    linear = bootstrap.interval(*bootstrap.tau(first, second))
    band = bootstrap.tau_in_band(first, second, cost, 0.03)
    assert linear.value == exact.value and (band[0], *band[2:]) == (exact_band[0], *exact_band[2:])
    assert (linear.low, linear.high) == pytest.approx((exact.low, exact.high), abs=0.003)
    ends = [bootstrap.interval(*each[:2]) for each in (band, exact_band)]
    assert ends[0].low == pytest.approx(ends[1].low, abs=0.004)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1.0, np.nan, 2.0], [1.0, 2.0, 3.0], "NaN at 1 of 3"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "as many numbers on both sides"),
        ([[1.0, 2.0]], [[1.0, 2.0]], "as many numbers"),
    ],
)
def test_what_is_no_pair_of_columns(first, second, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation.kendall_tau(first, second)
