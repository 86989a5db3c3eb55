"""Trees of ops, and what is no tree."""

import pytest

from dna_tf.search import op_trees
from dna_tf.space.spaces import Op


def test_a_tree_of_nested_lists():
    tree = op_trees.from_nested([[2, 3], [1, 4]], 5, left_out=[0])
    assert tree.ops == (2, 3, 1, 4) and tree.depth == 2
    assert [child.ops for child in tree.children] == [(2, 3), (1, 4)]
    uneven = op_trees.from_nested([[3, 2], [1, [4, 0]]], 5)
    assert uneven.depth == 3 and uneven.children[1].children[0].depth == 0
    assert op_trees.from_nested(0, 1) == op_trees.Group((0,)) == op_trees.flat(1)


@pytest.mark.parametrize(
    "nested, left_out, message",
    [
        ([[0, 1], [2, 3]], [], r"Missing: \[4\]"),
        ([[0, 1], [2, 3, 4, 1]], [], r"named twice: \[1\]"),
        ([[0, 1], [2, 3, 4]], [4], r"named twice: \[4\]"),
        ([[0, 1], [2, 3, 4, 5]], [], r"unknown: \[5\]"),
        ([[0, 1], [2, 3, 4, -1]], [], r"unknown: \[-1\]"),
        ([[0, 1, 2, 3, 4], []], [], "a list of one or none is no choice"),
        ([[0], [1, 2, 3, 4]], [], "a list of one or none is no choice"),
        ([[0, True], [1, 2, 3, 4]], [], "A tree is the index of an op"),
        ("01234", [], "A tree is the index of an op"),
    ],
)
def test_what_is_no_tree(nested, left_out, message):
    with pytest.raises(ValueError, match=message):
        op_trees.from_nested(nested, 5, left_out)


def test_mbconv_ops_fall_into_expansions_then_kernels():
    ops = [Op(3, 3), Op(5, 3), Op(7, 3), Op(3, 6), Op(5, 6), Op(7, 6)]
    tree = op_trees.tree_of(ops)
    assert [child.ops for child in tree.children] == [(3, 4, 5), (0, 1, 2)]
    assert all(len(leaf.ops) == 1 for child in tree.children for leaf in child.children)
    assert op_trees.tree_of(ops[:3]).ops == (0, 1, 2) and op_trees.tree_of(ops[:3]).depth == 1
    assert op_trees.tree_of(ops[:1]).depth == 0
    assert op_trees.tree_of([ops[0], ops[3]]).depth == 1


def test_each_layer_needs_a_tree_of_its_own_ops():
    tree = op_trees.flat(3)
    op_trees.check_trees([tree, tree], [3, 4])
    with pytest.raises(ValueError, match="expected 3 trees. Received: 2"):
        op_trees.check_trees([tree, tree], [3, 3, 3])
    with pytest.raises(ValueError, match="Layer 2 has the ops 0 to 1, and its tree names 2"):
        op_trees.check_trees([tree, tree], [3, 2])
