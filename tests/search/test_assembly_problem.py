"""Assemblies under limits: the exact search against brute force over all of them."""

import itertools

import numpy as np
import pytest

from dna_tf.search import assembly_problem, exact, finding
from dna_tf.space import assemblies, cost_limits, part_costs
from tests.space.test_assemblies import FACTS, SHAPES, SPACE

LIMITS = (
    {},
    {"max_macs": 3_800},
    {"max_params": 400, "min_macs": 1_000},
    {"max_int8_kb": 1.5},
    {"max_peak_kb": 0.4},
    {"max_peak_kb": 0.6, "max_macs": 4_000},
)


def _ratings(seed=0):
    draws = np.random.default_rng(seed)
    return {(b, c): draws.uniform(0.01, 1.0, SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}


def _all(ratings):
    """Every assembly as `(rating, costs, choices)`, put together one by one."""
    options = []
    for b, block in enumerate(SPACE.blocks):
        here = [(0.0, FACTS.blocks[b], None)]
        for c in range(len(block.cells)):
            for index, path in enumerate(SPACE.paths(b, c)):
                costs = part_costs.path_costs(SPACE, b, c, path, SHAPES)
                here.append((ratings[b, c][index], costs, (c, path)))
        options.append(here)
    for chosen in itertools.product(*options):
        ratings_of, costs, choices = zip(*chosen, strict=True)
        yield sum(ratings_of), part_costs.total([*costs, FACTS.head]), choices


def _is_within(costs, limits):
    return all(
        costs[key[4:]] <= value if key[:3] == "max" else costs[key[4:]] >= value
        for key, value in limits.items()
    )


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_the_best_assembly_is_that_of_brute_force(limits):
    for seed in range(5):
        ratings = _ratings(seed)
        problem = assembly_problem.build_problem(SPACE, FACTS, ratings)
        listed = sorted(
            (each for each in _all(ratings) if _is_within(each[1], limits)), key=lambda e: e[0]
        )
        best = finding.find_best(problem, count=3, limits=limits, name="small")
        assert len(best) == min(3, len(listed))
        for assembly, (rating, costs, choices) in zip(best, listed, strict=False):
            assert assembly.rating == pytest.approx(rating, abs=1e-12)
            assert assembly.costs() == pytest.approx(costs)
            received = tuple((p.cell, p.path) if p.path else None for p in assembly.parts)
            assert received == choices
        assert problem.num_architectures() == len(list(_all(ratings)))


def test_the_front_runs_down_from_the_teacher():
    ratings = _ratings()
    problem = assembly_problem.build_problem(SPACE, FACTS, ratings)
    front = finding.find_front(problem, ("macs",))
    assert front[0].rating == 0.0 and all(part.is_own for part in front[0].parts)
    listed = sorted(_all(ratings), key=lambda each: (each[1]["macs"], each[0]))
    expected, best = [], np.inf
    for rating, costs, _ in listed:
        if rating < best:
            best = rating
            expected.append((costs["macs"], rating))
    received = [(one.costs()["macs"], one.rating) for one in front[::-1]]
    assert received == [(macs, pytest.approx(rating)) for macs, rating in expected]


@pytest.mark.parametrize("cost", ["macs", "params", "int8_kb"])
def test_the_costs_of_the_front_are_limits_that_its_networks_keep(cost):
    ratings = _ratings(1)
    problem = assembly_problem.build_problem(SPACE, FACTS, ratings)
    costs = assembly_problem.costs_of_front(problem, cost, cost_limits.Limits())
    whole = FACTS.costs()[cost]
    assert costs == sorted(costs) and whole not in costs
    for value in costs:
        (best,) = exact.best(problem, {f"max_{cost}": value})
        assert best.costs[cost] == pytest.approx(value)
    lowest = min(each[1][cost] for each in _all(ratings))
    assert min([*costs, whole]) == pytest.approx(lowest)


def test_a_limit_on_the_peak_leaves_out_paths():
    problem = assembly_problem.build_problem(SPACE, FACTS, _ratings())
    left, rest = problem.filtered(cost_limits.Limits(max_peak_kb=0.45, max_macs=9_000))
    assert dict(rest) == {"max_macs": 9_000}
    peaks = part_costs.all_path_costs(SPACE, 0, 0, SHAPES)["peak_kb"]
    assert left.open_paths[0, 0].tolist() == np.flatnonzero(peaks <= 0.45).tolist()
    assert len(left.open_paths[0, 1]) == 0  # the teacher's own block needs 0.5
    lowest = max(0.025, peaks.min(), 0.06)  # head, block 1, block 2: the limit may be met exactly
    exactly, _ = problem.filtered(cost_limits.Limits(max_peak_kb=lowest))
    assert exactly.num_architectures() > 0
    with pytest.raises(exact.Infeasible, match="max_peak_kb=0.01: every candidate of block 1"):
        problem.filtered(cost_limits.Limits(max_peak_kb=0.01))
    with pytest.raises(ValueError, match="Leave min_peak_kb out"):
        problem.filtered(cost_limits.Limits(min_peak_kb=1))


def test_paths_and_cells_without_ratings_are_left_out():
    ratings = _ratings()
    ratings[0, 0][3:] = np.nan
    del ratings[1, 1]
    problem = assembly_problem.build_problem(SPACE, FACTS, ratings)
    assert problem.left_out() == {(0, 0): 13, (1, 1): 16}
    assert problem.num_architectures() == 4 * 5
    (best,) = finding.find_best(problem, max_macs=4_000, name="small")
    assert best.parts[0].is_own is False
    choice = exact.best(problem, {"max_macs": 4_000})[0]
    assert problem.describe(choice) == best.describe()


def test_limits_as_shares_of_the_teacher():
    limits = assembly_problem.limits_of({"max_macs": "50%", "max_int8_kb": "25 %"}, FACTS)
    assert dict(limits) == {"max_macs": 2_170, "max_int8_kb": 0.192}
    assert assembly_problem.limits_of({"max_macs": "3.5k"}, FACTS)["max_macs"] == 3_500
    unknown = assemblies.TeacherFacts(**{**vars(FACTS), "head": {**FACTS.head, "macs": None}})
    with pytest.raises(
        ValueError, match="a share of the teacher's macs, which is not known.*param"
    ):
        assembly_problem.limits_of({"max_macs": "50%"}, unknown)
    with pytest.raises(ValueError, match="a share of the teacher's latency_ms"):
        assembly_problem.limits_of({"max_latency_ms": "50%"}, FACTS)
    with pytest.raises(ValueError, match="The limit max_macs is written as a number"):
        assembly_problem.limits_of({"max_macs": "half%"}, FACTS)
    with pytest.raises(ValueError, match="must be a share above 0 %"):
        assembly_problem.limits_of({"max_macs": "0%"}, FACTS)


def test_budgets_that_make_no_sense_are_refused_before_any_work():
    def check(**limits):
        assembly_problem.check_reachable(SPACE, FACTS, cost_limits.Limits(limits))

    check(max_macs=3_800)
    with pytest.raises(ValueError, match="The teacher itself is within macs <= 5k: it has 4,340"):
        check(max_macs=5_000)
    with pytest.raises(ValueError, match="No architecture of the space 'tiny' meets macs <= 10"):
        check(max_macs=10)
    with pytest.raises(ValueError, match="no cost 'mac'.*macs"):
        check(max_mac=10)


def test_a_cost_that_is_not_known_of_the_teacher_cannot_be_limited():
    unknown = assemblies.TeacherFacts(**{**vars(FACTS), "head": {**FACTS.head, "macs": None}})
    problem = assembly_problem.build_problem(SPACE, unknown, _ratings())
    assert problem.names == ("params", "int8_kb")
    with pytest.raises(cost_limits.UnknownCost, match="no cost 'macs'"):
        finding.find_best(problem, max_macs=10)


def test_a_path_may_be_as_good_as_the_teachers_block():
    ratings = _ratings()
    ratings[0, 0][5] = 0.0
    (best,) = finding.find_best(
        assembly_problem.build_problem(SPACE, FACTS, ratings), max_macs=4_339, name="small"
    )
    assert best.rating == 0.0 and best.parts[0].path == SPACE.paths(0, 0)[5]


def test_ratings_that_cannot_be():
    ratings = _ratings()
    ratings[0, 0] = ratings[0, 0][:-1]
    with pytest.raises(ValueError, match="block1_cell1 has 16 paths.*shape \\(15,\\)"):
        assembly_problem.build_problem(SPACE, FACTS, ratings)
    ratings[0, 0] = np.full(16, -0.5)
    with pytest.raises(ValueError, match="block1_cell1 has a rating of -0.5"):
        assembly_problem.build_problem(SPACE, FACTS, ratings)


def test_another_cost_adds_up():
    """A latency of every path, own block and head, as from a table."""
    draws = np.random.default_rng(4)
    paths = {(b, c): draws.uniform(1, 2, SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}
    latency = {"name": "latency_ms", "paths": paths, "blocks": [3.0, 2.5], "head": 0.25}
    problem = assembly_problem.build_problem(SPACE, FACTS, _ratings(), [latency])
    (best,) = finding.find_best(problem, max_latency_ms=4.0, name="fast")
    expected = 0.25 + sum(
        latency["blocks"][b] if p.is_own else paths[b, p.cell][SPACE.path_index(b, p.cell, p.path)]
        for b, p in enumerate(best.parts)
    )
    assert best.origin["costs"]["latency_ms"] == pytest.approx(expected)
    assert expected <= 4.0 < 0.25 + 5.5
