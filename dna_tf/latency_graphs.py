"""From a part of a network, a student or a published network to the TFLite file to time.

A part's graph is what `mbconv` puts into students, layer by layer: squeeze-and-excitation,
activation and the residual's addition as they are there, batch 1, float32. Weights are
fresh: how long a float network takes does not depend on them.
"""

import keras

from dna_tf import export, mbconv, mbconv_spec, model_macs, student

# Networks that are no MBConv architecture: by the name of Keras' function.
KERAS_NETWORKS = {
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_small": "MobileNetV3Small",
}


def part_model(part):
    """The Keras model of a part.

    Args:
        part: an `op_costs.Part`.

    Returns:
        A functional `keras.Model` from `(batch, size, size, in_width)`. A stem has the
        rescaling of students too, a head with classes the pooling and the classifier.
    """
    inputs = x = keras.Input((part.size, part.size, part.in_width), name="input")
    if part.part == "layer":
        spec = mbconv_spec.MBConvSpec(
            part.kernel,
            part.expand,
            part.in_width,
            part.out_width,
            part.stride,
            part.activation,
            part.se_ratio,
        )
        return keras.Model(inputs, mbconv.apply_layers(x, spec, "layer"))
    if part.part == "stem":
        x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescale")(x)
    spec = mbconv_spec.ConvSpec(
        part.kernel, part.in_width, part.out_width, part.stride, part.activation
    )
    x = mbconv.apply_conv_layers(x, spec, part.part)
    if part.num_classes:
        x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
        x = keras.layers.Dense(part.num_classes, name="classifier")(x)
    return keras.Model(inputs, x)


def part_graph(part):
    """The TFLite file of a part, as bytes.

    Raises:
        ValueError: the converter failed; the part is named.
    """
    return _converted(lambda: part_model(part), f"the part {part}")


def student_graph(architecture):
    """The TFLite file of an `architecture.Architecture` with fresh weights, as bytes.

    Raises:
        ValueError: the converter failed; the architecture is named.
    """
    what = f"the network {architecture.name!r} ({architecture.describe()})"
    return _converted(lambda: student.build_student(architecture), what)


def keras_graph(name, image_size, channels, num_classes):
    """The TFLite file of one of `KERAS_NETWORKS` with fresh weights, as bytes, and its MACs.

    Returns:
        `(content, macs)`.

    Raises:
        ValueError: the network cannot be built or converted so.
    """
    build = getattr(keras.applications, KERAS_NETWORKS[name])
    shape = (image_size, image_size, channels)
    made = []

    def model():
        made.append(build(input_shape=shape, weights=None, classes=num_classes))
        return made[0]

    content = _converted(model, f"the network {name!r}")
    return content, model_macs.count_macs(made[0])


def _converted(build, what):
    try:
        content = export.convert(build(), "float32", None)
    except Exception as error:  # the converter raises its own kinds, and plain ones
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"TensorFlow's converter failed on {what}: {lines[0]} Nothing is measured for it. "
            "Leave what it cannot convert out of the space, or change the frame's activation "
            "or se_ratio."
        ) from error
    keras.backend.clear_session()  # names start anew, and hundreds of graphs do not pile up
    return content
