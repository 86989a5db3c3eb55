"""The arrays that searches share, and the inputs that are refused."""

import dataclasses

import numpy as np
import pytest

from dna_tf.search import exact, fronts, problem_building, problems
from dna_tf.space import cost_tables, presets, spaces, tasks
from tests.helpers import search_cases

SPACE = presets.PRESETS["digits"]
TABLE = cost_tables.cost_table(SPACE, tasks.Task(32, 3, 10))


def _ratings(seed=0):
    rng = np.random.default_rng(seed)
    return {(b, c): rng.random(SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}


def _latency(change=None, name="latency_ms", stem=0.5):
    paths = {key: 1e-6 * columns["macs"] for key, columns in TABLE.paths.items()}
    heads = {width: 0.25 for width in TABLE.heads}
    if change:
        change(paths, heads)
    return cost_tables.PathCosts(name, paths, stem, heads)


def test_evaluate_adds_what_brute_force_adds():
    for seed in range(30):
        problem = search_cases.problem(np.random.default_rng(seed), ties=False)
        listed = search_cases.all_architectures(problem)
        cells = np.array([one.cells for one in listed])
        paths = np.array([one.paths for one in listed])
        ratings, costs = problem.evaluate_many(cells, paths)
        assert ratings.tolist() == [one.rating for one in listed]
        assert costs.T.tolist() == [list(one.costs.values()) for one in listed]
        assert problem.num_architectures() == len(listed)
        for one in listed[:: max(1, len(listed) // 20)]:
            assert problem.evaluate(one.cells, one.paths) == (one.rating, one.costs)
        for row, name in enumerate(problem.names):
            near = pytest.approx  # the order of adding differs
            assert problem.lowest(name) == near(costs[row].min(), rel=1e-12)
            assert problem.highest(name) == near(costs[row].max(), rel=1e-12)


def test_architectures_within_limits_are_those_of_brute_force():
    kept = 0
    for seed in range(40):
        names = search_cases.NAMES
        _, problem, listed, limits = search_cases.drawn(seed, True, {names[0]}, set(names[:2]))
        if search_cases.contradicts(limits):
            continue
        cells, paths = (np.array([getattr(one, n) for one in listed]) for n in ("cells", "paths"))
        _, costs = problem.evaluate_many(cells, paths)
        keep = problem.within(costs, *problem.check_limits(limits))
        allowed = search_cases.allowed(listed, limits)
        assert [one for one, is_in in zip(listed, keep, strict=True) if is_in] == allowed
        kept += len(allowed)
    assert kept > 50


def test_costs_are_those_of_the_networks():
    problem = problem_building.build_problem(SPACE, _ratings(), TABLE, [_latency()], [1, 0.5, 2])
    rng = np.random.default_rng(1)
    for _ in range(50):
        cells = [int(rng.integers(len(block.cells))) for block in SPACE.blocks]
        paths = [int(rng.integers(SPACE.num_paths(b, c))) for b, c in enumerate(cells)]
        rating, costs = problem.evaluate(cells, paths)
        pairs = list(enumerate(zip(cells, paths, strict=True)))
        counted = TABLE.costs_of(SPACE, [(c, SPACE.paths(b, c)[p]) for b, (c, p) in pairs])
        assert {name: costs[name] for name in cost_tables.COSTS} == counted
        assert all(type(costs[name]) is int for name in cost_tables.COSTS)
        macs = counted["macs"] - TABLE.stem["macs"]
        macs -= TABLE.heads[SPACE.blocks[-1].cells[cells[-1]].width]["macs"]
        assert costs["latency_ms"] == pytest.approx(0.75 + 1e-6 * macs)
        weighted = [_ratings()[b, c][p] * (1, 0.5, 2)[b] for b, (c, p) in pairs]
        assert rating == pytest.approx(sum(weighted))


def test_the_rest_is_searched_if_asked():
    ratings = _ratings()
    del ratings[1, 0]  # a whole cell
    ratings[0, 1] = ratings[0, 1][:5]  # a part of one
    ratings[2, 0][3] = np.nan
    ratings[2, 0][7] = np.inf
    problem = problem_building.build_problem(SPACE, ratings, TABLE, skip_missing=True)
    missing = {(0, 1): SPACE.num_paths(0, 1) - 5, (1, 0): SPACE.num_paths(1, 0), (2, 0): 2}
    assert problem.left_out() == missing
    whole = problem_building.build_problem(SPACE, _ratings(), TABLE)
    assert whole.left_out() == {} and problem.num_architectures() < whole.num_architectures()
    # Brute force over the rest of a small space, through all searches.
    small = spaces.SearchSpace("small", SPACE.ops[:2], SPACE.blocks[:2], SPACE.frame)
    table = cost_tables.cost_table(small, tasks.Task(32, 3, 10))
    rng = np.random.default_rng(2)
    ratings = {(b, c): rng.random(small.num_paths(b, c)) for b, c, _ in small.cells()}
    ratings[0, 0][rng.random(len(ratings[0, 0])) < 0.5] = np.nan
    del ratings[1, 1]
    problem = problem_building.build_problem(small, ratings, table, skip_missing=True)
    listed = search_cases.all_architectures(problem)
    assert len(listed) == problem.num_architectures()
    most = sorted(one.costs["macs"] for one in listed)[len(listed) // 3]
    expected = search_cases.in_order(search_cases.allowed(listed, {"max_macs": most}))
    choices = exact.best(problem, {"max_macs": most}, 5)
    assert [(f.cells, f.path_indices) for f in choices] == [
        (e.cells, e.paths) for e in expected[:5]
    ]
    assert fronts.front(problem)[0].rating == min(one.rating for one in listed)


def _without(ratings, *key):
    return {k: v for k, v in ratings.items() if k != key}


def _with(ratings, key, values):
    return {**ratings, key: values}


NAN = np.where(np.arange(SPACE.num_paths(0, 1)) < 3, np.nan, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: _without(_with(r, (0, 1), NAN), 1, 0),
            r"block 1, cell 2 \(3 of \d+ ratings missing or NaN\); block 2, cell 1 \(no ratings\)"
            r"\. Rate them first .*with skip_missing",
        ),
        (lambda r: _with(r, (0, 0), r[0, 0][:-1]), "and 15 ratings. They belong to another space"),
        (lambda r: _with(r, (0, 0), [*r[0, 0], 1.0]), "They belong to another space"),
        (lambda r: _with(r, (7, 0), [1.0]), "block 8, cell 1, which the space 'digits' does not"),
        (lambda r: _with(r, (0, 0), r[0, 0] * np.inf), r"block 1, cell 1 \(.* missing or NaN\)"),
    ],
)
def test_bad_ratings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        problem_building.build_problem(SPACE, change(_ratings()), TABLE)


def test_a_block_without_any_rating_cannot_be_skipped():
    ratings = {key: values for key, values in _ratings().items() if key[0] != 1}
    with pytest.raises(ValueError, match="No path of block 2 has a rating"):
        problem_building.build_problem(SPACE, ratings, TABLE, skip_missing=True)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], "weights must be 3 finite numbers of at least 0"),
        ([], "weights must be 3 finite numbers"),
        ([1, 1, -1], r"Received: \[1, 1, -1\]"),
        ([1, np.nan, 1], "weights must be 3 finite numbers"),
        ([1, 1, np.inf], "weights must be 3 finite numbers"),
        ([1, "2", 1], "weights must be 3 finite numbers"),
        ([1, 1, 1, 1], "there is no block 4"),
    ],
)
def test_bad_weights_are_named(weights, message):
    with pytest.raises(ValueError, match=message):
        problem_building.build_problem(SPACE, _ratings(), TABLE, weights=weights)


def _cut(paths, heads):
    paths[1, 0, 16] = paths[1, 0, 16][:-1]


def _drop(paths, heads):
    del paths[1, 0, 16]


def _negative(paths, heads):
    paths[1, 0, 16][2] = -0.5


def _nan(paths, heads):
    paths[1, 0, 16][2] = np.nan


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([_latency(_cut)], r"\d+ costs 'latency_ms' of block 2, cell 1, reading 16 channels, and"),
        (
            [_latency(_drop)],
            "There are 0 costs .*, and the space 'digits' has .* belong to another space",
        ),
        ([_latency(_negative)], r"block 2, cell 1 must be finite and at least 0\. Received: -0\.5"),
        ([_latency(_nan)], "at least 0. Received: nan"),
        ([_latency(stem=-1.0)], "of the stem must be finite and at least 0. Received: -1.0"),
        ([_latency(lambda p, h: h.clear())], "have no head that reads"),
        ([_latency(), _latency()], "two costs of the name 'latency_ms'"),
        ([_latency(name="macs")], "two costs of the name 'macs'"),
    ],
)
def test_bad_costs_are_named(extra, message):
    with pytest.raises(ValueError, match=message):
        problem_building.build_problem(SPACE, _ratings(), TABLE, extra)


def test_a_table_of_another_space_is_refused():
    other = cost_tables.cost_table(presets.PRESETS["dna"], tasks.Task(224, 3, 1000))
    with pytest.raises(ValueError, match="The costs belong to another space"):
        problem_building.build_problem(SPACE, _ratings(), other)


@pytest.mark.parametrize(
    ("limits", "penalties", "message"),
    [
        ({"max_latency": 3}, {}, r"no cost 'latency'\. Known: \['params', .*files of op costs"),
        ({"max_mac": 3}, {}, "no cost 'mac'. Did you mean 'macs'"),
        ({"macs": 3}, {}, "named max_ or min_"),
        ({"max_macs": 3, "min_macs": 4}, {}, "contradict each other"),
        ({}, {"mac": 1.0}, "no cost 'mac'. Did you mean 'macs'"),
        ({}, {"macs": -1.0}, "penalty of macs must be a finite factor of at least 0"),
        ({}, {"macs": float("nan")}, "penalty of macs must be"),
        ({}, {"macs": (1.0, 2.0, 3.0)}, "penalty of macs must be"),
        ({}, {"macs": "much"}, "penalty of macs must be .* Received: 'much'"),
        ({"max_macs": 10}, {}, r"meets macs <= 10\. Possible: macs [\d,]+ at least\. The nearest"),
        ({"min_macs": 1e15}, {}, r"meets macs >= 1e\+06G\. Possible: macs [\d,]+ at most\."),
        ({"max_macs": 10, "max_params": 3}, {}, r"params [\d,]+ at least \(each alone\)"),
    ],
)
def test_bad_questions_are_named(limits, penalties, message):
    problem = problem_building.build_problem(SPACE, _ratings(), TABLE)
    with pytest.raises(ValueError, match=message):
        exact.best(problem, limits, penalties=penalties)


@pytest.mark.parametrize(
    ("cells", "paths", "message"),
    [
        ((0, 0), (0, 0), "has 3 blocks: an architecture has as many cells and paths"),
        ((0, 9, 0), (0, 0, 0), "Block 2 has no path 0 in a cell 9"),
        ((0, 0, 0), (0, 10**6, 0), "Block 2 has no path 1000000 in a cell 0"),
        ((0, 0, 0), (-1, 0, 0), "Block 1 has no path -1"),
    ],
)
def test_a_choice_that_is_none(cells, paths, message):
    with pytest.raises(ValueError, match=message):
        problem_building.build_problem(SPACE, _ratings(), TABLE).evaluate(cells, paths)


def test_a_found_one_knows_its_value():
    choice = problems.Choice((0,), (0,), 1.5, {}, 0.25)
    assert choice.value == 1.75
    assert dataclasses.replace(choice, penalty=0.0).value == 1.5


def test_architecture_has_ops_path_and_ratings():
    ratings = _ratings(7)
    problem = problem_building.build_problem(SPACE, ratings, TABLE, weights=[1, 2, 0])
    choice = problems.Choice((1, 2, 0), (27, 63, 4), 0.0, {})
    architecture = problem.architecture(choice, "name", {"by": "test"})
    assert [block.path for block in architecture.blocks] == [(1, 2, 3), (3, 3, 3), (1, 0)]
    for b, (block, c) in enumerate(zip(architecture.blocks, choice.cells, strict=True)):
        assert block.path == SPACE.paths(b, c)[choice.path_indices[b]]
        assert block.ops == tuple(SPACE.ops[i] for i in block.path)
        assert block.rating == ratings[b, c][choice.path_indices[b]]  # without its weight
        assert (block.cell, block.width) == (c, SPACE.blocks[b].cells[c].width)
        assert block.stride == SPACE.blocks[b].stride
    assert (architecture.frame, architecture.origin) == (SPACE.frame, {"by": "test"})
    assert architecture.task == tasks.Task(32, 3, 10)
    assert problem.describe(choice) == architecture.describe()


def test_a_path_without_a_rating_has_none_in_the_architecture():
    ratings = _with(_ratings(), (0, 0), np.full(SPACE.num_paths(0, 0), np.nan))
    problem = problem_building.build_problem(SPACE, ratings, TABLE, skip_missing=True)
    architecture = problem.architecture(problems.Choice((0, 0, 0), (3, 0, 0), 0.0, {}), "name", {})
    assert architecture.blocks[0].rating is None and architecture.rating is None
    assert architecture.blocks[1].rating == ratings[1, 0][0]
