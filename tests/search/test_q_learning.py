"""The table of Q-learning."""

import itertools

import numpy as np

from dna_tf.search import decisions, q_learning


def _steps(options):
    before = [decisions.START, *options]
    return tuple((p, before[p], option) for p, option in enumerate(options))


def test_replaying_all_networks_until_nothing_moves_gives_the_optimum():
    """Where the reward depends on the last op and the one before, worths are exact."""
    for seed in range(20):
        sizes = (3, 2, 4)
        rewards = np.random.default_rng(seed).random(sizes[-2:])
        table = q_learning.QTable(sizes, start=0.0)
        for _ in range(len(sizes) + 1):
            for options in itertools.product(*map(range, sizes)):
                table.learn(_steps(options), float(rewards[options[-2:]]), 1.0)
        greedy, before = [], decisions.START
        for position in range(len(sizes)):
            before = table.best(position, before)
            greedy.append(before)
        assert rewards[tuple(greedy[-2:])] == rewards.max()
        assert table.worths(2, 1) == rewards[1].tolist()
        assert table.worths(0, decisions.START) == [rewards.max()] * 3


def test_a_worth_moves_towards_its_target_by_the_rate():
    table = q_learning.QTable((2, 2))
    table.learn(_steps((1, 0)), 1.0, 0.1)
    assert table.worths(1, 1) == [0.55, 0.5]
    assert table.worths(0, decisions.START) == [0.5, 0.505]
    assert table.best(1, 1) == 0 and table.best(1, 0) == 0
