"""Copies of cells during the training: the same bits, after a kill too, and untrained cells."""

import pytest

from dna_tf.common import files
from dna_tf.data import loading
from dna_tf.models import keras_files
from dna_tf.space.spaces import SearchSpace
from dna_tf.supernet import cell_trainer, cell_training, phase_settings, snapshots, stage_training
from dna_tf.teachers import building, residual_cnn
from tests.helpers.data_files import data_config, write_folder

SPACE = SearchSpace.from_dict(
    {
        "name": "two",
        "ops": ["k3e1", "k5e1"],
        "blocks": [{"stride": 2, "cells": [[1, 4], [1, 6]]}, {"stride": 2, "cells": [[1, 8]]}],
        "frame": {"stem_width": 4, "stem_output_width": 4, "head_width": 16},
    }
)
SETTINGS = {"epochs": 3, "batch_size": 8, "learning_rate": 0.003}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two classes of images of 16x16."""
    folder = tmp_path_factory.mktemp("images")
    write_folder(folder, ["ant", "bee"], 15)
    config = data_config(source=f"folder:{folder}", rating_per_class=3, image_size=16)
    return loading.load(config, 0)


@pytest.fixture(scope="module")
def teacher(images):
    return building.cut_teacher(residual_cnn.build((16, 16, 3), 2, seed=1), images, space=SPACE)


def bits(cells):
    return [[array.tobytes() for array in cell.weights] for cell in cells]


def copies(folder, teacher, epochs):
    path = files.as_path(folder)
    fingerprint = keras_files.weights_fingerprint(teacher.model)
    return snapshots.load(path, SPACE, teacher.shapes, epochs, fingerprint)


def test_copies_change_nothing_and_come_again_after_a_kill(teacher, images, tmp_path, monkeypatch):
    plain = cell_training.train_cells(SPACE, teacher, images, **SETTINGS)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    copied = cell_training.train_cells(
        SPACE, teacher, images, folder=whole, snapshots=1, **SETTINGS
    )
    assert bits(copied) == bits(plain)
    assert snapshots.epochs_in(files.as_path(whole), SPACE) == [1, 2]
    first, second = (copies(whole, teacher, epochs) for epochs in (1, 2))
    assert bits(first) != bits(second) != bits(plain)
    # Killed in the last epoch: checkpoints are from before the second copy.
    steps, step = images.steps_per_epoch(8), cell_trainer.CellTrainer.step

    def stopping(self, x, target, number, rate):
        if number == 2 * steps:
            raise KeyboardInterrupt
        return step(self, x, target, number, rate)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(cell_trainer.CellTrainer, "step", stopping)
        cell_training.train_cells(SPACE, teacher, images, folder=killed, snapshots=1, **SETTINGS)
    resumed = cell_training.train_cells(
        SPACE, teacher, images, folder=killed, snapshots=1, **SETTINGS
    )
    assert bits(resumed) == bits(plain)
    for epochs, cells in ((1, first), (2, second)):
        assert bits(copies(killed, teacher, epochs)) == bits(cells)


@pytest.mark.parametrize("output_start", ["teacher", "identity"])
def test_untrained_cells_are_those_with_which_training_begins(
    teacher, images, output_start, monkeypatch
):
    starts = None
    if output_start == "teacher":
        starts = stage_training.output_starts(teacher, images, 8)
    untrained = snapshots.untrained_cells(SPACE, teacher.shapes, 0, "teacher", starts)
    monkeypatch.setattr(
        cell_trainer.CellTrainer, "step", lambda self, *_: self.cell.rows[0].value[0, 0]
    )
    begun = cell_training.train_cells(
        SPACE, teacher, images, output_start=output_start, **SETTINGS | {"epochs": 1}
    )
    assert bits(untrained) == bits(begun)
    assert [cell.result["steps"] for cell in untrained] == [0, 0, 0]


def test_an_incomplete_copy_does_not_count(tmp_path):
    folder = files.as_path(tmp_path)
    assert snapshots.epochs_in(folder, SPACE) == []
    untrained = snapshots.untrained_cells(SPACE, [(16, 16, 3), (8, 8, 4), (4, 4, 8)], 0, "t")
    cells = [cell.build([(16, 16, 3), (8, 8, 4), (4, 4, 8)]) for cell in untrained]
    snapshots.save(folder, SPACE, cells[:2], 4, snapshots.result_of("t", 8))
    (folder / "snapshots" / "other").mkdir()
    assert snapshots.epochs_in(folder, SPACE) == []
    snapshots.save(folder, SPACE, cells[2:], 4, snapshots.result_of("t", 8))
    assert snapshots.epochs_in(folder, SPACE) == [4]


@pytest.mark.parametrize(
    ("every", "due"), [(0, []), (1, [0, 1, 2, 3, 4]), (2, [1, 3]), (3, [2]), (6, []), (9, [])]
)
def test_copies_are_due_after_every_few_epochs_and_not_at_the_end(every, due):
    assert [epoch for epoch in range(6) if snapshots.is_due(epoch, every, 6)] == due


def test_copies_need_cells_that_train_together():
    for inputs in ("S1", "S2"):
        with pytest.raises(ValueError, match=f"snapshots needs cells .*inputs='{inputs}'"):
            phase_settings.SupernetSettings(inputs=inputs, snapshots=1)
    with pytest.raises(ValueError, match="snapshots must be"):
        phase_settings.SupernetSettings(snapshots=-1)
