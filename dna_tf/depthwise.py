"""Depthwise convolution whose gradient stays fast on CPUs.

TensorFlow's CPU kernel for the gradient of a depthwise kernel works in a buffer of
`kernel * kernel * channels` floats. Beyond 128 KiB it falls off a cliff: 3 to 9 times
slower, measured for 7x7 kernels from 672 channels and 5x5 kernels from 1,344 on, which
most layers of the paper's later blocks have. Channels are independent of one another,
so there the gradient is taken for some of them at a time.
"""

import functools

import tensorflow as tf

# Bytes of the buffer below which the kernel is fast. Measured.
_FAST_BYTES = 2**17


def conv(x, kernel, stride):
    """A depthwise convolution with "same" padding.

    Args:
        x: float tensor `(batch, height, width, channels)`.
        kernel: of the same type, `(size, size, channels, 1)`.
        stride: an int.

    Returns:
        A tensor `(batch, height / stride, width / stride, channels)`.
    """
    strides = [1, stride, stride, 1]
    parts = 1 if _has_accelerator() else num_parts(kernel.shape)
    if parts == 1:
        return tf.nn.depthwise_conv2d(x, kernel, strides, "SAME")

    @tf.custom_gradient
    def chosen(x, kernel):
        def backward(upstream):
            settings = {"strides": strides, "padding": "SAME"}
            of_input = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **settings
            )
            sizes = _sizes(kernel.shape[2], parts)
            of_kernel = [
                tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                    input=some,
                    filter_sizes=[*kernel.shape[:2], some.shape[-1], 1],
                    out_backprop=above,
                    **settings,
                )
                for some, above in zip(
                    tf.split(x, sizes, axis=-1), tf.split(upstream, sizes, axis=-1), strict=True
                )
            ]
            return of_input, tf.concat(of_kernel, axis=2)

        return tf.nn.depthwise_conv2d(x, kernel, strides, "SAME"), backward

    return chosen(x, kernel)


def num_parts(kernel_shape):
    """Into how many parts the channels fall, for a `(size, size, channels, 1)` kernel."""
    height, width, channels, _ = kernel_shape
    most = _FAST_BYTES // (4 * height * width)
    return -(-channels // most)


def _sizes(channels, parts):
    """Parts of about equal size."""
    return [channels // parts + (part < channels % parts) for part in range(parts)]


@functools.cache
def _has_accelerator():
    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())
