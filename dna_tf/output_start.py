"""Where a cell's last batch norm starts: at the scale of the teacher's map.

Batch norm that starts as the identity gives a map with mean 0 and deviation 1. The
teacher's may be far from that, and Adam moves a weight by no more than the learning
rate in a step: with a deviation of 5 and a rate of 0.005 that takes 1,000 draws of an
op, in which the cell learns little else. docs/supernet.md has what it costs.
"""

import numpy as np

from dna_tf import mbconv_spec


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


def started(row, spec, statistics):
    """The first weights of an op whose output has the teacher's mean and deviation.

    A residual op adds its input to that; what the input is like is not known before
    training, so nothing is taken off for it.

    Args:
        row: packed weights `(row size,)`, as `mbconv.initial_row` makes them.
        spec: the op's `mbconv_spec.MBConvSpec`; its output is the cell's.
        statistics: `(mean, deviation)`, as `channel_statistics` returns them.

    Returns:
        A new row, in which the last batch norm has the mean as beta and the deviation
        as gamma.

    Source: our choice; the authors start at the identity.
    """
    row, (mean, deviation) = row.copy(), statistics
    place = {name: place for name, _, place in mbconv_spec.places(spec)}
    row[place["project_bn_beta"]] = mean
    row[place["project_bn_gamma"]] = deviation
    return row
