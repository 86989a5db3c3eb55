"""Rates whole networks: accuracy and cross-entropy of a path with calibrated batch norm.

Batch norm is calibrated for each path: batches of training images run through the path, and the
rating batches use their pooled means and variances. The maps of the last path are kept, and the
next path begins at the first layer in which it differs.

Source: SPOS, Guo et al. 2020. Its running average with momentum 0.1 forgets all but the last
batches; here all count alike.
"""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from dna_tf.supernet import cell_models, packed_ops, whole_network

MOST_BYTES = 2**30  # of the maps that are kept


@dataclasses.dataclass(frozen=True)
class Score:
    """What a path got on the rating images.

    Args:
        correct: images that it classifies right.
        images: images.
        cross_entropy: mean over the images, in nats.
    """

    correct: int
    images: int
    cross_entropy: float

    @property
    def accuracy(self):
        """Share of the images that are classified right."""
        return self.correct / self.images

    @property
    def value(self):
        """What a search minimises: orders by errors first, then by cross-entropy.

        Errors are whole numbers, and `c / (1 + c)` of a cross-entropy `c` is below 1.
        """
        return self.images - self.correct + self.cross_entropy / (1.0 + self.cross_entropy)


class WholeRater:
    """Rates paths of a whole network.

    Args:
        network: a trained `whole_network.WholeNetwork`.
        calibration: a list of batches of training images in 0..255, `(images, height, width,
            channels)`. Their statistics are pooled, as if all images were one batch.
        batches: a list of `(images, labels)`: rating images likewise, and int labels.
        most_bytes: of maps that are kept from one path to the next.

    Attributes:
        op_runs: number of runs of an op on a rating batch so far.
    """

    def __init__(self, network, calibration, batches, most_bytes=MOST_BYTES):
        self.network, self._most_bytes = network, most_bytes
        inputs = [cell_models.rescale(tf.constant(images)) for images, _ in batches]
        self._start = [cell_models.rescale(tf.constant(x)) for x in calibration], inputs
        self._labels = [tf.constant(labels, tf.int32) for _, labels in batches]
        self._kept = []  # of the last path: an op, and the maps behind it
        self.op_runs = 0

    def rate(self, path):
        """Rates a path.

        Args:
            path: op index of each layer, first block first.

        Returns:
            A `Score`.

        Raises:
            ValueError: the cross-entropy is not finite.
        """
        correct, total, images = 0, 0.0, 0
        for logits, labels in zip(self.logits(path), self._labels, strict=True):
            right, losses = _compare(logits, labels)
            correct, images = correct + int(right), images + len(labels)
            # Exact, so that the order of batches or sums does not matter.
            total += math.fsum(losses.numpy().astype(np.float64).tolist())
        if not math.isfinite(total):
            raise ValueError(
                f"The cross-entropy of the path {tuple(path)} is {total}: the supernet diverged. "
                "Train it again with a lower learning rate."
            )
        return Score(correct, images, total / images)

    def logits(self, path):
        """Logits of the rating images with calibrated batch norm: a tensor for each batch."""
        network = self.network
        ops = [0] * network.fixed_units + [int(op) for op in path] + [0]
        if len(ops) != len(network.units):
            raise ValueError(
                f"A path of the space {network.space.name!r} has {network.layers} op indices. "
                f"Received: {tuple(path)}"
            )
        shared = 0
        while shared < len(self._kept) and self._kept[shared][0] == ops[shared]:
            shared += 1
        del self._kept[shared:]
        carried = self._kept[-1][1] if self._kept else self._start
        size = sum(_bytes(maps) for _, maps in self._kept)
        keeps = True
        for unit in range(shared, len(ops)):
            carried = self._run(unit, ops[unit], *carried)
            size += _bytes(carried)
            keeps = keeps and size <= self._most_bytes
            if keeps:
                self._kept.append((ops[unit], carried))
        row = network.rows[-1].value[0]
        return [_classifier(network.classifier)(maps, row) for maps in carried[1]]

    def _run(self, unit, op, calibration, inputs):
        spec, row = self.network.units[unit][op], self.network.rows[unit].value[op]
        self.op_runs += len(inputs)
        return packed_ops.run_calibrated(spec, row, calibration, inputs)


@functools.cache
def _classifier(spec):
    return tf.function(lambda maps, row: whole_network.classify(maps, row, spec))


@tf.function(reduce_retracing=True)
def _compare(logits, labels):
    """The number of right answers, and the cross-entropy of each image."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    right = tf.equal(tf.argmax(logits, -1, tf.int32), labels)
    return tf.reduce_sum(tf.cast(right, tf.int32)), losses


def _bytes(carried):
    return sum(tensor.shape.num_elements() * 4 for tensors in carried for tensor in tensors)
