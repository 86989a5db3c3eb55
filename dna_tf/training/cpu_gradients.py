"""Convolutions and swish whose gradients are fast on CPUs.

Measured on the ops of the paper's cells, against TensorFlow's own; on accelerators they work as
TensorFlow's do.

* Depthwise convolution: the CPU kernel for the gradient of its kernel is slow where that kernel
  has more than three columns, and slower where it pads: 25 times the forward pass for 5x5 and
  7x7. Columns are independent of one another, so the gradient is taken for at most three at a
  time, of images padded once: 2.5 to 13 times as fast. With stride 1 the gradient of the images
  is itself a depthwise convolution, by the kernel turned around: 1.5 times as fast.
* 1x1 convolution: as a product of matrices its kernel's gradient is 1.2 to 2 times as fast.
* Swish: its gate is kept for the gradient, at the price of memory, and no factor beta is left.
"""

import functools

import tensorflow as tf

# Columns of a depthwise kernel up to which its gradient is fast. Measured.
_MOST_COLUMNS = 3


def depthwise(x, kernel, stride):
    """A depthwise convolution with "same" padding.

    Args:
        x: float tensor `(batch, height, width, channels)`.
        kernel: of the same type, `(rows, columns, channels, 1)`.
        stride: an int.

    Returns:
        A tensor `(batch, height / stride, width / stride, channels)`.
    """
    if _has_accelerator() or None in x.shape[1:3]:
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
        kernel: of the same type, `(1, 1, channels, filters)`.

    Returns:
        A tensor `(batch, height, width, filters)`.
    """
    if _has_accelerator() or None in x.shape[1:3]:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    channels, filters = kernel.shape[2:]
    y = tf.matmul(tf.reshape(x, [-1, channels]), tf.reshape(kernel, [channels, filters]))
    return tf.reshape(y, [-1, *x.shape[1:3], filters])


@tf.autograph.experimental.do_not_convert
@tf.custom_gradient
def swish(x):
    """`tf.nn.silu` but for rounding.

    TensorFlow's has a factor beta of 1, which it removes from a graph but not from the functions
    that a choice holds, and computes the sigmoid again for the gradient. That saves memory, so on
    accelerators it is done here too.

    Args:
        x: a float tensor.

    Returns:
        A tensor of the same shape and type.
    """
    gate = tf.sigmoid(x)
    y = x * gate

    def backward(upstream):
        kept = gate
        if _has_accelerator():
            with tf.control_dependencies([upstream]):  # not before the way back
                kept = tf.sigmoid(x)
        return upstream * (kept + y * (1.0 - kept))

    return y, backward


def _plain(x, kernel, stride):
    return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")


def _of_images(x, kernel, upstream, stride):
    if stride == 1 and kernel.shape[0] % 2 and kernel.shape[1] % 2:
        return _plain(upstream, tf.reverse(kernel, [0, 1]), 1)  # padded alike on both sides
    return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(x),
        filter=kernel,
        out_backprop=upstream,
        strides=[1, stride, stride, 1],
        padding="SAME",
    )


def _of_kernel(x, kernel, upstream, stride):
    rows, columns, channels, _ = kernel.shape
    gradient = functools.partial(
        tf.raw_ops.DepthwiseConv2dNativeBackpropFilter,
        out_backprop=upstream,
        strides=[1, stride, stride, 1],
    )
    if columns <= _MOST_COLUMNS:
        return gradient(input=x, filter_sizes=kernel.shape, padding="SAME")
    height, width = x.shape[1:3]
    pads = [_same_padding(height, rows, stride), _same_padding(width, columns, stride)]
    x = tf.pad(x, [(0, 0), *pads, (0, 0)])
    strips, start = [], 0
    for taken in strip_widths(columns):
        # What these columns of the kernel see on their way over the images.
        seen = (-(-width // stride) - 1) * stride + taken
        strip = gradient(
            input=x[:, :, start : start + seen],
            filter_sizes=[rows, taken, channels, 1],
            padding="VALID",
        )
        strips.append(strip)
        start += taken
    return tf.concat(strips, axis=1)


def strip_widths(columns):
    """The columns of a kernel in parts of at most three, about equal."""
    parts = -(-columns // _MOST_COLUMNS)
    return [columns // parts + (part < columns % parts) for part in range(parts)]


def _same_padding(side, size, stride):
    """Rows or columns before and after, as TensorFlow's "same" padding has them."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return total // 2, total - total // 2


@functools.cache
def _has_accelerator():
    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())
