"""The error of a difference between architectures, counted by hand and drawn many times."""

import dataclasses

import numpy as np
import pytest

from dna_tf.search import exact, noise
from tests.helpers import search_cases


@pytest.fixture(scope="module")
def case():
    """A problem, its two best choices, spreads and batches of all cells."""
    problem = search_cases.digits_problem()
    choices = exact.best(problem, k=2)
    draws = np.random.default_rng(0)
    keys = list(problem.measured)
    spreads = {key: draws.uniform(0.01, 0.1, len(problem.measured[key])) for key in keys}
    return problem, choices, spreads, dict.fromkeys(keys, 5)


def differing(problem, choices):
    """`(block, [(cell, path), (cell, path)])` of the blocks in which two choices differ."""
    pairs = [
        (b, [(choice.cells[b], choice.path_indices[b]) for choice in choices])
        for b in range(len(problem.space.blocks))
    ]
    return [(b, both) for b, both in pairs if both[0] != both[1]]


def test_the_error_is_that_of_the_blocks_that_differ(case):
    problem, choices, spreads, batches = case
    gap = noise.gap(problem, *choices, spreads, batches)
    squares = [spreads[b, c][p] ** 2 for b, both in differing(problem, choices) for c, p in both]
    assert gap.value == choices[1].rating - choices[0].rating
    # 2.776 is the two-sided 95 % quantile of Student's t for 4 degrees of freedom.
    assert gap.error == pytest.approx(2.7764 * np.sqrt(sum(squares) / 5), rel=1e-4)
    assert gap.is_clear == (gap.value > gap.error)
    weighted = dataclasses.replace(problem, weights=(2.0,) * len(problem.weights))
    twice = noise.gap(weighted, *choices, spreads, batches)
    assert twice.error == pytest.approx(2 * gap.error)


def test_a_single_batch_does_not_show_the_noise(case):
    problem, choices, spreads, batches = case
    b, both = differing(problem, choices)[0]
    for count in (0, 1):
        gap = noise.gap(problem, *choices, spreads, {**batches, (b, both[1][0]): count})
        assert gap.error is None and gap.is_clear is None
    same = noise.gap(problem, choices[0], choices[0], spreads, batches)
    assert (same.value, same.error, same.is_clear) == (0.0, 0.0, False)


def test_the_interval_covers_independent_noise_in_19_of_20_draws(case):
    problem, choices, _, _ = case
    draws, batches = np.random.default_rng(1), 6
    keys, covered = list(problem.measured), 0
    for _ in range(500):
        noisy, spreads = [0.0, 0.0], {k: np.zeros(len(problem.measured[k])) for k in keys}
        for b, both in differing(problem, choices):
            for side, (c, p) in enumerate(both):
                values = 0.05 * draws.standard_normal(batches)
                noisy[side] += values.mean()
                spreads[b, c][p] = values.std(ddof=1)
        error = noise.gap(problem, *choices, spreads, dict.fromkeys(keys, batches)).error
        covered += abs(noisy[1] - noisy[0]) <= error
    assert covered / 500 > 0.93  # the degrees of freedom are those of one rating: rather wide


def test_the_noise_of_supernets_is_that_of_paths_and_of_what_moves_a_cell():
    draws = np.random.default_rng(0)
    within, across = [], []
    for _ in range(3000):
        truth, moved = draws.normal(size=6), 0.3 * draws.normal(size=(2, 1))
        values = noise.of_supernets(truth + moved + 0.2 * draws.normal(size=(2, 6)))
        within.append(values.within)
        across.append(values.across)
    assert np.mean(within) == pytest.approx(0.2**2, rel=0.03)
    assert np.mean(across) == pytest.approx(0.2**2 + 0.3**2, rel=0.05)
    single = noise.of_supernets([[1.0], [2.0], [3.0]])
    assert (single.within, single.across) == (1.0, 1.0)


def test_the_spread_between_supernets_adds_to_that_between_batches(case):
    problem, choices, spreads, batches = case
    supernets = {
        key: noise.SupernetNoise(1e-4 * (1 + key[0]), 1e-2 * (1 + key[1]))
        for key in problem.measured
    }
    alone = noise.gap(problem, *choices, spreads, batches)
    both = noise.gap(problem, *choices, spreads, batches, supernets)
    variance = 0.0
    for b, ((one, _), (other, _)) in differing(problem, choices):
        if one == other:
            variance += 2 * supernets[b, one].within
        else:
            variance += supernets[b, one].across + supernets[b, other].across
    assert both.value == alone.value
    assert both.error == pytest.approx(np.sqrt(alone.error**2 + 1.96**2 * variance))
