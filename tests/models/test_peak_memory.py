"""Memory for maps: against numbers worked out by hand, and against the formulas of the ops."""

import keras
import numpy as np
import pytest

from dna_tf.models import peak_memory, students
from dna_tf.space import layer_specs

layers = keras.layers


def _peak(make, shape):
    image = keras.Input(shape)
    return peak_memory.peak_elements(keras.Model(image, make(image)), shape)


def test_networks_that_were_worked_out_by_hand():
    def chain(x):  # 192 -> 256 (batch norm and ReLU in place) -> 1024 -> 10
        x = layers.Conv2D(16, 3, 2, "same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(64, 1)(x)
        return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))

    assert _peak(chain, (8, 8, 3)) == 256 + 1024

    def residual(x):  # the input waits while the branch is computed
        y = layers.Conv2D(12, 3, padding="same")(x)
        y = layers.Conv2D(4, 1)(y)
        return layers.Add()([x, y])

    assert _peak(residual, (5, 5, 4)) == 100 + 300 + 100

    def branches(x):  # both branches are held until they are joined
        one, two = layers.Conv2D(6, 1)(x), layers.Conv2D(2, 1)(x)
        return layers.Concatenate()([one, two])

    assert _peak(branches, (5, 5, 4)) == 150 + 50 + 200

    def late(x):  # ReLU of a map that is read again is a map of its own
        y = layers.Conv2D(4, 1)(x)
        return layers.Add()([layers.ReLU()(y), y])

    assert _peak(late, (5, 5, 4)) == 300

    assert _peak(lambda x: layers.Activation("swish")(layers.Conv2D(4, 1)(x)), (5, 5, 4)) == 300
    assert _peak(lambda x: layers.Rescaling(2.0)(x), (5, 5, 4)) == 100


def test_the_formula_of_each_op_is_what_its_layers_hold():
    for kernel, expand, in_width, out_width, stride, activation, se_ratio in (
        (3, 6, 8, 8, 1, "swish", 0.25),
        (3, 6, 8, 8, 1, "relu6", 0.0),
        (5, 3, 8, 12, 2, "relu6", 0.25),
        (5, 1, 8, 8, 1, "relu6", 0.0),
        (7, 1, 8, 4, 1, "swish", 0.5),
        (3, 2, 4, 40, 1, "relu6", 0.0),
    ):
        sizes = (kernel, expand, in_width, out_width, stride, activation, se_ratio)
        spec = layer_specs.MBConvSpec(*sizes)
        received = _peak(
            lambda x, spec=spec: students.apply_mbconv(x, spec, "op"), (6, 6, in_width)
        )
        assert received == spec.peak_elements(6, 6), spec
    for spec in (
        layer_specs.ConvSpec(3, 3, 16, 2, "relu6"),
        layer_specs.ConvSpec(3, 3, 16, 2, "swish"),
    ):
        received = _peak(lambda x, spec=spec: students.apply_conv(x, spec, "op"), (6, 6, 3))
        assert received == spec.peak_elements(6, 6), spec


def test_sizes_that_the_model_does_not_fix():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(4, 1)(image))
    assert peak_memory.peak_elements(model, (6, 4, 3)) == 72 + 96


def test_the_arena_of_the_runtime_is_as_large(tmp_path):
    """LiteRT's own memory plan of an int8 file has at least what is counted, and little more."""
    from dna_tf.export import conversion

    image = keras.Input((32, 32, 3))
    x = layers.ReLU(6.0)(layers.Conv2D(16, 3, padding="same")(image))
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    pixels = np.random.default_rng(0).uniform(0, 255, (10, 32, 32, 3)).astype(np.float32)
    counted = peak_memory.peak_elements(model, (32, 32, 3))
    assert counted == 32 * 32 * 40
    content = conversion.convert(model, "int8", pixels)
    tensors = _tensors(content)
    largest = sum(sorted(tensors)[-2:])  # the two maps that one convolution reads and writes
    assert largest == pytest.approx(counted, rel=0.01)


def _tensors(content):
    """Bytes of each tensor of activations in a TFLite file."""
    from ai_edge_litert import interpreter

    runtime = interpreter.Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    runtime.allocate_tensors()
    runtime.set_tensor(runtime.get_input_details()[0]["index"], np.zeros((1, 32, 32, 3), np.int8))
    runtime.invoke()
    sizes = []
    for detail in runtime.get_tensor_details():
        if len(detail["shape"]) == 4 and detail["shape"][0] == 1 and detail["shape"][1] > 1:
            if detail["dtype"] == np.int8 and "conv" in detail["name"].lower():
                sizes.append(int(np.prod(detail["shape"])))
    return sizes
