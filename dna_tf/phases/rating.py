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

from dna_tf.common import progress
from dna_tf.data import loading
from dna_tf.phases import teacher_training
from dna_tf.space import presets, ratings, spaces
from dna_tf.supernet import cell_files, cell_rater
from dna_tf.training import determinism


def rate(workdir, config, share=(0, 1), devices=None):
    """Rates all paths of the cells of the workdir's supernet.

    Args:
        workdir: a `workdirs.Workdir` with a teacher and a supernet.
        config: its config.
        share: `(index, count)`: which part of the space's cells, for one of several machines.
        devices: names of devices, each of which rates some of the cells; all
            accelerators of this machine by default, or its CPU.

    Returns:
        A dict from `(block, cell)` to a `ratings.RatedCell`, of the cells of the share
        that are trained.
    """
    space = presets.get_space(config.space)
    names = cell_files.trained_cells(workdir, space)
    missing = [name for name in cell_files.cell_names(space) if name not in names]
    if not names:
        workdir.cell_result(missing[0])  # raises, with the tool that trains it
    # All cells are shared out, so that a part is the same whichever of them are trained by now.
    own = cell_rater.spread_out([(b, c) for b, c, _ in space.cells()], space, share[1])[share[0]]
    places = sorted(place for place in own if spaces.cell_name(*place) in names)
    made_from = {p: workdir.ratings_made_from(config, spaces.cell_name(*p)) for p in places}
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
    images = loading.load(config.data, config.seed, workdir.path)
    teacher_training.check_same_data(images, workdir.teacher_result(), workdir)
    with images.reading():
        maps = cell_rater.rating_maps(teacher, images, config)
    devices = devices or [device.name for device in tf.config.list_logical_devices("GPU")] or [""]
    todo = [place for place in places if len(known[place]) < space.num_paths(*place)]
    with progress.bar("rating", total, "path", done) as shown:
        lock, stop = threading.Lock(), threading.Event()

        def rate_on(device, some):
            for place in some:
                with tf.device(device or None):
                    name = spaces.cell_name(*place)
                    cell = cell_files.load(workdir, space, teacher.shapes, [name])[0]
                    rater = cell_rater.rater_of(cell, *maps)
                    seconds = config.rating.checkpoint_seconds
                    fixed = workdir, space, place, made_from[place], len(maps[1])
                    save = _Saver(functools.partial(_write, *fixed), shown, lock, seconds, stop)
                    values = rater.all_paths(_values(known[place]), save)
                    known[place] = save.write(values)

        parts = cell_rater.spread_out(todo, space, len(devices))
        with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
            try:
                runs = [pool.submit(rate_on, *one) for one in zip(devices, parts, strict=True)]
                for each in concurrent.futures.as_completed(runs):
                    each.result()
            except BaseException:  # an error of one device, or Ctrl-C
                stop.set()  # else the pool waits until the others have rated everything
                raise
    return known


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
    return workdir.ratings / f"{spaces.cell_name(block, cell)}.json"


def _known(workdir, space, block, cell, made_from):
    path = _rating_file(workdir, block, cell)
    if not path.exists():
        return _rated([], 0)
    return ratings.load_cell(path, space, block, cell, made_from)
