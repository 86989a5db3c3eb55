"""The smallest good student: bisection against trying all, and what it says if there is none."""

import numpy as np
import pytest

from dna_tf.inheritance import smallest


def _trial(drops, tried):
    def trial(cost):
        tried.append(cost)
        return smallest.Trial(cost, drops[cost], f"student of {cost}")

    return trial


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_smallest_of_all_where_the_drop_falls_with_the_cost(seed):
    draws = np.random.default_rng(seed)
    costs = np.unique(draws.integers(1, 10**6, draws.integers(1, 40)))
    drops = dict(zip(costs, np.sort(draws.normal(1.0, 2.0, len(costs)))[::-1], strict=True))
    tried = []
    good = [cost for cost in costs if drops[cost] <= 1.0]
    if good:
        best = smallest.find(list(costs), 1.0, _trial(drops, tried), closeness=0.0)
        assert best == smallest.Trial(min(good), drops[min(good)], f"student of {min(good)}")
    else:
        with pytest.raises(smallest.NoneGood, match="No student lies within 1 points"):
            smallest.find(list(costs), 1.0, _trial(drops, tried), closeness=0.0)
    assert len(set(tried)) == len(tried)
    assert len(tried) <= np.ceil(np.log2(len(costs) + 1))


def test_networks_of_nearly_one_cost_are_not_tried_apart():
    costs = [100, 99, 98, 50, 49, 20]
    drops = {cost: 0.0 for cost in costs}
    tried = []
    best = smallest.find(costs, 1.0, _trial(drops, tried), closeness=0.05)
    assert best.cost == 20 and set(tried) <= {100, 50, 20}


def test_none_is_good_enough():
    drops = {10: 7.0, 20: 5.0, 30: 2.5}
    with pytest.raises(
        smallest.NoneGood, match="within 1 points.* has 30 params and lies 2.5 points"
    ):
        smallest.find([10, 20, 30], 1.0, _trial(drops, []), "params")


def test_wrong_input():
    with pytest.raises(ValueError, match="no network between"):
        smallest.find([], 1.0, None)
    for drop in (-1.0, 100.0):
        with pytest.raises(ValueError, match=f"points of accuracy.* Received: {drop:g}"):
            smallest.check(drop, "macs")
    with pytest.raises(ValueError, match="'params', 'macs', 'int8_kb'.*smallest_in='peak_kb'"):
        smallest.check(1.0, "peak_kb")
