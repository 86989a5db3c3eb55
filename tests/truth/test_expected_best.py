"""The closed form of random search, against every set of draws."""

import itertools
import math

import numpy as np
import pytest

from dna_tf.truth import expected_best
from tests.helpers import public_tables


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_it_is_the_mean_over_all_sets_of_draws(count):
    values = np.random.default_rng(count).integers(0, 5, count).astype(float)
    for draws in range(1, count + 1):
        sets = list(itertools.combinations(values, draws))
        mean = np.mean([max(each) for each in sets])
        assert expected_best.expected_best(values, draws) == pytest.approx(mean, rel=1e-12)
        for within in (0.0, 1.0):
            hits = np.mean([max(each) >= values.max() - within for each in sets])
            share, optima = expected_best.share_at_optimum(values, draws, within)
            assert share == pytest.approx(hits, rel=1e-12)
            assert optima == (values >= values.max() - within).sum()


def test_weights_are_those_of_factorials():
    weights = expected_best.best_weights(30, 7)
    expected = [math.comb(29 - i, 6) / math.comb(30, 7) for i in range(30)]
    np.testing.assert_allclose(weights, expected, rtol=1e-12)
    assert weights.sum() == pytest.approx(1.0, rel=1e-14)
    values = np.random.default_rng(0).random((3, 10))
    assert expected_best.expected_best(values, 1) == pytest.approx(values.mean())
    assert expected_best.expected_best(values, 30) == pytest.approx(values.max())


@pytest.mark.parametrize(
    ("values", "draws", "message"),
    [
        ([1.0, 2.0], 0, "draws must be a whole number of at least 1"),
        ([1.0, 2.0], 3, "There are 2 networks.*draws=3"),
        ([1.0, np.nan], 1, "finite values"),
        ([1.0, np.inf], 1, "finite values"),
        ([], 1, "at least one network"),
    ],
)
def test_bad_input(values, draws, message):
    with pytest.raises(ValueError, match=message):
        expected_best.expected_best(values, draws)
    if len(values) > 1 and draws == 3:
        with pytest.raises(ValueError, match="within must be"):
            expected_best.share_at_optimum(values, 1, -1.0)


@public_tables.needed
@pytest.mark.parametrize(
    ("data_set", "expected"),
    [
        ("cifar10", (93.095, 93.847, 94.211)),
        ("cifar100", (69.824, 71.553, 72.853)),
        ("imagenet16_120", (43.388, 45.633, 46.647)),
    ],
)
def test_random_search_on_nas_bench_201(data_set, expected):
    values = public_tables.load("nb201").column(f"test200_{data_set}")
    bests = [expected_best.expected_best(values, draws) for draws in (10, 100, 1000)]
    assert [round(best, 3) for best in bests] == list(expected)
    assert expected_best.best_weights(15_625, 100)[0] == 100 / 15_625
