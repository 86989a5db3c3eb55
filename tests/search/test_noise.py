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
