"""The control of a search: an architecture of the same cost, drawn at random.

A searched student is worth something only if it beats what chance gives at its
price, so each comparison retrains such a control in the same way.
"""

import numpy as np

from dna_tf import limits


def random_within(table, space, macs, tolerance, seed, forbidden=(), tries=1000):
    """Draws an architecture at random whose MACs lie near a target: the control.

    Cells and paths of all blocks are drawn uniformly; then the path of one block,
    drawn too, is drawn again among those that bring the total within `tolerance`.

    Args:
        table: the `cost.CostTable` of the space.
        space: the `search_space.SearchSpace`.
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
    nearest = None
    for _ in range(tries):
        cells = [int(draws.randint(len(block.cells))) for block in space.blocks]
        paths = [int(draws.randint(space.num_paths(b, c))) for b, c in enumerate(cells)]
        free = int(draws.randint(len(space.blocks)))
        totals = _totals_with_free_path(table, space, cells, paths, free)
        near = np.flatnonzero(np.abs(totals - macs) <= tolerance * macs)
        best = int(totals[np.argmin(np.abs(totals - macs))])
        nearest = best if nearest is None or abs(best - macs) < abs(nearest - macs) else nearest
        if len(near):
            paths[free] = int(near[draws.randint(len(near))])
            if (tuple(cells), tuple(paths)) not in forbidden:
                return tuple(cells), tuple(paths)
    if abs(nearest - macs) <= tolerance * macs:
        raise ValueError(
            f"All architectures within {tolerance:.3g} (relative) of {limits.format_count(macs)} "
            f"MACs that came out of {tries} draws were forbidden, such as the searched one itself. "
            "Allow a larger config.search.control_tolerance."
        )
    raise ValueError(
        f"No architecture within {tolerance:.3g} (relative) of {limits.format_count(macs)} MACs "
        f"came out of {tries} draws; the nearest had {limits.format_count(nearest)}. Allow a "
        "larger config.search.control_tolerance, or choose a budget nearer the middle of the space."
    )


def _totals_with_free_path(table, space, cells, paths, free):
    """MACs of the architecture for every path of block `free`'s cell."""
    width, total = space.frame.stem_output_width, table.stem["macs"]
    for b, (c, p) in enumerate(zip(cells, paths, strict=True)):
        macs = table.paths[b, c, width]["macs"]
        total = total + (macs if b == free else int(macs[p]))
        width = space.blocks[b].cells[c].width
    return total + table.heads[width]["macs"]
