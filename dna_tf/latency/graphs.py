"""Builds the TFLite graph to time: of a part of a network, a student, or a published network.

A part has the Keras layers of students, layer by layer: squeeze-and-excitation, activation and
the addition of the residual as they are in a network, batch 1, large depthwise kernels split as
in exports. Weights are fresh, and int8 ranges come from random inputs: neither changes how long
a network takes.
"""

import keras
import numpy as np

from dna_tf.common import files
from dna_tf.export import conversion, split_kernels
from dna_tf.models import keras_settings, model_costs, students

# The precisions that change what a processor computes; float16 and dynamic only save space.
PRECISIONS = ("float32", "int8")

_ADVICE = (
    "Leave what it cannot convert out of the space, or change the frame's activation or se_ratio."
)

# Networks that an architecture cannot describe, with the name of the function in Keras.
KERAS_NETWORKS = {
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_small": "MobileNetV3Small",
}


def part_model(key):
    """Builds the Keras model of a part.

    Args:
        key: an `part_keys.LayerKey`.

    Returns:
        A functional `keras.Model` from `(batch, size, size, in_width)`. A stem has the
        rescaling of students too, a head with classes the pooling and the classifier.
    """
    inputs = x = keras.Input((key.size, key.size, key.in_width), name="input")
    if key.part == "layer":
        return keras.Model(inputs, students.apply_mbconv(x, key.spec(), "layer"))
    if key.part == "stem":
        x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescale")(x)
    x = students.apply_conv(x, key.spec(), key.part)
    if key.num_classes:
        x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
        x = keras.layers.Dense(key.num_classes, name="classifier")(x)
    return keras.Model(inputs, x)


def part_graph(key, precision="float32"):
    """Builds the TFLite file of a part, as bytes.

    Args:
        key: an `part_keys.LayerKey`.
        precision: one of `PRECISIONS`.

    Raises:
        ValueError: the converter failed; the part is named.
    """
    return converted(lambda: part_model(key), f"the part {key}", precision)


def student_graph(architecture, precision="float32"):
    """Builds the TFLite file of an `architectures.Architecture` with fresh weights, as bytes.

    Raises:
        ValueError: the converter failed; the architecture is named.
    """
    name = f"the network {architecture.name!r} ({architecture.describe()})"
    return converted(lambda: students.build_student(architecture), name, precision)


def file_graph(path):
    """Reads a TFLite file of any network, as bytes.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no TFLite file {path}.")
    return path.read_bytes()


def keras_graph(name, task, precision="float32"):
    """Builds the TFLite file of one of `KERAS_NETWORKS` with fresh weights, as bytes.

    Args:
        name: a key of `KERAS_NETWORKS`.
        task: a `tasks.Task`.
        precision: one of `PRECISIONS`.

    Raises:
        ValueError: the network cannot be built or converted for this task.
    """
    return converted(lambda: _keras_model(name, task), f"the network {name!r}", precision)


def keras_macs(name, task):
    """Counts the MACs of one of `KERAS_NETWORKS`; `None` if they cannot be counted."""
    macs = model_costs.count_macs(_keras_model(name, task))
    keras.backend.clear_session()
    return macs


def _keras_model(name, task):
    keras_settings.settle()
    build = getattr(keras.applications, KERAS_NETWORKS[name])
    shape = (task.image_size, task.image_size, task.channels)
    return build(input_shape=shape, weights=None, classes=task.num_classes)


def converted(build, name, precision, advice=_ADVICE):
    """Builds the TFLite file of a model, as bytes.

    Args:
        build: a function that returns the `keras.Model`.
        name: what it is, for the message.
        precision: one of `PRECISIONS`.
        advice: what to do if the converter fails, one sentence.

    Raises:
        ValueError: the converter failed; `name` is in the message.
    """
    keras_settings.settle()
    try:
        model = split_kernels.split(build())
        content = conversion.convert(model, precision, _calibration(model))
    except Exception as error:  # the converter raises its own kinds, and plain ones
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"TensorFlow's converter failed on {name}: {lines[0]} Nothing is measured for it. "
            f"{advice}"
        ) from error
    # Names start again at 1, and the graphs of hundreds of parts do not pile up in memory.
    keras.backend.clear_session()
    return content


def _calibration(model):
    """Random inputs: images if the model rescales its input, otherwise numbers around 0."""
    draws, shape = np.random.RandomState(0), (4, *model.input_shape[1:])
    if model.input_shape[-1] <= 3:
        return draws.uniform(0.0, 255.0, shape).astype(np.float32)
    return draws.normal(size=shape).astype(np.float32)
