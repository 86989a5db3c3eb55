"""A small residual network: the teacher that the embedded default trains itself."""

import keras

# (name, width, stride) of each stage; a stage has two residual units.
_STAGES = (("stage1", 32, 2), ("stage2", 64, 2), ("stage3", 96, 1))


def build(image_shape, num_classes, dropout=0.0, seed=0):
    """Builds the network, with images in 0..255 as input and logits as output.

    The maps of its stages are `stage1_out` to `stage3_out`, at 1/4, 1/8 and 1/8 of
    the image. They come before an activation, so that a student's block, which ends
    in a linear layer, can imitate them.

    Args:
        image_shape: `(height, width, channels)`.
        num_classes: outputs.
        dropout: rate before the classifier.
        seed: seeds the first weights and the dropout.

    Source: pre-activation residual units, He et al., 2016; the sizes are our choice.
    """
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
    x = conv(x, 24, 3, 2, "stem_conv")
    for stage, width, stride in _STAGES:
        for unit in (1, 2):
            name, step = f"{stage}_unit{unit}", stride if unit == 1 else 1
            y = activate(x, f"{name}_a")
            # A unit that changes the shape sends both its branches through the activation.
            shortcut = conv(y, width, 1, step, f"{name}_shortcut") if unit == 1 else x
            y = activate(conv(y, width, 3, step, f"{name}_conv1"), f"{name}_b")
            y = conv(y, width, 3, 1, f"{name}_conv2")
            x = layers.Add(name=f"{stage}_out" if unit == 2 else f"{name}_add")([shortcut, y])
    x = activate(x, "head")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = layers.Dropout(dropout, seed=next(seeds), name="head_dropout")(x)
    start = keras.initializers.GlorotUniform(seed=next(seeds))
    x = layers.Dense(num_classes, kernel_initializer=start, name="classifier")(x)
    return keras.Model(image, x, name="residual_cnn")
