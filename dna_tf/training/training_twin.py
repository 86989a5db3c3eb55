"""A model that computes what another one does, faster in training.

Keras 3 computes batch norm from single operations, each a pass over memory: with it, half of
a step of a mobile network goes into batch norm on a CPU. TensorFlow has it as one operation
with a gradient of its own. The gradients of convolutions and swish are those of
`cpu_gradients`. The twin is for training only: what is evaluated and saved is the
model itself, of stock layers, which any Keras can load.
"""

import contextlib

import keras
import tensorflow as tf

from dna_tf.models import copies, graph
from dna_tf.training import cpu_gradients


def make(model):
    """Makes the twin of a model, with the same weights in the same order.

    Args:
        model: a functional `keras.Model` of stock layers.

    Returns:
        A `keras.Model` whose batch norms, convolutions and activations are the layers below;
        their names, types and settings are those of the model's. Evaluated, and where they
        are not faster, they compute as stock layers do.
    """
    return copies.swap(model, _TWINS)


@contextlib.contextmanager
def norm_momentum(model, parts):
    """Lets batch norm's moving statistics move in `parts` calls as far as in one."""
    inside = graph.layers_inside(model)
    norms = [layer for layer in inside if isinstance(layer, keras.layers.BatchNormalization)]
    usual = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum **= 1.0 / parts
    try:
        yield
    finally:
        for layer, momentum in zip(norms, usual, strict=True):
            layer.momentum = momentum


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch norm that in training is TensorFlow's fused operation.

    Equal to the stock layer but for rounding; its epsilon is at least 1.001e-5 then.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and self._can_fuse(inputs, mask)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
        )  # fmt: skip
        # It returns the variance of a sample; Keras keeps that of the population.
        count = tf.cast(tf.size(inputs) // tf.size(mean), mean.dtype)
        variance *= (count - 1.0) / count
        momentum = self.momentum
        self.moving_mean.assign(self.moving_mean * momentum + mean * (1.0 - momentum))
        self.moving_variance.assign(self.moving_variance * momentum + variance * (1.0 - momentum))
        return outputs

    def _can_fuse(self, inputs, mask):
        plain = self.scale and self.center and not (self.synchronized or self.renorm)
        return plain and mask is None and len(inputs.shape) == 4 and self.axis in (-1, 3)


class PartedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Depthwise convolution with the gradient of `cpu_gradients.depthwise`."""

    def call(self, inputs):
        stride, _ = self.strides
        same = self.padding == "same" and self.data_format == "channels_last"
        square = self.strides == (stride, stride) and set(self.dilation_rate) == {1}
        if not (same and square and self.depth_multiplier == 1):
            return super().call(inputs)
        outputs = cpu_gradients.depthwise(inputs, tf.convert_to_tensor(self.kernel), stride)
        return _biased_and_activated(self, outputs)


class PointwiseConv2D(keras.layers.Conv2D):
    """A convolution that in training is `cpu_gradients.pointwise` where its kernel is 1x1."""

    def call(self, inputs, training=None):
        alone = {self.groups, *self.kernel_size, *self.strides} == {1}
        if not (training and alone and self.data_format == "channels_last"):
            return super().call(inputs)
        outputs = cpu_gradients.pointwise(inputs, tf.convert_to_tensor(self.kernel))
        return _biased_and_activated(self, outputs)


class GatedActivation(keras.layers.Activation):
    """An activation that in training is `cpu_gradients.swish` where it is swish."""

    def call(self, inputs, training=None):
        if training and self.activation is keras.activations.silu:
            return cpu_gradients.swish(inputs)
        return super().call(inputs)


def _biased_and_activated(layer, outputs):
    """What follows the convolution in a layer of Keras."""
    if layer.use_bias:
        outputs += layer.bias
    return outputs if layer.activation is None else layer.activation(outputs)


_TWINS = {
    keras.layers.Activation: GatedActivation,
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.Conv2D: PointwiseConv2D,
    keras.layers.DepthwiseConv2D: PartedDepthwiseConv2D,
}
