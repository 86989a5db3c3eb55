"""TNAS under the contract of the searches: a group is worth what networks drawn from it are."""

import itertools
import math

from dna_tf.common import checks
from dna_tf.search import op_trees, tree_search, trial_search

_TRIES = 20  # draws of a group for each of its networks that keeps within the limits


class _Spent(Exception):
    """The budget ended in the middle of a tree."""


def search(
    problem, limits=None, budget=1000, seed=0, objective=None, trees=None, at_once=3, draws=None
):
    """Searches by a tree of ops, and values a group by the mean of networks drawn from it.

    In the original a group is valued by a supernet that is trained for a while. Here the
    evaluations of networks are counted as in all other searches, so they can be compared. The
    result is the best network that was evaluated. If the tree ends before the budget, the next one
    begins with another order of the layers.

    Args:
        problem: a `problems.SearchProblem` with one cell in each block and no path left out.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many different architectures within the limits to evaluate. At most 100 times
            as many are drawn (10,000 at least).
        seed: an int of at least 0; one seed gives one result.
        objective: `f(cells, path_indices) -> float` to minimise; `None` is the problem's rating.
        trees: an `op_trees.Group` for each layer; `None` is `tree_search.layer_trees`.
        at_once: how many layers are split at once; of fewer layers all.
        draws: networks drawn from each group, or all of a smaller group; `None` shares the budget
            among all groups.

    Returns:
        A `trial_search.Outcome`; `best` is `None` if no draw met the limits. Ops that the trees
        leave out are never tried, so it may end without `exhausted`.

    Raises:
        ValueError: an argument is invalid, or a block has several cells or left-out paths.

    Source: Qian et al., 2022 (TNAS), for the tree. Values by drawn networks are our choice.
    """
    checks.check_whole("at_once", at_once, 1)
    if draws is not None:
        checks.check_whole("draws", draws, 1)
    trials = trial_search.Trials(problem, limits, budget, seed, objective)
    layers = _Layers(problem)
    trees = tree_search.layer_trees(problem) if trees is None else list(trees)
    op_trees.check_trees(trees, layers.options)
    at_once = min(at_once, len(trees))
    if draws is None:
        draws = max(1, budget // max(1, tree_search.count_children(trees, at_once)))
    most = math.prod(len(tree.ops) for tree in trees)

    def members(groups):
        """All networks of a small group, or networks drawn from a large one, as ops."""
        if math.prod(map(len, groups)) <= draws:
            yield from itertools.product(*groups)
            return
        for _ in range(_TRIES * draws):
            yield [group[int(trials.uniform() * len(group))] for group in groups]

    def value(groups):
        values = []
        for ops in members(groups):
            trial = trials.value_of(*layers.choice(ops))
            if trial is None or trials.is_over:
                raise _Spent
            if math.isfinite(trial[0]):
                values.append(trial[0])
            if len(values) == draws:
                break
        return sum(values) / len(values) if values else math.inf

    while not trials.is_over and trials.tried < most:
        order = trials.rng.permutation(len(trees)).tolist()
        try:
            tree_search.search_tree(trees, value, at_once, order=order)
        except _Spent:
            break
    return trials.outcome()


class _Layers:
    """The layers of all blocks in a row, and the choices of their ops."""

    def __init__(self, problem):
        space, self._depths, self.options = problem.space, [], []
        self._cells, self._num_ops = [], len(space.ops)
        for b, block in enumerate(space.blocks):
            cells = problem.cells(b)
            opened = len(problem.open_paths[b, cells[0]])
            if len(cells) > 1 or opened < space.num_paths(b, cells[0]):
                raise ValueError(
                    f"A tree search needs one cell in each block and no path left out. Block "
                    f"{b + 1} has {len(cells)} cells, and the first has {opened} open paths of "
                    f"{space.num_paths(b, cells[0])}."
                )
            depth = block.cells[cells[0]].layers
            self._cells.append(cells[0])
            self._depths.append(depth)
            self.options += [round(opened ** (1 / depth))] * depth

    def choice(self, ops):
        """`(cells, path_indices)` of an op for each layer."""
        paths, ops = [], iter(ops)
        for depth in self._depths:
            path = 0
            for _ in range(depth):
                path = path * self._num_ops + next(ops)
            paths.append(path)
        return tuple(self._cells), tuple(paths)
