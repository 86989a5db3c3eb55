"""Layers that compute with a part of the kernel of another layer.

They have no weights of their own: gradients of several widths add up in the one kernel.
"""

import keras
import numpy as np


def sliced(source, reads, gives, name):
    """The layer that computes with a part of the weights of another one.

    Args:
        source: a built `Conv2D`, `Dense`, `DepthwiseConv2D` or `SeparableConv2D`.
        reads: indices of the channels that it reads.
        gives: indices of the channels that it gives.
        name: of the new layer.

    Returns:
        A `keras.Layer` whose `parts()` are the present values of its weights.
    """
    fields = resized_config(source, len(gives))
    fields["name"] = name
    layer = KINDS[type(source).__name__].from_config(fields)
    layer.take(source, reads, gives)
    return layer


def resized_config(layer, count):
    """The config of a layer with another number of channels that it gives."""
    fields = layer.get_config()
    for size in ("filters", "units"):
        if size in fields:
            fields[size] = count
    return fields


def _part(values, indices, axis):
    """A part of a tensor along an axis; consecutive ones are a slice, which costs less."""
    if np.array_equal(indices, np.arange(len(indices))):
        place = [slice(None)] * len(values.shape)
        place[axis] = slice(0, len(indices))
        return keras.ops.convert_to_tensor(values)[tuple(place)]
    return keras.ops.take(values, indices, axis=axis)


class _Sliced:
    """What the layers below share: no weights, and the parts of those of the source."""

    def take(self, source, reads, gives):
        """Names the layer whose weights are used, and the parts."""
        self.source = source  # tracked, so that a model of this layer has its weights
        self._read, self._gives = reads, gives

    def build(self, input_shape):
        """Makes no weights."""
        del input_shape
        self.built = True

    def parts(self):
        """The values of the weights in the order of the stock layer, float32 arrays."""
        kernels = [getattr(self, name) for name in self._kernels]
        values = [*kernels, self.bias] if self.source.use_bias else kernels
        return [keras.ops.convert_to_numpy(value) for value in values]

    @property
    def bias(self):
        """The part of the bias; `None` without one."""
        return _part(self.source.bias, self._gives, 0) if self.source.use_bias else None


class SlicedConv2D(_Sliced, keras.layers.Conv2D):
    """A convolution with a part of another one's kernel."""

    _kernels = ("kernel",)

    @property
    def kernel(self):
        """The part of the kernel, `(rows, columns, channels, filters)`."""
        return _part(_part(self.source.kernel, self._read, 2), self._gives, 3)


class SlicedDense(_Sliced, keras.layers.Dense):
    """A dense layer with a part of another one's kernel."""

    _kernels = ("kernel",)

    @property
    def kernel(self):
        """The part of the kernel, `(features, units)`."""
        return _part(_part(self.source.kernel, self._read, 0), self._gives, 1)


class SlicedDepthwiseConv2D(_Sliced, keras.layers.DepthwiseConv2D):
    """A depthwise convolution with a part of another one's kernel."""

    _kernels = ("kernel",)

    @property
    def kernel(self):
        """The part of the kernel, `(rows, columns, channels, multiplier)`."""
        return _part(self.source.kernel, self._read, 2)


class SlicedSeparableConv2D(_Sliced, keras.layers.SeparableConv2D):
    """A separable convolution with parts of another one's kernels."""

    _kernels = ("depthwise_kernel", "pointwise_kernel")

    @property
    def depthwise_kernel(self):
        """The part of the kernel, `(rows, columns, channels, multiplier)`."""
        return _part(self.source.depthwise_kernel, self._read, 2)

    @property
    def pointwise_kernel(self):
        """The part of the kernel, `(1, 1, channels * multiplier, filters)`."""
        fold = self.source.depth_multiplier
        wide = (self._read[:, None] * fold + np.arange(fold)).ravel()
        return _part(_part(self.source.pointwise_kernel, wide, 2), self._gives, 3)


KINDS = {
    "Conv2D": SlicedConv2D,
    "Dense": SlicedDense,
    "DepthwiseConv2D": SlicedDepthwiseConv2D,
    "SeparableConv2D": SlicedSeparableConv2D,
}
