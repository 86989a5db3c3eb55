"""Rating files: the rating of every path of a cell, one JSON file per cell."""

import numpy as np

from dna_tf import files

KIND = "dna_tf.ratings"
VERSION = 1
_HINT = "Rating files are written by tools/rate.py; run it again on the workdir."


def cell_name(block, cell):
    """The name of a cell in files and logs: `block1_cell1` for the indices 0, 0."""
    return f"block{block + 1}_cell{cell + 1}"


def save(path, space, block, cell, values, made_from):
    """Writes the ratings of one cell, atomically.

    Args:
        path: where to.
        space: the `search_space.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        values: a rating per path in the order of `SearchSpace.paths`; a part of them
            (the first ones) may be written while rating goes on.
        made_from: fingerprint of supernet, data and rating settings.

    Raises:
        ValueError: a rating is not finite; nothing is written.
    """
    if not np.isfinite(values).all():
        raise ValueError(
            f"{cell_name(block, cell)} has ratings that are not finite: its supernet diverged. "
            "Train it with a lower config.supernet.learning_rate."
        )
    files.write_json(
        path,
        {
            "kind": KIND,
            "version": VERSION,
            "cell": cell_name(block, cell),
            "space": space.to_dict(),
            "metric": "relative_l1",
            "made_from": made_from,
            "num_paths": space.num_paths(block, cell),
            "ratings": [float(value) for value in values],
        },
    )


def load(path, space, block, cell, made_from=None):
    """Reads the ratings of one cell.

    Args:
        path: the file.
        space: the space they must belong to.
        block: block index from 0.
        cell: cell index from 0.
        made_from: the fingerprint they must have; `None` takes any.

    Returns:
        A float64 array with one rating per path; fewer if rating was interrupted.

    Raises:
        FileNotFoundError: the cell was not rated.
        ValueError: the file is broken, of another cell or space, or stale.
    """
    data = files.read_json(path, KIND, _HINT)
    name = cell_name(block, cell)
    if data.get("version") != VERSION or data.get("cell") != name:
        raise ValueError(
            f"The file {path} was expected to hold ratings of {name}, version {VERSION}. Received: "
            f"cell={data.get('cell')!r}, version={data.get('version')!r}. {_HINT}"
        )
    if data.get("space") != space.to_dict():
        raise ValueError(f"The ratings in {path} belong to another search space. {_HINT}")
    if made_from is not None and data.get("made_from") != made_from:
        raise ValueError(
            f"The ratings in {path} are stale: they were made from another supernet, data or "
            "rating settings. Delete the folder of ratings and rate again."
        )
    values = data.get("ratings")
    if not isinstance(values, list) or not all(type(v) in (int, float) for v in values):
        raise ValueError(f"The ratings in {path} are not a list of numbers. {_HINT}")
    if len(values) > space.num_paths(block, cell):
        raise ValueError(
            f"The ratings in {path} are {len(values)}, and {name} of the space has "
            f"{space.num_paths(block, cell)} paths. {_HINT}"
        )
    return np.array(values, np.float64)


def load_all(folder, space, made_from=None):
    """Reads the ratings of all cells of a space.

    Args:
        folder: the folder with one file per cell.
        space: the `search_space.SearchSpace`.
        made_from: a function from the name of a cell to the fingerprint its ratings must
            have; `None` takes any.

    Returns:
        A dict from `(block, cell)` to a float64 array with one rating per path.

    Raises:
        FileNotFoundError: a cell was not rated.
        ValueError: a file is broken, or its rating was interrupted.
    """
    ratings = {}
    for b, c, _ in space.cells():
        path = files.as_path(folder) / f"{cell_name(b, c)}.json"
        fresh = made_from(cell_name(b, c)) if made_from and path.exists() else None
        values = load(path, space, b, c, fresh)
        if len(values) < space.num_paths(b, c):
            raise ValueError(
                f"{cell_name(b, c)} has {len(values)} of {space.num_paths(b, c)} paths rated: "
                "rating was interrupted. Run tools/rate.py again on the workdir to go on."
            )
        ratings[b, c] = values
    return ratings
