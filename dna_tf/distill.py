"""Supernet training: every cell learns to imitate its block of the teacher.

Each step draws one path per cell, uniformly and from the step alone, and moves the
ops of that path. Cells are independent: no gradient passes between blocks, and one
pass of the teacher serves all cells.
"""

import hashlib
import io
import zipfile

import numpy as np

from dna_tf import (
    cell_trainer,
    data,
    determinism,
    features,
    files,
    loop,
    progress,
    search_space,
    supernet,
    teacher_training,
)

KIND = "dna_tf.supernet"


def learning_rate(section, block, epoch):
    """The learning rate of a block's cells in an epoch (both from 0).

    Source: DNA 4.1. The authors' code already multiplies by the decay in the first
    epoch and gives the last block the first one's rate; we follow the paper.
    """
    first = section.first_block_learning_rate if block == 0 else section.learning_rate
    return first * section.learning_rate_decay**epoch


def train_supernet(workdir, config):
    """Trains all cells of the config's space on the workdir's teacher.

    Args:
        workdir: a `workdir.Workdir` with a teacher.
        config: its config.

    Returns:
        The content of `supernet/result.json`.
    """
    if (workdir.supernet / "result.json").exists():
        progress.say(f"The supernet is there already: {workdir.supernet}")
        return workdir.supernet_result()
    determinism.enable(config.seed)
    section = config.supernet
    teacher_result = workdir.teacher_result()
    teacher = teacher_training.load_teacher(workdir, config)
    images = data.load(config.data, config.seed, workdir.path)
    check_same_data(images, teacher_result, workdir)
    space = search_space.space_of(config)
    supernet.check_fit(space, teacher.shapes, teacher.cuts)
    steps = images.steps_per_epoch(section.batch_size)
    with images.reading():
        batches = features.feature_batches(
            section, teacher, images, config.seed, workdir.path / "features"
        )
    cells = supernet.build_cells(space, teacher.shapes, config.seed)
    trainers = [cell_trainer.CellTrainer(cell, config.seed) for cell in cells]

    def step(batch, number):
        losses = {}
        for trainer in trainers:
            block = trainer.cell.block
            rate = learning_rate(section, block, number // steps)
            losses[trainer.cell.name] = trainer.step(batch[block], batch[block + 1], number, rate)
        return losses

    with images.reading():
        history = loop.run(
            label=f"supernet ({len(cells)} cells)",
            folder=workdir.supernet,
            variables=[v for trainer in trainers for v in trainer.variables],
            epochs=section.epochs,
            steps_per_epoch=steps,
            batches=batches,
            step=step,
            checkpoint_seconds=section.checkpoint_seconds,
        )
    for cell in cells:
        save_cell(cell, workdir)
    result = {
        "kind": KIND,
        "teacher": teacher_result["fingerprint"],
        "fingerprint": cells_fingerprint(cells),
        "cells": [cell.name for cell in cells],
        "losses": history[-1],
    }
    files.write_json(workdir.supernet / "result.json", result)
    return result


def check_same_data(images, teacher_result, workdir):
    """Checks that the data is the one that the teacher of the workdir saw."""
    if images.fingerprint != teacher_result["data_fingerprint"]:
        raise ValueError(
            f"The data has changed since the teacher in {workdir.teacher} was trained: "
            f"fingerprint {images.fingerprint} now, {teacher_result['data_fingerprint']} then. "
            "Bring the data back, or start in a new workdir."
        )


def save_cell(cell, workdir):
    """Writes the weights of a cell, one array per position, as a NumPy archive."""
    buffer = io.BytesIO()
    np.savez(buffer, **{f"unit{u}": rows.value.numpy() for u, rows in enumerate(cell.rows)})
    files.write_bytes(workdir.supernet / f"{cell.name}.npz", buffer.getvalue())


def load_cells(workdir, space, shapes):
    """Builds the cells of a space with the trained weights of a workdir.

    Raises:
        FileNotFoundError: a cell was not trained.
        ValueError: the weights do not fit the space, or are not those that
            `supernet/result.json` describes.
    """
    result = workdir.supernet_result()
    cells = supernet.build_cells(space, shapes, seed=0)
    for cell in cells:
        path = workdir.supernet / f"{cell.name}.npz"
        if not path.exists():
            raise FileNotFoundError(f"There are no weights {path}. Train the supernet again.")
        arrays = _read_arrays(path)
        for u, rows in enumerate(cell.rows):
            array = arrays.get(f"unit{u}", np.zeros(0))
            if array.shape != tuple(rows.shape):
                raise ValueError(
                    f"The weights in {path} do not fit the space {space.name!r}: unit {u} "
                    f"has shape {array.shape}, expected {tuple(rows.shape)}."
                )
            rows.assign(array)
    if cells_fingerprint(cells) != result["fingerprint"]:
        raise ValueError(
            f"The weights in {workdir.supernet} are not those that result.json there describes. "
            "Delete that folder and train the supernet again."
        )
    return cells


def _read_arrays(path):
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"The file {path} is truncated or damaged: {error}. Delete the folder {path.parent} "
            "and train the supernet again."
        ) from error


def cells_fingerprint(cells):
    """Identifies the weights of all cells."""
    digest = hashlib.sha256()
    for cell in cells:
        for rows in cell.rows:
            digest.update(np.ascontiguousarray(rows.value.numpy()).tobytes())
    return digest.hexdigest()[:16]
