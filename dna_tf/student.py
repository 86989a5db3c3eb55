"""Students: the Keras functional model of an architecture."""

import keras

from dna_tf import mbconv, mbconv_spec


def build_student(architecture, dropout=0.0, drop_connect=0.0, seed=0):
    """Builds the Keras model of an architecture, with fresh weights.

    Layer names say block, layer and part: `block2_layer1_dw_conv`. The model takes
    images in 0..255 (its first layer rescales them to -1..1) and returns logits.

    Args:
        architecture: an `architecture.Architecture`.
        dropout: rate before the classifier, in [0, 1).
        drop_connect: highest rate at which the branch of a residual is dropped for an
            image, in [0, 1); it rises linearly with depth, as in EfficientNet.
        seed: seeds the first weights and the drops.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        `(batch, num_classes)`.

    Raises:
        ValueError: a rate is out of range.
    """
    for name, rate in (("dropout", dropout), ("drop_connect", drop_connect)):
        if not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"{name} must be a rate in [0, 1). Received: {rate!r}")
    frame = architecture.frame
    size = architecture.image_size
    image = keras.Input((size, size, architecture.channels), name="image")
    x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescale")(image)
    conv, *layers = mbconv_spec.stem_specs(frame, architecture.channels)
    x = mbconv.apply_conv_layers(x, conv, "stem", seed)
    for n, spec in enumerate(layers, 1):
        x = mbconv.apply_layers(x, spec, f"stem_mbconv{n if n > 1 else ''}", 0.0, seed)
    num_layers = sum(len(block.ops) for block in architecture.blocks)
    width, depth = frame.stem_output_width, 0
    for b, block in enumerate(architecture.blocks, 1):
        widths = [block.width] * len(block.ops)
        specs = mbconv_spec.layer_specs(frame, block.ops, width, widths, block.stride)
        for n, spec in enumerate(specs, 1):
            rate = drop_connect * depth / num_layers
            x = mbconv.apply_layers(x, spec, f"block{b}_layer{n}", rate, seed)
            depth += 1
        width = block.width
    x = mbconv.apply_conv_layers(x, mbconv_spec.head_spec(frame, width), "head", seed)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=seed, name="head_dropout")(x)
    start = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Dense(architecture.num_classes, kernel_initializer=start, name="classifier")(x)
    return keras.Model(image, x, name=_model_name(architecture.name))


def _model_name(name):
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in name)
