"""The twin of a model: the same function with faster layers, for training.

Keras 3 computes batch norm from single operations, each a pass over memory: on a CPU, they
take half of a training step of a mobile network. TensorFlow has batch norm as one operation
with its own gradient. The gradients of convolutions and swish, and the sums over pixels, are
those of `cpu_gradients`. Under a strategy each replica drops places of its own.
The twin is for training only: the model itself, with stock layers that any Keras can load, is
evaluated and saved.
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
        A `keras.Model` whose batch norms, convolutions and activations are the layers below,
        with the names and settings of the model's. In evaluation, and where they are not
        faster, they compute as stock layers do.
    """
    return copies.swap(model, _TWINS)


@contextlib.contextmanager
def norm_momentum(model, parts):
    """Context in which batch norm's moving statistics move in `parts` calls as far as in one."""
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

    Equal to the stock layer except for rounding; its epsilon is at least 1.001e-5.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and self._can_fuse(inputs, mask)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
        )  # fmt: skip
        # It returns the sample variance; Keras keeps the population variance. The sample variance
        # of a single value is NaN on GPUs.
        count = tf.cast(tf.size(inputs) // tf.size(mean), mean.dtype)
        variance = tf.math.multiply_no_nan(variance, (count - 1.0) / count)
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
    """A convolution that in training is `cpu_gradients.pointwise` if its kernel is 1x1."""

    def call(self, inputs, training=None):
        alone = {self.groups, *self.kernel_size, *self.strides} == {1}
        if not (training and alone and self.data_format == "channels_last"):
            return super().call(inputs)
        outputs = cpu_gradients.pointwise(inputs, tf.convert_to_tensor(self.kernel))
        return _biased_and_activated(self, outputs)


class GatedActivation(keras.layers.Activation):
    """An activation that in training is `cpu_gradients.swish` if it is swish."""

    def call(self, inputs, training=None):
        if training and self.activation is keras.activations.silu:
            return cpu_gradients.swish(inputs)
        return super().call(inputs)


class PixelMean(keras.layers.GlobalAveragePooling2D):
    """A mean over pixels that in training is `cpu_gradients.pixel_mean`."""

    def call(self, inputs, training=None):
        if not training or self.data_format != "channels_last":
            return super().call(inputs)
        mean = cpu_gradients.pixel_mean(inputs)
        return mean if self.keepdims else tf.reshape(mean, [-1, inputs.shape[-1]])


class Scaling(keras.layers.Multiply):
    """A product that in training is `cpu_gradients.scaled`, if it is of a map and a gate."""

    def call(self, inputs, training=None):
        shapes = [tuple(x.shape) for x in inputs]
        if not training or len(shapes) != 2 or len(shapes[0]) != 4:
            return super().call(inputs)
        if shapes[1][1:] != (1, 1, shapes[0][-1]):
            return super().call(inputs)
        return cpu_gradients.scaled(*inputs)


class ReplicaDropout(keras.layers.Dropout):
    """Dropout that under a strategy of several replicas drops other places on each of them.

    The stock layer has one mask for all replicas: with it the images at one place of all of them
    would lose the same branches. With one replica it is the stock layer.
    """

    def call(self, inputs, training=False):
        replica = tf.distribute.get_replica_context()
        one = replica is None or replica.num_replicas_in_sync == 1
        if one or not training or not self.rate:
            return super().call(inputs, training=training)
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        seed = tf.random.experimental.stateless_fold_in(seed, replica.replica_id_in_sync_group)
        shape = self.noise_shape
        if shape is not None:
            shape = [tf.shape(inputs)[n] if size is None else size for n, size in enumerate(shape)]
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, seed, noise_shape=shape)


def _biased_and_activated(layer, outputs):
    """Applies the bias and the activation of a Keras layer."""
    if layer.use_bias:
        outputs += layer.bias
    return outputs if layer.activation is None else layer.activation(outputs)


_TWINS = {
    keras.layers.Activation: GatedActivation,
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.Conv2D: PointwiseConv2D,
    keras.layers.DepthwiseConv2D: PartedDepthwiseConv2D,
    keras.layers.Dropout: ReplicaDropout,
    keras.layers.GlobalAveragePooling2D: PixelMean,
    keras.layers.Multiply: Scaling,
}
