"""What loosened limits bring, against brute force."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dna_tf.search import exact, tightness
from tests.helpers import search_cases

COSTS = st.sets(st.sampled_from(search_cases.NAMES), max_size=3)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), ties=st.booleans(), upper=COSTS, lower=COSTS)
def test_what_loosening_brings_equals_brute_force(seed, ties, upper, lower):
    _, problem, listed, limits = search_cases.drawn(seed, ties, upper, lower)
    if search_cases.contradicts(limits) or not search_cases.allowed(listed, limits):
        return
    best = exact.best(problem, limits)[0]
    rows = tightness.tightness(problem, limits, best, shares=(0.01, 0.3))
    assert [row.limit for row in rows] == list(limits)
    for row in rows:
        assert row.used == best.costs[row.limit[4:]] and row.value == limits[row.limit]
        sign = 1 if row.limit.startswith("max_") else -1
        assert row.room >= 0 and row.price >= 0
        for one in row.relaxed:
            assert one.limit == row.value + sign * one.share * abs(row.value)
            others = search_cases.allowed(listed, {**limits, row.limit: one.limit})
            optimum = min(other.rating for other in others)
            assert one.best.rating == optimum
            assert one.gain == best.rating - optimum
