"""Architectures that differ, against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dna_tf.search import diverse, exact
from tests.helpers import search_cases

COSTS = st.sets(st.sampled_from(search_cases.NAMES), max_size=3)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    ties=st.booleans(),
    upper=COSTS,
    max_shared=st.integers(0, 4),
    k=st.integers(1, 5),
)
def test_differing_ones_equal_brute_force(seed, ties, upper, max_shared, k):
    _, problem, listed, limits = search_cases.drawn(seed, ties, upper)
    left = search_cases.in_order(search_cases.allowed(listed, limits))
    if not left:
        with pytest.raises(exact.Infeasible):
            diverse.best_differing(problem, max_shared, k, limits)
        return
    expected = []
    while left and len(expected) < k:
        first = left[0]
        expected.append((first.cells, first.paths))
        left = [one for one in left if _shared(problem.space, first, one) <= max_shared]
    choices = diverse.best_differing(problem, max_shared, k, limits)
    assert [(f.cells, f.path_indices) for f in choices] == expected
    for i, one in enumerate(choices):
        assert one.penalty == 0
        for other in choices[:i]:
            assert _shared(problem.space, one, other) <= max_shared


def _path_indices(one):
    """Of what the search found, or of what brute force did."""
    return one.paths if isinstance(one, search_cases.Listed) else one.path_indices


def _shared(space, one, other):
    """Counted layer by layer, from the paths as tuples."""
    count = 0
    for b, _ in enumerate(space.blocks):
        if one.cells[b] == other.cells[b]:
            paths = space.paths(b, one.cells[b])
            pairs = zip(*(paths[_path_indices(some)[b]] for some in (one, other)), strict=True)
            count += sum(a == z for a, z in pairs)
    return count


@pytest.mark.parametrize("max_shared", [-1, 1.5, None])
def test_a_bound_on_shared_ops_that_cannot_be(max_shared):
    problem = search_cases.problem(np.random.default_rng(0), ties=True)
    with pytest.raises(ValueError, match="max_shared must be a whole number of at least 0"):
        diverse.best_differing(problem, max_shared, 2)
