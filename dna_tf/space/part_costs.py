"""Costs of the parts of an assembled network: of paths that stand in a teacher, and their sums.

An assembled network has for each block of a teacher a path of a cell or the teacher's own block,
and the teacher's head. Every path reads and gives the teacher's maps, so the cost of a part does
not depend on the other parts. There are four costs:

* `params`: trainable parameters.
* `macs`: multiply-accumulates for one image.
* `int8_kb`: the weights in an int8 TFLite file, in units of 1,000 bytes. A file has its graph
  besides, about 0.2 for each layer.
* `peak_kb`: memory for maps in int8, in units of 1,000 bytes: the largest sum of what a layer
  reads and writes and a residual holds. That of a network is the largest of its parts; the
  others add up.
"""

import numpy as np

from dna_tf.space import cost_tables, network_layers

COSTS = ("params", "macs", "int8_kb", "peak_kb")
COUNTED = ("params", "macs")  # whole numbers
SUMMED = ("params", "macs", "int8_kb")
KB = 1000.0  # bytes


def layer_costs(layer):
    """The costs of one layer of a path.

    Args:
        layer: a `network_layers.NetworkLayer`.

    Returns:
        A dict from each name of `COSTS` to a number.
    """
    spec, size = layer.spec, layer.size
    return {
        "params": spec.params,
        "macs": spec.macs(size, size),
        "int8_kb": spec.int8_bytes / KB,
        "peak_kb": spec.peak_elements(size, size) / KB,
    }


def total(parts):
    """The costs of parts together: the largest `peak_kb`, and the sums of the others.

    Args:
        parts: dicts from each name of `COSTS` to a number, or to `None` if it is not known; one
            or more.

    Returns:
        Such a dict. Sums are taken from left to right.
    """
    costs, *rest = parts
    for part in rest:
        costs = {name: _joined(name, costs[name], part[name]) for name in COSTS}
    return dict(costs)


def _joined(name, value, other):
    if value is None or other is None:
        return None
    if name == "peak_kb":
        return max(value, other)
    return value + other if name in COUNTED else round(value + other, 3)


def path_costs(space, block, cell, path, shapes):
    """The costs of one path as it stands in a teacher.

    Args:
        space: a `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        path: op index of each layer.
        shapes: `(height, width, channels)` of the image and of each block's output of the
            teacher.

    Returns:
        A dict from each name of `COSTS` to a number. For block 1 the cell's stem is in it.

    Raises:
        ValueError: the space has no such path.
    """
    space.path_index(block, cell, path)
    positions = network_layers.imitating_layers(space, block, cell, shapes)
    ops = [0] * (len(positions) - len(path)) + list(path)
    return total(layer_costs(candidates[op]) for candidates, op in zip(positions, ops, strict=True))


def all_path_costs(space, block, cell, shapes):
    """The costs of all paths of a cell as they stand in a teacher.

    Args:
        space, block, cell, shapes: as for `path_costs`.

    Returns:
        A dict from each name of `COSTS` to an array with one cost per path, in the order of
        `SearchSpace.paths`: int64 where it is counted, float64 otherwise.
    """
    positions = network_layers.imitating_layers(space, block, cell, shapes)
    costs = [[layer_costs(layer) for layer in candidates] for candidates in positions]
    arrays = {}
    for name in COSTS:
        of_ops = [[cost[name] for cost in candidates] for candidates in costs]
        dtype = np.int64 if name in COUNTED else np.float64
        join = _maxima if name == "peak_kb" else cost_tables.path_sums
        arrays[name] = join(of_ops, dtype)
    return arrays


def _maxima(costs, dtype):
    """The largest cost along every path of a cell, as `cost_tables.path_sums` adds them."""
    largest = np.zeros(1, dtype)
    for of_ops in costs:
        largest = np.maximum(largest[:, None], np.array(of_ops, dtype)).reshape(-1)
    return largest
