"""Random search, evolution, beam and the authors' traversal, against brute force."""

import math

import numpy as np
import pytest

from dna_tf.search import (
    authors_traversal,
    beam,
    evolution,
    exact,
    problem_building,
    trial_search,
)
from dna_tf.space import cost_tables, presets, spaces, tasks
from tests.helpers import search_cases

SEEDED = {"random": trial_search.random_search, "evolution": evolution.evolve}


def _beam_of_one(problem, limits):
    return beam.beam(problem, limits, beam.least_budget(problem))


ALL = {
    "random": lambda problem, limits: trial_search.random_search(problem, limits, 40),
    "evolution": lambda problem, limits: evolution.evolve(problem, limits, 40, population=8),
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


@pytest.mark.parametrize("name", SEEDED)
def test_one_seed_gives_one_result_and_budgets_hold(name):
    problem = _digits_problem()
    limits = {"max_macs": 1.4e6, "min_params": 60_000}
    first, again = (SEEDED[name](problem, limits, 300, seed=5) for _ in range(2))
    assert first == again and first.evaluations == 300 and not first.exhausted
    others = {SEEDED[name](problem, limits, 300, seed=seed).curve for seed in range(4)}
    assert len(others) == 4
    optimum = exact.best(problem, limits)[0].rating
    longer = [SEEDED[name](problem, limits, budget, seed=5).value for budget in (10, 100, 1000)]
    assert longer[0] >= longer[1] >= longer[2] >= optimum


@pytest.mark.parametrize("share, budget", [(0.25, 600), (0.02, 200)])
def test_evolution_beats_random_search_and_finds_into_tight_limits(share, budget):
    problem = _digits_problem()
    cheapest, dearest = problem.lowest("macs"), problem.highest("macs")
    limits = {"max_macs": cheapest + share * (dearest - cheapest)}
    gaps = {name: [] for name in SEEDED}
    optimum = exact.best(problem, limits)[0].rating
    for seed in range(3):
        for name, search in SEEDED.items():
            gaps[name].append(search(problem, limits, budget, seed=seed).value - optimum)
    assert np.isfinite(gaps["evolution"]).all()
    assert np.median(gaps["evolution"]) < 0.5 * np.median(gaps["random"])


def test_without_limits_one_start_is_enough():
    """What is to come is known then, so the best start is that of the optimum."""
    for problem, _, _ in questions(30):
        assert _beam_of_one(problem, {}).value == exact.best(problem)[0].rating


def test_draws_are_spread_evenly_over_all_architectures():
    drawn = (search_cases.problem(np.random.default_rng(seed), False) for seed in range(99))
    problem = next(p for p in drawn if p.num_architectures() > 100 and len(p.cells(0)) > 1)
    total = problem.num_architectures()
    trials = trial_search.Trials(problem, {}, 10**6, seed=0)
    small = {row.tobytes() for row in trials.draw(total)}
    assert len(small) == total
    parts = trial_search.Trials(problem, {}, 10**6, seed=0)
    assert [len(parts.draw(n)) for n in (2, 3, total)] == [2, 3, total - 5]
    rows = trial_search.Trials(problem, {}, 10**6, seed=1).draw(total)
    assert np.array_equal(parts.rows(*parts.choices(rows)), rows)
    # As in a large space: drawn with replacement.
    trials = trial_search.Trials(problem, {}, 10**6, seed=0, small=0)
    rows, counts = trials.draw(200 * total), np.zeros(total)
    blocks = range(len(problem.space.blocks))
    sizes = [sum(len(problem.open_paths[b, c]) for c in problem.cells(b)) for b in blocks]
    np.add.at(counts, np.ravel_multi_index(rows.T, sizes), 1)
    assert abs(counts / 200 - 1).max() < 0.4  # five deviations and more
    assert trials.choices(rows)[0].max(axis=0).tolist() == [
        max(problem.cells(b)) for b in range(len(problem.space.blocks))
    ]


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


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("value", [float("nan"), None, "0.5", 1j])
def test_an_objective_that_returns_no_number(name, value):
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    with pytest.raises(ValueError, match="must return a number.*Received: .* for cells="):
        SEEDED[name](problem, {}, 10, objective=lambda cells, paths: value)


@pytest.mark.parametrize(
    "search, arguments, message",
    [
        (trial_search.random_search, {"budget": 0}, "budget must be a whole number of at least 1"),
        (trial_search.random_search, {"seed": -1}, "seed must be a whole number of at least 0"),
        (evolution.evolve, {"population": 1}, "population must be a whole number"),
        (evolution.evolve, {"parents": 1.5}, "parents must be a whole number"),
        (evolution.evolve, {"mutation": 0}, "mutation is a probability above 0"),
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


def test_caps_that_stay_tight_miss_the_optimum():
    """The smallest case, in pairs of rating and cost.

    Behind block 1's first path only block 2's second fits, and there block 3's second, rated
    9 in all: the cap of block 3 becomes 1. Block 1's second path leaves room for block 2's
    first, and with block 3's second that is rated 8: but the cap hides it.
    """
    blocks = [[(0, 4), (4, 0)], [(0, 3), (5, 2)], [(0, 5), (4, 1)]]
    assert _brute_force(blocks, 7.5) == 8
    assert _traversed(blocks, 7.5, caps=False).value == 8
    assert _traversed(blocks, 7.5, caps=True).value == 9


def test_a_cap_that_falls_to_0_in_its_last_turn_never_opens():
    """Nothing is found behind later paths of block 1, though block 1's second is better off."""
    fallen = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        blocks = [
            sorted(zip(rng.integers(0, 9, 4), rng.integers(1, 9, 4), strict=True)) for _ in range(4)
        ]
        loops = _loops(blocks, 14)
        loops.run()
        if 0 in loops.caps[1:]:
            fallen += 1
            assert loops.outcome().value >= _brute_force(blocks, 14)
    assert fallen > 10


@pytest.mark.parametrize("layered, least_missed", [(True, 9), (False, 3)])
def test_the_published_code_misses_optima_as_was_measured(layered, least_missed):
    """Tables as those it was measured on: 5 x 36 paths with costs of layers, and dense ones.

    Where the dearer path is the better one, as in real tables, it misses nearly always.
    """
    excess = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        blocks = []
        for count in (36, 36, 36, 36, 36) if layered else (36, 60, 60, 60, 60):
            costs, values = rng.uniform(1, 10, count), rng.random(count)
            if layered:
                costs = np.add.outer(*rng.uniform(1, 10, (2, 6))).ravel()
                values = 2 - 0.05 * costs + 0.1 * rng.standard_normal(count)
            blocks.append(list(zip(values, costs, strict=True)))
        problem = _problem(blocks)
        low, high = problem.lowest("latency_ms"), problem.highest("latency_ms")
        limits = {"max_latency_ms": low + 0.2 * (high - low)}
        outcome = authors_traversal.traverse(problem, limits, 10**7)
        optimum = exact.best(problem, limits)[0].rating
        assert outcome.exhausted and outcome.value >= optimum
        excess.append(outcome.value / optimum - 1)
    assert np.sum(np.array(excess) > 1e-9) >= least_missed
    assert max(excess) > (0.02 if layered else 0.3)


def test_a_traversal_stops_at_its_budget_and_refuses_what_costs_exactly_the_limit():
    problem = _digits_problem()
    outcome = authors_traversal.traverse(problem, {"max_macs": 1.4e6}, 5000)
    assert not outcome.exhausted and 5000 <= outcome.evaluations <= 5100
    assert outcome.best.costs["macs"] <= 1.4e6
    blocks = [[(0, 5)], [(0, 4), (3, 1)]]
    assert _traversed(blocks, 9, caps=True).value == 3
    assert _traversed(blocks, 9, caps=False).value == 0


def _digits_problem():
    space = presets.get_space("digits")
    table, rng = cost_tables.cost_table(space, tasks.Task(32, 3, 10)), np.random.default_rng(0)
    rated = {}
    for b, c, _ in space.cells():
        macs = table.paths[b, c, space.input_widths(b)[0]]["macs"]
        rated[b, c] = 1 - 0.1 * np.log(macs / 1e4) + 0.03 * rng.standard_normal(len(macs))
    return problem_building.build_problem(space, rated, table)


def _problem(blocks):
    """A problem of blocks with these pairs of rating and cost; other paths are left out."""
    ops = tuple(spaces.Op(k, e) for k in (3, 5, 7) for e in (6, 3))
    layers = [1 if len(pairs) <= 6 else 2 if len(pairs) <= 36 else 3 for pairs in blocks]
    cells = tuple(spaces.Block(1, (spaces.Cell(n, 4),)) for n in layers)
    space = spaces.SearchSpace("pairs", ops, cells, spaces.Frame(4, 2, 4, 5))
    ratings, latency = {}, {}
    for b, pairs in enumerate(blocks):
        ratings[b, 0] = np.full(space.num_paths(b, 0), np.nan)
        latency[b, 0, 4] = np.zeros(space.num_paths(b, 0))
        ratings[b, 0][: len(pairs)] = [pair[0] for pair in pairs]
        latency[b, 0, 4][: len(pairs)] = [pair[1] for pair in pairs]
    extra = cost_tables.PathCosts("latency_ms", latency, 0.0, {4: 0.0})
    table = cost_tables.cost_table(space, tasks.Task(9, 3, 4))
    return problem_building.build_problem(space, ratings, table, [extra], skip_missing=True)


def _loops(blocks, limit):
    problem = _problem(blocks)
    columns = exact.question(problem, {"max_latency_ms": limit})
    return authors_traversal.Loops(problem, columns, 10**7, True)


def _traversed(blocks, limit, caps):
    return authors_traversal.traverse(_problem(blocks), {"max_latency_ms": limit}, caps=caps)


def _brute_force(blocks, limit):
    sums = [(0, 0)]
    for pairs in blocks:
        sums = [(r + rating, c + price) for r, c in sums for rating, price in pairs]
    return min((r for r, c in sums if c < limit), default=math.inf)
