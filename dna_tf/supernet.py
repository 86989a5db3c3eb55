"""Cells of the supernet: chains of layers in which every layer holds all ops.

The weights of all ops of a layer lie in one packed variable, a row per op. A
step takes the rows of the drawn path, so the other rows cannot move.
"""

import keras
import numpy as np
import tensorflow as tf

from dna_tf import mbconv, mbconv_spec, ratings


class Cell(keras.layers.Layer):
    """One cell of one block: `cell(x, path)` runs a path with batch statistics.

    The first layer reads the teacher's previous feature map (the image in block 1,
    through the cell's own stem), inner layers have the cell's width, and the last
    one has the teacher's channels, so that the maps compare without an adaptor.

    Args:
        space: a `search_space.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        input_shape: `(height, width, channels)` of what the block reads.
        output_channels: channels of the teacher's feature map.
        seed: seeds the first weights, together with block, cell, layer and op.

    Call arguments:
        x: float tensor `(batch, height, width, channels)`; block 1 takes images in 0..255.
        path: int32 tensor `(layers,)`, one op index per layer.

    Returns:
        The imitated map, `(batch, height, width, output_channels)`.

    Source: DNA 3.2 and 3.3.
    """

    def __init__(self, space, block, cell, input_shape, output_channels, seed=0):
        super().__init__(name=ratings.cell_name(block, cell))
        self.block, self.cell = block, cell
        self.num_ops = len(space.ops)
        self.layers = space.blocks[block].cells[cell].layers
        # A unit is one position of the chain: the specs that may run there.
        self.units = cell_units(space, block, cell, input_shape[-1], output_channels)
        self.fixed_units = len(self.units) - self.layers
        self.rescale = block == 0
        self.rows = []
        for u, specs in enumerate(self.units):
            size = mbconv.row_size(specs)
            first = np.stack(
                [
                    mbconv.initial_row(
                        spec, size, np.random.RandomState([seed, block, cell, u, op])
                    )
                    for op, spec in enumerate(specs)
                ]
            )
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

    def run_rows(self, x, path, rows):
        """Runs a path with given packed weights, as gradients with respect to them need."""
        if self.rescale:
            x = rescale(x)
        for specs, op, row in zip(self.units, self.units_of(path), rows, strict=True):
            x = _choose(specs, op, x, row)
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
    block_spec = space.blocks[block]
    shape = block_spec.cells[cell]
    units = []
    if block == 0:
        units = [[spec] for spec in mbconv_spec.stem_specs(space.frame, in_channels)]
        in_channels = space.frame.stem_output_width
    widths = [shape.width] * (shape.layers - 1) + [output_channels]
    columns = [
        mbconv_spec.layer_specs(
            space.frame, [op] * shape.layers, in_channels, widths, block_spec.stride
        )
        for op in space.ops
    ]
    return units + [list(layer) for layer in zip(*columns, strict=True)]


def _choose(specs, op, x, row):
    if len(specs) == 1:
        return mbconv.compiled(specs[0], "train")(x, row)
    branches = [lambda spec=spec: mbconv.compiled(spec, "train")(x, row) for spec in specs]
    return tf.switch_case(op, branches)


def draw_path(seed, step, block, cell, layers, num_ops):
    """Draws the op of each layer uniformly, from nothing but the seed and the step.

    Returns:
        An int32 tensor `(layers,)`.

    Source: DNA 3.3, as single-path one-shot methods draw.
    """
    # Always int64: with int32 a seed above 2147 would wrap, and the path would depend on
    # the dtype of `step`.
    key = tf.stack([seed * 1_000_003 + block * 1009 + cell, tf.cast(step, tf.int64)])
    return tf.random.stateless_uniform([layers], key, maxval=num_ops, dtype=tf.int32)


def build_cells(space, shapes, seed):
    """Builds all cells of a space for a teacher.

    Args:
        space: a `search_space.SearchSpace`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        seed: an int.

    Returns:
        A list of `Cell`, first block first.
    """
    return [Cell(space, b, c, shapes[b], shapes[b + 1][-1], seed) for b, c, _ in space.cells()]


def check_fit(space, shapes, cut_names):
    """Checks that the blocks of a space reproduce the sizes of the teacher's cut.

    Args:
        space: a `search_space.SearchSpace`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        cut_names: the teacher layer that ends each block.

    Raises:
        ValueError: numbers of blocks or sizes differ; the message has both shapes, the
            block and the likely fix.
    """
    if len(cut_names) != len(space.blocks):
        raise ValueError(
            f"The teacher is cut at {len(cut_names)} layers {list(cut_names)}, and the space "
            f"{space.name!r} has {len(space.blocks)} blocks. Name one layer for the end of each "
            "block in config.teacher.cuts, or choose another config.space."
        )
    for b, block in enumerate(space.blocks):
        stride = block.stride * (space.frame.stem_stride if b == 0 else 1)
        height, width, channels = shapes[b + 1]
        reads = shapes[b]
        if b == 0:
            made = mbconv_spec.output_size(*reads[:2], space.frame.stem_stride)
            made = mbconv_spec.output_size(*made, block.stride)
        else:
            made = mbconv_spec.output_size(*reads[:2], block.stride)
        if made != (height, width):
            ratio = reads[0] / height
            fix = (
                f"block {b + 1} of the space needs stride {ratio:g} in all (it has {stride})"
                if ratio in ((1, 2, 4) if b == 0 else (1, 2)) and ratio != stride
                else f"cut the teacher at a layer with a map of {made[0]}x{made[1]}"
            )
            raise ValueError(
                f"Block {b + 1} of the space {space.name!r} turns {reads[0]}x{reads[1]}x{reads[2]} "
                f"into {made[0]}x{made[1]}x{channels}, and the teacher's layer {cut_names[b]!r} "
                f"gives {height}x{width}x{channels}. Likely fix: {fix}."
            )
