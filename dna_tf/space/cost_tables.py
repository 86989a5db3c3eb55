"""Costs of networks and of all paths of a space, counted from shapes without building a model.

There are three of them:

* `params`: trainable parameters.
* `macs`: multiply-accumulates of convolutions (squeeze-and-excitation included) and of the
  classifier, for one image.
* `authors_flops`: FLOPs as the DNA authors count them, and as the paper gives them: MACs, one
  more per output of a convolution with bias, two per input element of a batch norm, one per
  input element of the last pooling, nothing for activations.

A block's first layer reads the width of the cell that was chosen for the block before, so the
cost of a path depends on that width, and a `CostTable` is indexed by it.
"""

import dataclasses

import numpy as np

from dna_tf.space import network_layers, tasks

COSTS = ("params", "macs", "authors_flops")


def network_costs(architecture):
    """Counts all costs of one network.

    Args:
        architecture: an `architectures.Architecture`.

    Returns:
        A dict from each name of `COSTS` to an int.
    """
    return _sum(network_layers.layers(architecture))


def layer_costs(layer):
    """Counts all costs of one layer.

    Args:
        layer: a `network_layers.NetworkLayer`; a head is counted with pooling and classifier.

    Returns:
        A dict from each name of `COSTS` to an int.
    """
    spec, size = layer.spec, layer.size
    costs = {
        "params": spec.params,
        "macs": spec.macs(size, size),
        "authors_flops": spec.authors_flops(size, size),
    }
    if not layer.num_classes:
        return costs
    dense = spec.out_width * layer.num_classes
    pooling_flops = layer.output_size**2 * spec.out_width
    return {
        "params": costs["params"] + dense + layer.num_classes,
        "macs": costs["macs"] + dense,
        "authors_flops": costs["authors_flops"] + dense + pooling_flops,
    }


def _sum(layers):
    total = dict.fromkeys(COSTS, 0)
    for layer in layers:
        for name, cost in layer_costs(layer).items():
            total[name] += cost
    return total


@dataclasses.dataclass(frozen=True)
class CostTable:
    """The costs of every path of every cell of a space, for every width it may read.

    Args:
        task: the `tasks.Task` that they are counted for.
        paths: `paths[block, cell, in_width][name]` is an int64 array with one cost
            per path, in the order of `SearchSpace.paths`.
        stem: the stem's costs by name.
        heads: the head's costs by the width of the last cell, then by name.
    """

    task: tasks.Task
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
            for name, path_costs in self.paths[b, cell, width].items():
                total[name] += int(path_costs[row])
            width = space.blocks[b].cells[cell].width
        return {name: total[name] + self.heads[width][name] for name in COSTS}


def cost_table(space, task):
    """Counts the costs of all paths of a search space.

    Args:
        space: a `spaces.SearchSpace`.
        task: the `tasks.Task`: size of the images and number of classes.

    Returns:
        A `CostTable`.
    """
    layers, paths = network_layers.space_layers(space, task), {}
    for key, cell in layers.cells.items():
        costs = [[layer_costs(layer) for layer in candidates] for candidates in cell]
        paths[key] = {
            name: path_sums([[cost[name] for cost in of_ops] for of_ops in costs], np.int64)
            for name in COSTS
        }
    heads = {width: layer_costs(head) for width, head in layers.heads.items()}
    return CostTable(task, paths, _sum(layers.stem), heads)


def path_sums(costs, dtype):
    """Adds up a cost along every path of a cell.

    A cell of n layers and m ops takes n*m costs and outer sums, not m**n counts.

    Args:
        costs: a list with one list per layer: the cost of each op.
        dtype: of the sums.

    Returns:
        An array with one sum per path, in the order of `SearchSpace.paths`.
    """
    if sum(max(of_ops) for of_ops in costs) > np.iinfo(np.int64).max:
        raise ValueError("The costs of the space are too large to be counted: over 2**63.")
    total = np.zeros(1, dtype)
    for of_ops in costs:
        total = (total[:, None] + np.array(of_ops, dtype)).reshape(-1)
    return total


@dataclasses.dataclass(frozen=True)
class PathCosts:
    """One more cost of every path: latency from a table, say, or one of your own.

    Args:
        name: such as `"latency_ms"`: lower case, with its unit.
        paths: `paths[block, cell, in_width]` is an array with one cost per path, in the
            order of `SearchSpace.paths`, for a first layer that reads `in_width` channels.
        stem: cost of the stem, and of whatever else every network has.
        heads: the head's cost by the width of the last cell.
    """

    name: str
    paths: dict
    stem: float
    heads: dict
