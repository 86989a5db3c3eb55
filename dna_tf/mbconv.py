"""MBConvs that run: as named Keras layers, and as pure functions of packed weights.

Students are made of Keras layers, so that `model.summary()` reads well. Supernets
hold all ops of a layer in one packed variable and run them as pure functions of
`(images, row)`, which traces and runs far faster than layers under a choice. Both
follow `mbconv_spec`, and a test holds them equal with equal weights.
"""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from dna_tf import cpu_gradients, determinism, mbconv_spec

_ACTIVATIONS = {"swish": cpu_gradients.swish, "relu6": tf.nn.relu6}


def apply_layers(x, spec, name, drop_connect=0.0, seed=0):
    """Applies an MBConv as Keras layers to a symbolic tensor.

    Args:
        x: a Keras tensor `(batch, height, width, spec.in_width)`.
        spec: a `mbconv_spec.MBConvSpec`.
        name: prefix of the layer names, such as `"block1_layer2"`.
        drop_connect: probability to drop the whole branch of a residual.
        seed: seeds the first weights and the drops.

    Returns:
        A Keras tensor `(batch, height / stride, width / stride, spec.out_width)`.
    """
    layers, inputs = keras.layers, x
    if spec.expand > 1:
        x = _conv(x, spec, spec.expanded_width, f"{name}_expand", seed, spec.activation)
    x = layers.DepthwiseConv2D(
        spec.kernel,
        spec.stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_normal(spec.kernel, spec.expanded_width, f"{name}_dw", seed),
        name=f"{name}_dw_conv",
    )(x)
    x = _norm_and_activation(x, spec, f"{name}_dw", spec.activation)
    if spec.se_width:
        squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_pool")(x)
        for part, width in (("reduce", spec.se_width), ("expand", spec.expanded_width)):
            squeezed = layers.Conv2D(
                width,
                1,
                activation=spec.activation if part == "reduce" else "sigmoid",
                kernel_initializer=_normal(1, width, f"{name}_se_{part}", seed),
                name=f"{name}_se_{part}",
            )(squeezed)
        x = layers.Multiply(name=f"{name}_se_scale")([x, squeezed])
    x = _conv(x, spec, spec.out_width, f"{name}_project", seed, None)
    if spec.has_residual:
        if drop_connect:
            x = layers.Dropout(
                drop_connect,
                noise_shape=(None, 1, 1, 1),
                seed=determinism.derive_seed(seed, f"{name}_drop"),
                name=f"{name}_drop",
            )(x)
        x = layers.Add(name=f"{name}_add")([x, inputs])
    return x


def apply_conv_layers(x, spec, name, seed=0):
    """Applies a `mbconv_spec.ConvSpec` as Keras layers: convolution, batch norm, activation."""
    size = (spec.kernel, spec.stride)
    return _conv(x, spec, spec.out_width, name, seed, spec.activation, *size)


def _conv(x, spec, width, name, seed, activation, kernel=1, stride=1):
    x = keras.layers.Conv2D(
        width,
        kernel,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_normal(kernel, width, name, seed),
        name=f"{name}_conv",
    )(x)
    return _norm_and_activation(x, spec, name, activation)


def _norm_and_activation(x, spec, name, activation):
    x = keras.layers.BatchNormalization(
        momentum=spec.norm_momentum, epsilon=spec.norm_epsilon, name=f"{name}_bn"
    )(x)
    if activation is None:
        return x
    return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)


def _normal(kernel, width, name, seed):
    # The authors' fan-out; for a depthwise convolution too it is k*k*channels.
    return keras.initializers.RandomNormal(
        0.0, math.sqrt(2.0 / (kernel * kernel * width)), seed=determinism.derive_seed(seed, name)
    )


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
    # One split, whose gradient is one concatenation. That of a slice is as long as the row.
    names, shapes, places = zip(*mbconv_spec.places(spec), strict=True)
    sizes = [place.stop - place.start for place in places]
    *parts, _ = tf.split(row, [*sizes, row.shape[0] - places[-1].stop])
    return {
        name: tf.reshape(part, shape)
        for name, shape, part in zip(names, shapes, parts, strict=True)
    }


def kernel_mask(spec, size):
    """Where the kernels of an op lie in its packed row: 1 there, 0 elsewhere.

    Returns:
        A uint8 array `(size,)`.
    """
    mask = np.zeros(size, np.uint8)
    for name, _, place in mbconv_spec.places(spec):
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
    for name, shape, place in mbconv_spec.places(spec):
        if name.endswith("kernel"):
            # A depthwise kernel is (k, k, channels, 1): each output sees one channel.
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
        groups: into how many equal parts a batch is cut, each with statistics of its own.

    Returns:
        `(y, statistics)`: the output `(batch, height / stride, width / stride,
        spec.out_width)` and the mean and population variance that each batch norm used
        (`None` with more than one group).
    """
    float_weights, used = unpack(row, spec), []
    weights = {name: tf.cast(weight, x.dtype) for name, weight in float_weights.items()}
    activate = _ACTIVATIONS[spec.activation]

    def norm(y, part):
        known = () if statistics is None else statistics
        given = known[len(used)] if len(used) < len(known) else None
        gamma, beta = float_weights[f"{part}bn_gamma"], float_weights[f"{part}bn_beta"]
        if groups > 1:
            parts = [
                _batch_norm(part_of_y, gamma, beta, spec.norm_epsilon, None)[0]
                for part_of_y in tf.split(y, groups)
            ]
            y, moments = tf.concat(parts, axis=0), None
        else:
            y, moments = _batch_norm(y, gamma, beta, spec.norm_epsilon, given)
        used.append(moments)
        return y

    if isinstance(spec, mbconv_spec.ConvSpec):
        y = tf.nn.conv2d(x, weights["conv_kernel"], spec.stride, "SAME")
        return activate(norm(y, "")), used
    y = x
    if spec.expand > 1:
        y = cpu_gradients.pointwise(y, weights["expand_conv_kernel"])
        y = activate(norm(y, "expand_"))
    y = cpu_gradients.depthwise(y, weights["dw_conv_kernel"], spec.stride)
    y = activate(norm(y, "dw_"))
    if spec.se_width:
        squeezed = tf.reduce_mean(y, axis=[1, 2], keepdims=True)
        squeezed = cpu_gradients.pointwise(squeezed, weights["se_reduce_kernel"])
        squeezed = activate(squeezed + weights["se_reduce_bias"])
        squeezed = cpu_gradients.pointwise(squeezed, weights["se_expand_kernel"])
        y *= tf.sigmoid(squeezed + weights["se_expand_bias"])
    y = norm(cpu_gradients.pointwise(y, weights["project_conv_kernel"]), "project_")
    return (x + y if spec.has_residual else y), used


def _batch_norm(y, gamma, beta, epsilon, given):
    if given is not None:
        mean, variance = given
        y, *_ = tf.compat.v1.nn.fused_batch_norm(
            y, gamma, beta, mean, variance, epsilon, is_training=False
        )
        return y, given
    # Only the statistics of the batch: a supernet needs no moving ones, because
    # rating calibrates for each path.
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(y, gamma, beta, epsilon=epsilon)
    # The op returns the variance of a sample; what it normalised with is the population's.
    count = tf.cast(tf.size(y) // tf.size(mean), mean.dtype)
    return y, (mean, variance * (count - 1.0) / count)


@functools.cache
def compiled(spec, mode, groups=1):
    """The op as a `tf.function`, one for all layers that have the same spec.

    Args:
        spec: an `MBConvSpec` or `ConvSpec`.
        mode: `"train"`: `(x, row) -> y` with the batch's statistics; `"calibrate"`:
            `(x, row) -> (y, statistics)`; `"rate"`: `(x, row, statistics) -> y`;
            `"next_statistics"`: `(x, row, statistics) -> (mean, variance)` of the first
            batch norm that `statistics`, a tuple, has nothing for.
        groups: as for `run`, in mode `"train"`.
    """
    if mode == "train":
        return tf.function(lambda x, row: run(x, row, spec, groups=groups)[0])
    if mode == "calibrate":
        return tf.function(lambda x, row: run(x, row, spec))
    if mode == "next_statistics":
        # What follows that batch norm is pruned from the graph.
        return tf.function(
            lambda x, row, statistics: run(x, row, spec, statistics)[1][len(statistics)]
        )
    return tf.function(lambda x, row, statistics: run(x, row, spec, statistics)[0])


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
        made = [measure(batch, row, statistics) for batch in batches]
        means = np.array([mean.numpy() for mean, _ in made], np.float64)
        variances = np.array([variance.numpy() for _, variance in made], np.float64)
        mean = (images * means).sum(0) / images.sum()
        variance = (images * (variances + (means - mean) ** 2)).sum(0) / images.sum()
        pooled = tf.constant(mean, tf.float32), tf.constant(variance, tf.float32)
        statistics = (*statistics, pooled)
    return statistics
