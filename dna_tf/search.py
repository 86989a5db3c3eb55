"""Exact search: the best architecture under limits, and the whole Pareto front.

The blocks are merged one after another. A *state* is a choice for the blocks so
far; of it only the costs, the sum of ratings and the width of the last cell matter
for what can follow, because the next block's first layer reads that width and
nothing else. Of two states with the same last width, one that is no better in the
rating and in no cost can be dropped: whatever completes it completes the other one
at least as well. So each step keeps, for each width, the states that no other one
dominates, and the end holds an optimum for every limit: the result is exact. Sums
of floats keep this (rounding is monotone: a <= b gives a+c <= b+c), and brute force
that adds in the same order finds the same bits.

The cost of a step is the number of kept states times the paths of the next block
that are themselves not dominated, then a sort. With one cost a front is sorted in
O(n log n); with more costs the filter compares with the front only.

Source: DNA Algorithm 2 states the problem; its traversal is inexact as published,
and this method is our choice.
"""

import dataclasses

import numpy as np

from dna_tf import architecture, cost, limits

# How many states one merge may build before the filter; 4 arrays of this size are 1 GiB.
_CHUNK = 4_000_000


@dataclasses.dataclass(frozen=True)
class Found:
    """One entry of a front: a cell and a path for each block.

    Args:
        cells: cell index of each block.
        path_indices: index of each block's path in `SearchSpace.paths`.
        rating: the weighted sum of ratings.
        costs: the searched costs by name.
    """

    cells: tuple[int, ...]
    path_indices: tuple[int, ...]
    rating: float
    costs: dict


@dataclasses.dataclass
class _States:
    """States that end in one width: arrays with one entry per state."""

    rating: np.ndarray  # (states,) float64
    costs: np.ndarray  # (costs, states) int64
    choices: np.ndarray  # (blocks so far, 2, states) int32: cell and path index

    def take(self, index):
        return _States(self.rating[index], self.costs[:, index], self.choices[:, :, index])


def search(ratings, table, space, max_costs=None, front_costs=("macs",), weights=None):
    """Finds the exact Pareto front of rating against costs, under limits.

    Args:
        ratings: `ratings[block, cell]` is a float array with one rating per path, in
            the order of `SearchSpace.paths`; lower is better.
        table: the `cost.CostTable` of the space.
        space: the `search_space.SearchSpace`.
        max_costs: a dict from cost name to the largest allowed value.
        front_costs: costs that the front trades against the rating, beside the
            limited ones. With `()` and no limits one best entry is found.
        weights: a factor on each block's ratings (lambda of DNA eq. 5); 1 by default.

    Returns:
        A list of `Found`, best rating first. Entry 0 is an optimum under the limits;
        of entries that are equal in everything, the one with the smallest cell and
        path indices is kept.

    Raises:
        ValueError: ratings are missing or not finite, a name is no cost, or no
            architecture meets the limits (the message has the cheapest possible).
    """
    max_costs = dict(max_costs or {})
    names = tuple(dict.fromkeys([*max_costs, *front_costs]))
    for name in names:
        if name not in cost.COSTS:
            raise ValueError(f"There is no cost {name!r}. Known costs: {list(cost.COSTS)}")
    weights = [1.0] * len(space.blocks) if weights is None else [float(w) for w in weights]
    if len(weights) != len(space.blocks) or not all(0 <= w < np.inf for w in weights):
        raise ValueError(
            f"weights must be {len(space.blocks)} finite numbers of at least 0, one per block. "
            f"Received: {weights}"
        )
    _check_ratings(ratings, space)
    _check_feasible(table, space, max_costs)

    room = _room(table, space, names, max_costs)
    stem = np.array([[table.stem[name]] for name in names], np.int64).reshape(len(names), 1)
    by_width = {
        space.frame.stem_output_width: _States(np.zeros(1), stem, np.zeros((0, 2, 1), np.int32))
    }
    for b, block in enumerate(space.blocks):
        parts = {}
        for c, cell in enumerate(block.cells):
            for in_width, states in by_width.items():
                options = _options(ratings[b, c] * weights[b], table.paths[b, c, in_width], names)
                merged = _merge(states, options, c, room[b + 1][cell.width])
                parts.setdefault(cell.width, []).append(merged)
        by_width = {width: _pareto(_join(states)) for width, states in parts.items()}
    ends = []
    for width, states in by_width.items():
        head = np.array([[table.heads[width][name]] for name in names], np.int64)
        ends.append(dataclasses.replace(states, costs=states.costs + head.reshape(len(names), 1)))
    states = _pareto(_join(ends))
    if not len(states.rating):
        raise _infeasible(table, space, max_costs, "together")
    return [
        Found(
            cells=tuple(int(c) for c in states.choices[:, 0, i]),
            path_indices=tuple(int(p) for p in states.choices[:, 1, i]),
            rating=float(states.rating[i]),
            costs={name: int(states.costs[n, i]) for n, name in enumerate(names)},
        )
        for i in range(len(states.rating))
    ]


def best_under(front, max_costs):
    """Returns the best entry of a front within limits, or `None`.

    A front over some costs holds an optimum for every limit on those costs.

    Args:
        front: what `search` returned.
        max_costs: a dict from cost name to the largest allowed value; the names must
            be among the costs of the front.
    """
    for entry in front:
        if all(entry.costs[name] <= limit for name, limit in max_costs.items()):
            return entry
    return None


def cheapest(table, space, name):
    """The lowest possible value of one cost over the whole space."""
    return _lowest_to_come(table, space, name)[0][space.frame.stem_output_width] + int(
        table.stem[name]
    )


def to_architecture(found, ratings, space, name, image_size, channels, num_classes, origin):
    """Turns a search entry into an `Architecture` with the ratings of its paths."""
    blocks = []
    for b, (c, p) in enumerate(zip(found.cells, found.path_indices, strict=True)):
        block, cell = space.blocks[b], space.blocks[b].cells[c]
        path = tuple(int(i) for i in np.unravel_index(p, [len(space.ops)] * cell.layers))
        ops = tuple(space.ops[i] for i in path)
        rating = float(ratings[b, c][p])
        blocks.append(architecture.BlockChoice(block.stride, cell.width, ops, c, path, rating))
    return architecture.Architecture(
        name, tuple(blocks), space.frame, image_size, channels, num_classes, origin
    )


def _check_ratings(ratings, space):
    for b, c, _ in space.cells():
        if (b, c) not in ratings:
            raise ValueError(
                f"Block {b + 1}, cell {c + 1} has no ratings. Rate it first: "
                "python -m tools.rate --workdir=..."
            )
        values = np.asarray(ratings[b, c])
        if values.shape != (space.num_paths(b, c),):
            raise ValueError(
                f"Block {b + 1}, cell {c + 1} has {space.num_paths(b, c)} paths in the space "
                f"{space.name!r}, and {values.size} ratings. They belong to another space."
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"Block {b + 1}, cell {c + 1} has {int((~np.isfinite(values)).sum())} ratings "
                "that are not finite: its supernet diverged. Train it with a lower learning rate."
            )


def _check_feasible(table, space, max_costs):
    for name, limit in max_costs.items():
        if cheapest(table, space, name) > limit:
            raise _infeasible(table, space, max_costs, "")


def _infeasible(table, space, max_costs, how):
    asked = ", ".join(f"{n} <= {limits.format_count(v)}" for n, v in max_costs.items())
    possible = ", ".join(f"{n} {cheapest(table, space, n):,}" for n in max_costs)
    alone = f" (each alone, not {how})" if how else ""
    return ValueError(
        f"No architecture of the space {space.name!r} meets {asked}. The cheapest possible: "
        f"{possible}{alone}. Raise the limit."
    )


def _lowest_to_come(table, space, name):
    """For each block and the width it reads: the least cost of it, what follows and the head."""
    after = {width: int(head[name]) for width, head in table.heads.items()}
    lowest = [after]
    for b in reversed(range(len(space.blocks))):
        lowest.insert(
            0,
            {
                in_width: min(
                    int(table.paths[b, c, in_width][name].min()) + lowest[0][cell.width]
                    for c, cell in enumerate(space.blocks[b].cells)
                )
                for in_width in space.input_widths(b)
            },
        )
    return lowest


def _room(table, space, names, max_costs):
    """What the blocks so far may cost for the rest to fit, by block and width."""
    unlimited = np.iinfo(np.int64).max
    lowest = {name: _lowest_to_come(table, space, name) for name in names}
    return [
        {
            width: np.array(
                [max_costs[n] - lowest[n][b][width] if n in max_costs else unlimited for n in names]
            ).reshape(-1, 1)
            for width in (lowest[names[0]][b] if names else _widths(space, b))
        }
        for b in range(len(space.blocks) + 1)
    ]


def _widths(space, b):
    if b < len(space.blocks):
        return space.input_widths(b)
    return tuple({cell.width for cell in space.blocks[-1].cells})


def _options(rating, costs, names):
    """The paths of a cell that no other path of it dominates, as states of one block."""
    count = len(rating)
    stacked = np.array([costs[name] for name in names], np.int64).reshape(len(names), count)
    index = np.arange(count, dtype=np.int32)
    return _pareto(_States(rating, stacked, np.stack([np.zeros_like(index), index])[None]))


def _merge(states, options, cell, room):
    """Joins every state with every option of a cell, filters, and keeps what has room."""
    step = max(1, _CHUNK // max(1, len(options.rating)))
    kept = []
    for start in range(0, max(1, len(states.rating)), step):  # none: an empty part
        part = states.take(slice(start, start + step))
        left = np.repeat(np.arange(len(part.rating)), len(options.rating))
        right = np.tile(np.arange(len(options.rating)), len(part.rating))
        costs = part.costs[:, left] + options.costs[:, right]
        fits = (costs <= room).all(axis=0)
        left, right = left[fits], right[fits]
        choice = options.choices[:, :, right].copy()
        choice[:, 0] = cell
        choices = np.concatenate([part.choices[:, :, left], choice])
        rating = part.rating[left] + options.rating[right]
        kept.append(_pareto(_States(rating, costs[:, fits], choices)))
    return _join(kept)


def _join(parts):
    return _States(
        np.concatenate([p.rating for p in parts]),
        np.concatenate([p.costs for p in parts], axis=1),
        np.concatenate([p.choices for p in parts], axis=2),
    )


def _pareto(states):
    """Keeps the states that no other dominates, best rating first; of equal ones the first."""
    blocks = states.choices.shape[0]
    ties = [states.choices[b, k] for b in reversed(range(blocks)) for k in (1, 0)]
    order = np.lexsort([*ties, *states.costs[::-1], states.rating])
    states = states.take(order)
    if states.costs.shape[0] == 0:
        return states.take(slice(0, 1))
    first = states.costs[0]
    lowest_before = np.minimum.accumulate(np.concatenate([[np.iinfo(np.int64).max], first[:-1]]))
    if states.costs.shape[0] == 1:
        return states.take(first < lowest_before)
    return states.take(_skyline(states.costs))


def _skyline(costs):
    """Indices of columns that no earlier column is at most equal to in every row."""
    indices = []
    remaining = np.arange(costs.shape[1])
    while len(remaining):
        # Within a batch each column is compared with those before it, then the
        # survivors filter all that follows.
        batch, remaining = remaining[:512], remaining[512:]
        part = costs[:, batch]
        dominates = (part[:, :, None] <= part[:, None, :]).all(axis=0)
        survivors = batch[~np.triu(dominates, 1).any(axis=0)]
        indices.append(survivors)
        alive = np.ones(len(remaining), bool)
        for column in costs[:, survivors].T:
            alive &= (costs[:, remaining] < column[:, None]).any(axis=0)
        remaining = remaining[alive]
    return np.concatenate(indices) if indices else np.arange(0)
