"""Rating of all paths of all cells, at the shared-prefix price.

Batch norm is calibrated for each path: a batch of training images runs through the
path, and the rating batches use its means and variances. Those at a layer depend
only on the ops up to it, so a walk in depth-first order that carries calibration and
rating batches together gives exactly the result of rating each path by itself, and
runs each prefix once: 6 + 36 + 216 + 1296 op runs for four layers of six ops, not
4 * 1296.

Source: DNA Algorithm 1 and eq. 8; the joint walk is our choice.
"""

import time

import numpy as np
import tensorflow as tf

from dna_tf import (
    cell_files,
    data,
    determinism,
    distill,
    features,
    imitation,
    mbconv,
    progress,
    ratings,
    search_space,
    supernet,
    teacher_training,
)


class CellRater:
    """Rates paths of one cell.

    Args:
        cell: a trained `supernet.Cell`.
        calibration: what the block reads for the calibration images,
            `(images, height, width, channels)`.
        batches: a list of `(input, target)` maps, one per rating batch.

    Attributes:
        op_runs: how many ops ran on rating data so far, a batch counting one.
    """

    def __init__(self, cell, calibration, batches):
        self._cell = cell
        inputs = [x for x, _ in batches]
        if cell.rescale:
            calibration = supernet.rescale(calibration)
            inputs = [supernet.rescale(x) for x in inputs]
        self._start = calibration, inputs
        self._targets = [target for _, target in batches]
        self.op_runs = 0

    def all_paths(self, known=(), on_rated=lambda values: None):
        """Rates all paths, each prefix run once.

        Args:
            known: ratings of the first paths, from an earlier run; they are kept.
            on_rated: called with the list of ratings so far after each new one.

        Returns:
            A list with one rating per path, in the order of `SearchSpace.paths`.
        """
        values = list(known)
        total = self._cell.num_ops**self._cell.layers
        if len(values) < total:
            carried = self._start
            for unit in range(self._cell.fixed_units):
                carried = self._run(unit, 0, *carried)
            self._walk(0, 0, carried, values, on_rated)
        return values

    def path(self, path):
        """Rates one path by itself: the slow way, to hold `all_paths` against."""
        return self._rate(self.outputs(path))

    def outputs(self, path):
        """The maps of one path, batch norm calibrated: a tensor for each batch."""
        carried = self._start
        for unit, op in enumerate([0] * self._cell.fixed_units + list(path)):
            carried = self._run(unit, op, *carried)
        return carried[1]

    def _walk(self, layer, first, carried, values, on_rated):
        """Rates the paths below a node; `first` is the index of the first of them."""
        if layer == self._cell.layers:
            values.append(self._rate(carried[1]))
            on_rated(values)
            return
        below = self._cell.num_ops ** (self._cell.layers - layer - 1)
        for op in range(self._cell.num_ops):
            start = first + op * below
            if start + below > len(values):  # not all of them are known
                unit = self._cell.fixed_units + layer
                self._walk(layer + 1, start, self._run(unit, op, *carried), values, on_rated)

    def _run(self, unit, op, calibration, inputs):
        spec = self._cell.units[unit][op]
        row = self._cell.rows[unit].value[op]
        calibration, statistics = mbconv.compiled(spec, "calibrate")(calibration, row)
        run = mbconv.compiled(spec, "rate")
        self.op_runs += len(inputs)
        return calibration, [run(x, row, statistics) for x in inputs]

    def _rate(self, outputs):
        pairs = zip(self._targets, outputs, strict=True)
        return float(np.mean([np.float64(imitation.relative_l1(y, x)) for y, x in pairs]))


def rate(workdir, config):
    """Rates all paths of all cells of the workdir's supernet.

    Args:
        workdir: a `workdir.Workdir` with a teacher and a supernet.
        config: its config.

    Returns:
        A dict from `(block, cell)` to a float64 array, as `ratings.load_all`, of the cells
        that are trained.
    """
    space = search_space.space_of(config)
    names = cell_files.trained_cells(workdir, space)
    missing = [name for name in cell_files.cell_names(space) if name not in names]
    if not names:
        workdir.cell_result(missing[0])  # raises, with the tool that trains it
    places = [(b, c) for b, c, _ in space.cells() if ratings.cell_name(b, c) in names]
    made_from = {p: workdir.ratings_made_from(config, ratings.cell_name(*p)) for p in places}
    known = {place: _known(workdir, space, *place, made_from[place]) for place in places}
    total = sum(space.num_paths(*place) for place in places)
    done = sum(len(values) for values in known.values())
    if missing:
        progress.say(
            f"Not trained yet, and not rated: {', '.join(missing)}. Train them: "
            f"python -m tools.train_supernet --workdir={workdir}"
        )
    if done == total:
        progress.say(f"All {total:,} paths are rated already: {workdir.ratings}")
        return known
    determinism.enable(config.seed)
    teacher = teacher_training.load_teacher(workdir, config)
    images = data.load(config.data, config.seed, workdir.path)
    distill.check_same_data(images, workdir.teacher_result(), workdir)
    cells = cell_files.load(workdir, space, teacher.shapes, names)
    with images.reading():
        calibration, batches = rating_maps(teacher, images, config)
    with progress.bar("rating", total, "path", done) as shown:
        for cell in cells:
            place = cell.block, cell.cell
            if len(known[place]) < space.num_paths(*place):
                pairs = [(maps[cell.block], maps[cell.block + 1]) for maps in batches]
                rater = CellRater(cell, calibration[cell.block], pairs)
                seconds = config.rating.checkpoint_seconds
                save = _Saver(workdir, space, place, made_from[place], shown, seconds)
                values = rater.all_paths(known[place], save)
                save(values, at_once=True)
                known[place] = np.array(values, np.float64)
    return known


class _Saver:
    """Writes the ratings of a cell every few seconds and shows the progress."""

    def __init__(self, workdir, space, place, made_from, shown, every_seconds):
        self._workdir, self._space, self._place = workdir, space, place
        self._made_from, self._shown, self._every_seconds = made_from, shown, every_seconds
        self._saved_at = time.monotonic()

    def __call__(self, values, at_once=False):
        if at_once or time.monotonic() - self._saved_at > self._every_seconds:
            path = _rating_file(self._workdir, *self._place)
            ratings.save(path, self._space, *self._place, values, self._made_from)
            self._saved_at = time.monotonic()
        if not at_once:
            self._shown.update(1)


def _rating_file(workdir, block, cell):
    return workdir.ratings / f"{ratings.cell_name(block, cell)}.json"


def _known(workdir, space, block, cell, made_from):
    path = _rating_file(workdir, block, cell)
    if not path.exists():
        return np.zeros(0)
    return ratings.load(path, space, block, cell, made_from)


def rating_maps(teacher, images, config):
    """The maps that rating needs, from a seeded draw of images.

    Args:
        teacher: a `teacher.Teacher`.
        images: a `data.Data`.
        config: the whole config.

    Returns:
        `(calibration, batches)`: the calibration images of the training split and, for
        each rating batch, its images, each followed by the maps of all blocks.
    """
    section = config.rating
    predict = features.feature_function(teacher)
    count = min(section.calibration_images, images.counts["train"])
    seed = determinism.derive_seed("calibration", config.seed)
    first, _ = next(iter(images.epoch(count, 0, seed, augment=False)))
    drawn = _draw_rating_images(images, section, config.seed)
    size = min(section.batch_size, len(drawn))
    # Whole batches only, so that all weigh the same in the mean.
    starts = range(0, len(drawn) - size + 1, size)
    batches = [tf.constant(drawn[start : start + size]) for start in starts]
    return (first, *predict(first)), [(x, *predict(x)) for x in batches]


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
