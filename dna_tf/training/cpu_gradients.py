"""Convolutions and swish whose gradients are fast on CPUs.

Speeds are measured on the ops of the paper's cells, relative to TensorFlow's ops. On
accelerators TensorFlow's ops are used.

* Depthwise convolution: on CPUs, the gradient of a kernel with more than three columns is
  slow with "same" padding: 25 times the forward pass for 5x5 and 7x7. With the same padding in
  numbers TensorFlow takes another way, which costs about as much as the forward pass. With
  stride 1 the gradient of the images is itself a depthwise convolution, with the reversed
  kernel: up to 1.5 times as fast.
* 1x1 convolution: as a product of matrices its kernel's gradient is 1.2 to 2 times as fast.
* Swish: its gate is kept for the gradient, which takes memory, and it has no factor beta.

In float16, sums over the pixels of a map (of squeeze-and-excitation, and of its gradient) are
added in float32: on CPUs TensorFlow adds them in float16, where the mean of 112x112 values is 9 %
off, and overflows from a mean of about 5 on. GPUs add in float32 anyway.
"""

import functools

import tensorflow as tf


def depthwise(x, kernel, stride):
    """A depthwise convolution with "same" padding.

    Args:
        x: float tensor `(batch, height, width, channels)`.
        kernel: tensor of the same type, `(rows, columns, channels, 1)`.
        stride: an int.

    Returns:
        A tensor `(batch, height / stride, width / stride, channels)`.
    """
    if has_accelerator() or None in x.shape[1:3]:
        return _plain(x, kernel, stride)

    @tf.custom_gradient
    def with_gradients(x, kernel):
        def backward(upstream):
            return _of_images(x, kernel, upstream, stride), _of_kernel(x, kernel, upstream, stride)

        return _plain(x, kernel, stride), backward

    return with_gradients(x, kernel)


def pointwise(x, kernel):
    """A convolution with a kernel of one pixel.

    Args:
        x: float tensor `(batch, height, width, channels)`.
        kernel: tensor of the same type, `(1, 1, channels, filters)`.

    Returns:
        A tensor `(batch, height, width, filters)`.
    """
    if has_accelerator() or None in x.shape[1:3]:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    channels, filters = kernel.shape[2:]
    y = tf.matmul(tf.reshape(x, [-1, channels]), tf.reshape(kernel, [channels, filters]))
    return tf.reshape(y, [-1, *x.shape[1:3], filters])


@tf.autograph.experimental.do_not_convert
@tf.custom_gradient
def swish(x):
    """Swish, equal to `tf.nn.silu` except for rounding.

    `tf.nn.silu` has a factor beta of 1, which TensorFlow removes from a graph, but not from the
    branches of a choice. It computes the sigmoid again for the gradient. That saves memory, so
    on accelerators it is done here too.

    Args:
        x: a float tensor.

    Returns:
        A tensor of the same shape and type.
    """
    gate = tf.sigmoid(x)
    y = x * gate

    def backward(upstream):
        kept = gate
        if has_accelerator():
            with tf.control_dependencies([upstream]):  # not before the backward pass
                kept = tf.sigmoid(x)
        return upstream * (kept + y * (1.0 - kept))

    return y, backward


def pixel_mean(x):
    """The mean over the pixels of each map: `(batch, 1, 1, channels)`, in the type of `x`."""
    wide = tf.cast(x, tf.float32) if _adds_in_float16(x) else x
    return tf.cast(tf.reduce_mean(wide, axis=[1, 2], keepdims=True), x.dtype)


def scaled(x, gate):
    """A map times one number for each channel.

    Args:
        x: float tensor `(batch, height, width, channels)`.
        gate: tensor of the same type, `(batch, 1, 1, channels)`.
    """
    if not _adds_in_float16(x):
        return x * gate

    @tf.custom_gradient
    def with_gradients(x, gate):
        def backward(upstream):
            products = tf.cast(upstream, tf.float32) * tf.cast(x, tf.float32)
            total = tf.reduce_sum(products, axis=[1, 2], keepdims=True)
            return upstream * gate, tf.cast(total, gate.dtype)

        return x * gate, backward

    return with_gradients(x, gate)


def _adds_in_float16(x):
    return x.dtype == tf.float16 and not has_accelerator()


def _plain(x, kernel, stride):
    return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")


def _of_images(x, kernel, upstream, stride):
    if stride == 1 and kernel.shape[0] % 2 and kernel.shape[1] % 2:
        return _plain(upstream, tf.reverse(kernel, [0, 1]), 1)  # equal padding on both sides
    return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(x),
        filter=kernel,
        out_backprop=upstream,
        strides=[1, stride, stride, 1],
        padding="SAME",
    )


def _of_kernel(x, kernel, upstream, stride):
    rows, columns = (
        _same_padding(side, size, stride)
        for side, size in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    )
    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=x,
        filter_sizes=kernel.shape,
        out_backprop=upstream,
        strides=[1, stride, stride, 1],
        padding="EXPLICIT",
        explicit_paddings=[0, 0, *rows, *columns, 0, 0],
    )


def _same_padding(side, size, stride):
    """Returns the rows or columns before and after, as in TensorFlow's "same" padding."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return total // 2, total - total // 2


@functools.cache
def has_accelerator():
    """Whether TensorFlow sees a GPU or a TPU."""
    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())
