"""Builds students: the Keras functional models of architectures."""

import math
import os

import keras

from dna_tf.common import seeding
from dna_tf.models import keras_settings
from dna_tf.space import architectures, layer_specs, network_layers, zoo


def build_model(
    architecture: architectures.Architecture | str | os.PathLike,
    num_classes: int | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    dropout: float = 0.0,
    drop_connect: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Builds the Keras functional model of an architecture, with fresh weights.

    Args:
        architecture: an `Architecture`, the path of its file, or the name of a published
            network.
        num_classes: outputs of the classifier; `None` keeps the architecture's.
        image_size: height and width in pixels of the images; `None` keeps the architecture's.
        channels: channels of the images; `None` keeps the architecture's.
        dropout: rate of dropout before the classifier, in [0, 1).
        drop_connect: highest rate at which the branch of a residual is dropped, in [0, 1).
        seed: seeds the weights.

    Returns:
        A `keras.Model` from images in 0..255 `(batch, height, width, channels)` to logits
        `(batch, num_classes)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be used, there is no network of that name, or a number is
            out of range.

    Example:

        >>> import dna_tf
        >>> model = dna_tf.build_model("dna_a", num_classes=10, image_size=32)
        >>> model.output_shape
        (None, 10)
    """
    if not isinstance(architecture, architectures.Architecture):
        architecture = zoo.load_architecture(architecture)
    architecture = architecture.adapted(num_classes, image_size, channels)
    return build_student(architecture, dropout, drop_connect, seed)


def build_student(architecture, dropout=0.0, drop_connect=0.0, seed=0):
    """Builds the Keras model of an architecture, with fresh weights.

    Names of Keras layers consist of block, layer and part, such as `block2_layer1_dw_conv`. The
    model reads images in 0..255 (its first layer rescales them to -1..1) and returns logits.

    Args:
        architecture: an `architectures.Architecture`.
        dropout: rate of dropout before the classifier, in [0, 1).
        drop_connect: highest rate at which the branch of a residual is dropped for an
            image, in [0, 1); the rate rises linearly with depth, as in EfficientNet.
        seed: seeds initial weights, dropout and drop-connect.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        `(batch, num_classes)`.

    Raises:
        ValueError: a rate is out of range.
    """
    for name, rate in (("dropout", dropout), ("drop_connect", drop_connect)):
        if not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"{name} must be a rate in [0, 1). Received: {rate!r}")
    keras_settings.settle()
    task = architecture.task
    image = keras.Input((task.image_size, task.image_size, task.channels), name="image")
    x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescale")(image)
    num_layers = sum(len(block.ops) for block in architecture.blocks)
    depth = 0  # layers of blocks so far; those of the stem are never dropped
    for layer in network_layers.layers(architecture):
        if isinstance(layer.spec, layer_specs.ConvSpec):
            x = apply_conv(x, layer.spec, layer.name, seed)
        else:
            x = apply_mbconv(x, layer.spec, layer.name, drop_connect * depth / num_layers, seed)
            depth += layer.block > 0
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=seed, name="head_dropout")(x)
    start = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Dense(task.num_classes, kernel_initializer=start, name="classifier")(x)
    return keras.Model(image, x, name=_model_name(architecture.name))


def _model_name(name):
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in name)


def apply_mbconv(x, spec, name, drop_connect=0.0, seed=0):
    """Applies an MBConv, or a fused one, as Keras layers to a symbolic tensor.

    Args:
        x: a Keras tensor `(batch, height, width, spec.in_width)`.
        spec: a `layer_specs.MBConvSpec` or `FusedMBConvSpec`.
        name: prefix of the layer names, such as `"block1_layer2"`.
        drop_connect: probability of dropping the whole branch of a residual.
        seed: seeds initial weights and drop-connect.

    Returns:
        A Keras tensor `(batch, height / stride, width / stride, spec.out_width)`.
    """
    layers, inputs = keras.layers, x
    expand = (spec.expanded_width, f"{name}_expand", seed, spec.activation)
    if isinstance(spec, layer_specs.FusedMBConvSpec):
        x = _conv(x, spec, *expand, spec.kernel, spec.stride)
    else:
        if spec.expand > 1:
            x = _conv(x, spec, *expand)
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
                seed=seeding.derive_seed(seed, f"{name}_drop"),
                name=f"{name}_drop",
            )(x)
        x = layers.Add(name=f"{name}_add")([x, inputs])
    return x


def apply_conv(x, spec, name, seed=0):
    """Applies a `layer_specs.ConvSpec` as Keras layers: convolution, batch norm, activation."""
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
    # Fan-out as the authors compute it: k*k*channels, for depthwise convolutions too.
    return keras.initializers.RandomNormal(
        0.0, math.sqrt(2.0 / (kernel * kernel * width)), seed=seeding.derive_seed(seed, name)
    )
