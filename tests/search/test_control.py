"""Controls: drawn at random, near the price, never the searched one."""

import re

import numpy as np
import pytest

from dna_tf.common import formatting
from dna_tf.search import control, problem_building, problems
from dna_tf.space import cost_tables, presets, tasks
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace

TINY = SearchSpace("tiny", (Op(3, 1), Op(5, 1)), (Block(1, (Cell(1, 2),)),), Frame(2, 1, 2, 2))
TINY_TASK = tasks.Task(8, 3, 2)


def _problem(space, task):
    ratings = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
    return problem_building.build_problem(space, ratings, cost_tables.cost_table(space, task))


DIGITS = presets.PRESETS["digits"]
PROBLEM = _problem(DIGITS, tasks.Task(32, 3, 10))


def _macs(space, cells, paths, task):
    choice = problems.Choice(cells, paths, 0.0, {})
    return _problem(space, task).architecture(choice, "control", {}).costs()["macs"]


@pytest.mark.parametrize("macs", [1_100_000, 1_500_000, 1_900_000])
@pytest.mark.parametrize("tolerance", [0.02, 0.002])
def test_controls_lie_within_the_tolerance(macs, tolerance):
    drawn = [control.random_within(PROBLEM, macs, tolerance, seed) for seed in range(20)]
    for cells, paths in drawn:
        # Counted from the architecture, not from the table that the draw used.
        assert abs(_macs(DIGITS, cells, paths, tasks.Task(32, 3, 10)) - macs) <= tolerance * macs
        assert all(type(index) is int for index in (*cells, *paths))
    assert len(set(drawn)) > 10  # they are drawn, not one and the same


def test_one_seed_gives_one_control():
    for seed in range(5):
        one, other = (control.random_within(PROBLEM, 1_500_000, 0.02, seed) for _ in range(2))
        assert one == other


def test_every_cell_and_most_ops_come_out():
    drawn = [control.random_within(PROBLEM, 1_500_000, 0.3, seed) for seed in range(200)]
    for b, block in enumerate(DIGITS.blocks):
        assert {cells[b] for cells, _ in drawn} == set(range(len(block.cells)))
        ops = {op for cells, paths in drawn for op in DIGITS.paths(b, cells[b])[paths[b]]}
        assert ops == set(range(len(DIGITS.ops)))


def test_a_forbidden_architecture_does_not_come_out():
    problem = _problem(TINY, TINY_TASK)
    prices = [_macs(TINY, (0,), (path,), TINY_TASK) for path in (0, 1)]
    assert prices[0] < prices[1]
    for seed in range(20):
        drawn = control.random_within(problem, prices[1], 1.0, seed, forbidden={((0,), (1,))})
        assert drawn == ((0,), (0,))
    assert control.random_within(problem, prices[1], 0.0, 3) == ((0,), (1,))
    with pytest.raises(ValueError, match="came out of 1000 draws were forbidden"):
        control.random_within(problem, prices[1], 0.0, 3, forbidden={((0,), (1,))})


def test_a_price_that_nothing_has_is_answered_with_the_nearest():
    cheapest = PROBLEM.lowest("macs")
    with pytest.raises(ValueError, match=r"within 0\.005 \(relative\) of 1k MACs") as error:
        control.random_within(PROBLEM, 1000, 0.005, 0, tries=50)
    assert "came out of 50 draws; the nearest had" in str(error.value)
    nearest = str(error.value).split("the nearest had ")[1].split(". Allow")[0]
    assert formatting.parse_count(nearest) >= cheapest * 0.999
    tiny = _problem(TINY, TINY_TASK)
    price = _macs(TINY, (0,), (0,), TINY_TASK)
    nearest = re.escape(f"; the nearest had {formatting.format_count(price)}. Allow")
    with pytest.raises(ValueError, match=f"No architecture within 0 .*{nearest}"):
        control.random_within(tiny, price - 1, 0.0, 0, tries=20)
