"""Rating metrics: distance between a cell's output and the teacher's map."""

import tensorflow as tf

from dna_tf.space import ratings

# A channel whose variance is below this share of the mean variance carries no signal.
_NO_SIGNAL = 1e-6


@tf.function
def relative_l1(target, imitated):
    """The rating of one batch: `mean(|Y - Y'|) / (std(Y) + 1e-9)`, lower is better.

    Args:
        target: the teacher's map Y, `(batch, height, width, channels)`.
        imitated: the path's map Y', of the same shape.

    Returns:
        A float32 scalar.

    Source: DNA eq. 8; the mean over elements and the unbiased deviation over all
    elements are from the authors' code.
    """
    return _relative_l1(target, imitated, _deviation(target))


@tf.function
def target_statistics(target):
    """Statistics of a teacher's map that the metrics of all paths need: computed once.

    Args:
        target: `(batch, height, width, channels)`.

    Returns:
        The deviation over all elements, a scalar, and the variance of each channel,
        `(channels,)`.
    """
    return _deviation(target), tf.math.reduce_variance(target, axis=[0, 1, 2])


@tf.function
def distances(target, imitated, statistics):
    """All metrics of one batch.

    * `relative_l1`: see above.
    * `mse`: the mean squared difference, the loss of the training.
    * `noise_to_signal`: the squared difference over the variance, for each channel by
      itself, then the mean over channels. Channels in which the teacher's map does not
      vary (below 1e-6 of the mean variance) are left out: they carry no signal.

    Args:
        target: the teacher's map `(batch, height, width, channels)`.
        imitated: the path's map, of the same shape.
        statistics: of the target, as `target_statistics` returns them.

    Returns:
        A float32 tensor `(metrics,)` in the order of `ratings.METRICS`.

    Source: DNA eq. 7 and 8; noise to signal: DONNA (Moons et al., 2021).
    """
    deviation, variance = statistics
    squared = tf.reduce_mean(tf.math.squared_difference(target, imitated), axis=[0, 1, 2])
    signal = variance > _NO_SIGNAL * tf.reduce_mean(variance)
    parts = tf.where(signal, squared / tf.where(signal, variance, 1.0), 0.0)
    count = tf.reduce_sum(tf.cast(signal, tf.float32))
    values = {
        "relative_l1": _relative_l1(target, imitated, deviation),
        "mse": tf.reduce_mean(squared),
        "noise_to_signal": tf.reduce_sum(parts) / tf.maximum(count, 1.0),
    }
    return tf.stack([values[name] for name in ratings.METRICS])


def _deviation(target):
    count = tf.cast(tf.size(target), tf.float32)
    return tf.sqrt(tf.math.reduce_variance(target) * count / (count - 1.0))


def _relative_l1(target, imitated, deviation):
    return tf.reduce_mean(tf.abs(target - imitated)) / (deviation + 1e-9)
