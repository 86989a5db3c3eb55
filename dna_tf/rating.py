"""The rating phase: all paths of all trained cells of a workdir.

Cells are independent: on several accelerators each device rates some of them, and
several machines share them out by `share`.
"""

import concurrent.futures
import functools
import threading
import time

import numpy as np
import tensorflow as tf

from dna_tf import (
    cell_files,
    cell_rater,
    data,
    determinism,
    features,
    progress,
    ratings,
    search_space,
    teacher_training,
)


def rate(workdir, config, share=(0, 1), devices=None):
    """Rates all paths of the cells of the workdir's supernet.

    Args:
        workdir: a `workdir.Workdir` with a teacher and a supernet.
        config: its config.
        share: `(index, count)`: which part of the space's cells, for one of several machines.
        devices: names of devices, each of which rates some of the cells; all
            accelerators of this machine by default, or its CPU.

    Returns:
        A dict from `(block, cell)` to a `ratings.RatedCell`, of the cells of the share
        that are trained.
    """
    space = search_space.space_of(config)
    names = cell_files.trained_cells(workdir, space)
    missing = [name for name in cell_files.cell_names(space) if name not in names]
    if not names:
        workdir.cell_result(missing[0])  # raises, with the tool that trains it
    # All cells are shared out, so that a part is the same whichever of them are trained by now.
    own = spread_out([(b, c) for b, c, _ in space.cells()], space, share[1])[share[0]]
    places = sorted(place for place in own if ratings.cell_name(*place) in names)
    made_from = {p: workdir.ratings_made_from(config, ratings.cell_name(*p)) for p in places}
    known = {place: _known(workdir, space, *place, made_from[place]) for place in places}
    total = sum(space.num_paths(*place) for place in places)
    done = sum(map(len, known.values()))
    if missing:
        progress.say(
            f"Not trained yet, and not rated: {', '.join(missing)}. Train them: "
            f"python -m tools.train_supernet --workdir={workdir}"
        )
    if done == total:
        if places:
            progress.say(f"All {total:,} paths are rated already: {workdir.ratings}")
        return known
    determinism.enable(config.seed)
    teacher = teacher_training.load_teacher(workdir, config)
    images = data.load(config.data, config.seed, workdir.path)
    teacher_training.check_same_data(images, workdir.teacher_result(), workdir)
    with images.reading():
        maps = rating_maps(teacher, images, config)
    devices = devices or [device.name for device in tf.config.list_logical_devices("GPU")] or [""]
    todo = [place for place in places if len(known[place]) < space.num_paths(*place)]
    with progress.bar("rating", total, "path", done) as shown:
        lock, stop = threading.Lock(), threading.Event()

        def rate_on(device, some):
            for place in some:
                with tf.device(device or None):
                    name = ratings.cell_name(*place)
                    cell = cell_files.load(workdir, space, teacher.shapes, [name])[0]
                    rater = _rater(cell, *maps)
                    seconds = config.rating.checkpoint_seconds
                    fixed = workdir, space, place, made_from[place], len(maps[1])
                    save = _Saver(functools.partial(_write, *fixed), shown, lock, seconds, stop)
                    values = rater.all_paths(_values(known[place]), save)
                    known[place] = save.write(values)

        parts = spread_out(todo, space, len(devices))
        with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
            try:
                runs = [pool.submit(rate_on, *one) for one in zip(devices, parts, strict=True)]
                for each in concurrent.futures.as_completed(runs):
                    each.result()
            except BaseException:  # an error of one device, or Ctrl-C
                stop.set()  # else the pool waits until the others have rated everything
                raise
    return known


def spread_out(places, space, count):
    """Divides cells into parts of about equal work: the largest first, to the least laden.

    Args:
        places: `(block, cell)` pairs.
        space: their `search_space.SearchSpace`.
        count: how many parts.

    Returns:
        A list of `count` lists of places.
    """
    parts, laden = [[] for _ in range(count)], [0] * count
    for place in sorted(places, key=lambda place: (-_work(space, *place), place)):
        least = laden.index(min(laden))
        parts[least].append(place)
        laden[least] += _work(space, *place)
    return parts


def _work(space, block, cell):
    """Op runs of a cell's walk, weighted by the area of their maps."""
    layers, area = space.blocks[block].cells[cell].layers, 1.0
    for earlier in space.blocks[: block + 1]:
        area /= earlier.stride**2
    return area * sum(len(space.ops) ** layer for layer in range(1, layers + 1))


def _rater(cell, calibration, batches):
    """The rater of a cell; its maps are where the present device is."""
    b = cell.block
    pairs = [(tf.identity(maps[b]), tf.identity(maps[b + 1])) for maps in batches]
    return cell_rater.CellRater(cell, [tf.identity(maps[b]) for maps in calibration], pairs)


class _Saver:
    """Writes the ratings of a cell every few seconds and shows the progress, until `stop` is set.

    When it is set, the next rating ends the walk over the paths with `CancelledError`.
    """

    def __init__(self, write, shown, lock, every_seconds, stop):
        self.write = write
        self._shown, self._lock, self._every_seconds = shown, lock, every_seconds
        self._stop = stop
        self._saved_at = time.monotonic()

    def __call__(self, values):
        if self._stop.is_set():
            raise concurrent.futures.CancelledError
        if time.monotonic() - self._saved_at > self._every_seconds:
            self.write(values)
            self._saved_at = time.monotonic()
        with self._lock:
            self._shown.update(1)


def _write(workdir, space, place, made_from, batches, values):
    """Writes a cell's list of ratings; returns them as a `ratings.RatedCell`."""
    rated = _rated(values, batches)
    ratings.save(_rating_file(workdir, *place), space, *place, rated, made_from)
    return rated


def _rated(values, batches):
    made = np.array(values, np.float64).reshape(-1, len(ratings.METRICS), 2)
    arrays = {name: np.ascontiguousarray(made[:, m].T) for m, name in enumerate(ratings.METRICS)}
    return ratings.RatedCell(arrays, batches)


def _values(rated):
    """A `ratings.RatedCell` as the list that a rater goes on from."""
    made = np.stack([rated.metrics[name].T for name in ratings.METRICS], axis=1)
    return [tuple((float(m), float(s)) for m, s in rating) for rating in made]


def _rating_file(workdir, block, cell):
    return workdir.ratings / f"{ratings.cell_name(block, cell)}.json"


def _known(workdir, space, block, cell, made_from):
    path = _rating_file(workdir, block, cell)
    if not path.exists():
        return _rated([], 0)
    return ratings.load_cell(path, space, block, cell, made_from)


def rating_maps(teacher, images, config):
    """The maps that rating needs, from a seeded draw of images.

    Args:
        teacher: a `teacher.Teacher`.
        images: a `data.Data`.
        config: the whole config.

    Returns:
        `(calibration, batches)`: two lists, of batches of calibration images of the
        training split, and of rating batches; each is a tuple of images and the maps of
        all blocks.
    """
    section = config.rating
    predict = features.feature_function(teacher)
    drawn = _draw_rating_images(images, section, config.seed)
    size = min(section.batch_size, len(drawn))
    # Whole batches only, so that all weigh the same in the mean.
    starts = range(0, len(drawn) - size + 1, size)
    batches = [tf.constant(drawn[start : start + size]) for start in starts]
    return calibration_maps(predict, images, config), [(x, *predict(x)) for x in batches]


def calibration_maps(predict, images, config):
    """The maps that batch norm's statistics are taken from.

    Args:
        predict: the teacher, as `features.feature_function` gives it.
        images: a `data.Data`.
        config: the whole config.

    Returns:
        A list with a tuple per batch: images of the training split, and the maps of all blocks.
    """
    section = config.rating
    count = min(section.calibration_images, images.counts["train"])
    # Batches of equal size, at most as many as the images make.
    number = min(section.calibration_batches, images.counts["train"] // count)
    seed = determinism.derive_seed("calibration", config.seed)
    epoch = iter(images.epoch(count, 0, seed, augment=False))
    calibration = [next(epoch)[0] for _ in range(number)]
    return [(x, *predict(x)) for x in calibration]


def _draw_rating_images(images, section, seed):
    """A seeded draw of the rating split in a seeded order: files may lie sorted by class."""
    order = np.random.RandomState(determinism.derive_seed("rating", seed))
    wanted = order.permutation(images.counts["rating"])[: section.batches * section.batch_size]
    place = {int(index): position for position, index in enumerate(wanted)}
    drawn = [None] * len(wanted)
    for index, (image, _) in enumerate(images.images("rating").as_numpy_iterator()):
        if index in place:
            drawn[place[index]] = image
    return np.stack(drawn)
