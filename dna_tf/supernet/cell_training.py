"""Supernet training: every cell learns to imitate its block of the teacher.

Cells are independent: no gradient passes between blocks, one pass of the teacher
serves all cells, and any set of them can be trained on any machine, in any order.
"""

import contextlib
import dataclasses
import tempfile
import typing

import tensorflow as tf

from dna_tf.common import checks, files, progress
from dna_tf.config import without_effect
from dna_tf.data.labelled_images import Images
from dna_tf.models import keras_files
from dna_tf.space import fit
from dna_tf.space.spaces import SearchSpace
from dna_tf.supernet import (
    cell_files,
    cell_trainer,
    phase_settings,
    stage_folders,
    stage_training,
)
from dna_tf.supernet.phase_settings import SupernetSettings
from dna_tf.supernet.trained_cells import TrainedCell
from dna_tf.teachers.cutting import Teacher
from dna_tf.training import determinism, strategies


class NoSuchCell(ValueError):
    """The space has no cell of this name."""


def train_cells(
    space: SearchSpace,
    teacher: Teacher,
    images: Images,
    *,
    settings: SupernetSettings | None = None,
    seed: int = 0,
    cells: tuple[str, ...] = (),
    folder: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    retry_factor: float = 0.0,
    curves_folder: str | None = None,
    identify: bool = True,
    **changes: typing.Any,
) -> list[TrainedCell]:
    """Trains the cells of a space to imitate the blocks of a teacher.

    Example:

        import dna_tf

        images = dna_tf.load_images("digits", image_size=16)
        space = dna_tf.SearchSpace.from_dict(
            {
                "name": "two_blocks",
                "ops": ["k3e1", "k5e1"],
                "blocks": [{"stride": 2, "cells": [[1, 4]]}, {"stride": 2, "cells": [[1, 8]]}],
            }
        )
        teacher = dna_tf.cut_teacher("residual_cnn", images, space=space)
        cells = dna_tf.train_cells(space, teacher, images, epochs=1)
        print([cell.name for cell in cells])  # ['block1_cell1', 'block2_cell1']

    Args:
        space: the search space; it must fit the teacher's cut.
        teacher: a cut teacher. Under a strategy of several replicas it must have been
            loaded in the strategy's scope.
        images: the images; the training split is trained on, the rating split is watched.
        settings: how to train; `None` takes the defaults.
        seed: seeds first weights, order of images, augmentation and drawn paths.
        cells: names of the cells to train, such as `"block1_cell2"`; `()` is all of them.
        folder: where cells and checkpoints are kept, so that a killed training resumes and
            cells that are in it are not trained again. `None` keeps nothing.
        strategy: where to train; the current strategy by default.
        retry_factor: above 0 only those cells are trained that diverged in the folder, at
            their learning rate times this factor. Otherwise they are left out, with a
            warning: the same training would fail at the same step.
        curves_folder: where curves and maps for TensorBoard go; `None` writes none.
        identify: whether `training.json` in the folder says what its cells were trained
            with, so that other settings, images or teachers are refused. A run does not
            need it: it has a config.
        changes: fields of `SupernetSettings` that are to have other values, such as
            `epochs=15`.

    Returns:
        The trained cells, first block first. Cells that diverged are missing.

    Raises:
        ValueError: space, teacher, images and settings do not fit together; the folder has
            cells of another training; or all cells diverged.
    """
    settings = phase_settings.with_changes(SupernetSettings, settings, changes)
    names = cells_to_train(space, cells, settings.inputs)
    strategy = strategy or tf.distribute.get_strategy()
    _check(space, teacher, images, settings, strategy)
    if folder is None and retry_factor:
        raise ValueError("retry_factor needs the folder in which cells diverged.")
    determinism.enable(seed)
    with contextlib.ExitStack() as stack:
        path = files.as_path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        todo, failed = cells_left(path, names, settings.inputs, retry_factor)
        warn_left_out(path, failed)
        chief = strategies.is_chief(strategy)
        stack.enter_context(cell_files.writing(path, todo, chief and folder is not None))
        images.take_up(cell_files.saved_identity(path).get("data"))
        if identify and chief:
            cell_files.identify(path, _identity(space, teacher, images, settings, seed))
        training = stage_training.StageTraining(
            space=space,
            teacher=teacher,
            images=images,
            settings=settings,
            seed=seed,
            folder=path,
            strategy=strategy,
            rate_factor=retry_factor or 1.0,
            curves_folder=curves_folder,
        )
        training.load([name for name in names if name not in todo])
        stages = stage_folders.stages(
            settings.inputs, space, names, todo, path / "runs", retry_factor or 1.0
        )
        for stage in stages:
            training.train(stage)
        return [training.cells[name] for name in names if name in training.cells]


def cells_to_train(space, cells=(), inputs="teacher"):
    """The names of the cells that are to be trained, first block first.

    Args:
        space: a `spaces.SearchSpace`.
        cells: names of cells; `()` is all of the space.
        inputs: as of `SupernetSettings`.

    Raises:
        NoSuchCell: the space has no cell of a name.
        ValueError: the training by `inputs` goes through chains of cells, and the space or
            the named cells do not make a chain.
    """
    names = cell_files.cell_names(space)
    for name in cells:
        if name not in names:
            raise NoSuchCell(
                f"The space {space.name!r} has no cell {name!r}.{checks.near_names(name, names)} "
                f"Its cells are {names}."
            )
    if inputs != "teacher" and (cells or any(len(block.cells) > 1 for block in space.blocks)):
        raise ValueError(
            f"inputs={inputs!r} trains one chain of cells from the image on, and needs a space "
            f"with one cell in each block, all of them trained. Received: the space "
            f"{space.name!r}, cells={tuple(cells)}. Take a space such as dna_single, and do not "
            "name cells."
        )
    return [name for name in names if not cells or name in cells]


def cells_left(folder, names, inputs="teacher", retry_factor=0.0):
    """Divides the cells that are not in a folder yet.

    Args:
        folder: where trained cells are kept.
        names: of the cells to train, first block first.
        inputs: as of `SupernetSettings`.
        retry_factor: as of `train_cells`.

    Returns:
        Two lists of names: the cells that can be trained now, and those that are left out
        because they diverged before.
    """
    missing = [name for name in names if not (folder / f"{name}.json").exists()]
    failed = [name for name in missing if cell_files.has_failed(folder, name)]
    if retry_factor:
        return failed, []
    if failed and inputs != "teacher":
        missing = missing[: missing.index(failed[0])]  # the chain ends there
    return [name for name in missing if name not in failed], failed


def warn_left_out(folder, names):
    """Warns of cells that are left out because they diverged before."""
    for name in names:
        factor = cell_files.next_retry_factor(folder, [name])
        progress.warn(
            f"Left out: {cell_files.failure(folder, name)['reason']} To train it again: "
            f"retry_factor={factor:g}"
        )


def _check(space, teacher, images, settings, strategy):
    """Checks what can be checked before any work."""
    strategies.check_batch(strategy, "batch_size", settings.batch_size)
    replica_images = settings.batch_size // strategy.num_replicas_in_sync
    cell_trainer.norm_groups(replica_images, settings.norm_images)
    teacher.check_images(images.image_shape)
    fit.check_fit(space, teacher.shapes, teacher.cuts)


def _identity(space, teacher, images, settings, seed):
    """What all cells of a folder have in common."""
    fields = dataclasses.asdict(settings)
    for name in without_effect.FIELDS["supernet"]:
        fields.pop(name, None)
    return {
        "space": space.to_dict(),
        "teacher": keras_files.weights_fingerprint(teacher.model),
        "data": images.fingerprint,
        "seed": seed,
        **fields,
    }
