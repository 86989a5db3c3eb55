"""Training and rating of cells by values: folders, refusals, and the same bits as a run."""

import contextlib
import types

import numpy as np
import pytest

from dna_tf.common import files
from dna_tf.data import loading
from dna_tf.features import feature_batches
from dna_tf.space.spaces import SearchSpace
from dna_tf.supernet import (
    cell_files,
    cell_rating,
    cell_trainer,
    cell_training,
    phase_settings,
    stage_folders,
    stage_training,
)
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
NAMES = ["block1_cell1", "block1_cell2", "block2_cell1"]
SETTINGS = {"epochs": 2, "batch_size": 8, "learning_rate": 0.003}
RATING = {"batch_size": 3, "batches": 2, "calibration_images": 8}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two classes of images of 16x16."""
    folder = tmp_path_factory.mktemp("images")
    write_folder(folder, ["ant", "bee"], 15)
    return loading.load(
        data_config(source=f"folder:{folder}", rating_per_class=3, image_size=16), 0
    )


@pytest.fixture(scope="module")
def teacher(images):
    return building.cut_teacher(residual_cnn.build((16, 16, 3), 2, seed=1), images, space=SPACE)


@pytest.fixture(scope="module")
def cells(images, teacher):
    """All cells, trained without a folder."""
    return cell_training.train_cells(SPACE, teacher, images, **SETTINGS)


def _bits(cells):
    return [[array.tobytes() for array in cell.weights] for cell in cells]


def test_trained_cells_have_names_weights_and_curves(cells):
    assert [cell.name for cell in cells] == NAMES
    assert [(cell.block, cell.cell) for cell in cells] == [(0, 0), (0, 1), (1, 0)]
    for cell in cells:
        assert len(cell.losses) == len(cell.relative_l1) == 2
        assert np.isfinite(cell.losses).all() and np.isfinite(cell.relative_l1).all()
        assert len(cell.fingerprint) == 16


def test_a_folder_gives_the_same_bits_and_trains_nothing_twice(
    cells, teacher, images, tmp_path, monkeypatch
):
    first_names = ("block1_cell2",)
    first = cell_training.train_cells(
        SPACE, teacher, images, cells=first_names, folder=tmp_path, **SETTINGS
    )
    assert [cell.name for cell in first] == list(first_names)
    both = cell_training.train_cells(SPACE, teacher, images, folder=tmp_path, **SETTINGS)
    assert _bits(both) == _bits(cells)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["all", first_names[0]]
    monkeypatch.setattr(
        cell_training.stage_training.StageTraining, "train", lambda *_: pytest.fail("trained")
    )
    again = cell_training.train_cells(SPACE, teacher, images, folder=tmp_path, **SETTINGS)
    assert _bits(again) == _bits(cells)
    assert [cell.losses for cell in again] == [cell.losses for cell in both]


def _count_steps(monkeypatch, stops_at=None):
    """The cells and numbers of all steps from now on; at one of them the process is ended."""
    steps, step = [], cell_trainer.CellTrainer.step

    def counted(self, x, target, number, rate):
        if number == stops_at:
            raise KeyboardInterrupt
        steps.append((self.cell.name, number))
        return step(self, x, target, number, rate)

    monkeypatch.setattr(cell_trainer.CellTrainer, "step", counted)
    return steps


def test_a_kill_while_cells_are_saved_loses_no_step(cells, teacher, images, tmp_path, monkeypatch):
    folder = tmp_path / "cells"
    cell_training.train_cells(SPACE, teacher, images, folder=folder, **SETTINGS)
    monkeypatch.setattr(cell_trainer.CellTrainer, "step", lambda *_: pytest.fail("trained again"))
    for missing, wanted in ((NAMES[::2], ()), (NAMES[1:2], NAMES[1:2])):
        for name in missing:
            (folder / f"{name}.json").unlink()
        again = cell_training.train_cells(
            SPACE, teacher, images, folder=folder, cells=tuple(wanted), **SETTINGS
        )
        by_name = {cell.name: cell for cell in cells}
        expected = [by_name[name] for name in wanted or NAMES]
        assert _bits(again) == _bits(expected)
        assert [cell.losses for cell in again] == [cell.losses for cell in expected]
        # The next time the stage is one of an earlier version, which had no record.
        (folder / "runs" / "all" / "stage.json").unlink(missing_ok=True)


def test_a_half_trained_stage_goes_on_when_one_of_its_cells_is_there(
    cells, teacher, images, tmp_path, monkeypatch
):
    settings = {**SETTINGS, "checkpoint_seconds": 1e-9, "folder": tmp_path}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        _count_steps(patched, stops_at=3)
        cell_training.train_cells(SPACE, teacher, images, **settings)
    cell_files.save(cells[1], files.as_path(tmp_path))  # trained by another machine
    steps = _count_steps(monkeypatch)
    assert _bits(cell_training.train_cells(SPACE, teacher, images, **settings)) == _bits(cells)
    total = images.steps_per_epoch(8) * 2
    assert steps == [(n, at) for at in range(3, total) for n in (NAMES[0], NAMES[2])]


def test_a_folder_of_another_training_is_refused(cells, teacher, images, tmp_path, monkeypatch):
    settings = {**SETTINGS, "epochs": 1, "cells": ("block2_cell1",), "folder": tmp_path}
    cell_training.train_cells(SPACE, teacher, images, **settings)
    # An earlier version gave the same images another fingerprint: it is the same training.
    saved, now = tmp_path / "training.json", images.fingerprint
    saved.write_text(saved.read_text().replace(now, "before"))
    monkeypatch.setattr(images, "former_fingerprint", "before")
    cell_training.train_cells(SPACE, teacher, images, **settings)
    assert images.fingerprint == "before" and images.take_up(now)
    saved.write_text(saved.read_text().replace("before", now))
    for change, text in (({"epochs": 2}, "epochs: 1 there, 2 now"), ({"seed": 3}, "seed: 0 ")):
        with pytest.raises(ValueError, match=f"belong to another training. Differing: {text}"):
            cell_training.train_cells(SPACE, teacher, images, **{**settings, **change})
    other = building.cut_teacher(residual_cnn.build((16, 16, 3), 2, seed=2), images, space=SPACE)
    with pytest.raises(ValueError, match="another training. Differing: teacher: '.*' there"):
        cell_training.train_cells(SPACE, other, images, **settings)


def test_one_device_never_runs_the_batch_of_all_replicas(teacher, images, tmp_path, monkeypatch):
    """The teacher, and cells that are watched, outside of a strategy with two replicas."""
    sizes, whole = [], feature_batches.feature_function(teacher)
    imitate = cell_trainer.CellTrainer.imitate

    def recorded(pixels):
        sizes.append(len(pixels))
        return whole(pixels)

    def recorded_imitate(self, x, number):
        sizes.append(len(x))
        return imitate(self, x, number)

    def one_epoch(on_epoch, **_):
        figures.update(on_epoch(0))
        return []

    monkeypatch.setattr(feature_batches, "feature_function", lambda _: recorded)
    monkeypatch.setattr(cell_trainer.CellTrainer, "imitate", recorded_imitate)
    monkeypatch.setattr(stage_training.loop, "run", one_epoch)
    figures = {}
    pair = types.SimpleNamespace(
        num_replicas_in_sync=2, scope=contextlib.nullcontext, cluster_resolver=None
    )
    settings = phase_settings.SupernetSettings(batch_size=6, features="online")
    training = stage_training.StageTraining(
        SPACE, teacher, images, settings, 0, files.as_path(tmp_path), pair
    )
    training.train(stage_folders.Stage("all", tuple(NAMES[:1]), tuple(NAMES[:1])))
    assert set(sizes) == {3} and len(sizes) > 6
    assert 0 < figures["relative_l1/block1_cell1"] < 10
    pixels, _ = next(iter(images.images("rating", batch_size=6)))
    parts = feature_batches.in_parts(recorded, 4)(pixels)
    assert sizes[-2:] == [4, 2]
    for part, expected in zip(parts, whole(pixels), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-4)


def test_cells_are_rated_with_and_without_a_folder_alike(cells, teacher, images, tmp_path):
    rated = cell_rating.rate_cells(cells, teacher, images, **RATING)
    assert list(rated) == [(0, 0), (0, 1), (1, 0)]
    kept = cell_rating.rate_cells(cells, teacher, images, folder=tmp_path, **RATING)
    again = cell_rating.rate_cells(cells, teacher, images, folder=tmp_path, **RATING)
    for place, values in rated.items():
        assert values.batches == 2 and len(values) == 2
        for name, array in values.metrics.items():
            assert np.isfinite(array).all()
            np.testing.assert_array_equal(array, kept[place].metrics[name])
            np.testing.assert_array_equal(array, again[place].metrics[name])
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{name}.json" for name in NAMES]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cells": ("block1_cel2",)}, r"no cell 'block1_cel2'\. Did you mean 'block1_cell2'"),
        ({"inputs": "S1"}, "needs a space with one cell in each block"),
        ({"epoch": 3}, "Unknown key SupernetSettings.epoch"),
        ({"batch_size": 8, "norm_images": 3}, "norm_images=3 does not divide the 8 images"),
        ({"batch_size": 500}, "500"),
        ({"retry_factor": 0.5}, "retry_factor needs the folder"),
    ],
)
def test_wrong_settings_are_refused(teacher, images, settings, message):
    with pytest.raises(ValueError, match=message):
        cell_training.train_cells(SPACE, teacher, images, **settings)


def test_images_and_spaces_that_do_not_fit_the_teacher_are_refused(teacher, tmp_path):
    write_folder(tmp_path, ["ant", "bee"], 15)
    larger = data_config(source=f"folder:{tmp_path}", rating_per_class=3, image_size=24)
    with pytest.raises(ValueError, match=r"cut for images of \(16, 16, 3\). Received: .*\(24, 24"):
        cell_training.train_cells(SPACE, teacher, loading.load(larger, 0))


def test_a_space_of_other_sizes_is_refused(teacher, images):
    blocks = [{"stride": 1, "cells": [[1, 4]]}, {"stride": 1, "cells": [[1, 4]]}]
    space = SearchSpace.from_dict({**SPACE.to_dict(), "name": "other", "blocks": blocks})
    with pytest.raises(ValueError, match="Block 1 of the space 'other'"):
        cell_training.train_cells(space, teacher, images)
