"""The policy of REINFORCE."""

import itertools
import math

import numpy as np
import pytest

from dna_tf.search import reinforce

SIZES = (3, 2)
TABLE = np.random.default_rng(3).normal(size=SIZES)


def _policy(seed):
    policy, rng = reinforce.Policy(SIZES), np.random.default_rng(seed)
    for position, option in ((0, 1), (1, 0), (0, 2)):
        policy.learn([(position, -1, option)], float(rng.normal()))
    return policy


def _expected_update(policy, baseline):
    """The mean of advantage times gradient over all networks, with their probabilities."""
    total = [np.zeros(size) for size in SIZES]
    for options in itertools.product(*map(range, SIZES)):
        share = math.prod(policy.probabilities(p)[o] for p, o in enumerate(options))
        for position, option in enumerate(options):
            slope = np.array(policy.gradient(position, option))
            total[position] += share * (baseline - TABLE[options]) * slope
    return total


@pytest.mark.parametrize("seed", range(4))
def test_the_expected_update_is_the_gradient_whatever_the_baseline(seed):
    policy = _policy(seed)
    first, second = (np.array(policy.probabilities(p)) for p in (0, 1))
    # E = sum p_i q_j v_ij; dE/dlogit_i = p_i (row_i - E), with row_i the mean over q.
    mean = first @ TABLE @ second
    slopes = [first * (TABLE @ second - mean), second * (first @ TABLE - mean)]
    for baseline in (0.0, 5.0, -100.0):
        for update, slope in zip(_expected_update(policy, baseline), slopes, strict=True):
            np.testing.assert_allclose(update, -slope, atol=1e-12)


def test_learning_moves_the_logits_by_the_gradient():
    policy = _policy(0)
    before = np.log(policy.probabilities(0))
    slope = np.array(policy.gradient(0, 2))
    policy.learn([(0, -1, 2)], 0.3)
    moved = np.log(policy.probabilities(0)) - before
    np.testing.assert_allclose(moved - moved.mean(), 0.3 * (slope - slope.mean()), atol=1e-12)


def test_the_entropy_moves_towards_equal_shares_by_its_gradient():
    def entropy(logits):
        shares = np.exp(logits) / np.exp(logits).sum()
        return -(shares * np.log(shares)).sum()

    policy = _policy(2)
    logits = np.log(policy.probabilities(0))
    slope = [
        (entropy(logits + step) - entropy(logits - step)) / 2e-6 for step in 1e-6 * np.eye(SIZES[0])
    ]
    policy.learn([(0, -1, 0)], 0.0, entropy=0.5)
    moved = np.log(policy.probabilities(0)) - logits
    np.testing.assert_allclose(moved - moved.mean(), 0.5 * np.array(slope), atol=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_the_better_of_two_options_wins(seed):
    policy, advantages = reinforce.Policy((2,)), reinforce.Advantages(0.9)
    rng = np.random.default_rng(seed)
    for _ in range(2000):
        option = policy.pick(0, rng.random())
        policy.learn([(0, -1, option)], 0.1 * advantages.of(float(option)))
    assert policy.probabilities(0)[0] > 0.99


def test_advantages_have_no_unit():
    values = np.random.default_rng(0).normal(size=50)
    ones = reinforce.Advantages(0.9)
    others = reinforce.Advantages(0.9)
    for value in values:
        assert others.of(1000 * value + 7) == pytest.approx(ones.of(value))
    assert reinforce.Advantages(0.9).of(3.0) == 0


def test_values_beyond_the_limits_are_worse_than_all_within():
    worst = reinforce.Worst()
    assert worst.value(math.inf, 0.5) is None
    assert (worst.value(2.0, 0), worst.value(4.0, 0)) == (2.0, 4.0)
    near, far = worst.value(math.inf, 0.1), worst.value(math.inf, 99.0)
    assert 4 < near < far == 6
