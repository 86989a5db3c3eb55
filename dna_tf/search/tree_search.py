"""The tree search of TNAS: groups of ops are compared, and split level by level.

What a group of networks is worth is a function of the caller, `value(groups) -> float`, with the
ops that each layer may have; lower is better. Here are two: `GroupValue` reads the whole table of
all networks (an oracle), and `tnas.search` draws networks of the group. In the original it is the
accuracy of a supernet whose layers may have the ops of the group, trained for a few epochs: such a
function can be given too, and nothing here trains it.
"""

import dataclasses
import itertools
import math

import numpy as np

from dna_tf.common import checks
from dna_tf.search import op_trees

ORDERS = ("random", "forward")
REDUCTIONS = {"mean": np.mean, "median": np.median, "best": np.min}


@dataclasses.dataclass(frozen=True)
class TreeOutcome:
    """The result of a tree search.

    Args:
        path: the op of each layer; empty if every group of a step was ruled out.
        value: of the last group that was chosen, the path itself.
        children: how many groups were valued, without rechecks.
        trail: `(groups, value)` after each step, where `groups` has the ops of each layer.
    """

    path: tuple
    value: float
    children: int
    trail: tuple


class GroupValue:
    """The value of a group by a table of all networks: an oracle, no search could have it.

    Args:
        values: float array with an axis for each layer; lower is better.
        reduction: `"mean"`, `"median"` or `"best"` of the members.
        allowed: bool of the same shape: members that count; `None` counts all. A group without
            any is infinite.

    Raises:
        ValueError: the reduction is unknown.
    """

    def __init__(self, values, reduction="mean", allowed=None):
        checks.choose(reduction, REDUCTIONS, "value of a group")
        self._values, self._reduce, self._allowed = values, REDUCTIONS[reduction], allowed

    def __call__(self, groups):
        """The value of the networks whose layers have these ops."""
        members = self._values[np.ix_(*groups)]
        if self._allowed is not None:
            members = members[self._allowed[np.ix_(*groups)]]
        return float(self._reduce(members)) if members.size else math.inf


def search_tree(trees, value, at_once, seed=0, order="random", recheck=0, is_valid=None):
    """Searches level by level: groups are split at some layers at once, and the best is kept.

    On each level the layers whose group can be split are taken in an order, `at_once` at a time.
    The children are all combinations of the groups that those layers split into; the other
    layers keep their present group. With the best member as value the optimum is always reached.
    With the mean it is not: where the values of a layer are (0, 10 | 4, 4), the means are 5 and 4.

    Args:
        trees: an `op_trees.Group` for each layer.
        value: `f(groups) -> float`, lower is better; `groups` has a tuple of ops for each layer.
            Infinite rules a group out.
        at_once: how many layers are split at once.
        seed: draws the order, an int of at least 0.
        order: `"random"`, `"forward"`, or a sequence of all layers, counted from 0.
        recheck: how often the best two children are valued again if these contradict each other;
            after that many contradictions the second is taken. For values with noise.
        is_valid: `f(groups) -> bool`; `None` allows all groups.

    Returns:
        A `TreeOutcome`.

    Raises:
        ValueError: an argument is invalid.

    Source: Qian et al., 2022 (TNAS).
    """
    checks.check_whole("at_once", at_once, 1, len(trees))
    checks.check_whole("seed", seed, 0)
    checks.check_whole("recheck", recheck, 0)
    layers = _order(order, len(trees), seed)
    groups, children, trail = list(trees), 0, []
    for _ in range(max(tree.depth for tree in trees)):
        split = [layer for layer in layers if groups[layer].children]
        for start in range(0, len(split), at_once):
            step = split[start : start + at_once]
            options = list(_children(groups, step))
            options = [one for one in options if is_valid is None or is_valid(_ops(one))]
            children += len(options)
            worth = [value(_ops(one)) for one in options]
            chosen = _chosen(options, worth, value, recheck)
            if chosen is None:
                return TreeOutcome((), math.inf, children, tuple(trail))
            groups = list(options[chosen])
            trail.append((_ops(groups), worth[chosen]))
    # Trees of single ops have nothing to split.
    last = trail[-1][1] if trail else value(_ops(groups))
    return TreeOutcome(tuple(g.ops[0] for g in groups), last, children, tuple(trail))


def count_children(trees, at_once):
    """How many groups `search_tree` values: of trees of equal depth, in any order.

    Args:
        trees: an `op_trees.Group` for each layer.
        at_once: how many layers are split at once.
    """
    return search_tree(trees, lambda groups: 0.0, at_once, order="forward").children


def _order(order, layers, seed):
    if isinstance(order, str):
        checks.choose(order, ORDERS, "order of layers")
        drawn = np.random.default_rng(seed).permutation(layers).tolist()
        return drawn if order == "random" else list(range(layers))
    if sorted(order) != list(range(layers)):
        raise ValueError(
            f"An order names each of the {layers} layers once, counted from 0. "
            f"Received: {tuple(order)}"
        )
    return list(order)


def _children(groups, step):
    """All combinations of the groups that the layers of a step split into."""
    for combination in itertools.product(*(groups[layer].children for layer in step)):
        child = list(groups)
        for layer, group in zip(step, combination, strict=True):
            child[layer] = group
        yield tuple(child)


def _ops(groups):
    return tuple(group.ops for group in groups)


def _chosen(options, worth, value, recheck):
    """The place of the child that is kept; `None` if all are ruled out."""
    places = sorted(range(len(options)), key=lambda i: worth[i])
    if not places or math.isinf(worth[places[0]]):
        return None
    first, second = places[0], places[min(1, len(places) - 1)]
    for _ in range(recheck if first != second and math.isfinite(worth[second]) else 0):
        if value(_ops(options[first])) <= value(_ops(options[second])):
            return first
    return second if recheck and first != second and math.isfinite(worth[second]) else first


def layer_trees(problem):
    """A tree for each layer of a problem: by expansion and kernel in a space of MBConv ops.

    Args:
        problem: a `problems.SearchProblem`. Layers of a table have flat trees, as the meaning of
            its options is not known here.

    Returns:
        A list of `op_trees.Group`.
    """
    space = problem.space
    if hasattr(space, "options"):
        return [op_trees.flat(count) for count in space.options]
    layers = sum(block.cells[problem.cells(b)[0]].layers for b, block in enumerate(space.blocks))
    return [op_trees.tree_of(space.ops)] * layers
