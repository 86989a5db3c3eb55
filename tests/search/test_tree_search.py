"""The tree search: what it finds, what it cannot find, and the oracle of NAS-Bench-201."""

import itertools
import math

import numpy as np
import pytest

from dna_tf.search import op_trees, tree_search
from tests.helpers import public_tables

PUBLISHED = ([[2, 3], [1, 4]], (0,))
ORDERS = list(itertools.permutations(range(6)))[::24]


def _additive(seed, layers=4, ops=6):
    parts = np.random.default_rng(seed).normal(size=(layers, ops))
    return sum(np.meshgrid(*parts, indexing="ij"))


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_the_best_member_as_value_leads_to_the_optimum(at_once):
    trees = [op_trees.from_nested([[0, 1, 2], [3, [4, 5]]], 6)] * 4
    for seed in range(10):
        values = _additive(seed)
        for order in ("random", "forward"):
            value = tree_search.GroupValue(values, "best")
            outcome = tree_search.search_tree(trees, value, at_once, seed, order)
            assert values[outcome.path] == values.min() == outcome.value


def test_the_mean_of_the_members_may_lose_the_optimum():
    trees = [op_trees.from_nested([[0, 1], [2, 3]], 4)]
    values = np.array([0.0, 10.0, 4.0, 4.0])
    assert tree_search.search_tree(trees, tree_search.GroupValue(values), 1).path[0] in (2, 3)
    best = tree_search.GroupValue(values, "best")
    assert tree_search.search_tree(trees, best, 1).path == (0,)


def test_how_many_groups_are_valued():
    trees = [op_trees.from_nested([[0, 1, 2], [3, 4, 5]], 6)] * 4
    assert [tree_search.count_children(trees, d) for d in (4, 2, 1)] == [97, 26, 20]
    binary = [op_trees.from_nested([[0, 1], [2, 3]], 4)] * 5
    for d in range(1, 6):  # D (floor(E / d) 2^d + [r > 0] 2^r)
        rest = 5 % d
        assert tree_search.count_children(binary, d) == 2 * (5 // d * 2**d + (rest > 0) * 2**rest)


def test_the_trail_has_each_step_and_one_seed_one_order():
    trees = [op_trees.from_nested([[0, 1], [2, 3]], 4)] * 3
    values = _additive(1, 3, 4)
    value = tree_search.GroupValue(values, "mean")
    runs = [tree_search.search_tree(trees, value, 1, seed) for seed in (0, 0, 1, 2, 3)]
    assert runs[0] == runs[1] and len({run.trail for run in runs}) > 1
    sizes = [math.prod(map(len, groups)) for groups, _ in runs[0].trail]
    assert sizes == [32, 16, 8, 4, 2, 1]
    assert runs[0].trail[-1] == (tuple((op,) for op in runs[0].path), runs[0].value)


def test_limits_and_rules_rule_groups_out():
    trees, values = [op_trees.flat(3)] * 2, np.arange(9.0).reshape(3, 3)
    allowed = np.zeros((3, 3), bool)
    allowed[1, 2] = allowed[2, 0] = True
    value = tree_search.GroupValue(values, "mean", allowed)
    assert tree_search.search_tree(trees, value, 2).path == (1, 2)
    nothing = tree_search.GroupValue(values, "mean", np.zeros((3, 3), bool))
    outcome = tree_search.search_tree(trees, nothing, 1)
    assert (outcome.path, outcome.value, outcome.children) == ((), math.inf, 3)
    rule = lambda groups: groups != ((0,), (0,))  # noqa: E731
    path = tree_search.search_tree(trees, tree_search.GroupValue(values), 2, is_valid=rule).path
    assert path == (0, 1)


def test_the_best_two_are_valued_again_where_values_have_noise():
    """One agreement ends it; after as many contradictions as allowed the second is taken."""
    trees = [op_trees.flat(3)]

    def outcome(answers, recheck):
        answers = iter(answers)
        path = tree_search.search_tree(trees, lambda g: next(answers), 1, recheck=recheck).path
        return path[0], len(list(answers))

    assert outcome([1.0, 2.0, 3.0], 0) == (0, 0)
    assert outcome([1.0, 2.0, 3.0, 1.0, 2.0], 2) == (0, 0)
    assert outcome([1.0, 2.0, 3.0, 2.0, 1.0, 1.0, 2.0], 2) == (0, 0)
    assert outcome([1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 1.0], 2) == (1, 0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"at_once": 0}, "at_once must be a whole number of at least 1"),
        ({"at_once": 3}, "at_once must be at most 2"),
        ({"order": "backward"}, "no order of layers 'backward'"),
        ({"order": (0, 0)}, "names each of the 2 layers once"),
        ({"recheck": -1}, "recheck must be a whole number"),
    ],
)
def test_arguments_that_cannot_be(options, message):
    value = tree_search.GroupValue(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=message):
        tree_search.search_tree([op_trees.flat(3)] * 2, value, **{"at_once": 1, **options})
    with pytest.raises(ValueError, match="no value of a group 'worst'"):
        tree_search.GroupValue(np.zeros(3), "worst")


def _oracle(column, at_once, tree=PUBLISHED, reduction="mean"):
    """`(children, mean, least)` of the test accuracy over orders of the layers."""
    table = public_tables.load("nb201")
    trees = [op_trees.from_nested(tree[0], 5, tree[1])] * 6
    value = tree_search.GroupValue(-table.column(column), reduction)
    orders = ORDERS if at_once < 6 else ORDERS[:1]
    outcomes = [tree_search.search_tree(trees, value, at_once, order=order) for order in orders]
    ends = [table.column("test200_cifar10")[outcome.path] for outcome in outcomes]
    return outcomes[0].children, float(np.mean(ends)), min(ends)


@public_tables.needed
@pytest.mark.parametrize(
    "at_once, children, mean, least, by_signal",
    [
        (6, 128, 94.373, 94.373, 94.373),
        (3, 32, 94.243, 93.98, 94.281),
        (2, 24, 94.105, 93.76, 94.106),
        (1, 24, 93.897, 93.76, 94.083),
    ],
)
def test_the_oracle_of_nas_bench_201(at_once, children, mean, least, by_signal):
    result = _oracle("test200_cifar10", at_once)
    assert result[0] == children
    assert result[1] == pytest.approx(mean, abs=6e-4)
    assert result[2] == pytest.approx(least, abs=6e-3)
    assert _oracle("val12_cifar10", at_once)[1] == pytest.approx(by_signal, abs=6e-4)


@public_tables.needed
def test_the_grouping_is_where_the_knowledge_of_the_oracle_is():
    median = _oracle("val12_cifar10", 6, reduction="median")
    assert median[1] == pytest.approx(94.02, abs=6e-3)
    with_none = _oracle("test200_cifar10", 6, ([[3, 2], [1, [4, 0]]], ()))
    assert with_none[1] == pytest.approx(93.983, abs=6e-4)
    bad_pairs = _oracle("test200_cifar10", 6, ([[3, 4], [2, 1]], (0,)))
    assert bad_pairs[1] == pytest.approx(93.870, abs=6e-4)
