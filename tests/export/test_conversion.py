"""Conversion: types at the ends of a file, scales of channels, float layers, failing layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter

from dna_tf.export import conversion
from dna_tf.models import litert
from tests.helpers import small_exports

pytestmark = pytest.mark.usefixtures("seeded")

IMAGES = small_exports.IMAGES


@pytest.fixture(scope="module")
def model():
    return small_exports.tiny_student()


@pytest.fixture(scope="module")
def spoiled():
    return small_exports.tiny_student(spoiled=True)


def _ends(content):
    lite = interpreter.Interpreter(model_content=content)
    (image,), (scores,) = lite.get_input_details(), lite.get_output_details()
    return image["dtype"], scores["dtype"]


def _agreement(model, content):
    expected = model.predict(IMAGES, verbose=0).argmax(1)
    return np.mean(litert.TFLitePredictor(content, "a file").scores(IMAGES).argmax(1) == expected)


@pytest.mark.parametrize(
    ("precision", "io", "kind"),
    [
        ("int8", "int8", np.int8),
        ("int8", "uint8", np.uint8),
        ("int8", "float32", np.float32),
        ("int16", "int8", np.int16),
        ("int16", "float32", np.float32),
        ("dynamic", "int8", np.float32),
    ],
)
def test_files_take_and_give_what_was_asked(model, precision, io, kind):
    content = conversion.convert(model, precision, IMAGES, io)
    assert _ends(content) == (kind, kind)
    # uint8 and int8 round a pixel alike; the same answers come out of every kind of file.
    assert _agreement(model, content) > 0.6


def test_int16_has_16_bit_activations_and_8_bit_weights(model):
    expected, error = model.predict(IMAGES, verbose=0), {}
    for precision in ("int8", "int16"):
        content = conversion.convert(model, precision, IMAGES)
        scores = litert.TFLitePredictor(content, precision).scores(IMAGES)
        error[precision] = np.sqrt(np.mean((scores - expected) ** 2))
    assert 0 < error["int16"] < error["int8"]
    lite = small_exports.undelegated(content)
    kinds = {each["index"]: each["dtype"] for each in lite.get_tensor_details()}
    for each in lite._get_ops_details():
        assert kinds[each["outputs"][0]] == np.int16
        if "CONV" in each["op_name"] or each["op_name"] == "FULLY_CONNECTED":
            assert kinds[each["inputs"][1]] == np.int8


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_have_a_scale_for_each_channel_or_one(model, per_channel):
    content = conversion.convert(model, "int8", IMAGES, per_channel=per_channel)
    lite = interpreter.Interpreter(model_content=content)
    scales = [
        len(each["quantization_parameters"]["scales"])
        for each in lite.get_tensor_details()
        if each["dtype"] == np.int8 and each["shape"].size == 4 and each["shape"][0] != 1
    ]
    assert scales and (max(scales) > 1) == per_channel


def test_layers_in_float_are_in_float_and_the_others_are_not(model):
    names = ("block1_layer2_dw_swish", "block1_layer2_project_bn")
    content = conversion.convert(model, "int8", IMAGES, float_layers=names)
    assert _ends(content) == (np.int8, np.int8)
    lite = small_exports.undelegated(content)
    kinds = {each["index"]: each["dtype"] for each in lite.get_tensor_details()}
    in_float = [
        each["op_name"]
        for each in lite._get_ops_details()
        if kinds[each["outputs"][0]] == np.float32 and each["op_name"] != "DEQUANTIZE"
    ]
    # Sigmoid and product of the swish; the convolution holds the batch norm.
    assert sorted(in_float) == ["CONV_2D", "LOGISTIC", "MUL"]


def test_float_layers_restore_what_8_bits_cannot_hold(spoiled):
    assert _agreement(spoiled, conversion.convert(spoiled, "int8", IMAGES)) < 0.4
    names = ("dw_conv", "dw_swish", "se_scale", "project_conv")
    names = tuple(f"block1_layer1_{name}" for name in names)
    assert (
        _agreement(spoiled, conversion.convert(spoiled, "int8", IMAGES, float_layers=names)) > 0.75
    )


def test_no_float_layers_give_the_converters_own_file(model):
    without = conversion.FloatLayers(model, IMAGES).convert((), "int8")
    usual = conversion.convert(model, "int8", IMAGES)
    scores = [litert.TFLitePredictor(each, "a file").scores(IMAGES) for each in (without, usual)]
    np.testing.assert_array_equal(*scores)


def test_operators_are_traced_to_their_layers():
    # Scopes are made unique by numbers, which look like parts of these names.
    image = x = keras.Input((8, 8, 3))
    for name in ("a", "a_1", "a_1_1"):
        x = keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Conv2D(4, 1, name=name)(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="last")(x))
    nodes = conversion.FloatLayers(model, IMAGES[:, :8, :8]).nodes
    assert list(nodes.values()) == [
        ["a", "a_relu"], ["a_1", "a_1_relu"], ["a_1_1", "a_1_1_relu"], ["pool"], ["last"], ["last"],
    ]  # fmt: skip


def test_wrong_float_layers_are_refused(model):
    with pytest.raises(ValueError, match="'stem_swih', which is not a layer .* mean 'stem_swish'"):
        conversion.convert(model, "int8", IMAGES, float_layers=("stem_swih",))
    with pytest.raises(ValueError, match=r"\['image'\], which have no operator in the file"):
        conversion.convert(model, "int8", IMAGES, float_layers=("image",))
    with pytest.raises(ValueError, match="cannot take and give uint8. Set .*int8_io='float32'"):
        conversion.convert(model, "int8", IMAGES, "uint8", float_layers=("classifier",))
    content = conversion.convert(model, "int8", IMAGES, "float32", float_layers=("classifier",))
    assert _ends(content) == (np.float32, np.float32)


class Digamma(keras.layers.Layer):
    """Has an operator that TFLite lacks."""

    def call(self, x):
        return tf.math.digamma(x)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_layer_that_cannot_be_converted_is_named(precision):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(image)
    y = keras.layers.Conv2D(4, 3, padding="same", name="second")(x)
    x = keras.layers.Add(name="sum")([x, y])
    x = Digamma(name="the_bad_one")(x)
    x = keras.layers.Dense(3, name="last")(keras.layers.GlobalAveragePooling2D()(x))
    message = r"'bad' to \w+: .*digamma.*fail by themselves: 'the_bad_one' \(Digamma\)"
    with pytest.raises(ValueError, match=f"(?i){message}") as caught:
        conversion.convert(keras.Model(image, x, name="bad"), precision, IMAGES[:, :8, :8])
    assert "first" not in str(caught.value) and len(str(caught.value)) < 600
