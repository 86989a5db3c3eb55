"""Trained cells in a workdir: the weights of each, and what is known of its training.

Cells are independent: each has files of its own, so that several machines can train
cells into one workdir, in any order.
"""

import hashlib

import numpy as np

from dna_tf.common import files
from dna_tf.space import spaces
from dna_tf.supernet import cell_models

KIND = "dna_tf.cell"
FAILED_KIND = "dna_tf.failed_cell"


def cell_names(space):
    """The names of all cells of a space, first block first."""
    return [spaces.cell_name(b, c) for b, c, _ in space.cells()]


def trained_cells(workdir, space):
    """The names of those cells of a space that the workdir holds, first block first."""
    return [name for name in cell_names(space) if workdir.cell(name).exists()]


def save(cell, workdir, result):
    """Writes the weights of a cell, and `result` beside them.

    Args:
        cell: a `cell_models.Cell`.
        workdir: a `workdirs.Workdir`.
        result: a JSON-able dict about its training, with the key `teacher`.
    """
    arrays = {f"unit{u}": rows.value.numpy() for u, rows in enumerate(cell.rows)}
    files.write_arrays(workdir.supernet / f"{cell.name}.npz", arrays)
    made = {**result, "kind": KIND, "cell": cell.name, "fingerprint": fingerprint(cell)}
    files.write_json(workdir.cell(cell.name), made)
    failed = workdir.failed_cell(cell.name)
    if failed.exists():
        failed.unlink()


def save_failed(name, workdir, result):
    """Writes why and when the training of a cell was stopped."""
    files.write_json(workdir.failed_cell(name), {"kind": FAILED_KIND, "cell": name, **result})


def failure(name, workdir):
    """What `save_failed` wrote of a cell."""
    path = workdir.failed_cell(name)
    hint = f"Delete it and train the cell again: python -m tools.train_supernet --workdir={workdir}"
    return files.read_json(path, FAILED_KIND, hint)


def next_retry_factor(workdir, names):
    """Half of the smallest factor of the learning rate at which cells failed."""
    factors = [failure(n, workdir).get("rate_factor", 1.0) for n in names if _failed(n, workdir)]
    return min(factors, default=1.0) / 2.0


def _failed(name, workdir):
    return workdir.failed_cell(name).exists()


def load(workdir, space, shapes, names=None):
    """Builds cells of a space with the trained weights of a workdir.

    Args:
        workdir: a `workdirs.Workdir`.
        space: a `spaces.SearchSpace`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        names: which cells; all of the space by default.

    Returns:
        A list of `cell_models.Cell`, first block first.

    Raises:
        FileNotFoundError: a cell was not trained.
        ValueError: the weights do not fit the space, or are not those that the cell's
            result describes.
    """
    cells = cell_models.build_cells(space, shapes, seed=0, names=names)
    for cell in cells:
        result = workdir.cell_result(cell.name)
        path = workdir.supernet / f"{cell.name}.npz"
        again = f"Delete {workdir.cell(cell.name)} and train the supernet again."
        if not path.exists():
            raise FileNotFoundError(f"There are no weights {path}. {again}")
        arrays = files.read_arrays(path, again)
        for u, rows in enumerate(cell.rows):
            array = arrays.get(f"unit{u}", np.zeros(0))
            if array.shape != tuple(rows.shape):
                raise ValueError(
                    f"The weights in {path} do not fit the space {space.name!r}: unit {u} "
                    f"has shape {array.shape}, expected {tuple(rows.shape)}. {again}"
                )
            rows.assign(array)
        if fingerprint(cell) != result["fingerprint"]:
            raise ValueError(
                f"The weights in {path} are not those that {cell.name}.json beside it describes. "
                f"{again}"
            )
    return cells


def fingerprint(cell):
    """Identifies the weights of a cell."""
    digest = hashlib.sha256()
    for rows in cell.rows:
        digest.update(np.ascontiguousarray(rows.value.numpy()).tobytes())
    return digest.hexdigest()[:16]
