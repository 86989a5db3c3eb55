"""The problem that every search solves: a rating and costs for every path, as arrays.

All searches (exact, random, evolution, ...) take a `SearchProblem`, so they see the same
numbers, add them in the same order and can be compared. `problem_building` builds one.

Sums are taken from left to right: the stem, block 1, block 2, ..., the head. Costs that
are counts are kept as float64 too: below 2**53 their sums are exact.
"""

import dataclasses
import math

import numpy as np

from dna_tf.common import checks
from dna_tf.space import architectures, cost_limits, spaces, tasks


@dataclasses.dataclass(frozen=True)
class Choice:
    """A cell and a path for each block, with the rating and the costs of the network.

    Args:
        cells: cell index of each block.
        path_indices: index of each block's path in `SearchSpace.paths`.
        rating: the weighted sum of ratings; lower is better.
        costs: costs by name.
        penalty: what penalties add to the rating; 0 without any.
    """

    cells: tuple[int, ...]
    path_indices: tuple[int, ...]
    rating: float
    costs: dict
    penalty: float = 0.0

    @property
    def value(self):
        """What a search minimises: the rating plus the penalty."""
        return self.rating + self.penalty


@dataclasses.dataclass(frozen=True)
class SearchProblem:
    """Ratings and costs of all paths of a space, built by `build_problem`.

    Args:
        space: the `spaces.SearchSpace`.
        task: the `tasks.Task` for which the costs are counted.
        names: names of the costs, in the order of all arrays of costs.
        counted: the names of the costs that are counts, and reported as ints.
        measured: `measured[block, cell]`, float64 `(paths,)`: each path's rating as it was
            measured; NaN where a path is left out.
        ratings: the same times the weight of the block: what is minimised.
        costs: `costs[block, cell, in_width]`, float64 `(names, paths)`; `in_width` is the
            width of the cell chosen for the block before.
        stem: float64 `(names,)`.
        heads: `heads[width]`, float64 `(names,)`, by the width of the last cell.
        open_paths: `open_paths[block, cell]`, int64: the path indices that may be chosen,
            ascending; empty for a cell that is left out.
        weights: the factor of each block (lambda of DNA eq. 5).
    """

    space: spaces.SearchSpace
    task: tasks.Task
    names: tuple
    counted: frozenset
    measured: dict
    ratings: dict
    costs: dict
    stem: np.ndarray
    heads: dict
    open_paths: dict
    weights: tuple

    # Whether ratings and costs are sums over blocks, as the exact searches need.
    is_sum = True

    def cells(self, block):
        """Indices of the cells of a block that have paths to choose."""
        count = len(self.space.blocks[block].cells)
        return tuple(c for c in range(count) if len(self.open_paths[block, c]))

    def input_widths(self, block):
        """The numbers of channels that a block may read, ascending."""
        if block == 0:
            return (self.space.frame.stem_output_width,)
        before = self.space.blocks[block - 1].cells
        return tuple(sorted({before[c].width for c in self.cells(block - 1)}))

    def num_architectures(self):
        """The number of architectures that may be chosen, an exact int."""
        blocks = range(len(self.space.blocks))
        return math.prod(sum(len(self.open_paths[b, c]) for c in self.cells(b)) for b in blocks)

    def left_out(self):
        """How many paths are left out: a dict from `(block, cell)` to a number above 0."""
        counts = {
            (b, c): self.space.num_paths(b, c) - len(self.open_paths[b, c])
            for b, c, _ in self.space.cells()
        }
        return {key: count for key, count in counts.items() if count}

    def evaluate(self, cells, path_indices):
        """The rating and the costs of one architecture.

        Args:
            cells: cell index of each block.
            path_indices: path index of each block.

        Returns:
            `(rating, costs)`: a float and a dict from name to a number.

        Raises:
            ValueError: a cell or path does not exist or is left out.
        """
        self._check_choice(cells, path_indices)
        rating, costs = 0.0, self.stem
        width = self.space.frame.stem_output_width
        for b, (c, p) in enumerate(zip(cells, path_indices, strict=True)):
            rating = rating + float(self.ratings[b, c][p])
            costs = costs + self.costs[b, c, width][:, p]
            width = self.space.blocks[b].cells[c].width
        return rating, self.named((costs + self.heads[width]).tolist())

    def evaluate_many(self, cells, path_indices):
        """Ratings and costs of many architectures at once; choices are not checked.

        Args:
            cells: an int array `(architectures, blocks)`.
            path_indices: likewise.

        Returns:
            `(ratings, costs)`: float64 `(architectures,)` and `(names, architectures)`.
        """
        count = len(cells)
        ratings, costs = np.zeros(count), np.repeat(self.stem[:, None], count, axis=1)
        widths = np.full(count, self.space.frame.stem_output_width)
        for b, block in enumerate(self.space.blocks):
            after = np.empty_like(widths)
            for c in self.cells(b):
                for width in self.input_widths(b):
                    here = np.flatnonzero((cells[:, b] == c) & (widths == width))
                    chosen = path_indices[here, b]
                    ratings[here] += self.ratings[b, c][chosen]
                    costs[:, here] += self.costs[b, c, width][:, chosen]
                    after[here] = block.cells[c].width
            widths = after
        for width, head in self.heads.items():
            costs[:, widths == width] += head[:, None]
        return ratings, costs

    def named(self, values):
        """Costs as a dict from name to a number, ints where the cost is a count."""
        pairs = zip(self.names, values, strict=True)
        return {n: int(v) if n in self.counted else float(v) for n, v in pairs}

    def choices(self, cells, path_indices, penalties=None):
        """Many architectures as a list of `Choice`; cells and paths are not checked.

        Args:
            cells: an int array `(architectures, blocks)`.
            path_indices: likewise.
            penalties: float64 `(architectures,)`; `None` is 0 for all.
        """
        ratings, costs = self.evaluate_many(cells, path_indices)
        penalties = np.zeros(len(ratings)) if penalties is None else penalties
        rows = (cells.tolist(), path_indices.tolist(), ratings.tolist(), costs.T.tolist())
        return [
            Choice(tuple(c), tuple(p), rating, self.named(values), penalty)
            for c, p, rating, values, penalty in zip(*rows, penalties.tolist(), strict=True)
        ]

    def lowest(self, name):
        """The lowest possible value of a cost, over all architectures."""
        return self._extreme(name, min, np.min)

    def highest(self, name):
        """The highest possible value of a cost, over all architectures."""
        return self._extreme(name, max, np.max)

    def _extreme(self, name, of_two, of_array):
        row = self.names.index(name)
        after = {width: head[row] for width, head in self.heads.items()}
        for b in reversed(range(len(self.space.blocks))):
            cells = self.space.blocks[b].cells
            after = {
                width: of_two(
                    of_array(self.costs[b, c, width][row, self.open_paths[b, c]])
                    + after[cells[c].width]
                    for c in self.cells(b)
                )
                for width in self.input_widths(b)
            }
        value = self.stem[row] + after[self.space.frame.stem_output_width]
        return int(value) if name in self.counted else float(value)

    def check_names(self, names):
        """Checks that costs of these names are known.

        Raises:
            cost_limits.UnknownCost: one is not; the message has near names.
        """
        cost_limits.check_costs(names, self.names)

    def check_limits(self, limits):
        """Checks limits.

        Args:
            limits: a `cost_limits.Limits`, or what makes one.

        Returns:
            `(lower, upper)`: two dicts from cost name to float.

        Raises:
            ValueError: they do not make `Limits`, or limit a cost that the problem does not
                have.
        """
        lower, upper = cost_limits.Limits(limits).sides()
        self.check_names([*upper, *lower])
        return lower, upper

    def filtered(self, limits):
        """Turns limits that no sum of costs can break into fewer paths to choose from.

        Args:
            limits: a `cost_limits.Limits`.

        Returns:
            The problem with the paths that are left, and the limits that are left. Here there
            are no such limits; a problem whose candidates have costs of another kind has some.
        """
        return self, limits

    def within(self, costs, lower, upper):
        """Which architectures keep within limits: a bool array `(architectures,)`.

        Args:
            costs: `(names, architectures)`, from `evaluate_many`.
            lower, upper: from `check_limits`.
        """
        keep = np.ones(costs.shape[1], bool)
        for name, limit in upper.items():
            keep &= costs[self.names.index(name)] <= limit
        for name, limit in lower.items():
            keep &= costs[self.names.index(name)] >= limit
        return keep

    def check_penalties(self, penalties):
        """Checks penalties: a dict from cost name to a factor, or to `(factor, target)`.

        A penalty adds `factor * max(0, cost - target)` to the rating; without a target that
        is `factor * cost`. A factor is in ratings per unit of the cost.

        Returns:
            A dict from cost name to `(factor, target)`.

        Raises:
            ValueError: a cost is unknown, or a number is not finite or below 0.
        """
        self.check_names(penalties or {})
        pairs = {}
        for name, value in (penalties or {}).items():
            pair = tuple(value) if isinstance(value, tuple | list) else (value, 0.0)
            if len(pair) != 2 or not all(checks.is_number(v) and v >= 0 for v in pair):
                raise ValueError(
                    f"The penalty of {name} must be a finite factor of at least 0, or such a "
                    f"factor and a target. Received: {value!r}"
                )
            pairs[name] = (float(pair[0]), float(pair[1]))
        return pairs

    def describe(self, choice):
        """The blocks of a `Choice` in one line, as `Architecture.describe` writes them."""
        texts = []
        for b, (c, p) in enumerate(zip(choice.cells, choice.path_indices, strict=True)):
            width = self.space.blocks[b].cells[c].width
            texts.append(f"{width}: {spaces.text(self.space, b, c, p)}")
        return " | ".join(texts)

    def architecture(self, choice, name, origin):
        """Turns a choice into an `architectures.Architecture`.

        Args:
            choice: a `Choice`.
            name: the architecture's name.
            origin: where it comes from, JSON-able.

        Returns:
            The architecture, with the ratings of its paths as they were measured (no
            weights); `None` for a path without one.
        """
        blocks = []
        for b, (c, p) in enumerate(zip(choice.cells, choice.path_indices, strict=True)):
            block, cell = self.space.blocks[b], self.space.blocks[b].cells[c]
            path = spaces.path(self.space, b, c, p)
            ops = tuple(self.space.ops[i] for i in path)
            rating = float(self.measured[b, c][p])
            blocks.append(
                architectures.BlockChoice(
                    block.stride, cell.width, ops, c, path, None if math.isnan(rating) else rating
                )
            )
        return architectures.Architecture(name, tuple(blocks), self.space.frame, self.task, origin)

    def uncounted_costs(self, choice):
        """The costs of a `Choice` that cannot be counted from shapes: a dict by name."""
        return {name: v for name, v in choice.costs.items() if name not in self.counted}

    def _check_choice(self, cells, path_indices):
        blocks = len(self.space.blocks)
        if len(cells) != blocks or len(path_indices) != blocks:
            raise ValueError(
                f"The space {self.space.name!r} has {blocks} blocks: an architecture has as many "
                f"cells and paths. Received: cells={tuple(cells)}, paths={tuple(path_indices)}"
            )
        for b, (c, p) in enumerate(zip(cells, path_indices, strict=True)):
            of_cell = self.ratings.get((b, c), ())
            if not 0 <= p < len(of_cell) or np.isnan(of_cell[p]):
                raise ValueError(
                    f"Block {b + 1} has no path {p} in a cell {c} (both counted from 0), or it "
                    "is left out because it has no rating."
                )
