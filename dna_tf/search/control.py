"""The control of a search: an architecture of the same cost, drawn at random.

A searched student is worth something only if it beats what chance gives at its
price, so each comparison retrains such a control in the same way.
"""

import numpy as np

from dna_tf.common import formatting


def random_within(problem, macs, tolerance, seed, forbidden=(), tries=1000):
    """Draws an architecture at random whose MACs lie near a target: the control.

    Cells and paths of all blocks are drawn uniformly; then the path of one block,
    drawn too, is drawn again among those that bring the total within `tolerance`.

    Args:
        problem: a `problems.SearchProblem`.
        macs: target of `macs`.
        tolerance: largest relative distance, such as 0.02.
        seed: an int; one seed gives one architecture.
        forbidden: `(cells, path_indices)` pairs that must not come out.
        tries: how many draws to make at most.

    Returns:
        `(cells, path_indices)`.

    Raises:
        ValueError: no draw came near enough; the message has the nearest.
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
    if abs(nearest - macs) <= tolerance * macs:
        raise ValueError(
            f"All architectures within {tolerance:.3g} (relative) of "
            f"{formatting.format_count(macs)} MACs that came out of {tries} draws were "
            "forbidden, such as the searched one itself. "
            "Allow a larger config.search.control_tolerance."
        )
    raise ValueError(
        f"No architecture within {tolerance:.3g} (relative) of "
        f"{formatting.format_count(macs)} MACs came out of {tries} draws; the nearest had "
        f"{formatting.format_count(nearest)}. Allow a "
        "larger config.search.control_tolerance, or choose a budget nearer the middle of the space."
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
