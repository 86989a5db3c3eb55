"""Optima under limits against brute force over hundreds of random spaces."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dna_tf.search import exact, listing
from tests.helpers import search_cases

COSTS = st.sets(st.sampled_from(search_cases.NAMES), max_size=3)
QUESTIONS = {
    "seed": st.integers(0, 2**32 - 1),
    "ties": st.booleans(),
    "upper": COSTS,
    "lower": st.sets(st.sampled_from(search_cases.NAMES), max_size=2),
    "k": st.sampled_from([1, 1, 2, 3, 7, 30]),
    "penalized": st.sets(st.sampled_from(search_cases.NAMES), max_size=2),
}
RUNS = settings(max_examples=250, deadline=None, derandomize=True)


def _penalties(rng, listed, names):
    penalties = {}
    for name in sorted(names):
        values = [one.costs[name] for one in listed]
        factor = float(rng.choice([0, 0.5, 3])) / max(1.0, float(np.mean(values)))
        penalties[name] = (factor, float(rng.choice([0.0, *values[:3]])))
    return penalties


def test_the_k_best_equal_brute_force():
    seen = collections.Counter()  # of what the random questions were

    @RUNS
    @given(**QUESTIONS)
    def ask(seed, ties, upper, lower, k, penalized):
        rng, problem, listed, limits = search_cases.drawn(seed, ties, upper, lower)
        penalties = _penalties(rng, listed, penalized)
        if search_cases.contradicts(limits):
            seen["contradicting"] += 1
            with pytest.raises(ValueError, match="contradict"):
                exact.best(problem, limits, k, penalties)
            return
        expected = search_cases.in_order(search_cases.allowed(listed, limits), penalties)[:k]
        if not expected:
            seen["infeasible"] += 1
            _check_infeasible(problem, listed, limits, k, penalties)
            return
        choices = exact.best(problem, limits, k, penalties)
        assert [(f.cells, f.path_indices) for f in choices] == [
            (e.cells, e.paths) for e in expected
        ]
        for one, other in zip(choices, expected, strict=True):
            assert one.rating == other.rating and one.costs == other.costs  # to the bit
            assert one.value == search_cases.value(other, penalties)
        last = choices[-1].value
        allowed = search_cases.allowed(listed, limits)
        within = [one for one in allowed if search_cases.value(one, penalties) <= last]
        seen["ties"] += len(within) > len(choices)
        seen["decided"] += len(expected) < len(listed) and bool(limits)

    ask()
    assert min(seen[k] for k in ("contradicting", "infeasible", "ties", "decided")) > 10, seen


def _check_infeasible(problem, listed, limits, k, penalties):
    with pytest.raises(exact.Infeasible, match="No architecture of the space") as error:
        exact.best(problem, limits, k, penalties)
    for key in limits:
        values = [one.costs[key[4:]] for one in listed]
        most = min(values) if key.startswith("max_") else max(values)
        text = f"{most:,.0f}" if key[4:] in problem.counted else f"{most:.6g}"
        assert f"{key[4:]} {text} at " in str(error.value)
    assert ("(each alone)" in str(error.value)) == (len(limits) > 1)

    def excess(costs):
        total = 0.0
        for name in dict.fromkeys(key[4:] for key in limits):
            ends = [limits[k] for k in (f"max_{name}", f"min_{name}") if k in limits]
            scale = min((abs(e) for e in ends if e), default=1.0)
            over = costs[name] - limits.get(f"max_{name}", np.inf)
            under = limits.get(f"min_{name}", -np.inf) - costs[name]
            total += max(over, under, 0.0) / scale
        return total

    least = min(excess(one.costs) for one in listed)
    assert excess(error.value.nearest.costs) == pytest.approx(least, rel=1e-9)
    assert least > 0


@pytest.mark.parametrize("states", ["none", "some"])
def test_dropping_dominated_states_changes_no_value(monkeypatch, states):
    """The code that steps in where millions tie, made to step in at once."""
    monkeypatch.setattr(listing, "THIN", 5)
    monkeypatch.setattr(listing, "CHUNK", 7)
    if states == "none":
        monkeypatch.setattr(exact, "MANY_PAIRS", 0)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        problem = search_cases.problem(rng, ties=seed % 3 > 0)
        listed = search_cases.all_architectures(problem)
        upper = [search_cases.NAMES[i] for i in rng.permutation(4)[: seed % 3]]
        lower = ["latency_ms"] if seed % 2 else []  # whole numbers here: many are equal
        limits = search_cases.limits(rng, listed, upper, lower)
        if lower and rng.random() < 0.5:
            limits = {"min_latency_ms": float(max(one.costs["latency_ms"] for one in listed))}
        k = int(rng.choice([1, 3, 8]))
        expected = search_cases.in_order(search_cases.allowed(listed, limits))[:k]
        if expected and not search_cases.contradicts(limits):
            choices = exact.best(problem, limits, k)
            assert [one.rating for one in choices] == [one.rating for one in expected]


def test_too_many_are_refused_not_guessed(monkeypatch):
    monkeypatch.setattr(listing, "THIN", 10)
    drawn = (search_cases.problem(np.random.default_rng(seed), ties=True) for seed in range(99))
    problem = next(case for case in drawn if case.num_architectures() > 100)
    with pytest.raises(listing.TooMany, match="states are near the optimum"):
        exact.best(problem, {}, k=100, max_states=20)
    monkeypatch.setattr(exact, "MOST_PAIRS", 20)
    with pytest.raises(listing.TooMany, match="Ask for fewer, or widen the limits"):
        exact.best(problem, {}, k=100)


@pytest.mark.parametrize("k", [0, -1, 1.0, True, "2", 10**6 + 1, 10**30])
def test_a_number_that_cannot_be_asked_for(k):
    problem = search_cases.problem(np.random.default_rng(0), ties=True)
    with pytest.raises(ValueError, match=r"whole number from 1 to 1,000,000\. Received: "):
        exact.best(problem, {}, k)
