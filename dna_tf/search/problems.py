"""What a search searches: a rating and costs for every path, in plain arrays.

Every way of searching (exact, random, evolution, ...) takes a `SearchProblem`, so that
all of them see the same numbers, add them up in the same order and can be compared. All
checks of ratings, weights, costs, limits and penalties live here and in `search_checks`.

Sums are taken from left to right: the stem, block 1, block 2, ..., the head. Costs that
are counts are kept as float64 too: below 2**53 their sums are exact.
"""
# MERGED: 'From what a search found to an `Architecture`.'

import dataclasses
import math

import numpy as np

from dna_tf.search import problem_checks
from dna_tf.space import architectures, cost_limits, cost_tables, spaces

_EXACT = 2**53  # whole numbers up to here are exact as float64


@dataclasses.dataclass(frozen=True)
class Found:
    """One architecture that a search found: a cell and a path for each block.

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
        """What was minimised: the rating and the penalty."""
        return self.rating + self.penalty


@dataclasses.dataclass(frozen=True)
class SearchProblem:
    """Ratings and costs of all paths of a space; `make` builds one.

    Args:
        space: the `spaces.SearchSpace`.
        names: names of the costs, in the order of all arrays of costs.
        counted: those of the names that are counts; they are reported as ints.
        ratings: `ratings[block, cell]`, float64 `(paths,)`: each path's rating times the
            weight of its block; NaN where a path is left out.
        costs: `costs[block, cell, in_width]`, float64 `(names, paths)`; `in_width` is the
            width of the cell chosen for the block before.
        stem: float64 `(names,)`.
        heads: `heads[width]`, float64 `(names,)`, by the width of the last cell.
        open_paths: `open_paths[block, cell]`, int64: the path indices that may be chosen,
            ascending. A cell that is left out has none.
        weights: the factor of each block (lambda of DNA eq. 5).
    """

    space: object
    names: tuple
    counted: frozenset
    ratings: dict
    costs: dict
    stem: np.ndarray
    heads: dict
    open_paths: dict
    weights: tuple

    def cells(self, block):
        """Indices of the cells of a block that have paths to choose."""
        count = len(self.space.blocks[block].cells)
        return tuple(c for c in range(count) if len(self.open_paths[block, c]))

    def input_widths(self, block):
        """The widths that a block may read, ascending."""
        if block == 0:
            return (self.space.frame.stem_output_width,)
        before = self.space.blocks[block - 1].cells
        return tuple(sorted({before[c].width for c in self.cells(block - 1)}))

    def num_architectures(self):
        """The number of architectures that may be chosen, an exact int."""
        blocks = range(len(self.space.blocks))
        return math.prod(sum(len(self.open_paths[b, c]) for c in self.cells(b)) for b in blocks)

    def left_out(self):
        """What is left out: a dict from `(block, cell)` to the number of its paths."""
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
            ValueError: there is no such cell or path, or it is left out.
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

    def found(self, cells, path_indices, penalties=None):
        """Many architectures as a list of `Found`; choices are not checked.

        Args:
            cells: an int array `(architectures, blocks)`.
            path_indices: likewise.
            penalties: float64 `(architectures,)`; `None` is 0 for all.
        """
        ratings, costs = self.evaluate_many(cells, path_indices)
        penalties = np.zeros(len(ratings)) if penalties is None else penalties
        rows = (cells.tolist(), path_indices.tolist(), ratings.tolist(), costs.T.tolist())
        return [
            Found(tuple(c), tuple(p), rating, self.named(values), penalty)
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
            ValueError: one is not; near names are given.
        """
        cost_limits.check_costs(names, self.names)

    def check_limits(self, limits):
        """Checks limits.

        Args:
            limits: what makes `cost_limits.Limits`.

        Returns:
            `(lower, upper)`: two dicts from cost name to float.

        Raises:
            ValueError: a name is no `max_` or `min_` of a cost, a value is no finite number,
                or a lower limit lies above the upper one.
        """
        lower, upper = cost_limits.Limits(limits).sides()
        self.check_names([*upper, *lower])
        return lower, upper

    def within(self, costs, lower, upper):
        """Which architectures keep within limits: a bool array `(architectures,)`.

        Args:
            costs: `(costs, architectures)`, as of `evaluate_many`.
            lower, upper: as of `check_limits`.
        """
        keep = np.ones(costs.shape[1], bool)
        for name, limit in upper.items():
            keep &= costs[self.names.index(name)] <= limit
        for name, limit in lower.items():
            keep &= costs[self.names.index(name)] >= limit
        return keep

    def check_penalties(self, asked):
        """Checks penalties: a dict from cost name to a factor, or to `(factor, target)`.

        A penalty adds `factor * max(0, cost - target)` to the rating; without a target that
        is `factor * cost`. A factor is in ratings per unit of the cost.

        Returns:
            A dict from cost name to `(factor, target)`.

        Raises:
            ValueError: a name is no cost, or a number is not finite or below 0.
        """
        self.check_names(asked or {})
        made = {}
        for name, given in (asked or {}).items():
            pair = tuple(given) if isinstance(given, tuple | list) else (given, 0.0)
            if len(pair) != 2 or not all(problem_checks.is_number(v) and v >= 0 for v in pair):
                raise ValueError(
                    f"The penalty of {name} must be a finite factor of at least 0, or such a "
                    f"factor and a target. Received: {given!r}"
                )
            made[name] = (float(pair[0]), float(pair[1]))
        return made

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


def make(space, ratings, table, extra=(), weights=None, skip_missing=False):
    """Makes the problem of searching a space.

    Args:
        space: a `spaces.SearchSpace`.
        ratings: `ratings[block, cell]` has one rating per path, in the order of
            `SearchSpace.paths`; lower is better.
        table: the `cost_tables.CostTable` of the space.
        extra: `PathCosts`, one for each more cost.
        weights: a factor on each block's ratings (lambda of DNA eq. 5); `None` is 1 for all.
        skip_missing: whether to leave out what has no rating (a cell that is absent or
            shorter, a path whose rating is NaN) and to search over the rest.

    Returns:
        A `SearchProblem`.

    Raises:
        ValueError: ratings are missing, not finite or of another space; weights do not fit;
            costs are of another space, negative or not finite.
    """
    weights = problem_checks.check_weights(weights, space)
    ratings, open_paths = problem_checks.open_paths(space, ratings, skip_missing)
    tables = {name: _counted_costs(table, name) for name in cost_tables.COSTS}
    for one in extra:
        if one.name in tables:
            raise ValueError(f"There are two costs of the name {one.name!r}. Rename one of them.")
        tables[one.name] = one
    for one in tables.values():
        problem_checks.check_costs(one, space)
    names = tuple(tables)
    costs = {
        (b, c, width): np.array([tables[n].paths[b, c, width] for n in names], np.float64)
        for b, c, _ in space.cells()
        for width in space.input_widths(b)
    }
    heads = {
        cell.width: np.array([tables[n].heads[cell.width] for n in names], np.float64)
        for cell in space.blocks[-1].cells
    }
    weighted = {(b, c): values * weights[b] for (b, c), values in ratings.items()}
    stem = np.array([tables[n].stem for n in names], np.float64)
    counted = frozenset(cost_tables.COSTS)
    made = SearchProblem(
        space, names, counted, weighted, costs, stem, heads, open_paths, tuple(weights)
    )
    for name in counted:
        if made.highest(name) > _EXACT:
            raise ValueError(f"Networks of this space have up to {made.highest(name):.3g} {name}.")
    return made


def _counted_costs(table, name):
    return cost_tables.PathCosts(
        name,
        {key: of_paths[name] for key, of_paths in table.paths.items()},
        table.stem[name],
        {width: head[name] for width, head in table.heads.items()},
    )


def describe(found, space):
    """The blocks in one line, as `Architecture.describe` writes them."""
    texts = []
    for b, (c, p) in enumerate(zip(found.cells, found.path_indices, strict=True)):
        width = space.blocks[b].cells[c].width
        texts.append(f"{width}: {spaces.text(space, b, c, p)}")
    return " | ".join(texts)


def to_architecture(found, ratings, space, name, task, origin):
    """Turns a `problems.Found` into an `Architecture`.

    Args:
        found: what a search returned, or any object with `cells` and `path_indices`.
        ratings: `ratings[block, cell]`, one per path, as they were measured (no weights).
        space: the `spaces.SearchSpace`.
        name: the architecture's name.
        task: the `tasks.Task`: size of the images and number of classes.
        origin: where it comes from, JSON-able.

    Returns:
        An `architectures.Architecture` with the ratings of its paths.
    """
    blocks = []
    for b, (c, p) in enumerate(zip(found.cells, found.path_indices, strict=True)):
        block, cell = space.blocks[b], space.blocks[b].cells[c]
        path = spaces.path(space, b, c, p)
        ops = tuple(space.ops[i] for i in path)
        of_cell = ratings.get((b, c), ())
        rating = float(of_cell[p]) if p < len(of_cell) and np.isfinite(of_cell[p]) else None
        blocks.append(architectures.BlockChoice(block.stride, cell.width, ops, c, path, rating))
    return architectures.Architecture(name, tuple(blocks), space.frame, task, origin)
