"""Rates all paths of trained cells, on one device or on several.

Cells are independent: on several accelerators each device rates some of them.
"""

import concurrent.futures
import contextlib
import dataclasses
import math
import threading
import time
import typing

import numpy as np
import tensorflow as tf

from dna_tf.common import files, locks, progress, seeding
from dna_tf.data.labelled_images import Images
from dna_tf.features import feature_batches
from dna_tf.models import keras_files
from dna_tf.space import ratings
from dna_tf.space.ratings import RatedCell
from dna_tf.supernet import cell_rater, phase_settings
from dna_tf.supernet.phase_settings import RatingSettings
from dna_tf.supernet.trained_cells import TrainedCell
from dna_tf.teachers.cutting import Teacher
from dna_tf.training import determinism


def rate_cells(
    cells: list[TrainedCell],
    teacher: Teacher,
    images: Images,
    *,
    settings: RatingSettings | None = None,
    seed: int = 0,
    folder: str | None = None,
    devices: list[str] | None = None,
    **changes: typing.Any,
) -> dict[tuple[int, int], RatedCell]:
    """Rates every path of every cell: how well does it imitate the teacher's block?

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
        rated = dna_tf.rate_cells(cells, teacher, images, batch_size=20, batches=2)
        print(rated[0, 0].metrics["relative_l1"].shape)  # (2, 2): mean and spread of each path

    Args:
        cells: trained cells, as `train_cells` returns them.
        teacher: the teacher that they imitate.
        images: the images; the rating split is rated on, and batch norm is calibrated on
            images of the training split.
        settings: how to rate; `None` takes the defaults.
        seed: seeds which images are drawn.
        folder: where the ratings are kept, one JSON file per cell, so that a killed rating
            resumes. `None` keeps nothing.
        devices: names of devices, each of which rates some of the cells; all GPUs of this
            machine by default, or its CPU.
        changes: fields of `RatingSettings` that are to have other values, such as
            `batches=5`.

    Returns:
        A dict from `(block, cell)`, indices from 0, to the `RatedCell`: for each metric the
        mean and the spread of every path, lower is better.

    Raises:
        ValueError: the cells do not fit the teacher; the folder has ratings of other cells,
            images or settings; or a rating is not finite.
    """
    settings = phase_settings.with_changes(RatingSettings, settings, changes)
    store = _Store(folder, images.fingerprint, settings, seed)
    rated = {cell: store.load(cell) for cell in cells}
    todo = [cell for cell in cells if len(rated[cell]) < _num_paths(cell)]
    if todo:
        check_teacher(todo, teacher, images)
        with writing(folder, [cell.name for cell in todo]):
            determinism.enable(seed)
            with images.reading():
                maps = rating_maps(teacher, images, settings, seed)
            _rate_all(todo, rated, teacher.shapes, maps, store, devices)
    return {(cell.block, cell.cell): rated[cell] for cell in cells}


def writing(folder, names):
    """Context in which no other process writes the ratings of cells into a folder.

    Args:
        folder: of the rating files; `None` for none.
        names: of the cells.

    Raises:
        locks.InUse: another process rates one of them.
    """
    if folder is None:
        return contextlib.nullcontext()
    folder = files.as_path(folder)
    return locks.hold_all(
        [folder / f"{name}.json" for name in names],
        lambda path: f"The ratings of the cell {path.stem} in {folder}",
    )


def _rate_all(todo, rated, shapes, maps, store, devices):
    """Rates the missing paths of cells; `rated` has those of all cells, and gets the new ones."""
    calibration, batches = maps
    total, done = sum(map(_num_paths, rated)), sum(map(len, rated.values()))
    with progress.bar("rating", total, "path", done) as bar:
        lock, stop = threading.Lock(), threading.Event()

        def count():
            if stop.is_set():
                raise concurrent.futures.CancelledError
            with lock:
                bar.update(1)

        def rate_on(device, part):
            for cell in part:
                with tf.device(device or None):
                    rater = rater_of(cell.build(shapes), calibration, batches)
                    rated[cell] = _rate(rater, cell, rated[cell], len(batches), store, count)

        _on_devices(rate_on, todo, devices, stop)


def rating_identities(cell_fingerprint, data_fingerprint, settings, seed):
    """Identifies the ratings of a cell: fingerprints of weights, images and settings.

    Returns:
        A tuple, as `workdirs.Workdir.ratings_fingerprints` returns it for the cells of a run. The
        first does not depend on `checkpoint_seconds`; ratings are written with it.
    """
    usual = dataclasses.replace(settings, checkpoint_seconds=RatingSettings.checkpoint_seconds)
    identities = []
    for of in (usual, settings):
        print_of = files.fingerprint({"seed": seed, "rating": dataclasses.asdict(of)})
        identities.append(files.fingerprint([cell_fingerprint, data_fingerprint, print_of]))
    return tuple(identities)


def load_rated(path, space, block, cell, identity):
    """Reads the ratings of a cell as far as they were made.

    Args:
        path: the file, which need not exist; `None` for none.
        space, block, cell: as of `ratings.load_cell`.
        identity: as `ratings.load_cell` takes it.

    Returns:
        A `ratings.RatedCell`, without paths if there is no file.

    Raises:
        ValueError: the file is damaged, or the ratings have another identity.
    """
    if path is not None and path.exists():
        return ratings.load_cell(path, space, block, cell, identity)
    return RatedCell({name: np.zeros((2, 0)) for name in ratings.METRICS}, 0)


def spread_out(places, space, count):
    """Divides cells into parts of about equal work: the largest first, to the part with least.

    Args:
        places: `(block, cell)` pairs.
        space: their `spaces.SearchSpace`.
        count: how many parts.

    Returns:
        A list of `count` lists of places.
    """
    parts, work = [[] for _ in range(count)], [0] * count
    for place in sorted(places, key=lambda place: (-_work(space, *place), place)):
        least = work.index(min(work))
        parts[least].append(place)
        work[least] += _work(space, *place)
    return parts


def _work(space, block, cell):
    """Op runs of a cell's walk, weighted by the area of their maps."""
    layers, area = space.blocks[block].cells[cell].layers, 1.0
    for earlier in space.blocks[: block + 1]:
        area /= earlier.stride**2
    return area * sum(len(space.ops) ** layer for layer in range(1, layers + 1))


def rating_maps(teacher, images, settings, seed):
    """The maps that rating needs, from a seeded draw of images.

    Args:
        teacher: a `cutting.Teacher`.
        images: a `labelled_images.Images`.
        settings: `RatingSettings`.
        seed: an int.

    Returns:
        `(calibration, batches)`: two lists, of batches of calibration images of the
        training split, and of rating batches; each is a tuple of images and the maps of
        all blocks.
    """
    predict = feature_batches.feature_function(teacher)
    pixels = images.some("rating", rating_positions(images, settings, seed))
    size = min(settings.batch_size, len(pixels))
    # Whole batches only, so that all weigh the same in the mean.
    starts = range(0, len(pixels) - size + 1, size)
    batches = [tf.constant(pixels[start : start + size]) for start in starts]
    calibration = calibration_maps(predict, images, settings, seed)
    return calibration, [(x, *predict(x)) for x in batches]


def calibration_maps(predict, images, settings, seed):
    """The maps on which batch norm is calibrated.

    Args:
        predict: the teacher, as `feature_batches.feature_function` returns it.
        images: a `labelled_images.Images`.
        settings: `RatingSettings`.
        seed: an int.

    Returns:
        A list with a tuple per batch: images of the training split, and the maps of all blocks.
    """
    return [(x, *predict(x)) for x in calibration_images(images, settings, seed)]


def calibration_images(images, settings, seed):
    """The images on which batch norm is calibrated: a seeded draw of the training split.

    Args:
        images: a `labelled_images.Images`.
        settings: `RatingSettings`.
        seed: an int.

    Returns:
        A list of batches, float32 `(batch, height, width, channels)` in 0..255.
    """
    count = min(settings.calibration_images, images.counts["train"])
    # Batches of equal size, no more of them than the images fill.
    number = min(settings.calibration_batches, images.counts["train"] // count)
    epoch_seed = seeding.derive_seed("calibration", seed)
    epoch = iter(images.epoch(count, 0, epoch_seed, augment=False))
    return [next(epoch)[0] for _ in range(number)]


def rating_positions(images, settings, seed):
    """A seeded draw of the rating split in a seeded order: files may be sorted by class.

    Args:
        images: a `labelled_images.Images`.
        settings: `RatingSettings`.
        seed: an int.

    Returns:
        An int array, positions in the rating split, each once.
    """
    order = np.random.RandomState(seeding.derive_seed("rating", seed))
    count = settings.batches * settings.batch_size
    return order.permutation(images.counts["rating"])[:count]


def rater_of(cell, calibration, batches):
    """The rater of a cell; its maps are copied to the current device.

    Args:
        cell: a `cell_models.TrainableCell`.
        calibration, batches: as `rating_maps` returns them.
    """
    b = cell.block
    pairs = [(tf.identity(maps[b]), tf.identity(maps[b + 1])) for maps in batches]
    return cell_rater.CellRater(cell, [tf.identity(maps[b]) for maps in calibration], pairs)


def _num_paths(cell):
    return cell.space.num_paths(cell.block, cell.cell)


def check_teacher(cells, teacher, images):
    """Checks that cells imitate this teacher, and that it takes the images.

    Raises:
        ValueError: they imitate another one (they are named), or the images have another size.
    """
    teacher.check_images(images.image_shape)
    fingerprint = keras_files.weights_fingerprint(teacher.model)
    others = [cell.name for cell in cells if cell.result["teacher"] != fingerprint]
    if others:
        raise ValueError(
            f"These cells imitate another teacher than this one: {', '.join(others)}. Take the "
            "teacher that they were trained with."
        )


def _on_devices(rate_on, cells, devices, stop):
    """Calls `rate_on(device, cells)` on all devices at once, each with some of the cells."""
    devices = devices or [device.name for device in tf.config.list_logical_devices("GPU")] or [""]
    by_place = {(cell.block, cell.cell): cell for cell in cells}
    parts = spread_out(by_place, cells[0].space, len(devices))
    parts = [[by_place[place] for place in part] for part in parts]
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        try:
            futures = [pool.submit(rate_on, *part) for part in zip(devices, parts, strict=True)]
            for future in concurrent.futures.as_completed(futures):
                future.result()
        except BaseException:  # an error of one device, or Ctrl-C
            stop.set()  # otherwise the pool waits until the others have rated everything
            raise


def _rate(rater, cell, rated, batches, store, count):
    """Rates the paths of a cell that are not rated yet, saving every few seconds.

    Args:
        rater: its `cell_rater.CellRater`.
        cell: the `TrainedCell`.
        rated: the `RatedCell` of an earlier run.
        batches: how many rating batches there are.
        store: a `_Store`.
        count: called after each path.
    """
    new, saved_at = [], time.monotonic()
    for rating in rater.ratings(len(rated)):
        new.append(rating)
        if time.monotonic() - saved_at > store.seconds:
            store.save(cell, _extended(rated, new, batches))
            saved_at = time.monotonic()
        count()
    rated = _extended(rated, new, batches)
    store.save(cell, rated)
    return rated


def _extended(rated, new, batches):
    """A `RatedCell` with further ratings, as `CellRater.ratings` yields them."""
    new = np.array(new, np.float64).reshape(-1, len(ratings.METRICS), 2)
    arrays = {
        name: np.concatenate([rated.metrics[name], new[:, m].T], axis=1)
        for m, name in enumerate(ratings.METRICS)
    }
    return RatedCell(arrays, batches)


class _Store:
    """The rating files in a folder, or nothing without a folder."""

    def __init__(self, folder, data_fingerprint, settings, seed):
        self._folder = None if folder is None else files.as_path(folder)
        self._identity = data_fingerprint, settings, seed
        self.seconds = math.inf if folder is None else settings.checkpoint_seconds

    def load(self, cell):
        """The `RatedCell` as far as it was saved."""
        path = None if self._folder is None else self._path(cell)
        identities = rating_identities(cell.fingerprint, *self._identity)
        return load_rated(path, cell.space, cell.block, cell.cell, identities)

    def save(self, cell, rated):
        """Writes ratings; refuses those that are not finite."""
        ratings.check_finite(rated, cell.name)
        if self._folder is not None:
            identity = rating_identities(cell.fingerprint, *self._identity)[0]
            ratings.save(self._path(cell), cell.space, cell.block, cell.cell, rated, identity)

    def _path(self, cell):
        return self._folder / f"{cell.name}.json"
