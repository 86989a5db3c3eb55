"""Intervals against published values and against counting."""

import math

import numpy as np
import pytest

from dna_tf.common import statistics


@pytest.mark.parametrize(
    "degrees, expected",
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281), (30, 2.0423), (1e6, 1.96)],
)
def test_t_quantiles_are_those_of_the_printed_table(degrees, expected):
    assert statistics.t_quantile_95(degrees) == pytest.approx(expected, abs=6e-5)


def test_t_quantile_between_whole_degrees_lies_between_theirs():
    assert 3.1824 < statistics.t_quantile_95(2.5) < 4.3027
    with pytest.raises(ValueError, match="at least 1"):
        statistics.t_quantile_95(0.5)


def test_wilson_interval_solves_its_defining_equation():
    for correct, total in ((0, 20), (7, 20), (351, 360), (360, 360)):
        low, high = statistics.wilson(correct, total)
        share = correct / total
        assert 0 <= low <= share <= high <= 1
        for end in (low, high):
            # At each end the share is just 1.96 standard errors off (or the end is at its bound).
            error = math.sqrt(end * (1 - end) / total)
            assert abs(share - end) == pytest.approx(1.959964 * error, abs=1e-9)


def test_wilson_interval_of_a_published_example():
    # 81 of 263: Newcombe, 1998, Table I.
    low, high = statistics.wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize("correct, total", [(-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_counts_that_are_none(correct, total):
    with pytest.raises(ValueError, match="Received"):
        statistics.wilson(correct, total)


def test_mean_and_sample_deviation():
    assert statistics.mean_and_std([2.0, 4.0, 9.0]) == pytest.approx((5.0, math.sqrt(13)))
    assert statistics.mean_and_std([2.0]) == (2.0, None)


def test_welch_of_equal_spread_has_the_pooled_degrees():
    difference = statistics.welch([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert difference.value == pytest.approx(-3)
    assert difference.degrees == pytest.approx(4)
    half = 2.7764 * math.sqrt(2 / 3)
    assert difference.low == pytest.approx(-3 - half, abs=1e-4)
    assert difference.high == pytest.approx(-3 + half, abs=1e-4)


def test_welch_with_one_constant_side_has_the_degrees_of_the_other():
    difference = statistics.welch([1.0, 2.0, 6.0], [5.0] * 4)
    assert difference.degrees == pytest.approx(2)
    assert difference.high - difference.value == pytest.approx(4.3027 * math.sqrt(7 / 3), abs=1e-4)


def test_welch_interval_covers_the_truth_in_95_of_100_draws():
    draws = np.random.RandomState(0)
    inside = 0
    for _ in range(1000):
        interval = statistics.welch(draws.normal(1, 1, 4), draws.normal(0, 2, 3))
        inside += interval.low <= 1 <= interval.high
    assert 930 <= inside <= 985


def test_no_interval_without_spread():
    assert statistics.welch([0.9], [0.8, 0.7]).low is None
    assert statistics.welch([0.9, 0.9], [0.8, 0.8]).low is None
    assert statistics.welch([0.9], [0.8, 0.7]).value == pytest.approx(0.15)


def test_an_accuracy_is_described_with_wilsons_interval():
    # 95 of 100 by R's prop.test(95, 100, correct = FALSE): 0.8882 to 0.9785.
    text = statistics.describe_accuracy(95, 100)
    assert text == "95.0 % (95 % interval 88.8-97.8, 95 of 100)"
    assert statistics.describe_accuracy(20, 20) == "100.0 % (95 % interval 83.9-100.0, 20 of 20)"
    assert statistics.describe_accuracy(0, 20) == "0.0 % (95 % interval 0.0-16.1, 0 of 20)"
    # The ends of the interval are the shares that are just z standard errors off.
    shares = np.linspace(0, 1, 200_001)[1:-1]
    inside = shares[np.abs(351 / 360 - shares) <= 1.959964 * np.sqrt(shares * (1 - shares) / 360)]
    low, high = 100 * inside.min(), 100 * inside.max()
    assert statistics.describe_accuracy(351, 360) == (
        f"97.5 % (95 % interval {low:.1f}-{high:.1f}, 351 of 360)"
    )
