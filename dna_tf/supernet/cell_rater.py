"""Rating of the paths of one cell, at the shared-prefix price.

Batch norm is calibrated for each path: batches of training images run through the
path, and the rating batches use their means and variances. Those at a layer depend
only on the ops up to it, so a walk in depth-first order that carries calibration and
rating batches together gives exactly the result of rating each path by itself, and
runs each prefix once: 6 + 36 + 216 + 1296 op runs for four layers of six ops, not
4 * 1296. Memory holds the maps of one path: it does not grow with the number of paths.

Source: DNA Algorithm 1 and eq. 8; the joint walk is our choice.
"""

import numpy as np
import tensorflow as tf

from dna_tf.common import seeding
from dna_tf.features import feature_batches
from dna_tf.supernet import cell_models, metrics, packed_ops


class CellRater:
    """Rates paths of one cell.

    The rating of a path is a tuple of `(mean, spread)` for each of `ratings.METRICS`:
    the mean over the rating batches, and their standard deviation (of a sample; 0 for
    one batch), summed in float64.

    Args:
        cell: a trained `cell_models.Cell`.
        calibration: what the block reads for the calibration images: a list of one or
            several tensors `(images, height, width, channels)`. Several have their
            statistics pooled: those of all images together.
        batches: a list of `(input, target)` maps, one per rating batch.

    Attributes:
        op_runs: how many ops ran on rating data so far, a batch counting one.
    """

    def __init__(self, cell, calibration, batches):
        self._cell = cell
        inputs = [x for x, _ in batches]
        if cell.rescale:
            calibration = [cell_models.rescale(x) for x in calibration]
            inputs = [cell_models.rescale(x) for x in inputs]
        self._start = list(calibration), inputs
        self._targets = [(y, metrics.target_statistics(y)) for _, y in batches]
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
        run = packed_ops.compiled(spec, "rate")
        if len(calibration) == 1:
            calibrated, statistics = packed_ops.compiled(spec, "calibrate")(calibration[0], row)
            calibration = [calibrated]
        else:
            statistics = packed_ops.pooled_statistics(calibration, row, spec)
            calibration = [run(x, row, statistics) for x in calibration]
        self.op_runs += len(inputs)
        return calibration, [run(x, row, statistics) for x in inputs]

    def _rate(self, outputs):
        # One small tensor per batch comes to the host, after all were started.
        made = [
            metrics.distances(target, x, statistics)
            for (target, statistics), x in zip(self._targets, outputs, strict=True)
        ]
        each = np.array([one.numpy() for one in made], np.float64)
        spread = each.std(axis=0, ddof=1) if len(each) > 1 else np.zeros(each.shape[1])
        return tuple((float(m), float(s)) for m, s in zip(each.mean(axis=0), spread, strict=True))


def spread_out(places, space, count):
    """Divides cells into parts of about equal work: the largest first, to the least laden.

    Args:
        places: `(block, cell)` pairs.
        space: their `spaces.SearchSpace`.
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


def rater_of(cell, calibration, batches):
    """The rater of a cell; its maps are where the present device is."""
    b = cell.block
    pairs = [(tf.identity(maps[b]), tf.identity(maps[b + 1])) for maps in batches]
    return CellRater(cell, [tf.identity(maps[b]) for maps in calibration], pairs)


def rating_maps(teacher, images, config):
    """The maps that rating needs, from a seeded draw of images.

    Args:
        teacher: a `cutting.Teacher`.
        images: a `loading.Data`.
        config: the whole config.

    Returns:
        `(calibration, batches)`: two lists, of batches of calibration images of the
        training split, and of rating batches; each is a tuple of images and the maps of
        all blocks.
    """
    section = config.rating
    predict = feature_batches.feature_function(teacher)
    drawn = _draw_rating_images(images, section, config.seed)
    size = min(section.batch_size, len(drawn))
    # Whole batches only, so that all weigh the same in the mean.
    starts = range(0, len(drawn) - size + 1, size)
    batches = [tf.constant(drawn[start : start + size]) for start in starts]
    return calibration_maps(predict, images, config), [(x, *predict(x)) for x in batches]


def calibration_maps(predict, images, config):
    """The maps that batch norm's statistics are taken from.

    Args:
        predict: the teacher, as `feature_batches.feature_function` gives it.
        images: a `loading.Data`.
        config: the whole config.

    Returns:
        A list with a tuple per batch: images of the training split, and the maps of all blocks.
    """
    section = config.rating
    count = min(section.calibration_images, images.counts["train"])
    # Batches of equal size, at most as many as the images make.
    number = min(section.calibration_batches, images.counts["train"] // count)
    seed = seeding.derive_seed("calibration", config.seed)
    epoch = iter(images.epoch(count, 0, seed, augment=False))
    calibration = [next(epoch)[0] for _ in range(number)]
    return [(x, *predict(x)) for x in calibration]


def _draw_rating_images(images, section, seed):
    """A seeded draw of the rating split in a seeded order: files may lie sorted by class."""
    order = np.random.RandomState(seeding.derive_seed("rating", seed))
    wanted = order.permutation(images.counts["rating"])[: section.batches * section.batch_size]
    place = {int(index): position for position, index in enumerate(wanted)}
    drawn = [None] * len(wanted)
    for index, (image, _) in enumerate(images.images("rating").as_numpy_iterator()):
        if index in place:
            drawn[place[index]] = image
    return np.stack(drawn)
