"""The depthwise convolution with channels taken in parts equals the plain one."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf import depthwise


def _gradients(function, x, kernel, upstream):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
    return y, *tape.gradient(y, [x, kernel], upstream)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("size", "channels", "stride", "parts"),
    [(7, 700, 1, 2), (7, 1344, 2, 3), (5, 1311, 2, 2), (3, 40, 1, 1)],
)
def test_output_and_gradients_equal_the_plain_ones(size, channels, stride, parts, compiled):
    rng = np.random.default_rng(size)
    x = tf.constant(rng.normal(0, 1, (2, 5, 6, channels)), tf.float32)
    kernel = tf.constant(rng.normal(0, 1, (size, size, channels, 1)), tf.float32)
    assert depthwise.num_parts(kernel.shape) == parts
    made = -(-5 // stride), -(-6 // stride)
    upstream = tf.constant(rng.normal(0, 1, (2, *made, channels)), tf.float32)

    def plain(x, kernel):
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")

    def ours(x, kernel):
        return depthwise.conv(x, kernel, stride)

    ours = tf.function(ours) if compiled else ours
    expected = _gradients(plain, x, kernel, upstream)
    for found, one in zip(_gradients(ours, x, kernel, upstream), expected, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-5, atol=1e-4)


def test_parts_are_below_the_buffer_and_cover_all_channels():
    for size in (3, 5, 7):
        for channels in (1, 97, 668, 669, 672, 1344, 2304):
            parts = depthwise.num_parts((size, size, channels, 1))
            sizes = depthwise._sizes(channels, parts)
            assert sum(sizes) == channels and max(sizes) - min(sizes) <= 1
            assert max(sizes) * size * size * 4 <= 2**17
            assert parts == 1 or channels * size * size * 4 > 2**17
