"""TrainableCell: a chain of layers in which every layer has all ops.

The weights of all ops of a layer are in one packed variable, a row per op. A step
takes the rows of the drawn path, so the other rows cannot move.
"""

import keras
import numpy as np
import tensorflow as tf

from dna_tf.models import keras_settings
from dna_tf.space import network_layers, spaces
from dna_tf.supernet import output_start, packed_ops


class TrainableCell(keras.layers.Layer):
    """One cell of one block: `cell(x, path)` runs a path with batch statistics.

    The first layer reads the teacher's previous feature map (the image in block 1,
    through the cell's own stem), inner layers have the cell's width, and the last
    one has the teacher's channels, so that no adaptor is needed to compare the maps.

    Args:
        space: a `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        input_shape: `(height, width, channels)` of the block's input.
        output_channels: channels of the teacher's feature map.
        seed: seeds the first weights, together with block, cell, layer and op.
        start: mean and deviation of the teacher's map, each `(output_channels,)`, at which
            the output starts, as in `output_start`; `None` starts every layer at 0 and 1.

    Call arguments:
        x: float tensor `(batch, height, width, channels)`; block 1 takes images in 0..255.
        path: int32 tensor `(layers,)`, one op index per layer.

    Returns:
        The imitated map, `(batch, height, width, output_channels)`.

    Source: DNA 3.2 and 3.3.
    """

    def __init__(self, space, block, cell, input_shape, output_channels, seed=0, start=None):
        super().__init__(name=spaces.cell_name(block, cell))
        self.block, self.cell = block, cell
        self.num_ops = len(space.ops)
        self.layers = space.blocks[block].cells[cell].layers
        # A unit is one position of the chain: the specs of its ops.
        self.units = cell_units(space, block, cell, input_shape[-1], output_channels)
        self.fixed_units = len(self.units) - self.layers
        self.rescale = block == 0
        self.rows = []
        for u, first in enumerate(first_rows(self.units, block, cell, seed, start)):
            self.rows.append(
                self.add_weight(
                    shape=first.shape,
                    initializer=lambda shape, dtype, first=first: tf.constant(first, dtype),
                    name=f"unit{u}",
                )
            )
        self.built = True

    def units_of(self, path):
        """The op index of every unit: 0 for the stem's, then the path."""
        return [tf.constant(0)] * self.fixed_units + list(tf.unstack(path, self.layers))

    def gather_rows(self, path):
        """The packed weights of a path: a list of `(row size,)` tensors, one per unit."""
        return [
            tf.gather(rows.value, op)
            for rows, op in zip(self.rows, self.units_of(path), strict=True)
        ]

    def run_rows(self, x, path, rows, groups=1, rematerialize=False):
        """Runs a path with packed weights that are given as tensors, as gradients need them.

        Args:
            x: as for a call; it is computed in the type of `x`.
            path: as for a call.
            rows: float32 tensors, as `gather_rows` returns them.
            groups: number of parts of the batch, each with its own batch statistics.
            rematerialize: whether to run each op again in the backward pass, instead of
                keeping its intermediate tensors. XLA would keep those of all ops.
        """
        if self.rescale:
            x = rescale(x)
        for specs, op, row in zip(self.units, self.units_of(path), rows, strict=True):
            x = run_chosen(specs, op, x, row, groups, rematerialize)
        return x

    def call(self, x, path):
        """Runs a path; see the class."""
        return self.run_rows(x, path, self.gather_rows(path))


def rescale(images):
    """Brings images from 0..255 to -1..1, as the student's first layer does."""
    return images * (1.0 / 127.5) - 1.0


def cell_units(space, block, cell, in_channels, output_channels):
    """The specs of every position of a supernet cell.

    Returns:
        A list with one list of specs per position: for block 1 first the two parts of
        the stem, with one spec each; then the layers, with one spec per op.
    """
    # The specs do not depend on the sizes of the maps.
    shapes = {block: (1, 1, in_channels), block + 1: (1, 1, output_channels)}
    positions = network_layers.imitating_layers(space, block, cell, shapes)
    return [[layer.spec for layer in candidates] for candidates in positions]


def first_rows(units, block, cell, seed, start=None):
    """The weights with which the training of a cell begins.

    Args:
        units: the specs of every position, as `cell_units` returns them.
        block, cell, seed, start: as of `TrainableCell`.

    Returns:
        A list of float32 arrays `(ops, row size)`, one per position.
    """
    adding, rows = output_start.first_unit(units), []  # from there on outputs add up
    for u, specs in enumerate(units):
        size = packed_ops.row_size(specs)
        first = [
            packed_ops.initial_row(spec, size, np.random.RandomState([seed, block, cell, u, op]))
            for op, spec in enumerate(specs)
        ]
        if start is not None and u >= adding:
            parts = len(units) - adding
            first = [
                output_start.started(row, spec, start, parts)
                for row, spec in zip(first, specs, strict=True)
            ]
        rows.append(np.stack(first))
    return rows


def run_chosen(specs, op, x, row, groups=1, rematerialize=False):
    """Runs the chosen op of one position of a chain, with the statistics of the batch.

    Args:
        specs: the specs of the ops of the position.
        op: int32 scalar tensor, which of them.
        x: float tensor `(batch, height, width, channels)`.
        row: the packed weights of the op, `(row size,)`.
        groups, rematerialize: as of `TrainableCell.run_rows`.

    Returns:
        The output of the op.
    """
    choose = _choose_and_rematerialize if rematerialize else _choose
    return choose(specs, op, x, row, groups)


def _choose(specs, op, x, row, groups):
    runs = [packed_ops.compiled(spec, "train", groups) for spec in specs]
    if len(runs) == 1:
        return runs[0](x, row)
    return tf.switch_case(op, [lambda run=run: run(x, row) for run in runs])


def _choose_and_rematerialize(specs, op, x, row, groups):
    @tf.custom_gradient
    def chosen(x, row):
        def backward(upstream):
            def through(spec):
                with tf.GradientTape() as tape:
                    tape.watch([x, row])
                    y = packed_ops.compiled(spec, "train", groups)(x, row)
                return tape.gradient(y, [x, row], upstream)

            if len(specs) == 1:
                return through(specs[0])
            return tf.switch_case(op, [lambda spec=spec: through(spec) for spec in specs])

        return _choose(specs, op, x, row, groups), backward

    return chosen(x, row)


def build_cells(space, shapes, seed, names=None, starts=None):
    """Builds cells of a space for a teacher.

    Args:
        space: a `spaces.SearchSpace`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        seed: an int.
        names: which cells, such as `["block1_cell2"]`; all by default.
        starts: the `start` of `TrainableCell` for each block; `None` for none.

    Returns:
        A list of `TrainableCell`, first block first.
    """
    keras_settings.settle()
    return [
        TrainableCell(
            space, b, c, shapes[b], shapes[b + 1][-1], seed, starts[b] if starts else None
        )
        for b, c, _ in space.cells()
        if names is None or spaces.cell_name(b, c) in names
    ]
