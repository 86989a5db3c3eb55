"""Splits large depthwise kernels into sums of small ones, which XNNPACK runs faster.

XNNPACK runs TFLite files on CPUs and has fast code for depthwise kernels of up to 25 taps. Measured
with LiteRT 2.3 on one core: 42 billion multiply-accumulates a second for 3x3 and 5x5 kernels, 3.5
billion for 6x6, 7x7 and 9x9. A 7x7 kernel is the sum of its rows 1-3, 4-6 and 7 (21, 21 and 7
taps). Computed in these parts it gives the same up to rounding, in an eighth of the time on large
maps and in a third on 7x7 maps. An int8 file rounds each part, so it loses more accuracy than a
whole kernel in models that rounding hurts (docs/guide/quantizing.md has an
example).
"""

import keras
import tensorflow as tf

from dna_tf.models import copies, graph

# Taps of the largest depthwise kernel that XNNPACK runs fast. Measured.
MOST_TAPS = 25


def split(model):
    """Copies a model, splitting its large depthwise kernels.

    Args:
        model: a functional `keras.Model`.

    Returns:
        A `keras.Model` with the same names, the same weights and, up to rounding, the same
        outputs; `model` itself if it has no large depthwise kernel.
    """
    if not any(map(_is_large, graph.layers_inside(model))):
        return model
    return copies.swap(model, {keras.layers.DepthwiseConv2D: SplitDepthwiseConv2D})


def row_parts(kernel_size):
    """The number of kernel rows in each part, such as `(3, 3, 1)` for 7x7.

    Args:
        kernel_size: `(height, width)`.
    """
    height, width = kernel_size
    most = max(1, MOST_TAPS // width)
    return tuple(min(most, height - start) for start in range(0, height, most))


class SplitDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A depthwise convolution that computes large kernels in parts, by rows."""

    def call(self, inputs):
        if not _is_large(self):
            return super().call(inputs)
        kernel, stride = tf.convert_to_tensor(self.kernel), self.strides[0]
        if self.padding == "same":
            (top, height, rows_pad), (left, width, columns_pad) = (
                _useful_taps(size, taps, stride)
                for size, taps in zip(inputs.shape[1:3], self.kernel_size, strict=True)
            )
            kernel = kernel[top : top + height, left : left + width]
            inputs = tf.pad(inputs, [(0, 0), rows_pad, columns_pad, (0, 0)])
        height, width = kernel.shape[:2]
        rows = (inputs.shape[1] - height) // stride + 1
        outputs, start = None, 0
        for part in row_parts((height, width)):
            image_rows = inputs[:, start : start + (rows - 1) * stride + part]
            steps = [1, stride, stride, 1]
            kernel_rows = kernel[start : start + part]
            summand = tf.nn.depthwise_conv2d(image_rows, kernel_rows, steps, "VALID")
            outputs = summand if outputs is None else outputs + summand
            start += part
        if self.use_bias:
            outputs += self.bias
        return outputs if self.activation is None else self.activation(outputs)


def _useful_taps(size, taps, stride):
    """The taps of a kernel that ever read a pixel, with padding "same", in one direction.

    On a map smaller than the kernel the outermost taps read padding only. They are left out:
    a part with only such taps gives zeros, whose int8 scale is 0, and XNNPACK fails on it.

    Args:
        size: pixels of the map.
        taps: of the whole kernel.
        stride: of the convolution.

    Returns:
        `(first, count, (before, after))`: the first tap that is kept, how many are kept,
        and the padding that they need.
    """
    outputs = -(-size // stride)
    before = max((outputs - 1) * stride + taps - size, 0) // 2
    first = max(0, before - (outputs - 1) * stride)
    count = min(taps, size + before) - first
    before -= first
    return first, count, (before, max((outputs - 1) * stride + count - size - before, 0))


def _is_large(layer):
    if not isinstance(layer, keras.layers.DepthwiseConv2D):
        return False
    height, width = layer.kernel_size
    plain = layer.data_format == "channels_last" and set(layer.dilation_rate) == {1}
    even = layer.strides[0] == layer.strides[1] and layer.depth_multiplier == 1
    return height * width > MOST_TAPS and width <= MOST_TAPS and plain and even
