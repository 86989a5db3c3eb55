"""Trees of ops: the groups that a tree search chooses between, from all ops down to single ones."""

import dataclasses
import itertools

from dna_tf.common import checks


@dataclasses.dataclass(frozen=True)
class Group:
    """Some ops, and the smaller groups that they fall into.

    Args:
        ops: the indices of the ops.
        children: the groups of the next level, each op in one of them; empty for a single op.
    """

    ops: tuple
    children: tuple = ()

    @property
    def depth(self):
        """The number of choices down to the deepest op; 0 of a single op."""
        return 1 + max(child.depth for child in self.children) if self.children else 0


def from_nested(nested, num_ops, left_out=()):
    """Makes a tree of nested lists of op indices.

        from_nested([[3, 2], [1, 4]], num_ops=5, left_out=[0])  # convs or not, then which

    Args:
        nested: an index, or a list of two or more such trees.
        num_ops: the number of ops.
        left_out: ops that are not searched. Every other op must be in the tree.

    Returns:
        A `Group`.

    Raises:
        ValueError: an op is missing, unknown or named twice, or a list has fewer than two trees.

    Source: Qian et al., 2022 (TNAS). Their documented lists leave out an edge.
    """
    checks.check_whole("num_ops", num_ops, 1)
    tree = _group(nested)
    named, expected = sorted([*tree.ops, *left_out]), list(range(num_ops))
    if named != expected:
        twice = sorted({op for op in named if named.count(op) > 1})
        raise ValueError(
            f"A tree names each of the ops 0 to {num_ops - 1} once, or they are in left_out. "
            f"Missing: {sorted(set(expected) - set(named))}; unknown: "
            f"{sorted(set(named) - set(expected))}; named twice: {twice}. "
            f"Received: {checks.short_repr(nested)}, left_out={tuple(left_out)}"
        )
    return tree


def _group(nested):
    if isinstance(nested, int) and not isinstance(nested, bool):
        return Group((nested,))
    if not isinstance(nested, list | tuple) or len(nested) < 2:
        raise ValueError(
            "A tree is the index of an op, or a list of two or more trees: a list of one or none "
            f"is no choice. Received: {checks.short_repr(nested)}"
        )
    children = tuple(map(_group, nested))
    return Group(tuple(itertools.chain(*(child.ops for child in children))), children)


def flat(num_ops):
    """A tree of one level: every op for itself."""
    ops = tuple(range(num_ops))
    return Group(ops, tuple(Group((op,)) for op in ops)) if num_ops > 1 else Group(ops)


def tree_of(ops):
    """The tree of MBConv ops: the kind and expansion first, the largest before, then the kernel.

    Args:
        ops: the `spaces.Op` of a space.

    Returns:
        A `Group`.
    """

    def first(op):
        return (op.kind, -op.expand)

    ordered = sorted(range(len(ops)), key=lambda i: (first(ops[i]), ops[i].kernel, i))
    groups = []
    for _, members in itertools.groupby(ordered, key=lambda i: first(ops[i])):
        members = tuple(members)
        leaves = tuple(Group((op,)) for op in members)
        groups.append(Group(members, leaves) if len(leaves) > 1 else leaves[0])
    return groups[0] if len(groups) == 1 else Group(tuple(ordered), tuple(groups))


def check_trees(trees, options):
    """Checks that there is a tree for each layer, and that it names ops which the layer has.

    Args:
        trees: a list of `Group`.
        options: the number of ops of each layer.

    Raises:
        ValueError: the numbers differ, or a tree has an op that its layer does not have.
    """
    if len(trees) != len(options):
        raise ValueError(
            f"Each layer needs a tree of its own: expected {len(options)} trees. "
            f"Received: {len(trees)}"
        )
    for layer, (tree, count) in enumerate(zip(trees, options, strict=True), 1):
        if max(tree.ops) >= count:
            raise ValueError(
                f"Layer {layer} has the ops 0 to {count - 1}, and its tree names {max(tree.ops)}."
            )
