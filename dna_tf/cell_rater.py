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

from dna_tf import imitation, mbconv, supernet


class CellRater:
    """Rates paths of one cell.

    The rating of a path is a tuple of `(mean, spread)` for each of `ratings.METRICS`:
    the mean over the rating batches, and their standard deviation (of a sample; 0 for
    one batch), summed in float64.

    Args:
        cell: a trained `supernet.Cell`.
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
            calibration = [supernet.rescale(x) for x in calibration]
            inputs = [supernet.rescale(x) for x in inputs]
        self._start = list(calibration), inputs
        self._targets = [(y, imitation.target_statistics(y)) for _, y in batches]
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
        run = mbconv.compiled(spec, "rate")
        if len(calibration) == 1:
            calibrated, statistics = mbconv.compiled(spec, "calibrate")(calibration[0], row)
            calibration = [calibrated]
        else:
            statistics = mbconv.pooled_statistics(calibration, row, spec)
            calibration = [run(x, row, statistics) for x in calibration]
        self.op_runs += len(inputs)
        return calibration, [run(x, row, statistics) for x in inputs]

    def _rate(self, outputs):
        # One small tensor per batch comes to the host, after all were started.
        made = [
            imitation.distances(target, x, statistics)
            for (target, statistics), x in zip(self._targets, outputs, strict=True)
        ]
        each = np.array([one.numpy() for one in made], np.float64)
        spread = each.std(axis=0, ddof=1) if len(each) > 1 else np.zeros(each.shape[1])
        return tuple((float(m), float(s)) for m, s in zip(each.mean(axis=0), spread, strict=True))
