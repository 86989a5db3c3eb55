"""The k best architectures that differ: each shares few layers with those before it.

Two architectures *share* a layer if in both the same block has the same cell chosen, and
the same layer of that cell has the same op. How many layers a path shares with a given
architecture is a whole number per layer, added up over paths like a cost; so a bound on it
is one more limit, and `exact` answers it exactly.

What is exact: the first is the optimum; each next one is the best of all that share at most
`max_shared` layers with every one found before. (It is not the set of k that is best as a
set: that is another problem, and its first member need not be the optimum.)

Source: our choice.
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
        limits: as `exact.best` has it.
        penalties: likewise.

    Returns:
        A list of `problems.Choice` in the order found, so values rise; fewer than k
        if no more meet the limits and differ enough.

    Raises:
        ValueError: an argument cannot be.
        exact.Infeasible: nothing meets the limits.
        listing.TooMany: as `exact.best`.
    """
    checks.check_whole("max_shared", max_shared, 0)
    exact.check_k(k)
    columns = exact.question(problem, limits, penalties)
    found = []
    while len(found) < k:
        shared = [shared_column(problem, one, max_shared) for one in found]
        more = exact.solve(problem, [*columns, *shared])
        if not more:
            break
        # The penalty of a limit that is met is 0, so values stay those of the question.
        found += more
    if not found:
        raise exact.infeasible(problem, limits)
    return found


def shared_column(problem, found, most):
    """The `bounds.Column` that bounds the layers shared with an architecture."""
    space, paths = problem.space, {}
    for b, _ in enumerate(space.blocks):
        for c in problem.cells(b):
            open_paths = problem.open_paths[b, c]
            shared = np.zeros(len(open_paths))
            if found.cells[b] == c:
                shared = _shared_with(problem, b, c, found.path_indices[b])[open_paths]
            for width in problem.input_widths(b):
                paths[b, c, width] = shared
    heads = {width: 0.0 for width in problem.heads}
    return bounds.Column(paths, 0.0, heads, upper=float(most))


def _shared_with(problem, block, cell, path_index):
    """Float64, one per path of a cell: layers with the same op as one path has."""
    space = problem.space
    shape = [len(space.ops)] * space.blocks[block].cells[cell].layers
    ops = np.indices(shape).reshape(len(shape), -1)
    return (ops == ops[:, path_index, None]).sum(axis=0).astype(np.float64)
