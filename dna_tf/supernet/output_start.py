"""Starts a cell's output with the mean and deviation of the teacher's map.

Batch norm that starts as the identity gives a map with mean 0 and deviation 1. The
teacher's may be far from that, and Adam moves a weight by no more than the learning
rate in a step: with a deviation of 5 and a rate of 0.005 that takes 1,000 draws of an
op, in which the cell learns little more than the scale. So each op whose output is the
cell's starts with the teacher's mean and deviation in its last batch norm. If the last
layers are residual, several outputs add up to the cell's, and each starts with its share.
If the last layer had it all, the earlier ones would contribute almost nothing.
docs/guide/supernet.md compares the starts.
"""

import numpy as np

from dna_tf.space import layer_specs
from dna_tf.supernet import packed_ops


def channel_statistics(maps):
    """Mean and standard deviation of each channel over several batches.

    Args:
        maps: float arrays `(batch, height, width, channels)`, one per batch.

    Returns:
        `(mean, deviation)`, float64 arrays `(channels,)`.

    Raises:
        ValueError: a value is not finite.
    """
    count, total, squares = 0, 0.0, 0.0
    for batch in maps:
        flat = np.asarray(batch, np.float64).reshape(-1, batch.shape[-1])
        count += len(flat)
        total = total + flat.sum(0)
        squares = squares + (flat**2).sum(0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
        raise ValueError(
            "The teacher's map has values that are not finite. Look at the teacher's weights and "
            "at the images (config.data)."
        )
    return mean, deviation


def first_unit(units):
    """The first of the last units whose outputs add up to the cell's: residuals, and one before.

    Args:
        units: a list of lists of specs, as `cell_models.cell_units` makes them.

    Returns:
        An index into `units`. The convolution of a stem is none of them: its output is activated.
    """
    unit = len(units) - 1
    while unit > 0 and units[unit][0].has_residual and not _is_conv(units[unit - 1][0]):
        unit -= 1
    return unit


def _is_conv(spec):
    return isinstance(spec, layer_specs.ConvSpec)


def started(row, spec, statistics, parts):
    """The first weights of an op whose output is a part of the teacher's mean and deviation.

    Args:
        row: packed weights `(row size,)`, as `packed_ops.initial_row` makes them.
        spec: the op's `layer_specs.MBConvSpec`; its output has the teacher's channels.
        statistics: `(mean, deviation)`, as `channel_statistics` returns them.
        parts: how many ops' outputs add up to the cell's.

    Returns:
        A new row, in which the last batch norm has the mean as beta and the deviation
        as gamma, each divided by `parts`.

    The authors start at the identity.
    """
    row, (mean, deviation) = row.copy(), statistics
    place = {name: place for name, _, place in packed_ops.places(spec)}
    row[place["project_bn_beta"]] = mean / parts
    row[place["project_bn_gamma"]] = deviation / parts
    return row
