"""Costs of networks and of the cells of a search space, counted from shapes.

Three costs are known; they never need a built model:

* `params`: trainable parameters.
* `macs`: multiply-accumulates of convolutions (squeeze-and-excitation included)
  and of the classifier, for one image.
* `authors_flops`: what the DNA authors' counter calls FLOPs, the one in the
  paper: MACs, one more per output of a convolution with bias, two per input
  element of a batch norm, one per input element of the last pooling, nothing for
  activations.

A block's first layer reads the width of the cell chosen for the block before,
so the cost of a path depends on that width, and a `CostTable` is indexed by it.
"""

import dataclasses

import numpy as np

from dna_tf.space import layer_specs

COSTS = ("params", "macs", "authors_flops")


def network_costs(frame, blocks, task):
    """Counts all costs of one network.

    Args:
        frame: the `spaces.Frame` of stem and head.
        blocks: for each block an object with `ops` (of `spaces.Op`), `width`
            and `stride`.
        task: the `tasks.Task`: size of the images and number of classes.

    Returns:
        A dict from each name of `COSTS` to an int.
    """
    total = stem_costs(frame, task)
    size = stem_output_size(frame, task.image_size)
    width = frame.stem_output_width
    for block in blocks:
        specs = layer_specs.layer_specs(
            frame, block.ops, width, [block.width] * len(block.ops), block.stride
        )
        for spec in specs:
            total = _add(total, spec_costs(spec, size))
            size = layer_specs.output_size(size, size, spec.stride)[0]
        width = block.width
    return _add(total, head_costs(frame, width, size, task.num_classes))


def spec_costs(spec, size):
    """All costs of one `MBConvSpec` or `ConvSpec` reading `size` x `size` pixels."""
    return {
        "params": spec.params,
        "macs": spec.macs(size, size),
        "authors_flops": spec.authors_flops(size, size),
    }


def stem_costs(frame, task):
    """All costs of the stem."""
    conv, *layers = layer_specs.stem_specs(frame, task.channels)
    total = spec_costs(conv, task.image_size)
    for spec in layers:
        total = _add(total, spec_costs(spec, stem_output_size(frame, task.image_size)))
    return total


def stem_output_size(frame, image_size):
    """Height and width of what block 1 reads."""
    return layer_specs.output_size(image_size, image_size, frame.stem_stride)[0]


def head_costs(frame, in_width, size, num_classes):
    """All costs of the head: convolution, pooling and classifier."""
    costs = spec_costs(layer_specs.head_spec(frame, in_width), size)
    dense = frame.head_width * num_classes
    pooling_flops = size * size * frame.head_width
    return _add(
        costs,
        {
            "params": dense + num_classes,
            "macs": dense,
            "authors_flops": dense + pooling_flops,
        },
    )


def _add(one, other):
    return {name: one[name] + other[name] for name in COSTS}


@dataclasses.dataclass(frozen=True)
class CostTable:
    """The costs of every path of every cell of a space, for every width it may read.

    Args:
        paths: `paths[block, cell, in_width][name]` is an int64 array with one cost
            per path, in the order of `SearchSpace.paths`.
        stem: the stem's costs by name.
        heads: the head's costs by the width of the last cell, then by name.
    """

    paths: dict
    stem: dict
    heads: dict

    def costs_of(self, space, choices):
        """All costs of one architecture, added up from the table.

        Args:
            space: the `spaces.SearchSpace` that the table was counted for.
            choices: for each block `(cell, path)`: the cell's index from 0 and one op
                index per layer.

        Returns:
            A dict from each name of `COSTS` to an int, the same as `network_costs`.

        Raises:
            ValueError: `choices` are not one cell and path of the space for each block.
        """
        if len(choices) != len(space.blocks):
            raise ValueError(
                f"The space {space.name!r} has {len(space.blocks)} blocks, and each needs one "
                f"(cell, path). Received: {len(choices)}"
            )
        total, width = dict(self.stem), space.frame.stem_output_width
        for b, (cell, path) in enumerate(choices):
            row = space.path_index(b, cell, path)
            for name, of_paths in self.paths[b, cell, width].items():
                total[name] += int(of_paths[row])
            width = space.blocks[b].cells[cell].width
        return _add(total, self.heads[width])


def cost_table(space, task):
    """Counts the costs of all paths of a search space.

    The cost of a path is a sum over its layers, so a cell of n layers and m ops
    needs n*m counts and an outer sum, not m**n counts.

    Args:
        space: a `spaces.SearchSpace`.
        task: the `tasks.Task`: size of the images and number of classes.

    Returns:
        A `CostTable`.
    """
    tables = {}
    size = stem_output_size(space.frame, task.image_size)
    for b, block in enumerate(space.blocks):
        for c, cell in enumerate(block.cells):
            for in_width in space.input_widths(b):
                tables[b, c, in_width] = _cell_costs(space, cell, in_width, block.stride, size)
        size = layer_specs.output_size(size, size, block.stride)[0]
    heads = {
        cell.width: head_costs(space.frame, cell.width, size, task.num_classes)
        for cell in space.blocks[-1].cells
    }
    return CostTable(tables, stem_costs(space.frame, task), heads)


def _cell_costs(space, cell, in_width, stride, size):
    totals = {name: np.zeros(1, np.int64) for name in COSTS}
    for layer in range(cell.layers):
        specs = [
            layer_specs.layer_specs(space.frame, [op], in_width, [cell.width], stride)[0]
            for op in space.ops
        ]
        costs = [spec_costs(spec, size) for spec in specs]
        for name in COSTS:
            of_ops = np.array([cost[name] for cost in costs], np.int64)
            totals[name] = (totals[name][:, None] + of_ops).reshape(-1)
        if layer == 0:
            size = layer_specs.output_size(size, size, stride)[0]
        in_width, stride = cell.width, 1
    return totals


@dataclasses.dataclass(frozen=True)
class PathCosts:
    """One more cost, given for every path: latency from a table, say, or one of your own.

    Args:
        name: such as `"latency_ms"`: lower case, with its unit.
        paths: `paths[block, cell, in_width]` is an array with one cost per path, in the
            order of `SearchSpace.paths`, for a first layer that reads `in_width` channels.
        stem: what every network has: stem, and whatever does not depend on the choice.
        heads: the head's cost by the width of the last cell.
    """

    name: str
    paths: dict
    stem: float
    heads: dict
