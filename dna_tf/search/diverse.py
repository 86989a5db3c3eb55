"""The k best architectures that differ: each shares few layers with those before it.

Two architectures *share* a layer if the same cell is chosen for its block in both, and the
layer has the same op. The number of layers that a path shares with a given architecture adds
up over the blocks like a cost. So a bound on it is one more limit, and `exact` finds the
optimum under it.

What is exact: the first architecture is the optimum, and each next one is the best of all that
share at most `max_shared` layers with every one before it. They are not the best set of k
architectures: that is another problem, whose solution need not contain the optimum.
"""

import numpy as np

from dna_tf.common import checks
from dna_tf.search import bounds, exact


def best_differing(problem, max_shared, k, limits=None, penalties=None):
    """Finds the optimum, then the best that differ from all found before.

    Args:
        problem: a `problems.SearchProblem`.
        max_shared: how many layers two of them may share at most.
        k: how many to find.
        limits, penalties: as `exact.best` takes them.

    Returns:
        A list of `problems.Choice` with rising values; fewer than k if no more meet the limits
        and differ enough.

    Raises:
        ValueError: an argument is invalid.
        exact.Infeasible: no architecture meets the limits.
        listing.TooMany: as `exact.best`.
    """
    checks.check_whole("max_shared", max_shared, 0)
    exact.check_k(k)
    columns = exact.question(problem, limits, penalties)
    choices = []
    while len(choices) < k:
        shared = [shared_column(problem, choice, max_shared) for choice in choices]
        more = exact.solve(problem, [*columns, *shared])
        if not more:
            break
        # The penalty of a limit that is met is 0, so it does not change values.
        choices += more
    if not choices:
        raise exact.infeasible(problem, limits)
    return choices


def shared_column(problem, choice, most):
    """The `bounds.Column` that bounds the layers shared with a choice."""
    space, paths = problem.space, {}
    for b, _ in enumerate(space.blocks):
        for c in problem.cells(b):
            open_paths = problem.open_paths[b, c]
            shared = np.zeros(len(open_paths))
            if choice.cells[b] == c:
                shared = _shared_with(problem, b, c, choice.path_indices[b])[open_paths]
            for width in problem.input_widths(b):
                paths[b, c, width] = shared
    heads = {width: 0.0 for width in problem.heads}
    return bounds.Column(paths, 0.0, heads, upper=float(most))


def _shared_with(problem, block, cell, path_index):
    """How many layers of each path of a cell have the op of one path, float64 `(paths,)`."""
    space = problem.space
    shape = [len(space.ops)] * space.blocks[block].cells[cell].layers
    ops = np.indices(shape).reshape(len(shape), -1)
    return (ops == ops[:, path_index, None]).sum(axis=0).astype(np.float64)
