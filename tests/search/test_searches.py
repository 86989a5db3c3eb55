"""Random search, evolution, beam and the authors' traversal, against brute force."""

import math

import numpy as np
import pytest

from dna_tf.search import (
    aging,
    authors_traversal,
    beam,
    comparison,
    evolution,
    exact,
    q_learning,
    reinforce,
    trial_search,
)
from tests.helpers import search_cases

SEEDED = {
    "random": trial_search.random_search,
    "evolution": evolution.evolve,
    "evolution of SPOS": evolution.spos,
}
# They draw what they drew before, and so may end before they have tried all.
LEARNING = {
    "regularised": aging.age,
    "REINFORCE": reinforce.reinforce,
    "Q-learning": q_learning.q_learning,
}


def _beam_of_one(problem, limits):
    return beam.beam(problem, limits, beam.least_budget(problem))


ALL = {
    "random": lambda problem, limits: trial_search.random_search(problem, limits, 40),
    "evolution": lambda problem, limits: evolution.evolve(problem, limits, 40, population=8),
    "evolution of SPOS": lambda problem, limits: evolution.spos(problem, limits, 40, population=8),
    "regularised": lambda problem, limits: aging.age(problem, limits, 40, population=8, sample=3),
    "REINFORCE": lambda problem, limits: reinforce.reinforce(problem, limits, 40),
    "Q-learning": lambda problem, limits: q_learning.q_learning(problem, limits, 40, replays=2),
    "beam": _beam_of_one,
    "traversal": authors_traversal.traverse,
}
COVERING = {  # with budgets that cover any space of `search_cases`
    "random": lambda problem, limits: trial_search.random_search(problem, limits, 400),
    "evolution": lambda problem, limits: evolution.evolve(problem, limits, 400, seed=3),
    "beam": lambda problem, limits: beam.beam(problem, limits, 10**6),
    "as printed": lambda problem, limits: authors_traversal.traverse(problem, limits, caps=False),
}


def questions(count):
    """Small problems with limits, and the architectures that meet them, best first."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        problem = search_cases.problem(rng, ties=seed % 2 == 0)
        listed = search_cases.all_architectures(problem)
        upper = [search_cases.NAMES[i] for i in rng.permutation(4)[: seed % 3]]
        lower = ["latency_ms"] if seed % 5 == 4 else []
        limits = search_cases.limits(rng, listed, upper, lower)
        if not search_cases.contradicts(limits):
            yield problem, limits, search_cases.in_order(search_cases.allowed(listed, limits))


@pytest.mark.parametrize("name", COVERING)
def test_a_budget_that_covers_the_space_finds_the_optimum(name):
    empty = 0
    for problem, limits, allowed in questions(60):
        outcome = COVERING[name](problem, limits)
        assert outcome.exhausted
        if not allowed:
            empty += 1
            assert (outcome.best, outcome.value, outcome.curve) == (None, math.inf, ())
            continue
        assert outcome.value == outcome.best.rating == allowed[0].rating  # to the bit
        assert (outcome.best.rating, outcome.best.costs) in [
            (one.rating, one.costs) for one in allowed
        ]
        if name in SEEDED:
            assert outcome.evaluations == len(allowed)
    assert empty > 2


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_better_than_the_optimum_or_beyond_the_limits(name):
    worse = 0
    for problem, limits, allowed in questions(90):
        outcome = ALL[name](problem, limits)
        if outcome.best is None:
            continue
        best = outcome.best
        assert (best.rating, best.costs) == problem.evaluate(best.cells, best.path_indices)
        assert (best.cells, best.path_indices) in [(one.cells, one.paths) for one in allowed]
        assert best.rating >= allowed[0].rating
        worse += best.rating > allowed[0].rating
        counts, values = zip(*outcome.curve, strict=True)
        assert list(counts) == sorted(counts) and counts[-1] <= outcome.evaluations
        assert all(a > b for a, b in zip(values, values[1:], strict=False))
        assert values[-1] == outcome.value
    assert worse > 0, "a search that always finds the optimum says nothing here"


def test_every_search_that_is_compared_keeps_the_contract():
    """All that `comparison.methods` lists: within limits, repeatable, not beyond the optimum."""
    checked = set()
    for problem, limits, allowed in questions(12):
        if not allowed:
            continue
        searches = comparison.methods(problem, budgets=(40,), beams=(1,), traversal_budget=1000)
        for name, (search, is_seeded) in searches.items():
            options = {"seed": 3} if is_seeded else {}
            outcome, again = (search(problem, limits, **options) for _ in range(2))
            assert outcome == again
            if outcome.best is not None:
                place = (outcome.best.cells, outcome.best.path_indices)
                assert place in [(one.cells, one.paths) for one in allowed], name
                assert outcome.best.rating >= allowed[0].rating
                checked.add(name)
    assert checked == set(searches)


@pytest.mark.parametrize("name", SEEDED)
def test_one_seed_gives_one_result_and_budgets_hold(name):
    problem = search_cases.digits_problem()
    limits = {"max_macs": 1.4e6, "min_params": 60_000}
    first, again = (SEEDED[name](problem, limits, 300, seed=5) for _ in range(2))
    assert first == again and first.evaluations == 300 and not first.exhausted
    others = {SEEDED[name](problem, limits, 300, seed=seed).curve for seed in range(4)}
    assert len(others) == 4
    optimum = exact.best(problem, limits)[0].rating
    longer = [SEEDED[name](problem, limits, budget, seed=5).value for budget in (10, 100, 1000)]
    assert longer[0] >= longer[1] >= longer[2] >= optimum


def test_without_limits_one_start_is_enough():
    """What is to come is known then, so the best start is that of the optimum."""
    for problem, _, _ in questions(30):
        assert _beam_of_one(problem, {}).value == exact.best(problem)[0].rating


@pytest.mark.parametrize("name", SEEDED)
def test_an_objective_that_is_no_sum_over_blocks(name):
    """Two blocks whose paths must agree: the sum of ratings cannot say so."""
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    evaluated = []

    def objective(cells, path_indices):
        assert all(type(value) is int for value in (*cells, *path_indices))
        evaluated.append((cells, path_indices))
        rating, _ = problem.evaluate(cells, path_indices)
        return rating * (1 + len(set(path_indices))) if cells[0] == 0 else math.inf

    listed = search_cases.all_architectures(problem)
    limit = {"max_macs": float(np.median([one.costs["macs"] for one in listed]))}
    allowed = search_cases.allowed(listed, limit)
    expected = min(objective(one.cells, one.paths) for one in allowed)
    evaluated.clear()
    outcome = SEEDED[name](problem, limit, 400, objective=objective)
    assert outcome.value == expected
    assert len(evaluated) == len(set(evaluated)) == outcome.evaluations == len(allowed)
    assert objective(outcome.best.cells, outcome.best.path_indices) == expected


@pytest.mark.parametrize("name", LEARNING)
def test_a_search_that_learns_evaluates_no_network_twice_and_none_beyond_the_limits(name):
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    listed = search_cases.all_architectures(problem)
    limit = {"max_macs": float(np.median([one.costs["macs"] for one in listed]))}
    allowed = {(one.cells, one.paths) for one in search_cases.allowed(listed, limit)}
    evaluated = []

    def objective(cells, path_indices):
        assert all(type(value) is int for value in (*cells, *path_indices))
        evaluated.append((cells, path_indices))
        rating, _ = problem.evaluate(cells, path_indices)
        return rating * (1 + len(set(path_indices))) if cells[0] == 0 else math.inf

    for budget in (1, 10, len(allowed)):
        evaluated.clear()
        first = LEARNING[name](problem, limit, budget, seed=2, objective=objective)
        assert len(evaluated) == len(set(evaluated)) == first.evaluations <= budget
        assert set(evaluated) <= allowed
        values = [objective(*one) for one in evaluated.copy()]
        assert first.value == min(values)
        assert first == LEARNING[name](problem, limit, budget, seed=2, objective=objective)
        if first.exhausted:
            assert first.value == min(objective(*one) for one in allowed)
    others = {LEARNING[name](problem, limit, 10, seed=seed).curve for seed in range(5)}
    assert len(others) > 1


@pytest.mark.parametrize("name", LEARNING)
def test_a_search_that_learns_ends_where_nothing_meets_the_limits(name):
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    outcome = LEARNING[name](problem, {"max_macs": 1}, 5)
    assert (outcome.best, outcome.value, outcome.evaluations) == (None, math.inf, 0)
    one = {"max_macs": problem.lowest("macs")}
    assert LEARNING[name](problem, one, 5).best.costs["macs"] == problem.lowest("macs")


@pytest.mark.parametrize("name", [*SEEDED, *LEARNING])
@pytest.mark.parametrize("value", [float("nan"), None, "0.5", 1j])
def test_an_objective_that_returns_no_number(name, value):
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    with pytest.raises(ValueError, match="must return a number.*Received: .* for cells="):
        {**SEEDED, **LEARNING}[name](problem, {}, 10, objective=lambda cells, paths: value)


@pytest.mark.parametrize(
    "search, arguments, message",
    [
        (trial_search.random_search, {"budget": 0}, "budget must be a whole number of at least 1"),
        (trial_search.random_search, {"seed": -1}, "seed must be a whole number of at least 0"),
        (evolution.evolve, {"population": 1}, "population must be a whole number"),
        (evolution.evolve, {"parents": 1.5}, "parents must be a whole number"),
        (evolution.evolve, {"mutation": 0}, "mutation is a probability above 0"),
        (evolution.evolve, {"crossing": "ops"}, "There is no crossing 'ops'"),
        (aging.age, {"sample": 0}, "sample must be a whole number of at least 1"),
        (aging.age, {"population": 1}, "population must be a whole number"),
        (reinforce.reinforce, {"budget": 0}, "budget must be a whole number of at least 1"),
        (reinforce.reinforce, {"learning_rate": -1}, "learning_rate must be a finite number"),
        (reinforce.reinforce, {"baseline": 1}, "baseline must be a number from 0 to below 1"),
        (q_learning.q_learning, {"learning_rate": 0}, "learning_rate must be a number above 0"),
        (q_learning.q_learning, {"replays": 0}, "replays must be a whole number"),
        (beam.beam, {"budget": 1}, "needs a budget of at least"),
        (authors_traversal.traverse, {"budget": True}, "budget must be a whole number"),
        (authors_traversal.traverse, {"limits": {"max_mac": 1}}, "There is no cost 'mac'"),
        (beam.beam, {"limits": {"macs": 1}}, "named max_ or min_"),
    ],
)
def test_arguments_that_cannot_be(search, arguments, message):
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    with pytest.raises(ValueError, match=message):
        search(problem, **arguments)
