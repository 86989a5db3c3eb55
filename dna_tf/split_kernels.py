"""Large depthwise kernels as sums of small ones, for files that XNNPACK runs.

XNNPACK, which runs TFLite files on CPUs, has depthwise kernels of up to 25 taps. Larger ones
take another way: measured with LiteRT 2.3 on one core, 42 billion multiply-accumulates a second
for 3x3 and 5x5, and 3.5 for 6x6, 7x7 and 9x9. A 7x7 kernel is the sum of rows 1-3, 4-6 and 7, of
21, 21 and 7 taps, each over the rows of the image that it sees. So it computes the same, but for
rounding, in an eighth of the time on large maps and a third on 7x7 ones. Our choice.
"""

import keras
import tensorflow as tf

from dna_tf import layer_swap, model_graph

# Taps of the largest depthwise kernel that XNNPACK has. Measured.
MOST_TAPS = 25


def make(model):
    """A copy of a model whose large depthwise kernels are split, or the model if it has none.

    Args:
        model: a functional `keras.Model`.

    Returns:
        A `keras.Model` with the same names, weights and, but for rounding, outputs.
    """
    if not any(map(_is_large, model_graph.layers_inside(model))):
        return model
    return layer_swap.swap(model, {keras.layers.DepthwiseConv2D: SplitDepthwiseConv2D})


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
        (height, width), stride = self.kernel_size, self.strides[0]
        rows, columns = inputs.shape[1:3]
        if self.padding == "same":
            rows, columns = -(-rows // stride), -(-columns // stride)
            pads = [
                max((made - 1) * stride + size - there, 0)
                for made, size, there in zip(
                    (rows, columns), (height, width), inputs.shape[1:3], strict=True
                )
            ]
            around = [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads), (0, 0)]
            inputs = tf.pad(inputs, around)
        else:
            rows, columns = (rows - height) // stride + 1, (columns - width) // stride + 1
        kernel, outputs, start = tf.convert_to_tensor(self.kernel), None, 0
        for part in row_parts(self.kernel_size):
            seen = inputs[:, start : start + (rows - 1) * stride + part]
            steps = [1, stride, stride, 1]
            made = tf.nn.depthwise_conv2d(seen, kernel[start : start + part], steps, "VALID")
            outputs = made if outputs is None else outputs + made
            start += part
        if self.use_bias:
            outputs += self.bias
        return outputs if self.activation is None else self.activation(outputs)


def _is_large(layer):
    if not isinstance(layer, keras.layers.DepthwiseConv2D):
        return False
    height, width = layer.kernel_size
    plain = layer.data_format == "channels_last" and set(layer.dilation_rate) == {1}
    even = layer.strides[0] == layer.strides[1] and layer.depth_multiplier == 1
    return height * width > MOST_TAPS and width <= MOST_TAPS and plain and even
