"""Lower bounds against the optimum by brute force."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dna_tf.search import bounds, exact
from tests.helpers import search_cases

COSTS = st.sets(st.sampled_from(search_cases.NAMES), max_size=3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), ties=st.booleans(), upper=COSTS, lower=COSTS)
def test_bounds_hold_for_every_architecture(seed, ties, upper, lower):
    rng, problem, listed, limits = search_cases.drawn(seed, ties, upper, lower)
    allowed = search_cases.allowed(listed, limits)
    if search_cases.contradicts(limits) or not allowed:
        return
    program = bounds.Program(problem, exact.question(problem, limits))
    bound = bounds.best_bound(program)
    optimum = min(one.rating for one in allowed)
    assert bound.bound <= optimum + 1e-9
    assert bound.incumbent >= optimum  # what was met on the way is no better
    # Any multipliers of the right signs give a bound.
    for _ in range(3):
        signs = np.where(np.isinf(program.lower), 1.0, np.where(np.isinf(program.upper), -1.0, 0.0))
        some = signs * rng.random(len(signs)) * 1e-3
        least, _ = program.solve(np.concatenate([[1.0], some]))
        assert least - program.support(some) <= optimum + 1e-9
