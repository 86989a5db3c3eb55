"""Checks of what a search problem is made of: ratings, weights and costs."""

import math

import numpy as np


def check_weights(weights, space):
    """Returns the weights of blocks as a list of floats; `None` is 1 for all.

    Raises:
        ValueError: they are not one finite number of at least 0 for each block.
    """
    given = [1.0] * len(space.blocks) if weights is None else list(weights)
    if len(given) > len(space.blocks):
        raise ValueError(
            f"There are {len(given)} weights, and the space {space.name!r} has "
            f"{len(space.blocks)} blocks: there is no block {len(space.blocks) + 1}. Give one "
            "weight for each block."
        )
    if len(given) != len(space.blocks) or not all(is_number(w) and w >= 0 for w in given):
        raise ValueError(
            f"weights must be {len(space.blocks)} finite numbers of at least 0, one per block. "
            f"Received: {given}"
        )
    return [float(w) for w in given]


def open_paths(space, ratings, skip_missing):
    """Looks which paths have ratings.

    Args:
        space: a `spaces.SearchSpace`.
        ratings: as `problems.make` takes them.
        skip_missing: likewise.

    Returns:
        `(values, open_paths)`: by `(block, cell)` a float64 array with one rating per path,
        NaN where there is none, and the indices of those that are there.

    Raises:
        ValueError: ratings are missing (all cells are named) or of another space.
    """
    known = {(b, c) for b, c, _ in space.cells()}
    for b, c in ratings:
        if (b, c) not in known:
            raise ValueError(
                f"There are ratings of block {b + 1}, cell {c + 1}, which the space "
                f"{space.name!r} does not have. They belong to another space."
            )
    values, found, gaps = {}, {}, []
    for b, c, _ in space.cells():
        count = space.num_paths(b, c)
        given = np.asarray(ratings.get((b, c), ()), np.float64)
        if given.ndim != 1 or len(given) > count or (len(given) < count and not skip_missing):
            if given.size:
                raise ValueError(
                    f"Block {b + 1}, cell {c + 1} has {count} paths in the space "
                    f"{space.name!r}, and {given.size} ratings. They belong to another space, "
                    "or rating was interrupted."
                )
        full = np.full(count, np.nan)
        full[: len(given)] = given
        full[~np.isfinite(full)] = np.nan
        values[b, c], found[b, c] = full, np.flatnonzero(~np.isnan(full))
        bad = count - len(found[b, c])
        if bad:
            how = "no ratings" if not given.size else f"{bad} of {count} ratings missing or NaN"
            gaps.append(f"block {b + 1}, cell {c + 1} ({how})")
    if gaps and not skip_missing:
        raise ValueError(
            f"These cells cannot be searched: {'; '.join(gaps)}. Rate them first: python -m "
            "tools.rate --workdir=... (ratings that are not finite come from a supernet that "
            "diverged: train it with a lower learning rate). To search over the rest, give "
            "--skip_missing."
        )
    for b, block in enumerate(space.blocks):
        if not any(len(found[b, c]) for c in range(len(block.cells))):
            raise ValueError(
                f"Block {b + 1} has no rated path at all, so no network can be put together. "
                "Rate one of its cells first: python -m tools.rate --workdir=..."
            )
    return values, found


def check_costs(one, space):
    """Checks a `cost_tables.PathCosts` against a space.

    Raises:
        ValueError: it is of another space, or a cost is negative or not finite.
    """
    for b, c, _ in space.cells():
        for width in space.input_widths(b):
            there = np.asarray(one.paths.get((b, c, width), ()))
            if there.shape != (space.num_paths(b, c),):
                raise ValueError(
                    f"The costs {one.name!r} of block {b + 1}, cell {c + 1}, reading {width} "
                    f"channels, are {there.size}, and the space {space.name!r} has "
                    f"{space.num_paths(b, c)} paths there. They belong to another space."
                )
            _check_values(one.name, there, f"block {b + 1}, cell {c + 1}")
    _check_values(one.name, np.asarray([one.stem], np.float64), "the stem")
    for cell in space.blocks[-1].cells:
        if cell.width not in one.heads:
            raise ValueError(
                f"The costs {one.name!r} have no head that reads {cell.width} channels. They "
                f"belong to another space than {space.name!r}."
            )
        _check_values(one.name, np.asarray([one.heads[cell.width]], np.float64), "the head")


def _check_values(name, values, where):
    good = np.isfinite(values) & (values >= 0)
    if not good.all():
        raise ValueError(
            f"The costs {name!r} of {where} must be finite and at least 0. Received: "
            f"{values[~good][0]}"
        )


def is_number(value):
    """Whether a value is a finite number."""
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
