"""Ops as pure functions of `(images, row)`, where the row has all weights of the op.

A cell stores all ops of a layer in one packed variable, a row per op. Pure functions of a
row trace and run far faster than Keras layers under a choice. The students' Keras layers
(`models.students`) follow the same `layer_specs`; a test checks that both compute the same
with equal weights.
"""

import functools
import math

import numpy as np
import tensorflow as tf

from dna_tf.space import layer_specs
from dna_tf.training import cpu_gradients

_ACTIVATIONS = {"swish": cpu_gradients.swish, "relu6": tf.nn.relu6, "relu": tf.nn.relu}


def row_size(specs):
    """Entries of a packed row that has room for any of `specs`."""
    return max(spec.params for spec in specs)


def unpack(row, spec):
    """Cuts a packed row into weights.

    Args:
        row: a float tensor or array `(row size,)`.
        spec: an `MBConvSpec` or `ConvSpec`; it may need less than the whole row.

    Returns:
        A dict from weight name to tensor, in the order of `spec.weights()`.
    """
    # The gradient of one split is one concatenation; that of each slice would be a whole row.
    names, shapes, slices = zip(*places(spec), strict=True)
    sizes = [part.stop - part.start for part in slices]
    *parts, _ = tf.split(row, [*sizes, row.shape[0] - slices[-1].stop])
    return {
        name: tf.reshape(part, shape)
        for name, shape, part in zip(names, shapes, parts, strict=True)
    }


def kernel_mask(spec, size):
    """Marks the kernels of an op in its packed row with 1, all else with 0.

    Returns:
        A uint8 array `(size,)`.
    """
    mask = np.zeros(size, np.uint8)
    for name, _, place in places(spec):
        mask[place] = name.endswith("kernel")
    return mask


def initial_row(spec, size, rng):
    """First weights of an op in a supernet, packed.

    Convolutions and the biases of squeeze-and-excitation are uniform within
    1/sqrt(fan-in), batch norm starts as the identity.

    Args:
        spec: an `MBConvSpec` or `ConvSpec`.
        size: entries of the row; what the op does not need stays zero.
        rng: a `numpy.random.RandomState`.

    Source: the authors' code (PyTorch's default).
    """
    row, fan_in = np.zeros(size, np.float32), 1
    for name, shape, place in places(spec):
        if name.endswith("kernel"):
            # A depthwise kernel is (k, k, channels, 1): each output reads one channel.
            channels = 1 if name.startswith("dw") else shape[2]
            fan_in = shape[0] * shape[1] * channels
        if name.endswith("gamma"):
            row[place] = 1.0
        elif not name.endswith("beta"):  # kernels, and biases, which follow their kernel
            row[place] = rng.uniform(-1.0, 1.0, math.prod(shape)) / math.sqrt(fan_in)
    return row


def run(x, row, spec, statistics=None, groups=1):
    """Runs an op as a pure function of its input and its packed weights.

    It computes in the type of `x`; batch norm's weights and statistics stay float32.

    Args:
        x: float tensor `(batch, height, width, spec.in_width)`.
        row: packed weights `(row size,)`, float32.
        spec: an `MBConvSpec` or `ConvSpec`.
        statistics: `(mean, variance)` for each batch norm in order, as an earlier call
            returned them, or for the first ones; the others, and with `None` all, use
            those of this batch.
        groups: number of equal parts of the batch, each with its own statistics.

    Returns:
        `(y, statistics)`: the output `(batch, height / stride, width / stride,
        spec.out_width)` and the mean and population variance that each batch norm used
        (`None` with more than one group).
    """
    float_weights, used = unpack(row, spec), []
    weights = {name: tf.cast(weight, x.dtype) for name, weight in float_weights.items()}
    activate = _ACTIVATIONS[spec.activation]

    def norm(y, part):
        earlier = () if statistics is None else statistics
        moments = earlier[len(used)] if len(used) < len(earlier) else None
        gamma, beta = float_weights[f"{part}bn_gamma"], float_weights[f"{part}bn_beta"]
        if groups > 1:
            parts = [
                _batch_norm(part_of_y, gamma, beta, spec.norm_epsilon, None)[0]
                for part_of_y in tf.split(y, groups)
            ]
            y, moments = tf.concat(parts, axis=0), None
        else:
            y, moments = _batch_norm(y, gamma, beta, spec.norm_epsilon, moments)
        used.append(moments)
        return y

    if isinstance(spec, layer_specs.ConvSpec):
        y = tf.nn.conv2d(x, weights["conv_kernel"], spec.stride, "SAME")
        return activate(norm(y, "")), used
    y = x
    if isinstance(spec, layer_specs.FusedMBConvSpec):
        y = tf.nn.conv2d(y, weights["expand_conv_kernel"], spec.stride, "SAME")
        y = activate(norm(y, "expand_"))
    else:
        if spec.expand > 1:
            y = cpu_gradients.pointwise(y, weights["expand_conv_kernel"])
            y = activate(norm(y, "expand_"))
        y = cpu_gradients.depthwise(y, weights["dw_conv_kernel"], spec.stride)
        y = activate(norm(y, "dw_"))
    if spec.se_width:
        squeezed = cpu_gradients.pixel_mean(y)
        squeezed = cpu_gradients.pointwise(squeezed, weights["se_reduce_kernel"])
        squeezed = activate(squeezed + weights["se_reduce_bias"])
        squeezed = cpu_gradients.pointwise(squeezed, weights["se_expand_kernel"])
        y = cpu_gradients.scaled(y, tf.sigmoid(squeezed + weights["se_expand_bias"]))
    y = norm(cpu_gradients.pointwise(y, weights["project_conv_kernel"]), "project_")
    return (x + y if spec.has_residual else y), used


def _batch_norm(y, gamma, beta, epsilon, moments):
    if moments is not None:
        mean, variance = moments
        y, *_ = tf.compat.v1.nn.fused_batch_norm(
            y, gamma, beta, mean, variance, epsilon, is_training=False
        )
        return y, moments
    # Only the statistics of the batch: a supernet needs no moving ones, because
    # rating calibrates for each path.
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(y, gamma, beta, epsilon=epsilon)
    # The op normalises with the population variance but returns that of a sample.
    # Of a single value that is NaN on GPUs.
    count = tf.cast(tf.size(y) // tf.size(mean), mean.dtype)
    return y, (mean, tf.math.multiply_no_nan(variance, count - 1.0) / count)


@functools.cache
def compiled(spec, mode, groups=1):
    """The op as a `tf.function`, one for all layers that have the same spec.

    Args:
        spec: an `MBConvSpec` or `ConvSpec`.
        mode: `"train"`: `(x, row) -> y` with the batch's statistics; `"calibrate"`:
            `(x, row) -> (y, statistics)`; `"rate"`: `(x, row, statistics) -> y`;
            `"next_statistics"`: `(x, row, statistics) -> (mean, variance)` of the first
            batch norm that is not in `statistics`, a tuple.
        groups: as for `run`, in mode `"train"`.
    """
    if mode == "train":
        return tf.function(lambda x, row: run(x, row, spec, groups=groups)[0])
    if mode == "calibrate":
        return tf.function(lambda x, row: run(x, row, spec))
    if mode == "next_statistics":
        # Everything after that batch norm is pruned from the graph.
        return tf.function(
            lambda x, row, statistics: run(x, row, spec, statistics)[1][len(statistics)]
        )
    return tf.function(lambda x, row, statistics: run(x, row, spec, statistics)[0])


def run_calibrated(spec, row, calibration, inputs):
    """Runs an op with batch norm calibrated on other batches.

    Args:
        spec: an `MBConvSpec` or `ConvSpec`.
        row: packed weights `(row size,)`.
        calibration: a list of batches `(images, height, width, spec.in_width)`; the statistics
            of several are pooled.
        inputs: a list of batches likewise.

    Returns:
        `(calibration, inputs)`: the outputs for both lists.
    """
    run_with = compiled(spec, "rate")
    if len(calibration) == 1:
        calibrated, statistics = compiled(spec, "calibrate")(calibration[0], row)
        calibration = [calibrated]
    else:
        statistics = pooled_statistics(calibration, row, spec)
        calibration = [run_with(x, row, statistics) for x in calibration]
    return calibration, [run_with(x, row, statistics) for x in inputs]


def pooled_statistics(batches, row, spec):
    """Batch norm's statistics over several batches, as if they were one.

    Each batch norm needs those before it pooled, so the op runs again up to each of
    them, one batch at a time: the memory is that of one batch.

    Args:
        batches: a list of inputs `(batch, height, width, spec.in_width)`.
        row: packed weights `(row size,)`.
        spec: an `MBConvSpec` or `ConvSpec`.

    Returns:
        `(mean, population variance)` for each batch norm in order, pooled in float64.
    """
    statistics = ()
    images = np.array([len(batch) for batch in batches], np.float64)[:, None]
    for _ in range(sum(name.endswith("bn_gamma") for name in spec.weights())):
        measure = compiled(spec, "next_statistics")
        moments = [measure(batch, row, statistics) for batch in batches]
        means = np.array([mean.numpy() for mean, _ in moments], np.float64)
        variances = np.array([variance.numpy() for _, variance in moments], np.float64)
        mean = (images * means).sum(0) / images.sum()
        variance = (images * (variances + (means - mean) ** 2)).sum(0) / images.sum()
        pooled = tf.constant(mean, tf.float32), tf.constant(variance, tf.float32)
        statistics = (*statistics, pooled)
    return statistics


def places(spec):
    """Yields name, shape and place, a slice, of each weight of an op in its packed row."""
    start = 0
    for name, shape in spec.weights().items():
        size = math.prod(shape)
        yield name, shape, slice(start, start + size)
        start += size
