"""Paths of a cell by their index, the inverse of `SearchSpace.path_index`, without listing all."""

import numpy as np


def path(space, block, cell, index):
    """The path of an index, as `space.paths(block, cell)[index]` is.

    Args:
        space: a `search_space.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        index: of the path.

    Returns:
        A tuple of ints, the op index of each layer.

    Raises:
        ValueError: the cell has no such path.
    """
    shape = [len(space.ops)] * space.blocks[block].cells[cell].layers
    return tuple(int(op) for op in np.unravel_index(index, shape))


def text(space, block, cell, index):
    """The ops of the path of an index: `"k3e6 k5e3"`; arguments as of `path`."""
    return " ".join(space.ops[op].name for op in path(space, block, cell, index))
