"""Which images cells are rated on, how devices share the cells, and what is kept."""

import contextlib
import signal
import threading
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.models import keras_files
from dna_tf.space import ratings
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from dna_tf.supernet import cell_rating, phase_settings
from dna_tf.supernet.trained_cells import TrainedCell

SPACE = SearchSpace(
    "tiny",
    (Op(3, 2), Op(5, 1), Op(3, 1)),
    (Block(2, (Cell(1, 4), Cell(2, 4))), Block(1, (Cell(3, 4), Cell(1, 4)))),
    Frame(stem_width=4, stem_output_width=3, head_width=8),
)
ONE = tuple((1.0, 0.0) for _ in ratings.METRICS)


def test_cells_are_spread_out_by_their_work():
    space = SearchSpace(
        "wide",
        SPACE.ops,
        (Block(1, (Cell(4, 4), Cell(3, 4))), Block(2, (Cell(4, 4), Cell(2, 4), Cell(1, 4)))),
        SPACE.frame,
    )
    places = [(b, c) for b, c, _ in space.cells()]
    assert cell_rating.spread_out(places, space, 1) == [[(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]]
    parts = cell_rating.spread_out(places, space, 3)
    # 120, 39, 120/4, 12/4 and 3/4 op runs.
    assert parts == [[(0, 0)], [(0, 1)], [(1, 0), (1, 1), (1, 2)]]
    assert cell_rating.spread_out(places[:1], space, 3) == [[(0, 0)], [], []]


class _Images:
    """Rating images of which each has its own number as pixel value."""

    counts = {"train": 30, "rating": 23}

    def __init__(self):
        self.asked = []

    def some(self, split, positions):
        assert split == "rating" and set(positions) <= set(range(23))
        return np.broadcast_to(positions[:, None, None, None], (len(positions), 2, 2, 1)).astype(
            np.float32
        )

    def epoch(self, batch_size, epoch, seed, augment):
        self.asked.append((batch_size, epoch, seed, augment))
        for number in range(30 // batch_size):
            yield tf.fill([batch_size, 2, 2, 1], 100.0 + number), tf.zeros([batch_size])


class _Teacher:
    @staticmethod
    def features(images, training):
        assert not training
        return [images * 2.0, images + 1.0]


def _drawn(batches, batch_size, seed=0, calibration_images=8, calibration_batches=1):
    settings = phase_settings.RatingSettings(
        batches=batches,
        batch_size=batch_size,
        calibration_images=calibration_images,
        calibration_batches=calibration_batches,
    )
    images = _Images()
    calibration, maps = cell_rating.rating_maps(_Teacher(), images, settings, seed)
    return calibration, maps, images.asked


def _numbers(maps):
    return [images[:, 0, 0, 0].numpy().astype(int).tolist() for images, *_ in maps]


def test_rating_maps_are_a_seeded_draw_with_the_teachers_features():
    calibration, maps, requests = _drawn(4, 5)
    assert [[len(x) for x in batch] for batch in calibration] == [[8, 8, 8]]
    assert [len(batch) for batch in maps] == [3] * 4
    for images, first, second in [*calibration, *maps]:
        np.testing.assert_array_equal(first, images * 2.0)
        np.testing.assert_array_equal(second, images + 1.0)
    assert requests[0][:2] == (8, 0) and requests[0][3] is False  # no augmentation
    numbers = _numbers(maps)
    drawn = sum(numbers, [])
    assert [len(each) for each in numbers] == [5] * 4
    assert len(set(drawn)) == 20 and drawn != sorted(drawn)
    assert _numbers(_drawn(4, 5)[1]) == numbers
    assert _numbers(_drawn(4, 5, seed=1)[1]) != numbers
    assert _drawn(4, 5, seed=1)[2] != requests


def test_rating_maps_take_what_there_is_in_whole_batches():
    assert [len(each) for each in _numbers(_drawn(20, 5)[1])] == [5] * 4  # 23 are there
    assert [len(each) for each in _numbers(_drawn(20, 50)[1])] == [23]
    assert [len(x) for x, *_ in _drawn(1, 5, calibration_images=500)[0]] == [30]
    several = _drawn(1, 5, calibration_images=8, calibration_batches=7)[0]
    assert [float(x[0, 0, 0, 0]) for x, *_ in several] == [100.0, 101.0, 102.0]  # of 30 images


class _Cell(TrainedCell):
    """A cell without weights; what is built is its name."""

    def build(self, shapes):
        return self.name


@pytest.fixture
def fakes(monkeypatch):
    """Cells, teacher and images of which nothing is left but what names them."""
    cells = [_Cell(SPACE, b, c, (), {"teacher": "t"}) for b, c, _ in SPACE.cells()][:3]
    images = types.SimpleNamespace(
        reading=contextlib.nullcontext, fingerprint="d", image_shape=(8, 8, 3)
    )
    teacher = types.SimpleNamespace(shapes=None, model=None, check_images=lambda shape: None)
    monkeypatch.setattr(keras_files, "weights_fingerprint", lambda model: "t")
    monkeypatch.setattr(cell_rating, "rating_maps", lambda *_: ([], []))
    return cells, teacher, images


class _Walk:
    """Instead of a rater: the first cell meets with something, the others take their time."""

    def __init__(self, name, happens, ended):
        self._name, self._happens, self._ended = name, happens, ended

    def ratings(self, first):
        if self._name == "block1_cell1":
            self._happens()
        for _ in range(400):
            yield ONE
            time.sleep(0.005)
        self._ended.append(self._name)


def _fails():
    raise RuntimeError("the device is out of memory")


def _is_interrupted():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # as Ctrl-C does


@pytest.mark.parametrize(
    ("happens", "error"), [(_fails, RuntimeError), (_is_interrupted, KeyboardInterrupt)]
)
def test_an_error_and_ctrl_c_stop_all_devices(fakes, monkeypatch, happens, error):
    cells, teacher, images = fakes
    ended = []
    monkeypatch.setattr(cell_rating, "rater_of", lambda cell, *_: _Walk(cell, happens, ended))
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # xdist ignores it
    try:
        with pytest.raises(error):
            cell_rating.rate_cells(cells, teacher, images, devices=["CPU:0"] * 3)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert not ended


class _Rater:
    """Instead of a rater: path `n` has the rating `n`; one is interrupted after some paths."""

    def __init__(self, paths, stops_at=None):
        self._paths, self._stops_at = paths, stops_at

    def ratings(self, first):
        for n in range(first, self._paths):
            if n == self._stops_at:
                raise KeyboardInterrupt
            yield tuple((float(n), 0.5) for _ in ratings.METRICS)


def test_an_interrupted_rating_goes_on_from_its_folder(fakes, monkeypatch, tmp_path):
    (_, cell, _), teacher, images = fakes
    settings = {"folder": tmp_path, "checkpoint_seconds": 0.01}
    monkeypatch.setattr(time, "monotonic", iter(np.arange(1000.0)).__next__)
    monkeypatch.setattr(cell_rating, "rater_of", lambda *_: _Rater(9, stops_at=5))
    with pytest.raises(KeyboardInterrupt):
        cell_rating.rate_cells([cell], teacher, images, **settings)
    begun = cell_rating.load_rated(tmp_path / "block1_cell2.json", SPACE, 0, 1, None)
    assert len(begun) == 5
    firsts = []
    monkeypatch.setattr(
        cell_rating,
        "rater_of",
        lambda *_: types.SimpleNamespace(
            ratings=lambda first: firsts.append(first) or _Rater(9).ratings(first)
        ),
    )
    for _ in range(2):
        rated = cell_rating.rate_cells([cell], teacher, images, **settings)
        assert list(rated) == [(0, 1)] and firsts == [5]
        for means, spreads in rated[0, 1].metrics.values():
            np.testing.assert_array_equal(means, np.arange(9.0))
            np.testing.assert_array_equal(spreads, 0.5)
    with pytest.raises(ValueError, match="block1_cell2.json are stale"):
        cell_rating.rate_cells([cell], teacher, images, seed=1, **settings)
    images.fingerprint = "other"
    with pytest.raises(ValueError, match="block1_cell2.json are stale"):
        cell_rating.rate_cells([cell], teacher, images, **settings)


@pytest.mark.parametrize("keeps", [True, False])
def test_ratings_that_are_not_finite_are_refused(fakes, monkeypatch, tmp_path, keeps):
    (cell, *_), teacher, images = fakes
    nan = tuple((np.nan, 0.0) for _ in ratings.METRICS)
    rater = types.SimpleNamespace(ratings=lambda first: [nan] * 3)
    monkeypatch.setattr(cell_rating, "rater_of", lambda *_: rater)
    with pytest.raises(ValueError, match="block1_cell1 has ratings .* that are not finite"):
        cell_rating.rate_cells([cell], teacher, images, folder=tmp_path if keeps else None)
    assert not list(tmp_path.iterdir())


def test_cells_of_another_teacher_and_unknown_settings_are_refused(fakes):
    cells, teacher, images = fakes
    cells[1].result["teacher"] = "other"
    with pytest.raises(ValueError, match="imitate another teacher than this one: block1_cell2"):
        cell_rating.rate_cells(cells, teacher, images)
    with pytest.raises(ValueError, match=r"RatingSettings\.batch_sise.* Did you mean"):
        cell_rating.rate_cells(cells, teacher, images, batch_sise=5)
    with pytest.raises(ValueError, match="^batches must be at least 1. Received: 0"):
        cell_rating.rate_cells(cells, teacher, images, batches=0)
