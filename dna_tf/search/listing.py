"""Lists all architectures whose value may be at most a threshold, block by block.

A start is dropped as soon as even the least that can follow it exceeds the threshold or a
limit. Two states with the same last width have the same later choices, so where millions are
left those that k others dominate are dropped too: they are not among the k best. `exact` proves
that none of the k best is missed.
"""

import dataclasses

import numpy as np

from dna_tf.search import bounds, pareto, trails

CHUNK = 500_000  # pairs of a state and a path that are built at once
THIN = 200_000  # from this number of states on, dominated ones are dropped
LAYERS = 8  # thinning peels at most this many fronts


class TooMany(ValueError):
    """More architectures are near the optimum than can be listed."""


@dataclasses.dataclass
class Ends:
    """Whole architectures: values, sums of rows, cells and path indices."""

    values: np.ndarray
    penalties: np.ndarray
    cells: np.ndarray
    paths: np.ndarray
    states: int  # the number of states after each block, summed


@dataclasses.dataclass
class _States:
    """States that end in one width."""

    rows: np.ndarray  # (1 + columns, states)
    reduced: np.ndarray  # (states,)
    order: np.ndarray  # (states,) int64, as in `trails`

    def take(self, index):
        return _States(self.rows[:, index], self.reduced[index], self.order[index])


def enumerate_below(program, multipliers, threshold, k, most):
    """Lists the architectures within the limits whose value may be at most the threshold.

    Args:
        program: a `bounds.Program`.
        multipliers: float64 `(columns,)`, of a bound.
        threshold: the threshold of the value.
        k: how many of the best must be in the result. The others may be missing: `_thin` drops
            states that k others dominate.
        most: `(max_states, most_pairs)`: largest numbers of states at once, and of pairs of a
            state and a path in all.

    Returns:
        `Ends`.

    Raises:
        TooMany: there are more.
    """
    vector = np.concatenate([[program.base], multipliers])
    ahead, combined = program.to_go(vector)
    size = np.abs(vector) @ program.largest
    top = threshold + program.support(multipliers) + bounds.ROUNDING * size
    max_states, most_pairs = most
    room, need = _rooms(program)
    trail = trails.Trail(program.problem)
    first = program.start[:, None]
    states = {
        program.problem.space.frame.stem_output_width: _States(
            first, vector @ first, np.zeros(1, np.int64)
        )
    }
    pairs = listed = 0
    for b, parts in enumerate(program.blocks):
        merged, thick = {}, {}
        for part, array in zip(parts, combined[b], strict=True):
            if part.in_width not in states:
                continue
            before, width = states[part.in_width], part.out_width
            by_value = np.argsort(array, kind="stable")
            limit = top - ahead[b + 1][part.out_width] - before.reduced
            counts = np.searchsorted(array[by_value], limit, side="right")
            pairs += int(counts.sum())
            if pairs > most_pairs:
                raise _too_many(program, pairs)
            codes = trail.codes(b, part.cell, part.paths)
            pile = merged.setdefault(width, [])
            for start, stop in _chunks(counts):
                number = counts[start:stop]
                left = np.repeat(np.arange(start, stop), number)
                firsts = np.repeat(np.cumsum(number) - number, number)
                right = by_value[np.arange(len(left)) - firsts]
                sums = before.rows[:, left] + part.rows[:, right]
                fits = (sums[1:] <= room[b + 1][width]).all(axis=0)
                fits &= (sums[1:] >= need[b + 1][width]).all(axis=0)
                left, right = left[fits], right[fits]
                pile.append(
                    _States(
                        sums[:, fits],
                        before.reduced[left] + array[right],
                        before.order[left] + codes[right],
                    )
                )
                size = sum(len(some.order) for some in pile)
                if size > thick.get(width, THIN):
                    pile[:] = [_thin(program, _join(pile), k)]
                    thick[width] = max(THIN, 2 * len(pile[0].order))
                    if len(pile[0].order) > max_states:
                        raise _too_many(program, len(pile[0].order))
        states = {width: _join(pile) for width, pile in merged.items() if pile}
        order = np.concatenate([np.zeros(0, np.int64), *(s.order for s in states.values())])
        places = trail.add(order)
        for part in states.values():
            count = len(part.order)
            part.order, places = places[:count], places[count:]
        listed += len(order)
    return _finish(program, trail, states, listed)


def _chunks(counts):
    """Slices of states whose numbers of pairs add up to about a chunk each."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
        yield start, stop
        start = stop


def _rooms(program):
    """The interval of each column's sum so far within which the limits can be met."""
    hard = np.isinf(program.slope)
    slack = bounds.ROUNDING * program.largest[1:]
    rows = np.eye(len(program.start))[1:]
    least = [program.to_go(row)[0] for row in rows]
    most = [program.to_go(-row)[0] for row in rows]
    upper = np.where(hard, program.upper, np.inf) + slack
    lower = np.where(hard, program.lower, -np.inf) - slack
    room, need = [], []
    for b in range(len(program.blocks) + 1):
        widths = program.heads if b == len(program.blocks) else program.problem.input_widths(b)
        room.append({w: (upper - [a[b][w] for a in least]).reshape(-1, 1) for w in widths})
        need.append({w: (lower + [a[b][w] for a in most]).reshape(-1, 1) for w in widths})
    return room, need


def _join(parts):
    return _States(
        np.concatenate([part.rows for part in parts], axis=1),
        np.concatenate([part.reduced for part in parts]),
        np.concatenate([part.order for part in parts]),
    )


def _thin(program, states, k):
    """Drops states that k others dominate: they are not among the k best."""
    if k > LAYERS:
        return states
    return states.take(needed(program, states.rows, states.order, k))


def needed(program, rows, order, k):
    """Positions of the points that fewer than k others dominate, and possibly of some more.

    With upper ends only, k fronts of rating and columns are peeled: a point in none of them is
    dominated by a chain of k points. A column with a lower end cannot be compared like this: of
    points whose columns are all equal, the k with the best rating are kept.
    """
    rows = np.concatenate([rows[:1] * program.base, rows[1:]])
    if np.isfinite(program.lower).any():
        return np.sort(_first_of_equal(rows, order, k))
    left, kept = np.arange(rows.shape[1]), []
    for _ in range(k):
        front = pareto.front_indices(rows[:, left], order[left])
        kept.append(left[front])
        left = np.delete(left, front)
        if not len(left):
            break
    return np.sort(np.concatenate(kept))


def _first_of_equal(rows, order, k):
    """Of points that are equal in all rows but the first, the k lowest in the first."""
    by_rows = np.lexsort([order, *rows])
    others = rows[1:, by_rows]
    new = np.concatenate([[True], (others[:, 1:] != others[:, :-1]).any(axis=0)])
    place = np.arange(len(by_rows))
    return by_rows[place - np.maximum.accumulate(np.where(new, place, 0)) < k]


def _finish(program, trail, states, listed):
    """Adds the heads, and keeps the architectures that meet the limits."""
    empty = np.zeros((0, len(program.blocks)), np.int64)
    rows = [np.zeros((len(program.start), 0))]
    places = [np.zeros(0, np.int64)]
    for width, part in states.items():
        rows.append(part.rows + program.heads[width][:, None])
        places.append(part.order)
    rows, places = np.concatenate(rows, axis=1), np.concatenate(places)
    penalties = program.penalties(rows)
    values = program.base * rows[0] + penalties
    keep = np.isfinite(values)
    cells, paths = trail.choices(places[keep]) if keep.any() else (empty, empty)
    return Ends(values[keep], penalties[keep], cells, paths, listed)


def _too_many(program, count):
    return TooMany(
        f"More than {count:,} states are near the optimum of the space "
        f"{program.problem.space.name!r}: ratings tie too often (weights of 0?), too many "
        "architectures are asked for, or the window between the limits is too narrow. Ask for "
        "fewer, or widen the limits."
    )
