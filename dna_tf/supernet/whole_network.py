"""WholeNetwork: all networks of a space as one supernet, from the image to the classes.

A cell of `cell_models` imitates one block of a teacher. A whole network needs no teacher: its
layers have the widths of the students, and it has their stem, head and classifier. The weights
of all ops of a layer are in one packed variable, a row per op, as in a cell.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from dna_tf.models import keras_settings
from dna_tf.space import network_layers, spaces
from dna_tf.supernet import cell_models, packed_ops

# Part of the seeds of first weights, so that they differ from those of cells.
_SEED = 1_000_003


@dataclasses.dataclass(frozen=True)
class DenseSpec:
    """The classifier: a dense layer with bias, after the mean over the image.

    Args:
        in_width: channels of the head.
        num_classes: outputs.
    """

    in_width: int
    num_classes: int

    def weights(self):
        """Shapes of the weights by name, in packing order."""
        return {"kernel": (self.in_width, self.num_classes), "bias": (self.num_classes,)}

    @property
    def params(self):
        """The number of parameters."""
        return (self.in_width + 1) * self.num_classes


class WholeNetwork(keras.layers.Layer):
    """The supernet of whole networks: `network(images, path)` gives logits of one of them.

    It runs with the statistics of the batch, as in training. `whole_rater` calibrates them.

    Args:
        space: a `spaces.SearchSpace` with one cell in each block.
        task: a `tasks.Task`: the size of the images and the number of classes.
        seed: seeds the first weights, together with position and op.

    Attributes:
        units: for each position of the chain the specs of its ops: the stem's layers with one
            each, the layers of the blocks with one per op of the space, the head's convolution.
        classifier: the `DenseSpec` behind them.
        rows: the packed weights: for each unit, and last for the classifier, a variable
            `(ops, row size)`.
        layers: the number of layers to choose an op for.
        num_ops: ops of each of them.

    Call arguments:
        images: float tensor `(batch, height, width, channels)` in 0..255.
        path: int32 tensor `(layers,)`, one op index per layer, first block first.

    Returns:
        Logits, float32 `(batch, num_classes)`.

    Raises:
        ValueError: a block of the space has several cells.

    Source: SPOS, Guo et al. 2020; the layers are those of DNA's students.
    """

    def __init__(self, space, task, seed=0):
        check_space(space)
        super().__init__(name="whole_network")
        keras_settings.settle()
        self.space, self.task = space, task
        self.num_ops = len(space.ops)
        self.layers = sum(block.cells[0].layers for block in space.blocks)
        self.units, self.classifier = network_units(space, task)
        self.fixed_units = len(self.units) - self.layers - 1  # of the stem
        self.rows = []
        for u, first in enumerate(first_rows(space, task, seed)):
            self.rows.append(
                self.add_weight(
                    shape=first.shape,
                    initializer=lambda shape, dtype, first=first: tf.constant(first, dtype),
                    name=f"unit{u}",
                )
            )
        self.built = True

    def ops_of(self, path):
        """The row of each packed variable that a path uses: 0 for stem, head and classifier."""
        zero = tf.constant(0)
        return [zero] * self.fixed_units + list(tf.unstack(path, self.layers)) + [zero, zero]

    def gather_rows(self, path):
        """The packed weights of a path: a list of `(row size,)` tensors, one per variable."""
        return [
            tf.gather(rows.value, op) for rows, op in zip(self.rows, self.ops_of(path), strict=True)
        ]

    def run_rows(self, images, path, rows, groups=1, rematerialize=False, dtype=tf.float32):
        """Runs a path with packed weights that are given as tensors, as gradients need them.

        Args:
            images, path: as for a call.
            rows: float32 tensors, as `gather_rows` returns them.
            groups: number of parts of the batch, each with its own batch statistics.
            rematerialize: as of `cell_models.TrainableCell.run_rows`.
            dtype: the type that the convolutions compute in; the classifier is float32.
        """
        x = tf.cast(cell_models.rescale(images), dtype)
        ops = self.ops_of(path)
        for specs, op, row in zip(self.units, ops[:-1], rows[:-1], strict=True):
            x = cell_models.run_chosen(specs, op, x, row, groups, rematerialize)
        return classify(x, rows[-1], self.classifier)

    def call(self, images, path):
        """Runs a path; see the class."""
        return self.run_rows(images, path, self.gather_rows(path))


def classify(maps, row, spec):
    """Logits of the head's maps.

    Args:
        maps: float tensor `(batch, height, width, spec.in_width)`.
        row: packed weights of the classifier, `(row size,)`.
        spec: a `DenseSpec`.

    Returns:
        float32 `(batch, spec.num_classes)`.
    """
    weights = packed_ops.unpack(row, spec)
    pooled = tf.reduce_mean(tf.cast(maps, tf.float32), axis=[1, 2])
    return pooled @ weights["kernel"] + weights["bias"]


def check_space(space):
    """Checks that a space has one cell in each block.

    Raises:
        ValueError: a block has several; the first one is named.
    """
    for number, block in enumerate(space.blocks, 1):
        if len(block.cells) > 1:
            raise ValueError(
                "A whole-network supernet needs a space with one cell in each block: the layer "
                f"behind a block reads one width. Block {number} of the space {space.name!r} has "
                f"{len(block.cells)} cells. Take a space such as digits_single or "
                "dna_four_ops_single, or the block-wise supernet."
            )


def network_units(space, task):
    """The specs of every position of the chain, and the classifier's.

    Args:
        space: a `spaces.SearchSpace` with one cell in each block.
        task: a `tasks.Task`.

    Returns:
        A list with one list of specs per position, and a `DenseSpec`.
    """
    layers = network_layers.space_layers(space, task)
    units = [[layer.spec] for layer in layers.stem]
    for b in range(len(space.blocks)):
        (width,) = space.input_widths(b)
        units += [[layer.spec for layer in ops] for ops in layers.cells[b, 0, width]]
    (head,) = layers.heads.values()
    return [*units, [head.spec]], DenseSpec(head.spec.out_width, task.num_classes)


def first_rows(space, task, seed):
    """The weights with which the training of a whole network begins.

    Convolutions and the classifier are uniform within 1/sqrt(fan-in), batch norm starts as the
    identity, and the classifier's bias at 0.

    Args:
        space, task, seed: as of `WholeNetwork`.

    Returns:
        A list of float32 arrays `(ops, row size)`, one per packed variable.
    """
    units, classifier = network_units(space, task)
    rows = []
    for u, specs in enumerate(units):
        size, of_ops = packed_ops.row_size(specs), []
        for op, spec in enumerate(specs):
            draws = np.random.RandomState([seed, _SEED, u, op])
            of_ops.append(packed_ops.initial_row(spec, size, draws))
        rows.append(np.stack(of_ops))
    draws = np.random.RandomState([seed, _SEED, len(units), 0])
    kernel = draws.uniform(-1.0, 1.0, math.prod(classifier.weights()["kernel"]))
    bias = np.zeros(classifier.num_classes)
    row = np.concatenate([kernel / math.sqrt(classifier.in_width), bias])
    return [*rows, row[None].astype(np.float32)]


def path_of(space, path_indices):
    """The ops of all layers of a network.

    Args:
        space: a `spaces.SearchSpace` with one cell in each block.
        path_indices: for each block an index into `SearchSpace.paths`.

    Returns:
        A tuple of op indices, one per layer, first block first.
    """
    return tuple(
        int(op) for b, index in enumerate(path_indices) for op in spaces.path(space, b, 0, index)
    )


def indices_of(space, path):
    """The inverse of `path_of`: for each block an index into `SearchSpace.paths`."""
    indices, start = [], 0
    for b, block in enumerate(space.blocks):
        stop = start + block.cells[0].layers
        indices.append(space.path_index(b, 0, tuple(int(op) for op in path[start:stop])))
        start = stop
    return tuple(indices)
