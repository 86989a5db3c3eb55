"""The control of a search: an architecture of about the same cost, drawn at random.

A searched student is worth its search only if it beats random architectures of its cost, so
each comparison retrains such controls in the same way.
"""

import numpy as np

from dna_tf.common import formatting


class NoControl(ValueError):
    """No draw has nearly the cost that a control should have."""


def random_within(problem, macs, tolerance, seed, forbidden=(), tries=1000):
    """Draws an architecture at random whose MACs lie near a target.

    Cells and paths of all blocks are drawn uniformly. Then the path of one block, which is
    drawn too, is drawn again among those that bring the total within `tolerance`.

    Args:
        problem: a `problems.SearchProblem`.
        macs: the target.
        tolerance: largest distance from it, as a share of it, such as 0.02.
        seed: an int; one seed gives one architecture.
        forbidden: `(cells, path_indices)` pairs that must not be drawn.
        tries: the largest number of draws.

    Returns:
        `(cells, path_indices)`, a tuple of ints each.

    Raises:
        NoControl: no draw comes near enough; the message has the nearest MACs.
    """
    draws = np.random.RandomState(seed)  # its stream is the same in every NumPy
    nearest, blocks = None, range(len(problem.space.blocks))
    for _ in range(tries):
        cells = [_pick(draws, problem.cells(b)) for b in blocks]
        paths = [_pick(draws, problem.open_paths[b, c]) for b, c in enumerate(cells)]
        free = int(draws.randint(len(blocks)))
        totals = _totals_with_free_path(problem, cells, paths, free)
        near = np.flatnonzero(np.abs(totals - macs) <= tolerance * macs)
        best = int(totals[np.argmin(np.abs(totals - macs))])
        nearest = best if nearest is None or abs(best - macs) < abs(nearest - macs) else nearest
        if len(near):
            paths[free] = int(problem.open_paths[free, cells[free]][_pick(draws, near)])
            if (tuple(cells), tuple(paths)) not in forbidden:
                return tuple(cells), tuple(paths)
    target = formatting.format_count(macs)
    if abs(nearest - macs) <= tolerance * macs:
        raise NoControl(
            f"All architectures within {tolerance:.3g} (relative) of {target} MACs that came out "
            f"of {tries} draws were forbidden, such as the searched one itself. Allow a larger "
            "tolerance."
        )
    raise NoControl(
        f"No architecture within {tolerance:.3g} (relative) of {target} MACs came out of {tries} "
        f"draws; the nearest had {formatting.format_count(nearest)}. Allow a larger tolerance, or "
        "choose a budget nearer the middle of the space."
    )


def _pick(draws, values):
    return int(values[draws.randint(len(values))])


def _totals_with_free_path(problem, cells, paths, free):
    """MACs of the architecture for every open path of block `free`'s cell."""
    row, width = problem.names.index("macs"), problem.space.frame.stem_output_width
    total = problem.stem[row]
    for b, (c, p) in enumerate(zip(cells, paths, strict=True)):
        macs = problem.costs[b, c, width][row]
        total = total + (macs[problem.open_paths[b, c]] if b == free else macs[p])
        width = problem.space.blocks[b].cells[c].width
    return total + problem.heads[width][row]
