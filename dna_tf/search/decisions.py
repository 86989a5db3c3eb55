"""An architecture as a chain of decisions: the cell of a block, then the op of each of its layers.

Searches that learn or mutate choose one decision after another. A *position* is the place of a
decision: one for the cell of a block that has several, and one for each layer of each cell. Its
*options* are the cells or ops that occur in at least one open path.
"""

import dataclasses

import numpy as np

START = -1  # what stands before the first decision
_TRIES = 1000  # for the path of a block that is not left out


@dataclasses.dataclass(frozen=True)
class Walk:
    """An architecture and the decisions that lead to it.

    Args:
        cells: a cell for each block.
        path_indices: a path for each block.
        steps: `(position, before, option)` for each decision: the number of the position, the
            option of the decision before (`START` for none), and the number of the option.
    """

    cells: tuple
    path_indices: tuple
    steps: tuple


@dataclasses.dataclass(frozen=True)
class _CellLayers:
    """The decisions of a cell: the position of each layer, its ops, and the open paths."""

    cell: int
    positions: tuple
    ops: tuple
    opened: frozenset | None  # `None`: every combination of ops is open
    paths: np.ndarray


class Decisions:
    """The positions of a problem.

    Args:
        problem: a `problems.SearchProblem`.

    Attributes:
        sizes: the number of options of each position.
    """

    def __init__(self, problem):
        self.sizes, self._blocks = [], []
        self._num_ops = len(problem.space.ops)
        for b, block in enumerate(problem.space.blocks):
            cells = problem.cells(b)
            place = self._add(len(cells)) if len(cells) > 1 else None
            layers = [
                self._layers(c, block.cells[c].layers, problem.open_paths[b, c]) for c in cells
            ]
            self._blocks.append((place, layers))

    def _add(self, size):
        self.sizes.append(size)
        return len(self.sizes) - 1

    def _layers(self, cell, depth, paths):
        digits = [paths // self._num_ops ** (depth - 1 - i) % self._num_ops for i in range(depth)]
        ops = tuple(tuple(np.unique(column).tolist()) for column in digits)
        positions = tuple(self._add(len(options)) for options in ops)
        is_whole = int(np.prod([len(options) for options in ops])) == len(paths)
        return _CellLayers(
            cell, positions, ops, None if is_whole else frozenset(paths.tolist()), paths
        )

    def walk(self, pick, rng):
        """Chooses an architecture, decision by decision.

        The path of a block that turns out to be left out is chosen again. If `pick` cannot find
        an open one, one is drawn.

        Args:
            pick: `f(position, before) -> option`.
            rng: a NumPy generator, for that last case.

        Returns:
            A `Walk`.
        """
        cells, paths, steps, before = [], [], [], START
        for place, layers in self._blocks:
            for _ in range(_TRIES):
                chosen, path, taken = self._block(place, layers, pick, before)
                if chosen.opened is None or path in chosen.opened:
                    break
            else:
                chosen = layers[int(rng.integers(len(layers)))]
                path = int(chosen.paths[rng.integers(len(chosen.paths))])
                taken = self._taken(place, layers, chosen, path, before)
            cells.append(chosen.cell)
            paths.append(path)
            steps += taken
            before = steps[-1][2] if steps else START
        return Walk(tuple(cells), tuple(paths), tuple(steps))

    def _block(self, place, layers, pick, before):
        """Chooses a cell and a path of one block: `(_CellLayers, path, steps)`."""
        steps, chosen = [], layers[0]
        if place is not None:
            option = pick(place, before)
            steps.append((place, before, option))
            before, chosen = option, layers[option]
        path = 0
        for position, ops in zip(chosen.positions, chosen.ops, strict=True):
            option = pick(position, before)
            steps.append((position, before, option))
            path = path * self._num_ops + ops[option]
            before = option
        return chosen, path, steps

    def _taken(self, place, layers, chosen, path, before):
        """The steps to a path of one block."""
        depth = len(chosen.positions)
        digits = [path // self._num_ops ** (depth - 1 - i) % self._num_ops for i in range(depth)]
        options = {
            position: ops.index(digit)
            for position, ops, digit in zip(chosen.positions, chosen.ops, digits, strict=True)
        }
        options[place] = layers.index(chosen)
        return self._block(place, layers, lambda position, _: options[position], before)[2]
