"""Trained cells in a folder: for each cell a file of weights, and one about its training.

Cells are independent, so several machines can train cells into one folder, in any order.
The files are `NAME.npz` (weights), `NAME.json` (training) and `NAME_failed.json` (why the
training of a cell was stopped). While a cell is replaced its new weights are in
`NAME.FINGERPRINT.npz`: if the process is killed then, the weights that `NAME.json` describes are
in one of both files.
"""

import json

from dna_tf import workdirs
from dna_tf.common import files, locks
from dna_tf.space import spaces
from dna_tf.supernet import cell_models, trained_cells

IDENTITY_KIND = "dna_tf.cells"


def cell_names(space):
    """The names of all cells of a space, first block first."""
    return [spaces.cell_name(b, c) for b, c, _ in space.cells()]


def trained_names(folder, space):
    """The names of the cells of a space that are in a folder, first block first."""
    return [name for name in cell_names(space) if (folder / f"{name}.json").exists()]


def save(trained, folder):
    """Writes a `trained_cells.TrainedCell` into a folder; an earlier one is replaced.

    If the process is killed, the folder has the earlier cell or the new one.
    """
    name = trained.name
    path, result_path = folder / f"{name}.npz", folder / f"{name}.json"
    identity = {"kind": workdirs.CELL_KIND, "cell": name, "fingerprint": trained.fingerprint}
    arrays = {f"unit{u}": array for u, array in enumerate(trained.weights)}
    written = _new_path(folder, name, identity["fingerprint"]) if result_path.exists() else path
    files.write_arrays(written, arrays)
    # In one order, whether the result was trained now or read from a file.
    training = {key: value for key, value in trained.result.items() if key not in identity}
    files.write_json(result_path, {**training, **identity})
    if written != path:
        written.replace(path)
    for left in folder.glob(f"{name}.*.npz"):  # by a process that was killed here
        left.unlink()
    _failed_path(folder, name).unlink(missing_ok=True)


def save_failed(folder, name, result):
    """Writes why and when the training of a cell was stopped."""
    files.write_json(
        _failed_path(folder, name), {"kind": workdirs.FAILED_CELL_KIND, "cell": name, **result}
    )


def has_failed(folder, name):
    """Whether the training of a cell was stopped, and it was not trained since."""
    return _failed_path(folder, name).exists() and not (folder / f"{name}.json").exists()


def failure(folder, name):
    """Reads what `save_failed` wrote."""
    path = _failed_path(folder, name)
    return files.read_json(path, workdirs.FAILED_CELL_KIND, "Delete it and train the cell again.")


def next_retry_factor(folder, names):
    """Half of the smallest factor of the learning rate at which any of these cells failed."""
    failed = [name for name in names if has_failed(folder, name)]
    factors = [failure(folder, name).get("rate_factor", 1.0) for name in failed]
    return min(factors, default=1.0) / 2.0


def writing(folder, names, needed=True):
    """Context in which no other process trains cells into a folder.

    Args:
        folder: of the cells.
        names: of the cells that are trained. Other processes can train others.
        needed: whether this process writes their files.

    Raises:
        locks.InUse: another process trains one of them.
    """
    return locks.hold_all(
        [folder / f"{name}.json" for name in names],
        lambda path: f"The cell {path.stem} in {folder}",
        needed,
    )


def identify(folder, identity):
    """Writes what all cells of a folder have in common, or checks it.

    Args:
        folder: of the cells.
        identity: a JSON-able dict, such as space, settings, teacher and data.

    Raises:
        ValueError: the folder has cells of another identity; the fields that differ are named.
    """
    present = saved_identity(folder)
    path = folder / "training.json"
    if not present:
        files.write_json(path, {"kind": IDENTITY_KIND, **identity})
        return
    differing = "; ".join(
        f"{name}: {_short(present.get(name))} there, {_short(value)} now"
        for name, value in json.loads(json.dumps(identity)).items()
        if present.get(name) != value
    )
    if differing:
        raise ValueError(
            f"The cells in {folder} belong to another training. Differing: {differing}. Take "
            "another folder."
        )


def saved_identity(folder):
    """Returns what `identify` wrote into a folder, a dict; it is empty if nothing is there."""
    path = folder / "training.json"
    if not path.exists():
        return {}
    return files.read_json(path, IDENTITY_KIND, "Take another folder.")


def load(folder, space, shapes, names=None, teacher=None):
    """Reads trained cells.

    Args:
        folder: where they are.
        space: a `spaces.SearchSpace`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        names: which cells; all of the space by default.
        teacher: fingerprint of the teacher that they must imitate; `None` takes any.

    Returns:
        A list of `trained_cells.TrainedCell`, first block first.

    Raises:
        FileNotFoundError: a cell was not trained.
        ValueError: the weights do not fit the space, or are not those that the cell's
            result describes; the cell imitates another teacher.
    """
    return [
        _load(folder, space, shapes, b, c, teacher)
        for b, c, _ in space.cells()
        if names is None or spaces.cell_name(b, c) in names
    ]


def _load(folder, space, shapes, block, cell, teacher):
    name = spaces.cell_name(block, cell)
    result_path, path = folder / f"{name}.json", folder / f"{name}.npz"
    result = files.read_json(result_path, workdirs.CELL_KIND, "Train the cell first.")
    if teacher is not None and result.get("teacher") != teacher:
        raise ValueError(
            f"The cell {name} in {result_path} imitates another teacher than this one. Delete its "
            "folder and train the cells again."
        )
    again = f"Delete {result_path} and train the supernet again."
    new_path = _new_path(folder, name, result.get("fingerprint"))
    path = new_path if new_path.exists() else path
    if not path.exists():
        raise FileNotFoundError(f"There are no weights {path}. {again}")
    units = cell_models.cell_units(space, block, cell, shapes[block][-1], shapes[block + 1][-1])
    weights = trained_cells.read_weights(
        path, units, result["fingerprint"], space.name, f"{name}.json", again
    )
    return trained_cells.TrainedCell(space, block, cell, tuple(weights), result)


def _short(value):
    return repr(value.get("name", "...") if isinstance(value, dict) else value)


def _new_path(folder, name, fingerprint):
    """Where the weights of a cell are until they replace those of an earlier one."""
    return folder / f"{name}.{fingerprint}.npz"


def _failed_path(folder, name):
    return folder / f"{name}_failed.json"
