"""The layers of a network, and of all networks of a space, with the size of what each reads.

Stem, layers of the cells, head: this is the only place that walks through them. Costs, latency
tables, Keras models, diagrams and the names of foreign weights are made layer by layer from it.
"""

import dataclasses
import itertools

from dna_tf.space import layer_specs


@dataclasses.dataclass(frozen=True)
class NetworkLayer:
    """One layer of a network.

    Args:
        name: such as `"stem"`, `"stem_mbconv"`, `"block1_layer2"` or `"head"`: how the names
            of a student's Keras layers begin.
        block: 0 for the stem, from 1 for blocks, one more than the blocks for the head.
        index: position among the MBConvs of the block or stem, from 0; 0 for convolutions.
        spec: a `layer_specs.MBConvSpec`, or the `ConvSpec` of stem and head.
        size: height and width of its input in pixels.
        num_classes: outputs of the classifier after the head's convolution; 0 for the others.
    """

    name: str
    block: int
    index: int
    spec: layer_specs.ConvSpec | layer_specs.MBConvSpec
    size: int
    num_classes: int = 0

    @property
    def output_size(self):
        """Height and width of its output in pixels, before any pooling."""
        return layer_specs.output_size(self.size, self.size, self.spec.stride)[0]


def layers(architecture):
    """Yields the layers of a network from the image to the classes.

    Args:
        architecture: an `architectures.Architecture`.

    Yields:
        `NetworkLayer`s: the convolution and the MBConvs of the stem, the MBConvs of each
        block, and the head, which has the classifier too.
    """
    frame, task, blocks = architecture.frame, architecture.task, architecture.blocks
    stem = stem_layers(frame, task)
    yield from stem
    width, size = frame.stem_output_width, stem[-1].output_size
    for number, block in enumerate(blocks, 1):
        widths = [block.width] * len(block.ops)
        specs = layer_specs.layer_specs(frame, block.ops, width, widths, block.stride)
        chain = _chain(specs, number, size)
        yield from chain
        width, size = block.width, chain[-1].output_size
    yield _head(frame, task, len(blocks) + 1, width, size)


def stem_layers(frame, task):
    """The layers of a stem: its convolution and its MBConvs without expansion.

    Args:
        frame: a `spaces.Frame`.
        task: a `tasks.Task`.

    Returns:
        A list of `NetworkLayer`.
    """
    return _stem_layers(frame, task.channels, task.image_size)


def _stem_layers(frame, channels, image_size):
    conv, *mbconvs = layer_specs.stem_specs(frame, channels)
    stem = [NetworkLayer("stem", 0, 0, conv, image_size)]
    for index, spec in enumerate(mbconvs):
        name = f"stem_mbconv{index + 1 if index else ''}"
        stem.append(NetworkLayer(name, 0, index, spec, stem[-1].output_size))
    return stem


def cell_layers(frame, ops, block, in_width, out_widths, stride, size):
    """The candidates of every layer of a cell.

    Args:
        frame: a `spaces.Frame`.
        ops: the ops of the space.
        block: number of the block, from 1.
        in_width: channels that the first layer reads.
        out_widths: output channels, one per layer.
        stride: stride of the first layer; the others have 1.
        size: height and width of the input in pixels.

    Returns:
        A list with one list per layer: a `NetworkLayer` for each op.
    """
    num_layers = len(out_widths)
    chains = []
    for op in ops:
        specs = layer_specs.layer_specs(frame, [op] * num_layers, in_width, out_widths, stride)
        chains.append(_chain(specs, block, size))
    return [list(candidates) for candidates in zip(*chains, strict=True)]


def imitating_layers(space, block, cell, shapes):
    """The candidates of every position of a cell that stands in a teacher's place.

    Its first layer reads the teacher's map before, inner layers have the cell's width, and the
    last one has the teacher's channels. The cells of block 1 have a stem of their own.

    Args:
        space: a `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        shapes: `(height, width, channels)` of the image and of each block's output of the
            teacher.

    Returns:
        A list with one list per position: for block 1 first the layers of the stem, one each;
        then for each layer of the cell a `NetworkLayer` for each op.

    Source: DNA 3.2.
    """
    (size, _, in_width), spec = shapes[block], space.blocks[block]
    shape, stem = spec.cells[cell], []
    if block == 0:
        stem = _stem_layers(space.frame, in_width, size)
        in_width, size = space.frame.stem_output_width, stem[-1].output_size
    widths = [shape.width] * (shape.layers - 1) + [shapes[block + 1][-1]]
    layers = cell_layers(space.frame, space.ops, block + 1, in_width, widths, spec.stride, size)
    return [[layer] for layer in stem] + layers


@dataclasses.dataclass(frozen=True)
class SpaceLayers:
    """The layers of all networks of a space.

    Args:
        stem: a list of `NetworkLayer`, the same in every network.
        cells: `cells[block, cell, in_width]`, indices from 0, for every cell and every width
            that its first layer may read: what `cell_layers` returns.
        heads: the head by the width of the last cell.
    """

    stem: list
    cells: dict
    heads: dict

    def all(self):
        """All layers: stem, cells and heads; layers that are equal come several times."""
        candidates = itertools.chain.from_iterable(self.cells.values())
        return [*self.stem, *itertools.chain.from_iterable(candidates), *self.heads.values()]


def space_layers(space, task):
    """The layers of all networks of a space for a task, as `SpaceLayers`.

    Args:
        space: a `spaces.SearchSpace`.
        task: a `tasks.Task`.
    """
    frame, stem, cells = space.frame, stem_layers(space.frame, task), {}
    size = stem[-1].output_size
    for b, block in enumerate(space.blocks):
        for c, cell in enumerate(block.cells):
            for in_width in space.input_widths(b):
                cells[b, c, in_width] = cell_layers(
                    frame,
                    space.ops,
                    b + 1,
                    in_width,
                    [cell.width] * cell.layers,
                    block.stride,
                    size,
                )
        size = layer_specs.output_size(size, size, block.stride)[0]
    number = len(space.blocks) + 1
    widths = [cell.width for cell in space.blocks[-1].cells]
    heads = {width: _head(frame, task, number, width, size) for width in widths}
    return SpaceLayers(stem, cells, heads)


def _chain(specs, block, size):
    chain = []
    for index, spec in enumerate(specs):
        chain.append(NetworkLayer(f"block{block}_layer{index + 1}", block, index, spec, size))
        size = chain[-1].output_size
    return chain


def _head(frame, task, block, in_width, size):
    spec = layer_specs.head_spec(frame, in_width)
    return NetworkLayer("head", block, 0, spec, size, task.num_classes)
