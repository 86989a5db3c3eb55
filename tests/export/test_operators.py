"""The operators of files, counted as TensorFlow's own interpreter lists them, and the marks."""

import collections
import re

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import interpreter

from dna_tf.export import conversion, operators
from tests.helpers import small_exports

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture(scope="module")
def files():
    swish = small_exports.tiny_student()
    lite = small_exports.tiny_student(activation="relu6", se_ratio=0)
    images, contents = small_exports.IMAGES, {}
    for precision in ("float32", "float16", "dynamic", "int8", "int16"):
        contents[precision] = conversion.convert(swish, precision, images)
    contents["relu6"] = conversion.convert(lite, "int8", images)
    contents["mixed"] = conversion.convert(
        swish, "int8", images, float_layers=("block1_layer1_dw_swish",)
    )
    return contents


def _listed(content):
    """By the interpreter, with nothing delegated."""
    lite = small_exports.undelegated(content)
    return dict(collections.Counter(row["op_name"] for row in lite._get_ops_details()))


def _marks(content):
    rows = operators.inspect(content)["commonly_refused"]
    return {(", ".join(row["operators"]), row["count"]): row["reason"] for row in rows}


def test_counts_are_those_of_the_interpreter(files):
    for content in files.values():
        counts = operators.inspect(content)["operators"]
        assert counts == _listed(content)
        assert list(counts.values()) == sorted(counts.values(), reverse=True)
    # 3 layers with expansion, one stem block without: swish after stem, 3 x 2, 1, 4 reduced, head.
    assert operators.inspect(files["float32"])["operators"]["LOGISTIC"] == 1 + 6 + 1 + 8 + 1


def test_swish_and_squeeze_are_marked_and_relu6_is_not(files):
    marks = _marks(files["int8"])
    # One gate for each of 4 blocks; the multiplications of swish are of equal shapes.
    assert "squeeze-and-excitation" in marks[("MUL", 4)]
    assert "swish" in marks[("LOGISTIC", 17)]
    assert list(_marks(files["relu6"])) == [("MEAN", 1)]


def test_float_parts_inside_are_marked(files):
    marks = _marks(files["mixed"])
    assert "inside the file" in marks[("DEQUANTIZE, QUANTIZE", 2)]
    assert "in float" in marks[("LOGISTIC, MUL", 2)]
    assert not any("inside the file" in reason for reason in _marks(files["int8"]).values())


def test_precisions_that_accelerators_lack_are_marked(files):
    hybrid = [row for row, text in _marks(files["dynamic"]).items() if "dynamic range" in text]
    ((names, count),) = hybrid
    assert set(names.split(", ")) <= {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    lite = interpreter.Interpreter(model_content=files["dynamic"])
    assert count == sum(each["dtype"] == np.int8 for each in lite.get_tensor_details())
    ((names, count),) = [r for r, text in _marks(files["int16"]).items() if "16-bit" in text]
    assert count == sum(operators.inspect(files["int16"])["operators"].values())
    # In a float file float is no mark, and float16 weights are no change inside.
    for precision in ("float32", "float16"):
        assert [names for names, _ in _marks(files[precision])] == ["LOGISTIC", "MEAN", "MUL"]


def test_int8_files_with_float_ends_have_no_mark_for_them():
    model = small_exports.tiny_student(activation="relu6", se_ratio=0)
    content = conversion.convert(model, "int8", small_exports.IMAGES, io="float32")
    assert _listed(content)["QUANTIZE"] == _listed(content)["DEQUANTIZE"] == 1
    assert list(_marks(content)) == [("MEAN", 1)]


def test_resizing_and_hard_swish_are_marked():
    image = keras.Input((8, 8, 3))
    x = keras.layers.UpSampling2D(2, interpolation="bilinear")(image)
    x = keras.layers.Activation("hard_silu")(x)
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    content = conversion.convert(keras.Model(image, x), "float32", None)
    marks = {names for names, _ in _marks(content)}
    assert {"HARD_SWISH", "RESIZE_BILINEAR", "MEAN"} == marks


def test_lines_say_each_reason_once(files):
    inspected = operators.inspect(files["int8"])
    lines = operators.lines(inspected)
    assert re.match(r"operators: 18 MUL, 17 CONV_2D, 17 LOGISTIC, ", lines[0])
    assert lines[1] == "commonly refused or slow on accelerators: 17 LOGISTIC; 5 MEAN; 4 MUL"
    assert len(lines) == 5
    reasons = {row["reason"] for row in inspected["commonly_refused"]}
    assert operators.lines(inspected, reasons) == lines[:2]


def test_custom_operators_are_named():
    schema = operators.schema
    image = keras.Input((4,))
    content = conversion.convert(keras.Model(image, keras.layers.Dense(2)(image)), "float32", None)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (code,) = model.operatorCodes
    code.builtinCode = schema.BuiltinOperator.CUSTOM
    code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "FlexErf"
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    inspected = operators.inspect(bytes(builder.Output()))
    assert inspected["operators"] == {"CUSTOM FlexErf": 1}
    assert "not an operator of TFLite" in inspected["commonly_refused"][0]["reason"]
