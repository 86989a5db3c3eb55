"""Large depthwise kernels as sums of small ones, for files that XNNPACK runs.

XNNPACK, which runs TFLite files on CPUs, has depthwise kernels of up to 25 taps. Larger ones
take another way: measured with LiteRT 2.3 on one core, 42 billion multiply-accumulates a second
for 3x3 and 5x5, and 3.5 for 6x6, 7x7 and 9x9. A 7x7 kernel is the sum of rows 1-3, 4-6 and 7, of
21, 21 and 7 taps, each over the rows of the image that it sees. So it computes the same, but for
rounding, in an eighth of the time on large maps and a third on 7x7 ones. Our choice.
An int8 file rounds each part, so it loses more than with a whole kernel where rounding hurts at all
(docs/guide/quantizing.md has a case).
"""

import keras
import tensorflow as tf

from dna_tf.models import copies, graph

# Taps of the largest depthwise kernel that XNNPACK has. Measured.
MOST_TAPS = 25


def make(model):
    """A copy of a model whose large depthwise kernels are split, or the model if it has none.

    Args:
        model: a functional `keras.Model`.

    Returns:
        A `keras.Model` with the same names, weights and, but for rounding, outputs.
    """
    if not any(map(_is_large, graph.layers_inside(model))):
        return model
    return copies.swap(model, {keras.layers.DepthwiseConv2D: SplitDepthwiseConv2D})


def row_parts(kernel_size):
    """How many rows of a kernel each part has, such as `(3, 3, 1)` of 7x7.

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
                _seen(size, taps, stride)
                for size, taps in zip(inputs.shape[1:3], self.kernel_size, strict=True)
            )
            kernel = kernel[top : top + height, left : left + width]
            inputs = tf.pad(inputs, [(0, 0), rows_pad, columns_pad, (0, 0)])
        height, width = kernel.shape[:2]
        rows = (inputs.shape[1] - height) // stride + 1
        outputs, start = None, 0
        for part in row_parts((height, width)):
            seen = inputs[:, start : start + (rows - 1) * stride + part]
            steps = [1, stride, stride, 1]
            made = tf.nn.depthwise_conv2d(seen, kernel[start : start + part], steps, "VALID")
            outputs = made if outputs is None else outputs + made
            start += part
        if self.use_bias:
            outputs += self.bias
        return outputs if self.activation is None else self.activation(outputs)


def _seen(size, taps, stride):
    """The taps of a kernel that see a pixel anywhere, with padding "same", in one direction.

    On a map smaller than the kernel the outermost taps see padding alone. They are left out:
    a part of only such taps gives zeros, whose int8 scale is 0, and XNNPACK breaks on it.

    Args:
        size: pixels of the map.
        taps: of the whole kernel.
        stride: of the convolution.

    Returns:
        `(first, count, (before, after))`: the first tap and how many are kept, and the
        padding that they need.
    """
    made = -(-size // stride)
    before = max((made - 1) * stride + taps - size, 0) // 2
    first = max(0, before - (made - 1) * stride)
    count = min(taps, size + before) - first
    before -= first
    return first, count, (before, max((made - 1) * stride + count - size - before, 0))


def _is_large(layer):
    if not isinstance(layer, keras.layers.DepthwiseConv2D):
        return False
    height, width = layer.kernel_size
    plain = layer.data_format == "channels_last" and set(layer.dilation_rate) == {1}
    even = layer.strides[0] == layer.strides[1] and layer.depth_multiplier == 1
    return height * width > MOST_TAPS and width <= MOST_TAPS and plain and even
