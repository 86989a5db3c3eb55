"""Small residual networks: the teachers that are trained on the run's own images."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class _Size:
    """Sizes of a network; a stage has two residual units.

    Args:
        stem: width and stride of the first convolution.
        stages: width and stride of each stage.
    """

    stem: tuple[int, int]
    stages: tuple[tuple[int, int], ...]


# By the names in `application_names.TRAINED_HERE`. The wide one has the map sizes of the space
# `small_images`, and the same number of multiply-accumulates in all of its stages.
SIZES = {
    "residual_cnn": _Size((24, 2), ((32, 2), (64, 2), (96, 1))),
    "residual_cnn_medium": _Size((32, 1), ((32, 2), (64, 2), (96, 1), (128, 2))),
    "residual_cnn_wide": _Size((32, 1), ((32, 1), (64, 2), (128, 2), (128, 1), (256, 2), (256, 1))),
}


def build(image_shape, num_classes, dropout=0.0, seed=0, name="residual_cnn"):
    """Builds the network, with images in 0..255 as input and logits as output.

    The maps of its stages are `stage1_out`, `stage2_out`, ...: for `residual_cnn` three at
    1/4, 1/8 and 1/8 of the image, for `residual_cnn_medium` four at 1/2, 1/4, 1/4 and 1/8,
    for `residual_cnn_wide` six at 1/1, 1/2, 1/4, 1/4, 1/8 and 1/8. They come before an
    activation, so that a student's block, which ends in a linear layer, can imitate them.

    Args:
        image_shape: `(height, width, channels)`.
        num_classes: outputs.
        dropout: rate before the classifier.
        seed: seeds the first weights and the dropout.
        name: of `application_names.TRAINED_HERE`.

    Source: pre-activation residual units, He et al., 2016.
    """
    size = SIZES[name]
    layers = keras.layers
    seeds = iter(range(1000 * seed, 1000 * seed + 1000))

    def conv(x, width, kernel, stride, name):
        start = keras.initializers.HeNormal(seed=next(seeds))
        return layers.Conv2D(
            width,
            kernel,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer=start,
            name=name,
        )(x)

    def activate(x, name):
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    image = layers.Input(image_shape, name="image")
    x = layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescale")(image)
    x = conv(x, size.stem[0], 3, size.stem[1], "stem_conv")
    for number, (width, stride) in enumerate(size.stages, 1):
        for unit in (1, 2):
            prefix, step = f"stage{number}_unit{unit}", stride if unit == 1 else 1
            y = activate(x, f"{prefix}_a")
            # A unit that changes the shape sends both its branches through the activation.
            shortcut = conv(y, width, 1, step, f"{prefix}_shortcut") if unit == 1 else x
            y = activate(conv(y, width, 3, step, f"{prefix}_conv1"), f"{prefix}_b")
            y = conv(y, width, 3, 1, f"{prefix}_conv2")
            x = layers.Add(name=f"stage{number}_out" if unit == 2 else f"{prefix}_add")(
                [shortcut, y]
            )
    x = activate(x, "head")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = layers.Dropout(dropout, seed=next(seeds), name="head_dropout")(x)
    start = keras.initializers.GlorotUniform(seed=next(seeds))
    x = layers.Dense(num_classes, kernel_initializer=start, name="classifier")(x)
    return keras.Model(image, x, name=name)
