"""Fronts against brute force, rounding against its proof, and the filter against all pairs."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dna_tf.search import exact, fronts, pareto, problem_building, problems
from dna_tf.space import cost_tables, presets, spaces, tasks
from tests.helpers import search_cases

COSTS = st.sets(st.sampled_from(search_cases.NAMES), max_size=3)


def _brute_front(listed, names, limited):
    """What no other dominates in rating and costs: a dict from point to choice."""

    def tie(one):
        by_limit = [one.costs[k[4:]] * (1 if k.startswith("max_") else -1) for k in limited]
        return by_limit, list(zip(one.cells, one.paths, strict=True))

    points = {}
    for one in sorted(listed, key=tie):
        points.setdefault((one.rating, *(one.costs[n] for n in names)), (one.cells, one.paths))
    columns = np.array(list(points))
    return {
        point: choice
        for point, choice in points.items()
        if (columns <= np.array(point)).all(axis=1).sum() == 1  # it alone
    }


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    ties=st.booleans(),
    names=COSTS,
    upper=COSTS,
    lower=st.sets(st.sampled_from(search_cases.NAMES), max_size=1),
)
def test_the_front_equals_brute_force(seed, ties, names, upper, lower):
    names = sorted(names)
    _, problem, listed, limits = search_cases.drawn(seed, ties, upper, lower)
    if search_cases.contradicts(limits):
        return
    allowed = search_cases.allowed(listed, limits)
    front = fronts.front(problem, names, limits)
    if not allowed:
        assert front == []
        return
    expected = _brute_front(allowed, names, limits)
    entries = {(f.rating, *(f.costs[n] for n in names)): (f.cells, f.path_indices) for f in front}
    assert len(entries) == len(front)
    assert set(entries) == set(expected)  # to the bit
    assert [f.rating for f in front] == sorted(f.rating for f in front)
    if ties:  # sums are exact, so it is known which of equals is first
        assert entries == expected
    for one in front:
        assert (one.rating, one.costs) == problem.evaluate(one.cells, one.path_indices)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    ties=st.booleans(),
    names=COSTS,
    rounding=st.sampled_from([0.001, 0.03, 0.3, 1.0]),
    upper=COSTS,
)
def test_a_rounded_front_loses_no_more_than_proven(seed, ties, names, rounding, upper):
    names = sorted(names)
    _, problem, listed, limits = search_cases.drawn(seed, ties, upper)
    front = fronts.front(problem, names, limits, rounding)
    involved = [*names, *upper]
    loss = {name: rounding * min(one.costs[name] for one in listed) for name in involved}
    # All that stays within the limits when it grows by what may be lost has a match.
    safe = {key: value - loss[key[4:]] for key, value in limits.items()}
    for one in search_cases.allowed(listed, safe):
        assert any(
            entry.rating <= one.rating
            and all(entry.costs[n] <= one.costs[n] + loss[n] + 1e-9 for n in names)
            for entry in front
        )
    for entry in front:
        assert (entry.rating, entry.costs) == problem.evaluate(entry.cells, entry.path_indices)
        assert all(entry.costs[key[4:]] <= value for key, value in limits.items())


def test_rounding_makes_a_front_smaller_that_is_refused_without():
    problem = _paper_problem(noise=0.01)
    with pytest.raises(
        fronts.FrontTooLarge, match=r"beyond 2,000 states at block \d.*rounding=0.001"
    ):
        fronts.front(problem, ("macs", "params"), max_states=2000)
    small = fronts.front(problem, ("macs", "params"), rounding=0.2, max_states=2000)
    exact_front = fronts.front(problem, ("macs", "params"))
    assert 5 < len(small) < 2000 < len(exact_front)
    low = {name: problem.lowest(name) for name in ("macs", "params")}
    costs = np.array([[one.costs[n] for n in low] for one in small])
    ratings = np.array([one.rating for one in small])
    for one in exact_front[:: len(exact_front) // 200]:
        near = costs <= np.array([one.costs[n] + 0.2 * low[n] for n in low])
        assert (near.all(axis=1) & (ratings <= one.rating)).any()


@pytest.mark.parametrize("rounding", [-0.1, 1.5, "a lot", None, float("nan")])
def test_rounding_that_cannot_be(rounding):
    problem = search_cases.problem(np.random.default_rng(0), ties=True)
    with pytest.raises(ValueError, match=r"rounding is a share from 0 to 1, such as 0\.001"):
        fronts.front(problem, ("macs",), rounding=rounding)


def _paper_problem(noise, weights=None):
    """The paper's space with made-up ratings: the dearer, the better, with noise."""
    space = presets.PRESETS["dna"]
    table = cost_tables.cost_table(space, tasks.Task(224, 3, 1000))
    rng, ratings = np.random.default_rng(5), {}
    for b, c, _ in space.cells():
        macs = table.paths[b, c, space.input_widths(b)[0]]["macs"]
        ratings[b, c] = 0.6 - 0.06 * np.log(macs / 1e7) + noise * rng.standard_normal(len(macs))
    return problem_building.build_problem(space, ratings, table, weights=weights)


def _coarse(problem, step):
    """The problem with MACs rounded up to multiples of `step` and counted in those."""
    row = problem.names.index("macs")

    def coarse(values):
        rounded = np.array(values)
        rounded[row] = np.ceil(rounded[row] / step)
        return rounded

    costs = {key: coarse(values) for key, values in problem.costs.items()}
    heads = {width: coarse(head) for width, head in problem.heads.items()}
    return dataclasses.replace(problem, costs=costs, stem=coarse(problem.stem), heads=heads)


def _best_by_cost(problem, most):
    """Dynamic programming: the best rating of each whole number of MACs up to `most`.

    No dominance, no bounds, no sorting: a table of all costs for each width.
    """
    row, space = problem.names.index("macs"), problem.space
    start = np.full(most + 1, np.inf)
    start[int(problem.stem[row])] = 0.0
    tables = {space.frame.stem_output_width: start}
    for b, block in enumerate(space.blocks):
        after = {cell.width: np.full(most + 1, np.inf) for cell in block.cells}
        for c, cell in enumerate(block.cells):
            for width, table in tables.items():
                costs = problem.costs[b, c, width][row].astype(int)
                best = np.full(costs.max() + 1, np.inf)
                np.minimum.at(best, costs, problem.ratings[b, c])
                for paid in np.flatnonzero(np.isfinite(best)):
                    moved = table[: most + 1 - paid] + best[paid]
                    np.minimum(after[cell.width][paid:], moved, out=after[cell.width][paid:])
        tables = after
    end = np.full(most + 1, np.inf)
    for width, table in tables.items():
        paid = int(problem.heads[width][row])
        np.minimum(end[paid:], table[: most + 1 - paid], out=end[paid:])
    return end


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_the_full_space_equals_dynamic_programming_over_whole_costs(noise):
    problem = _coarse(_paper_problem(noise), 500_000)
    assert problem.num_architectures() == 288 * 1548 * 1548 * 2808 * 16848 * 6
    best = _best_by_cost(problem, int(problem.highest("macs")))
    front = fronts.front(problem, ("macs",))
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], best[:-1]]))
    steps = np.flatnonzero(best < lowest)  # dearer, and better than all that is cheaper
    assert [one.costs["macs"] for one in front] == steps[::-1].tolist()
    assert [one.rating for one in front] == best[steps[::-1]].tolist()  # to the bit
    assert len(front) > 50
    for most in (steps[0], 500, 700, 900):
        optimum = exact.best(problem, {"max_macs": float(most)})[0]
        assert optimum.rating == best[: most + 1].min()
        least = most - 3  # a window, where a front has no answer
        if np.isfinite(best[least : most + 1]).any():
            limits = {"max_macs": float(most), "min_macs": float(least)}
            optimum = exact.best(problem, limits)[0]
            assert optimum.rating == best[least : most + 1].min()


def test_best_under():
    def entry(i):
        return problems.Choice((0,), (i,), float(i), {"macs": 100 - i, "params": i})

    entries = [entry(i) for i in range(9)]
    assert fronts.best_under(entries, {}) is entries[0]
    assert fronts.best_under(entries, {"max_macs": 97}) is entries[3]
    assert fronts.best_under(entries, {"max_macs": 97, "max_params": 3}) is entries[3]
    assert fronts.best_under(entries, {"max_macs": 97, "max_params": 2}) is None
    assert fronts.best_under([], {"max_macs": 97}) is None
    with pytest.raises(ValueError, match="upper limits only"):
        fronts.best_under(entries, {"min_macs": 97})


@pytest.mark.parametrize("count", [0, 1, 2, 95, 97, 500, 3000])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("values", [4, 60, 10**9])
def test_the_filter_equals_all_pairs(count, rows, values, monkeypatch):
    monkeypatch.setattr(pareto, "PAIRS", 64)
    monkeypatch.setattr(pareto, "SMALL", 8)
    monkeypatch.setattr(pareto, "WORTH_A_GRID", 1000)
    rng = np.random.default_rng(count + rows)
    points = rng.integers(0, values, (rows, count)).astype(float)
    points[-1] += points[0] * -0.7  # so that many stay
    order = rng.permutation(count)
    kept = pareto.front_indices(points, order)
    by_rows = np.lexsort([order, *points[::-1]])
    expected = []
    for i in by_rows:
        others = points[:, expected]
        if not (others <= points[:, i : i + 1]).all(axis=0).any():
            expected.append(i)
    assert kept.tolist() == expected
    if rows > 2 and count > 1 and values > 4:
        grid = pareto.Grid(points)
        dominated = set(range(count)) - set(expected)
        assert set(np.flatnonzero(~grid.may_stay(points))) <= dominated


@pytest.mark.parametrize("constant", [0, 1, 2, 3])
def test_the_filter_where_one_row_is_equal_for_all(constant, monkeypatch):
    monkeypatch.setattr(pareto, "PAIRS", 64)
    monkeypatch.setattr(pareto, "SMALL", 8)
    points = np.random.default_rng(0).integers(0, 30, (4, 700)).astype(float)
    points[constant] = 5
    columns = points.T
    kept = pareto.front_indices(points).tolist()
    for i, point in enumerate(columns):
        others = np.flatnonzero((columns <= point).all(axis=1))
        first = min(j for j in others if (columns[j] == point).all())
        stays = (columns[others] == point).all() and first == i
        assert (i in kept) == stays


def test_fronts_of_three_costs_and_small_chunks(monkeypatch):
    """Chunks, piles and grids do not change what is found."""
    space = presets.PRESETS["dna_four_ops"]
    few = spaces.SearchSpace("few", space.ops, space.blocks[:2], space.frame)
    table = cost_tables.cost_table(few, tasks.Task(32, 3, 10))
    rng = np.random.default_rng(0)
    ratings = {(b, c): rng.random(few.num_paths(b, c)) for b, c, _ in few.cells()}
    for key, columns in table.paths.items():
        shares = rng.dirichlet(np.ones(3), len(columns["macs"])).T * (2.5 - ratings[key[:2]])
        for name, share in zip(cost_tables.COSTS, shares, strict=True):
            columns[name][:] = 1e6 * share
    problem = problem_building.build_problem(few, ratings, table)
    front = fronts.front(problem, cost_tables.COSTS)
    assert len(front) > 1000
    monkeypatch.setattr(fronts, "CHUNK", 3000)
    monkeypatch.setattr(fronts, "PILE", 50)
    assert fronts.front(problem, cost_tables.COSTS) == front
    points = np.array([[one.rating, *one.costs.values()] for one in front])
    for one, other in itertools.pairwise(points[:500]):
        assert (one[1:] > other[1:]).any() or (one < other).any()
    rng = np.random.default_rng(1)  # random architectures are all dominated by an entry
    for _ in range(300):
        cells = [int(rng.integers(len(block.cells))) for block in few.blocks]
        paths = [int(rng.integers(few.num_paths(b, c))) for b, c in enumerate(cells)]
        rating, costs = problem.evaluate(cells, paths)
        point = np.array([rating, *costs.values()])
        assert (points <= point).all(axis=1).any()
