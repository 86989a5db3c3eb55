"""Rates the paths of one cell, running each common prefix of paths once.

Batch norm is calibrated for each path: batches of training images run through the
path, and the rating batches use their means and variances. Those at a layer depend
only on the ops up to it, so a walk in depth-first order that carries calibration and
rating batches together gives exactly the result of rating each path by itself, and
runs each prefix once: 6 + 36 + 216 + 1296 op runs for four layers of six ops, not
4 * 1296. Only the maps of one path are in memory, whatever the number of paths.

Source: DNA Algorithm 1 and eq. 8.
"""

import numpy as np

from dna_tf.supernet import cell_models, metrics, packed_ops


class CellRater:
    """Rates paths of one cell.

    The rating of a path is a tuple of `(mean, spread)` for each of `ratings.METRICS`:
    the mean over the rating batches, and their standard deviation (of a sample; 0 for
    one batch), summed in float64.

    Args:
        cell: a trained `cell_models.TrainableCell`.
        calibration: input of the block for the calibration images: a list of one or several
            tensors `(images, height, width, channels)`. The statistics of several are
            pooled, as if all images were one batch.
        batches: a list of `(input, target)` maps, one per rating batch.

    Attributes:
        op_runs: number of runs of an op on a rating batch so far.
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

    def ratings(self, first=0):
        """Rates the paths from an index on, in the order of `SearchSpace.paths`.

        Each prefix is run once.

        Args:
            first: index of the first path to rate; the ones before it were rated earlier.

        Yields:
            The rating of each path; see the class.
        """
        count = self._cell.num_ops**self._cell.layers
        for _, outputs in self.walk(np.arange(first, count)):
            yield self._rate(outputs)

    def walk(self, indices):
        """Runs some of the paths; each prefix that several of them share is run once.

        Args:
            indices: of the paths in the order of `SearchSpace.paths`, an ascending int array.

        Yields:
            The index of each path, and its outputs with calibrated batch norm: a tensor for
            each batch.
        """
        if len(indices):
            carried = self._start
            for unit in range(self._cell.fixed_units):
                carried = self._run(unit, 0, *carried)
            yield from self._walk(0, 0, carried, indices)

    def path(self, path):
        """Rates one path by itself: the slow way, the reference for `ratings`."""
        return self._rate(self.outputs(path))

    def outputs(self, path):
        """The output of one path with calibrated batch norm: a tensor for each batch."""
        carried = self._start
        for unit, op in enumerate([0] * self._cell.fixed_units + list(path)):
            carried = self._run(unit, op, *carried)
        return carried[1]

    def _walk(self, layer, start, carried, indices):
        """Runs the paths of `indices` below a node; `start` is the index of its first path."""
        if layer == self._cell.layers:
            yield start, carried[1]
            return
        below = self._cell.num_ops ** (self._cell.layers - layer - 1)
        unit = self._cell.fixed_units + layer
        for op in range(self._cell.num_ops):
            first = start + op * below
            low, high = np.searchsorted(indices, [first, first + below])
            if low < high:
                ahead = self._run(unit, op, *carried)
                yield from self._walk(layer + 1, first, ahead, indices[low:high])

    def _run(self, unit, op, calibration, inputs):
        spec = self._cell.units[unit][op]
        row = self._cell.rows[unit].value[op]
        self.op_runs += len(inputs)
        return packed_ops.run_calibrated(spec, row, calibration, inputs)

    def _rate(self, outputs):
        # One small tensor per batch comes to the host, after all were started.
        tensors = [
            metrics.distances(target, x, statistics)
            for (target, statistics), x in zip(self._targets, outputs, strict=True)
        ]
        batches = np.array([tensor.numpy() for tensor in tensors], np.float64)
        spread = batches.std(axis=0, ddof=1) if len(batches) > 1 else np.zeros(batches.shape[1])
        means = batches.mean(axis=0)
        return tuple((float(mean), float(s)) for mean, s in zip(means, spread, strict=True))
