"""The stages of a training, and the folders in which their checkpoints are kept.

A stage is kept under the name of all cells that its training wants, whichever of them are in
their files by now. So it is found again when it is killed while it writes the cells. Each
folder records in `stage.json` whose variables its checkpoints have. Folders of earlier versions
have no record, and were named after the cells that were missing when they began.
"""

import dataclasses
import itertools
import re

from dna_tf.common import files
from dna_tf.supernet import cell_files
from dna_tf.training import checkpoints

KIND = "dna_tf.stage"
# A longer name is replaced by a fingerprint.
_LONGEST_NAME = 100
# Sets of cells that are tried for a fingerprint of an earlier version: all of 16 cells.
_MOST_SETS = 2**16


@dataclasses.dataclass(frozen=True)
class Stage:
    """Cells that train together.

    Args:
        folder: name of the folder of their checkpoints.
        cells: their names.
        variables_of: names of the cells whose variables the checkpoints have: these cells, and
            others that began with them and are not to be trained now.
        chain: names of the cells before, if the stage trains the last cell of a chain that
            reads the image.
        begins_from: name of the folder of an earlier stage whose newest checkpoint this one
            goes on from, if it has none of its own.
    """

    folder: str
    cells: tuple[str, ...]
    variables_of: tuple[str, ...]
    chain: tuple[str, ...] = ()
    begins_from: str | None = None

    @property
    def label(self):
        """The cells on the progress line."""
        return self.cells[0] if len(self.cells) == 1 else f"{len(self.cells)} cells"


def stages(inputs, space, wanted, missing, folder, rate_factor=1.0):
    """Divides the cells that are missing into stages that train one after another.

    Args:
        inputs: as of `SupernetSettings`.
        space: a `spaces.SearchSpace`.
        wanted: names of all cells that are asked for, first block first.
        missing: those of them that are to be trained now.
        folder: where the folders of the stages are.
        rate_factor: factor of all learning rates; each has its own folders.

    Returns:
        A list of `Stage`.

    Raises:
        ValueError: the record of a folder is damaged.
    """
    if not missing:
        return []
    suffix = "" if rate_factor == 1 else f"_x{rate_factor:g}"
    if inputs == "teacher":
        return [_stage(space, tuple(wanted), tuple(missing), folder, suffix)]
    names = cell_files.cell_names(space)
    return [
        Stage(f"{name}{suffix}", (name,), (name,), tuple(names[: names.index(name)]))
        for name in missing
    ]


def write_record(folder, stage):
    """Writes whose variables the checkpoints of a stage have, unless it is there.

    Args:
        folder: where the folders of the stages are.
        stage: a `Stage`.
    """
    path = folder / stage.folder / "stage.json"
    content = {"kind": KIND, "cells": list(stage.variables_of)}
    if not path.exists() or files.read_json(path, None, "") != content:
        files.write_json(path, content)


def _stage(space, wanted, missing, folder, suffix):
    """The stage of all cells that are missing: an earlier one, as far as it got, or a new one."""
    saved = _saved(space, missing, folder, suffix)
    fitting = {name: cells for name, (cells, _) in saved.items() if set(missing) <= set(cells)}
    own = _folder_name(space, wanted) + suffix

    def furthest(names):
        return max(names, key=lambda name: (saved[name][1], name == own, name))

    # A folder whose cells are all wanted is this training's. One with other cells, too, may be
    # in use by another machine: it is only read.
    ours = [name for name in fitting if name == own or set(fitting[name]) <= set(wanted)]
    if ours:
        name = furthest(ours)
        return Stage(name, missing, fitting[name])
    # The checkpoints of a folder that does not fit are of other cells.
    base = _folder_name(space, missing)
    numbered = (f"{base}_{number}{suffix}" for number in itertools.count(2))
    name = next(n for n in itertools.chain([own, base + suffix], numbered) if n not in saved)
    if not fitting:
        return Stage(name, missing, missing)
    source = furthest(fitting)
    return Stage(name, missing, fitting[source], begins_from=source)


def _folder_name(space, names):
    name = "all" if len(names) == len(cell_files.cell_names(space)) else "_".join(names)
    return name if len(name) < _LONGEST_NAME else files.fingerprint(list(names))


def _saved(space, missing, folder, suffix):
    """The folders with a checkpoint: a dict from names to the cells and the position of each."""
    saved = {}
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        base, factor = re.fullmatch(r"(.*?)(_x[\d.e+-]+)?", path.name).groups()
        if (factor or "") != suffix:
            continue
        state = checkpoints.saved_state(path / "checkpoints")
        cells = None if state is None else _recorded(space, path) or _named(space, base, missing)
        if cells:
            saved[path.name] = (cells, (state["epoch"], state["step"]))
    return saved


def _recorded(space, path):
    """The cells in the record of a folder, or `None` if it has none."""
    if not (path / "stage.json").exists():
        return None
    hint = "Delete that folder to train its cells from the start."
    cells = files.read_json(path / "stage.json", KIND, hint).get("cells")
    if (
        not isinstance(cells, list)
        or not cells
        or any(c not in cell_files.cell_names(space) for c in cells)
    ):
        raise ValueError(
            f"The cells in {path / 'stage.json'} must be names of cells of the space "
            f"{space.name!r}. Received: {str(cells)[:80]}. {hint}"
        )
    return tuple(cells)


def _named(space, base, missing):
    """The cells after which an earlier version named a folder, or `None`."""
    names = cell_files.cell_names(space)
    if base == "all":
        return tuple(names)
    cells = re.findall(r"block\d+_cell\d+", base)
    if "_".join(cells) == base and all(name in names for name in cells):
        return tuple(cells)
    if not re.fullmatch("[0-9a-f]{16}", base):
        return None
    # The cells that were missing then: those of now, and others.
    others = [name for name in names if name not in missing]
    left_out = (itertools.combinations(others, size) for size in range(len(others) + 1))
    for out in itertools.islice(itertools.chain.from_iterable(left_out), _MOST_SETS):
        cells = tuple(name for name in names if name not in out)
        if files.fingerprint(list(cells)) == base:
            return cells
    return None
