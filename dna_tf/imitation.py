"""How far an imitated feature map is from the teacher's."""

import tensorflow as tf


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
    count = tf.cast(tf.size(target), tf.float32)
    deviation = tf.sqrt(tf.math.reduce_variance(target) * count / (count - 1.0))
    return tf.reduce_mean(tf.abs(target - imitated)) / (deviation + 1e-9)
