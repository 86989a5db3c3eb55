"""The choices behind the states of a search: the state before, the cell, the path.

States of all widths after a block are numbered in the order of their choices (cells and
path indices of block 1, then of block 2, ...). So one int64 identifies the state before and
the choice, and comparing two of them compares all choices.
"""

import numpy as np


class Trail:
    """Records the states after each block.

    A state's *order* is `place * factor(block) + code`: the place of the state before it
    among all after the block before, and the code of a cell and path.

    Args:
        problem: a `problems.SearchProblem`.
    """

    def __init__(self, problem):
        self._levels = []
        blocks = range(len(problem.space.blocks))
        # Cells differ in their number of paths; codes leave room for the longest.
        self._room = [max(problem.space.num_paths(b, c) for c in problem.cells(b)) for b in blocks]
        self._factors = [
            room * len(problem.space.blocks[b].cells) for b, room in enumerate(self._room)
        ]

    def factor(self, block):
        """The number of codes of a block; 1 after the last block."""
        return self._factors[block] if block < len(self._factors) else 1

    def codes(self, block, cell, paths):
        """Codes of a cell's paths, int64."""
        return cell * self._room[block] + paths

    def add(self, order):
        """Records the states after the next block.

        Args:
            order: int64 `(states,)`, each state's order, of all widths together.

        Returns:
            int64 `(states,)`: each state's order before the next block, with code 0.
        """
        by_order = np.argsort(order)
        places = np.empty(len(order), np.int64)
        places[by_order] = np.arange(len(order))
        self._levels.append(order[by_order])
        return places * self.factor(len(self._levels))

    def choices(self, places):
        """The choices of states after the last block.

        Args:
            places: int64 `(states,)`, as the last `add` returned them.

        Returns:
            `(cells, path_indices)`, int64 `(states, blocks)` each.
        """
        blocks = len(self._levels)
        cells = np.empty((len(places), blocks), np.int64)
        paths = np.empty_like(cells)
        for b in reversed(range(blocks)):
            places, code = np.divmod(self._levels[b][places], self._factors[b])
            cells[:, b], paths[:, b] = np.divmod(code, self._room[b])
        return cells, paths
