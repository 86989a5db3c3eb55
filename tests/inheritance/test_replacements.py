"""Ratings by replacing in files: a killed rating resumes, and stale ratings are refused."""

import json
import re

import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.inheritance import replacement_rating, replacements
from dna_tf.space import ratings
from dna_tf.supernet import cell_rating, phase_settings
from tests.helpers import small_assemblies

SETTINGS = replacements.Settings(
    phase_settings.RatingSettings(batch_size=6, batches=2, calibration_images=12), 5
)


@pytest.fixture(scope="module")
def images():
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (60, 8, 8, 3), np.uint8)
    return loading.images_from_arrays(
        (pixels[:48], np.arange(48) % 4), (pixels[48:], np.arange(12) % 4), rating_per_class=4
    )


@pytest.fixture(scope="module")
def rated(images):
    teacher, _, cells = small_assemblies.all_of_it()
    return cell_rating.rate_cells(cells, teacher, images, settings=SETTINGS.rating)


def _rate(images, rated, folder, settings=SETTINGS, cells=None):
    teacher, _, all_cells = small_assemblies.all_of_it()
    chosen = all_cells if cells is None else cells
    return replacements.rate_replacements(chosen, teacher, images, rated, settings, folder)


def test_ratings_are_kept_and_read(tmp_path, images, rated, monkeypatch):
    first = _rate(images, rated, tmp_path)
    without = _rate(images, rated, None)
    monkeypatch.setattr(
        replacement_rating, "rate_cell", lambda *_, **__: pytest.fail("rated again")
    )
    again = _rate(images, rated, tmp_path)
    assert set(first) == {(0, 0), (1, 0), (1, 1)}
    for key, cell in first.items():
        for other in (again[key], without[key]):
            for name in ("kl", "spread", "agreement"):
                np.testing.assert_array_equal(getattr(cell, name), getattr(other, name))
            assert (cell.batches, cell.fit_error) == (other.batches, other.fit_error)
    assert first[0, 0].measured.sum() == 5 and len(first[0, 0].kl) == 16
    assert first[1, 0].measured.all() and first[1, 0].fit_error == 0


def test_a_killed_rating_goes_on_at_the_next_cell(tmp_path, images, rated, monkeypatch):
    whole = _rate(images, rated, tmp_path / "whole")
    rate, rated_cells = replacement_rating.rate_cell, []

    def dies(*arguments):
        rated_cells.append(arguments)
        if len(rated_cells) == 2:
            raise KeyboardInterrupt
        return rate(*arguments)

    monkeypatch.setattr(replacement_rating, "rate_cell", dies)
    with pytest.raises(KeyboardInterrupt):
        _rate(images, rated, tmp_path / "killed")
    monkeypatch.setattr(replacement_rating, "rate_cell", rate)
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["block1_cell1.json"]
    resumed = _rate(images, rated, tmp_path / "killed")
    for key, cell in whole.items():
        np.testing.assert_array_equal(cell.kl, resumed[key].kl)


def test_ratings_of_something_else_are_stale(tmp_path, images, rated):
    _rate(images, rated, tmp_path)
    for change in ({"measured_paths": 6}, {"seed": 1}, {"metric": "mse"}):
        settings = replacements.Settings(**{**vars(SETTINGS), **change})
        with pytest.raises(ratings.StaleRatings, match="are stale: they were made from another"):
            _rate(images, rated, tmp_path, settings)
    usual = phase_settings.RatingSettings(6, 2, 12, checkpoint_seconds=0.5)
    _rate(images, rated, tmp_path, replacements.Settings(usual, 5))  # this changes no rating


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(cell="block2_cell1"), "Expected ratings of block1_cell1"),
        (lambda data: data.update(version=7), "version=7"),
        (lambda data: data.pop("kl"), "missing 'kl'"),
        (lambda data: data["kl"].pop(), "'kl' must be a list of 16 values"),
        (lambda data: data["kl"].__setitem__(3, None), r"'kl'\[3\] must be a finite number"),
        (lambda data: data["kl"].__setitem__(3, -1.0), "of at least 0"),
        (lambda data: data["spread"].__setitem__(3, "a"), r"'spread'\[3\]"),
        (lambda data: data.update(batches=0), "'batches' must be a whole number"),
        (lambda data: data.update(fit_error=-1), "'fit_error'"),
        (lambda data: data.update(made_from=3), "'made_from' must be text"),
        (lambda data: data.update(kind="dna_tf.ratings"), 'of kind "dna_tf.replacements"'),
    ],
)
def test_files_that_cannot_be_used(tmp_path, images, rated, change, message):
    cells = small_assemblies.all_of_it()[2][:1]
    _rate(images, rated, tmp_path, cells=cells)
    path = tmp_path / "block1_cell1.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"block1_cell1\.json.*") as error:
        _rate(images, rated, tmp_path, cells=cells)
    assert re.search(message, str(error.value)), error.value


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="measured_paths must be a whole number of at least 2"):
        replacements.Settings(measured_paths=1)
    with pytest.raises(ValueError, match="no metric 'l1'"):
        replacements.Settings(metric="l1")
