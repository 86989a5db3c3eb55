"""TNAS under the contract of the searches: on tables and on spaces."""

import dataclasses
import math

import numpy as np
import pytest

from dna_tf.search import op_trees, problem_building, table_problems, tnas
from dna_tf.space import cost_tables, tasks
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from tests.helpers import drawn_tables, search_cases


def _space_problem():
    ops = (Op(3, 1), Op(5, 1), Op(3, 2))
    blocks = (Block(1, (Cell(2, 4),)), Block(2, (Cell(1, 6),)))
    space = SearchSpace("single", ops, blocks, Frame(4, 2, 3, 5))
    rng = np.random.default_rng(0)
    ratings = {(b, c): rng.random(space.num_paths(b, c)) for b, c, _ in space.cells()}
    table = cost_tables.cost_table(space, tasks.Task(9, 3, 4))
    return problem_building.build_problem(space, ratings, table)


@pytest.mark.parametrize("kind", ["table", "space"])
def test_it_keeps_the_contract(kind):
    if kind == "table":
        problem = table_problems.table_problem(drawn_tables.table(), "signal")
    else:
        problem = _space_problem()
    middle = (problem.lowest("macs") + problem.highest("macs")) / 2
    for limits in ({}, {"max_macs": middle}):
        for budget in (1, 7, 20, 500):
            evaluated = []

            def objective(cells, paths, evaluated=evaluated):
                evaluated.append((cells, paths))
                return problem.evaluate(cells, paths)[0]

            outcome = tnas.search(problem, limits, budget, 3, objective)
            assert len(evaluated) == len(set(evaluated)) == outcome.evaluations <= budget
            assert outcome == tnas.search(problem, limits, budget, 3, objective)
            assert outcome.best.costs["macs"] <= limits.get("max_macs", math.inf)
            assert outcome.value == outcome.best.rating
        # A budget above the space: everything within the limits was drawn.
        assert outcome.exhausted and (limits or outcome.evaluations == problem.num_architectures())


def test_ops_that_a_tree_leaves_out_are_never_drawn():
    problem = table_problems.table_problem(drawn_tables.table(options=(3, 3)), "signal")
    trees = [op_trees.from_nested([0, 2], 3, left_out=[1])] * 2
    rows = set()

    def objective(cells, paths):
        rows.add(paths)
        return problem.evaluate(cells, paths)[0]

    outcome = tnas.search(problem, {}, 9, 0, objective, trees=trees)
    assert rows == {(a, b) for a in (0, 2) for b in (0, 2)} and not outcome.exhausted


def test_what_it_cannot_search():
    problem = search_cases.digits_problem()
    with pytest.raises(ValueError, match="needs one cell in each block"):
        tnas.search(problem, {}, 10)
    problem = _space_problem()
    closed = dataclasses.replace(
        problem, open_paths={**problem.open_paths, (0, 0): np.arange(1, 9)}
    )
    with pytest.raises(ValueError, match="8 open paths of 9"):
        tnas.search(closed, {}, 10)
    with pytest.raises(ValueError, match="expected 3 trees. Received: 1"):
        tnas.search(problem, {}, 10, trees=[op_trees.flat(3)])
    for options in ({"draws": 0}, {"at_once": 0}, {"budget": 0}):
        with pytest.raises(ValueError, match="must be a whole number of at least 1"):
            tnas.search(problem, **options)
    assert tnas.search(problem, {"max_macs": 1}, 5).best is None
