"""Builds a search problem from ratings and cost tables, and checks that they fit the space."""

import numpy as np

from dna_tf.common import checks
from dna_tf.search import problems
from dna_tf.space import cost_tables, op_costs

_EXACT = 2**53  # whole numbers up to here are exact as float64


def build_problem(space, ratings, table, extra=(), weights=None, skip_missing=False):
    """Puts ratings and costs of a space together.

    Args:
        space: a `spaces.SearchSpace`.
        ratings: `ratings[block, cell]` has one rating per path, in the order of
            `SearchSpace.paths`; lower is better.
        table: the `cost_tables.CostTable` of the space.
        extra: further costs, a list of `cost_tables.PathCosts`.
        weights: a factor on each block's ratings (lambda of DNA eq. 5); `None` is 1 for all.
        skip_missing: whether to leave out what has no rating (a cell without ratings or
            with too few, a path whose rating is NaN) and to search the rest.

    Returns:
        A `problems.SearchProblem`.

    Raises:
        ValueError: ratings are missing, not finite or belong to another space; there is not
            one weight per block; costs belong to another space, are negative or not finite.
    """
    weights = _checked_weights(weights, space)
    measured, open_paths = _open_paths(space, ratings, skip_missing)
    tables = {name: _counted_costs(table, name) for name in cost_tables.COSTS}
    for costs in extra:
        if costs.name in tables:
            raise ValueError(f"There are two costs of the name {costs.name!r}. Rename one of them.")
        tables[costs.name] = costs
    for costs in tables.values():
        _check_costs(costs, space)
    names = tuple(tables)
    problem = problems.SearchProblem(
        space=space,
        task=table.task,
        names=names,
        counted=frozenset(cost_tables.COSTS),
        measured=measured,
        ratings={(b, c): values * weights[b] for (b, c), values in measured.items()},
        costs={
            (b, c, width): np.array([tables[n].paths[b, c, width] for n in names], np.float64)
            for b, c, _ in space.cells()
            for width in space.input_widths(b)
        },
        stem=np.array([tables[n].stem for n in names], np.float64),
        heads={
            cell.width: np.array([tables[n].heads[cell.width] for n in names], np.float64)
            for cell in space.blocks[-1].cells
        },
        open_paths=open_paths,
        weights=tuple(weights),
    )
    for name in problem.counted:
        highest = problem.highest(name)
        if highest > _EXACT:
            raise ValueError(
                f"Networks of the space {space.name!r} have up to {highest:.3g} {name}: too many "
                f"to be added exactly. At most {_EXACT:.3g} are possible."
            )
    return problem


def path_costs(costs, space, task):
    """The costs of all paths of a space from op costs.

    Args:
        costs: an `op_costs.OpCosts`, or its file.
        space: the `spaces.SearchSpace`.
        task: the `tasks.Task`.

    Returns:
        A `cost_tables.PathCosts`.

    Raises:
        FileNotFoundError: the file does not exist.
        op_costs.MissingParts: parts of the space are missing in it.
    """
    if not isinstance(costs, op_costs.OpCosts):
        costs = op_costs.load(costs)
    return costs.path_costs(space, task)


def _counted_costs(table, name):
    return cost_tables.PathCosts(
        name,
        {key: of_paths[name] for key, of_paths in table.paths.items()},
        table.stem[name],
        {width: head[name] for width, head in table.heads.items()},
    )


def _checked_weights(weights, space):
    """Returns the weights of the blocks as a list of floats; `None` is 1 for all."""
    weights = [1.0] * len(space.blocks) if weights is None else list(weights)
    if len(weights) > len(space.blocks):
        raise ValueError(
            f"There are {len(weights)} weights, and the space {space.name!r} has "
            f"{len(space.blocks)} blocks: there is no block {len(space.blocks) + 1}. Give one "
            "weight for each block."
        )
    valid = all(checks.is_number(weight) and weight >= 0 for weight in weights)
    if len(weights) != len(space.blocks) or not valid:
        raise ValueError(
            f"weights must be {len(space.blocks)} finite numbers of at least 0, one per block. "
            f"Received: {weights}"
        )
    return [float(weight) for weight in weights]


def _open_paths(space, ratings, skip_missing):
    """Finds out which paths have ratings.

    Args:
        space, ratings, skip_missing: as `build_problem` takes them.

    Returns:
        `(measured, open_paths)`: by `(block, cell)` a float64 array with one rating per path,
        NaN where it is missing, and the indices of the paths that have one.

    Raises:
        ValueError: ratings are missing (all cells are named) or belong to another space.
    """
    _check_cells(space, ratings)
    measured, open_paths, gaps = {}, {}, []
    for b, c, _ in space.cells():
        count = space.num_paths(b, c)
        values = np.asarray(ratings.get((b, c), ()), np.float64)
        fits = values.ndim == 1 and len(values) <= count
        if values.size and not (fits and (skip_missing or len(values) == count)):
            raise ValueError(
                f"Block {b + 1}, cell {c + 1} has {count} paths in the space {space.name!r}, and "
                f"{values.size} ratings. They belong to another space, or rating was interrupted."
            )
        full = np.full(count, np.nan)
        full[: len(values)] = values
        full[~np.isfinite(full)] = np.nan
        measured[b, c], open_paths[b, c] = full, np.flatnonzero(~np.isnan(full))
        missing = count - len(open_paths[b, c])
        if missing:
            gap = f"{missing} of {count} ratings missing or NaN" if values.size else "no ratings"
            gaps.append(f"block {b + 1}, cell {c + 1} ({gap})")
    if gaps and not skip_missing:
        raise ValueError(
            f"These cells cannot be searched: {'; '.join(gaps)}. Rate them first (ratings that are "
            "not finite come from a supernet that diverged: train it with a lower learning rate), "
            "or search the rest with skip_missing."
        )
    for b, block in enumerate(space.blocks):
        if not any(len(open_paths[b, c]) for c in range(len(block.cells))):
            raise ValueError(
                f"No path of block {b + 1} has a rating, so no network can be put together. Rate "
                "one of the block's cells first."
            )
    return measured, open_paths


def _check_cells(space, ratings):
    cells = {(b, c) for b, c, _ in space.cells()}
    for b, c in ratings:
        if (b, c) not in cells:
            raise ValueError(
                f"There are ratings of block {b + 1}, cell {c + 1}, which the space "
                f"{space.name!r} does not have. They belong to another space."
            )


def _check_costs(costs, space):
    """Checks that a `cost_tables.PathCosts` fits a space, finite and at least 0."""
    name = costs.name
    for b, c, _ in space.cells():
        for width in space.input_widths(b):
            values = np.asarray(costs.paths.get((b, c, width), ()))
            if values.shape != (space.num_paths(b, c),):
                raise ValueError(
                    f"There are {values.size} costs {name!r} of block {b + 1}, cell {c + 1}, "
                    f"reading {width} channels, and the space {space.name!r} has "
                    f"{space.num_paths(b, c)} such paths. The costs belong to another space."
                )
            _check_values(name, values, f"block {b + 1}, cell {c + 1}")
    _check_values(name, np.asarray([costs.stem], np.float64), "the stem")
    for cell in space.blocks[-1].cells:
        if cell.width not in costs.heads:
            raise ValueError(
                f"The costs {name!r} have no head that reads {cell.width} channels. They belong "
                f"to another space than {space.name!r}."
            )
        head = np.asarray([costs.heads[cell.width]], np.float64)
        _check_values(name, head, "the head")


def _check_values(name, values, where):
    valid = np.isfinite(values) & (values >= 0)
    if not valid.all():
        raise ValueError(
            f"The costs {name!r} of {where} must be finite and at least 0. Received: "
            f"{values[~valid][0]}"
        )
