"""Exact search against brute force over all architectures."""

import functools
import itertools
import operator

import numpy as np
import pytest

from dna_tf import cost, search, search_space
from dna_tf.search_space import Block, Cell, Frame, Op, SearchSpace

OPS = (Op(3, 1), Op(3, 2), Op(5, 1), Op(5, 2))
# Limits and front costs by name, in all the combinations that differ in kind.
QUESTIONS = (
    ((), ()),
    ((), ("macs",)),
    ((), ("params", "macs")),
    (("macs",), ()),
    (("macs",), ("macs",)),
    (("params",), ("authors_flops",)),
    (("params", "macs"), ()),
    (("authors_flops", "params"), ("macs",)),
    (("params", "macs", "authors_flops"), ("macs",)),
)


def _random_space(rng):
    """A space of at most 400 architectures in which widths, depths and strides vary."""
    while True:
        ops = tuple(OPS[i] for i in rng.permutation(len(OPS))[: rng.integers(1, 4)])
        blocks = tuple(
            Block(
                int(rng.integers(1, 3)),
                tuple(
                    Cell(int(rng.integers(1, 3)), int(rng.integers(2, 5)))
                    for _ in range(rng.integers(1, 4))
                ),
            )
            for _ in range(rng.integers(1, 4))
        )
        space = SearchSpace("random", ops, blocks, Frame(4, 2, 3, 5))
        if space.num_architectures() <= 400:
            return space


def _random_ratings(space, rng, ties):
    def draw(count):
        # Small whole numbers tie often, and their sums are exact in any order.
        return rng.integers(0, 4, count).astype(float) if ties else rng.random(count)

    return {(b, c): draw(space.num_paths(b, c)) for b, c, _ in space.cells()}


def _all_architectures(space, ratings, weights):
    """Lists `(rating, costs by name, cells, path indices)`, smallest indices first."""
    choices = [
        [(c, p) for c in range(len(block.cells)) for p in range(space.num_paths(b, c))]
        for b, block in enumerate(space.blocks)
    ]
    listed = []
    for chosen in itertools.product(*choices):
        total = 0.0
        for b, (c, p) in enumerate(chosen):
            total = total + float(ratings[b, c][p]) * weights[b]
        cells, paths = (tuple(part) for part in zip(*chosen, strict=True))
        found = search.Found(cells, paths, total, {})
        made = search.to_architecture(found, ratings, space, "brute", 9, 3, 4, {})
        listed.append((total, made.costs(), cells, paths))
    return listed


def _allowed(listed, max_costs):
    return [entry for entry in listed if all(entry[1][n] <= v for n, v in max_costs.items())]


def _brute_front(listed, names):
    """All points that no other dominates, as `(rating, costs)` -> smallest choice."""
    points = {}
    for rating, costs, cells, paths in listed:
        point = (rating, *(costs[name] for name in names))
        points.setdefault(point, (cells, paths))
    if not names:
        best = min(points)
        return {best: points[best]}
    columns = np.array(list(points))
    return {
        point: choice
        for point, choice in points.items()
        if ((columns <= np.array(point)).all(axis=1)).sum() == 1  # it alone
    }


def _limits_for(names, listed, rng):
    """Limits that some, few or no architectures meet."""
    limits = {}
    for name in names:
        values = sorted({entry[1][name] for entry in listed})
        index = int(rng.integers(-1, len(values)))
        limits[name] = values[index] if index >= 0 else values[0] - 1
    return limits


def _check_against_brute_force(space, ratings, weights, rng, exact_ties):
    """Asks all questions of one space; returns how many had no answer."""
    listed = _all_architectures(space, ratings, weights)
    table = cost.cost_table(space, 9, 3, 4)
    infeasible = 0
    for limited, front_costs in QUESTIONS:
        max_costs = _limits_for(limited, listed, rng)
        asked = (ratings, table, space, max_costs, front_costs, weights)
        allowed = _allowed(listed, max_costs)
        if not allowed:
            infeasible += 1
            with pytest.raises(ValueError, match="No architecture of the space 'random'") as error:
                search.search(*asked)
            for name in max_costs:
                lowest = min(entry[1][name] for entry in listed)
                assert f"{name} {lowest:,}" in str(error.value)
            continue
        front = search.search(*asked)
        names = tuple(dict.fromkeys([*limited, *front_costs]))
        expected = _brute_front(allowed, names)
        found = {(e.rating, *(e.costs[n] for n in names)): (e.cells, e.path_indices) for e in front}
        assert len(found) == len(front)
        assert set(found) == set(expected), (space, max_costs, front_costs)
        assert front[0].rating == min(entry[0] for entry in allowed)
        assert [e.rating for e in front] == sorted(e.rating for e in front)
        if exact_ties:
            assert found == expected, (space, max_costs, front_costs)
        for entry in front:
            made = search.to_architecture(entry, ratings, space, "found", 9, 3, 4, {})
            costs = made.costs()
            assert entry.costs == {name: costs[name] for name in names}
            by_block = [b.rating * w for b, w in zip(made.blocks, weights, strict=True)]
            # Not sum(): from Python 3.12 on it rounds otherwise than adding left to right.
            assert functools.reduce(operator.add, by_block) == entry.rating
    return infeasible


@pytest.mark.parametrize("part", range(4))
def test_search_equals_brute_force_with_ties(part):
    rng = np.random.default_rng(100 + part)
    infeasible = 0
    for _ in range(40):
        space = _random_space(rng)
        weights = [float(w) for w in rng.choice([0, 0.5, 1, 1, 2], len(space.blocks))]
        ratings = _random_ratings(space, rng, ties=True)
        infeasible += _check_against_brute_force(space, ratings, weights, rng, exact_ties=True)
    assert infeasible > 10  # or the infeasible ones were not tried


@pytest.mark.parametrize("part", range(2))
def test_search_equals_brute_force_to_the_bit(part):
    rng = np.random.default_rng(200 + part)
    for _ in range(40):
        space = _random_space(rng)
        weights = rng.random(len(space.blocks)).tolist()
        ratings = _random_ratings(space, rng, ties=False)
        _check_against_brute_force(space, ratings, weights, rng, exact_ties=False)


@pytest.mark.parametrize("part", range(2))
def test_limits_on_one_cost_that_are_just_met(part):
    rng = np.random.default_rng(300 + part)
    for _ in range(20):
        space = _random_space(rng)
        ratings = _random_ratings(space, rng, ties=True)
        table = cost.cost_table(space, 9, 3, 4)
        listed = _all_architectures(space, ratings, [1.0] * len(space.blocks))
        for name in cost.COSTS:
            lowest = min(entry[1][name] for entry in listed)
            assert search.cheapest(table, space, name) == lowest
            front = search.search(ratings, table, space, {name: lowest})
            allowed = _allowed(listed, {name: lowest})
            assert front[0].rating == min(entry[0] for entry in allowed)
            with pytest.raises(ValueError, match=f"cheapest possible: {name} {lowest:,}. Raise"):
                search.search(ratings, table, space, {name: lowest - 1})


def test_a_width_that_no_limit_leaves_room_for_is_no_obstacle():
    cells = (Cell(1, 2), Cell(2, 64))
    space = SearchSpace("wide", OPS[:2], (Block(1, cells), Block(1, (Cell(1, 2),))))
    table = cost.cost_table(space, 9, 3, 4)
    ratings = {(0, 0): np.array([3.0, 4.0]), (0, 1): np.zeros(4), (1, 0): np.array([2.0, 1.0])}
    lowest = search.cheapest(table, space, "macs")
    front = search.search(ratings, table, space, {"macs": lowest})
    assert [(e.cells, e.path_indices, e.rating) for e in front] == [((0, 0), (0, 0), 5.0)]


def test_limits_that_can_be_met_alone_but_not_together():
    space = SearchSpace(
        "crossed",
        (Op(3, 1),),
        (Block(2, (Cell(1, 2), Cell(1, 3))), Block(1, (Cell(1, 2), Cell(1, 3)))),
    )
    table = cost.cost_table(space, 9, 3, 4)
    ratings = {(b, c): np.array([1.0]) for b in (0, 1) for c in (0, 1)}
    # Real costs of one space nearly always rise together, so make them cross.
    for values, cell in ((table.paths[0, 0, 16], 0), (table.paths[0, 1, 16], 1)):
        values["params"][:] = (10_000, 20_000)[cell]
        values["macs"][:] = (20_000, 10_000)[cell]
    possible = {name: search.cheapest(table, space, name) for name in ("params", "macs")}
    assert search.search(ratings, table, space, {"params": possible["params"]})
    with pytest.raises(ValueError, match=r"\(each alone, not together\)\. Raise") as error:
        search.search(ratings, table, space, possible)
    for name, value in possible.items():
        assert f"{name} {value:,}" in str(error.value)


def _digits():
    space = search_space.PRESETS["digits"]
    rng = np.random.default_rng(7)
    table = cost.cost_table(space, 32, 3, 10)
    # Like real ratings: the dearer, the better, with noise.
    ratings = {}
    for b, c, _ in space.cells():
        macs = table.paths[b, c, space.input_widths(b)[0]]["macs"]
        ratings[b, c] = rng.random(len(macs)) + 0.5 * macs.min() / macs
    return space, table, ratings


def _all_totals(space, table, ratings):
    """Rating and costs of all architectures, added block by block in NumPy."""
    parts = []
    for cells in itertools.product(*(range(len(block.cells)) for block in space.blocks)):
        rating = np.zeros(1)
        totals = [np.full(1, table.stem[name]) for name in cost.COSTS]
        width = space.frame.stem_output_width
        for b, c in enumerate(cells):
            of_path = table.paths[b, c, width]
            rating = np.add.outer(rating, ratings[b, c]).ravel()
            totals = [
                np.add.outer(t, of_path[n]).ravel() for t, n in zip(totals, cost.COSTS, strict=True)
            ]
            width = space.blocks[b].cells[c].width
        totals = [t + table.heads[width][n] for t, n in zip(totals, cost.COSTS, strict=True)]
        parts.append((rating, np.array(totals)))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts], axis=1)


def test_all_1105920_architectures_of_digits():
    space, table, ratings = _digits()
    rating, totals = _all_totals(space, table, ratings)
    assert len(rating) == space.num_architectures() == 1_105_920
    front = search.search(ratings, table, space)
    # The front over one cost: a new lowest cost in order of rating.
    order = np.lexsort([totals[1], rating])
    lowest = np.minimum.accumulate(totals[1][order])
    new = order[np.concatenate([[True], lowest[1:] < lowest[:-1]])]
    assert len(new) > 20
    assert [(e.rating, e.costs["macs"]) for e in front] == [
        (float(rating[i]), int(totals[1][i])) for i in new
    ]
    for share in (0.001, 0.1, 0.5):
        limit = [int(v) for v in np.quantile(totals, share, axis=1)]
        best = rating[(totals <= np.array(limit)[:, None]).all(axis=0)].min()
        max_costs = dict(zip(cost.COSTS, limit, strict=True))
        assert search.search(ratings, table, space, max_costs, ())[0].rating == best
        best = rating[totals[1] <= limit[1]].min()
        assert search.best_under(front, {"macs": limit[1]}).rating == best


def test_long_fronts_of_three_costs_and_small_chunks(monkeypatch):
    space, _, ratings = _digits()
    few = SearchSpace("few", space.ops, space.blocks[:2], space.frame)
    table = cost.cost_table(few, 32, 3, 10)
    rng = np.random.default_rng(0)
    for (b, c, _), columns in table.paths.items():
        # Each cost and the rating at the price of the others, with noise: a long front.
        shares = rng.dirichlet(np.ones(3), few.num_paths(b, c)).T
        shares *= rng.uniform(0.3, 1.7, few.num_paths(b, c)) * (2 - ratings[b, c])
        for name, share in zip(cost.COSTS, shares, strict=True):
            columns[name][:] = 1e6 * share
    front = search.search(ratings, table, few, {}, cost.COSTS)
    rating, totals = _all_totals(few, table, ratings)
    points = np.concatenate([rating[None], totals])[:, np.lexsort([*totals[::-1], rating])]
    kept = np.empty((4, 0))
    for point in points.T:
        if not (kept <= point[:, None]).all(axis=0).any():
            kept = np.column_stack([kept, point])
    assert kept.shape[1] > 512  # more than the filter compares at once
    found = np.array([(e.rating, *(e.costs[name] for name in cost.COSTS)) for e in front]).T
    np.testing.assert_array_equal(found, kept)
    monkeypatch.setattr(search, "_CHUNK", 100)
    assert search.search(ratings, table, few, {}, cost.COSTS) == front


def test_the_filter_of_many_costs_against_all_pairs():
    rng = np.random.default_rng(3)
    for count in (0, 1, 511, 512, 513, 1500):
        costs = rng.integers(0, 60, (3, count))
        earlier = np.triu((costs[:, :, None] <= costs[:, None, :]).all(axis=0), 1).any(axis=0)
        np.testing.assert_array_equal(search._skyline(costs), np.flatnonzero(~earlier))


def test_of_equal_architectures_the_smallest_indices_win():
    space = search_space.PRESETS["digits"]
    twins = (Cell(2, 16), Cell(2, 16))
    space = SearchSpace("twins", space.ops, (Block(2, twins), Block(1, twins)), space.frame)
    table = cost.cost_table(space, 32, 3, 10)
    for columns in table.paths.values():
        for values in columns.values():
            values[:] = 5
    ratings = {(b, c): np.full(16, 0.5) for b, c, _ in space.cells()}
    for front_costs in ((), ("macs",), ("macs", "params")):
        front = search.search(ratings, table, space, {}, front_costs)
        assert [(e.cells, e.path_indices) for e in front] == [((0, 0), (0, 0))]


def test_best_under():
    entries = [search.Found((0,), (i,), float(i), {"macs": 100 - i, "params": i}) for i in range(9)]
    assert search.best_under(entries, {}) is entries[0]
    assert search.best_under(entries, {"macs": 97}) is entries[3]
    assert search.best_under(entries, {"macs": 97, "params": 3}) is entries[3]
    assert search.best_under(entries, {"macs": 97, "params": 2}) is None
    assert search.best_under([], {"macs": 97}) is None


def test_to_architecture_has_ops_path_and_ratings():
    space, _, ratings = _digits()
    found = search.Found((1, 2, 0), (27, 63, 4), 0.0, {})
    made = search.to_architecture(found, ratings, space, "name", 32, 3, 10, {"by": "test"})
    assert [block.path for block in made.blocks] == [(1, 2, 3), (3, 3, 3), (1, 0)]
    for b, (block, c) in enumerate(zip(made.blocks, found.cells, strict=True)):
        assert block.path == space.paths(b, c)[found.path_indices[b]]
        assert block.ops == tuple(space.ops[i] for i in block.path)
        assert block.rating == ratings[b, c][found.path_indices[b]]
        assert (block.cell, block.width) == (c, space.blocks[b].cells[c].width)
        assert block.stride == space.blocks[b].stride
    assert (made.frame, made.origin) == (space.frame, {"by": "test"})
    assert (made.image_size, made.channels, made.num_classes) == (32, 3, 10)


def test_bad_ratings_are_named():
    space, table, good = _digits()
    ratings = {key: values for key, values in good.items() if key != (1, 2)}
    with pytest.raises(ValueError, match="Block 2, cell 3 has no ratings. Rate it first"):
        search.search(ratings, table, space)
    ratings = {**good, (0, 1): good[0, 1].copy()}
    ratings[0, 1][[3, 5]] = np.nan, np.inf
    with pytest.raises(ValueError, match="Block 1, cell 2 has 2 ratings that are not finite"):
        search.search(ratings, table, space)
    ratings = {**good, (2, 0): good[2, 0][:-1]}
    with pytest.raises(ValueError, match="cell 1 has 16 paths in the space 'digits', and 15"):
        search.search(ratings, table, space)


def test_bad_questions_are_named():
    space, table, ratings = _digits()
    with pytest.raises(ValueError, match=r"no cost 'latency'\. Known costs: \['params'"):
        search.search(ratings, table, space, {"latency": 3})
    with pytest.raises(ValueError, match="no cost 'mac'"):
        search.search(ratings, table, space, {}, ("mac",))
    for weights in ([1, 1], [1, 1, -1], [1, np.nan, 1], [1, 1, np.inf], []):
        with pytest.raises(ValueError, match="weights must be 3 finite numbers of at least 0"):
            search.search(ratings, table, space, weights=weights)
