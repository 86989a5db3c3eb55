"""From a part of a network, a student or a published network to the TFLite file to time.

A part's graph is what `mbconv` puts into students, layer by layer: squeeze-and-excitation,
activation and the residual's addition as they are there, batch 1, large depthwise kernels
split as exports have them. Weights are fresh, and int8 ranges are those of random inputs: how
long a network takes does not depend on them.
"""

import keras
import numpy as np

from dna_tf.common import files
from dna_tf.export import conversion, split_kernels
from dna_tf.models import model_costs, students

# Those in which a processor computes otherwise; float16 and dynamic are for size.
PRECISIONS = ("float32", "int8")

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
        return keras.Model(inputs, students.apply_layers(x, part.spec(), "layer"))
    if part.part == "stem":
        x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name="rescale")(x)
    x = students.apply_conv_layers(x, part.spec(), part.part)
    if part.num_classes:
        x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
        x = keras.layers.Dense(part.num_classes, name="classifier")(x)
    return keras.Model(inputs, x)


def part_graph(part, precision="float32"):
    """The TFLite file of a part, as bytes; `precision` is one of `PRECISIONS`.

    Raises:
        ValueError: the converter failed; the part is named.
    """
    return _converted(lambda: part_model(part), f"the part {part}", precision)


def student_graph(architecture, precision="float32"):
    """The TFLite file of an `architectures.Architecture` with fresh weights, as bytes.

    Raises:
        ValueError: the converter failed; the architecture is named.
    """
    what = f"the network {architecture.name!r} ({architecture.describe()})"
    return _converted(lambda: students.build_student(architecture), what, precision)


def file_graph(path):
    """The bytes of a TFLite file of any network.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no TFLite file {path}.")
    return path.read_bytes()


def keras_graph(name, task, precision="float32"):
    """The TFLite file of one of `KERAS_NETWORKS` with fresh weights, as bytes.

    Raises:
        ValueError: the network cannot be built or converted so.
    """
    return _converted(lambda: _keras_model(name, task), f"the network {name!r}", precision)


def keras_macs(name, task):
    """The MACs of one of `KERAS_NETWORKS`; `None` if they cannot be counted."""
    macs = model_costs.count_macs(_keras_model(name, task))
    keras.backend.clear_session()
    return macs


def _keras_model(name, task):
    build = getattr(keras.applications, KERAS_NETWORKS[name])
    shape = (task.image_size, task.image_size, task.channels)
    return build(input_shape=shape, weights=None, classes=task.num_classes)


def _converted(build, what, precision):
    try:
        model = split_kernels.make(build())
        content = conversion.convert(model, precision, _calibration(model))
    except Exception as error:  # the converter raises its own kinds, and plain ones
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"TensorFlow's converter failed on {what}: {lines[0]} Nothing is measured for it. "
            "Leave what it cannot convert out of the space, or change the frame's activation "
            "or se_ratio."
        ) from error
    keras.backend.clear_session()  # names start anew, and hundreds of graphs do not pile up
    return content


def _calibration(model):
    """Random inputs: images where the model scales them itself, else numbers about 0."""
    draws, shape = np.random.RandomState(0), (4, *model.input_shape[1:])
    if model.input_shape[-1] <= 3:
        return draws.uniform(0.0, 255.0, shape).astype(np.float32)
    return draws.normal(size=shape).astype(np.float32)
