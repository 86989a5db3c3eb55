"""The report on int8: errors against NumPy, a spoiled layer is recognised, its repair measured."""

import keras
import numpy as np
import pytest

from dna_tf.export import conversion, quantization_error
from dna_tf.models import litert
from tests.helpers import small_exports

IMAGES = small_exports.IMAGES
SPOILED = ("dw_conv", "dw_bn", "dw_swish", "se_scale", "project_conv", "project_bn")


@pytest.fixture(scope="module")
def spoiled():
    return small_exports.tiny_student(spoiled=True)


@pytest.fixture(scope="module")
def result(spoiled):
    expected = spoiled.predict(IMAGES, verbose=0)
    return quantization_error.measure(spoiled, IMAGES, IMAGES, expected)


def _agreement(model, float_layers):
    content = conversion.convert(model, "int8", IMAGES, "float32", float_layers=float_layers)
    scores = litert.TFLitePredictor(content, "a file").scores(IMAGES)
    return np.mean(scores.argmax(1) == model.predict(IMAGES, verbose=0).argmax(1))


def test_the_spoiled_layers_are_the_most_harmful(result):
    worst = {name for row in result["layers"][:4] for name in row["layers"]}
    assert worst == {f"block1_layer1_{name}" for name in SPOILED}
    assert sum(row["harm"] for row in result["layers"][:4]) > 0.9
    harms = [row["harm"] for row in result["layers"]]
    assert harms == sorted(harms, reverse=True) and sum(harms) == pytest.approx(1.0)
    # Every operator of the file is in the table: its layers are in one row each.
    assert len(result["layers"]) == 42


def test_keeping_the_named_layers_in_float_raises_agreement(spoiled, result):
    plain = _agreement(spoiled, ())
    assert plain == result["int8"]["agreement"] < 0.4
    four = next(row for row in result["together"] if len(row["float_layers"]) == 4)
    assert four["agreement"] > plain + 0.4
    assert _agreement(spoiled, tuple(four["float_layers"])) == pytest.approx(four["agreement"])
    chosen = tuple(result["float_layers"])
    assert set(four["float_layers"]) <= set(chosen)
    assert _agreement(spoiled, chosen) > plain + 0.5
    print(f"int8 {plain:.3f}, 4 layers in float {four['agreement']:.3f}")


def test_the_fewest_layers_that_suffice_are_chosen(result):
    enough = [row for row in result["together"] if row["agreement"] >= 0.95]
    best = max(result["together"], key=lambda row: (row["agreement"], -row["score_error"]))
    assert result["float_layers"] == (enough or [best])[0]["float_layers"]
    assert [len(row["float_layers"]) for row in result["together"][:3]] == [1, 2, 4]
    assert all(row["agreement"] < 0.95 for row in result["together"][:-1])


def test_an_operators_own_error_is_numpys():
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3))
    before = keras.layers.Conv2D(5, 3, activation="relu", name="before")
    conv = keras.layers.Conv2D(6, 1, name="conv")
    pool = keras.layers.GlobalAveragePooling2D(name="pool")
    model = keras.Model(image, keras.layers.Dense(4, name="last")(pool(conv(before(image)))))
    images = np.random.default_rng(1).uniform(0, 255, (40, 8, 8, 3)).astype(np.float32)
    expected = model.predict(images, verbose=0)
    result = quantization_error.measure(model, images, images[:10], expected[:10])
    (row,) = [row for row in result["layers"] if row["layers"] == ["conv"]]

    content = conversion.convert(model, "int8", images, "float32")
    lite = small_exports.undelegated(content, experimental_preserve_all_tensors=True)
    lite.allocate_tensors()
    details = {each["index"]: each for each in lite.get_tensor_details()}
    _, operator = [each for each in lite._get_ops_details() if each["op_name"] == "CONV_2D"]
    kernel, errors, variances = conv.kernel.numpy()[0, 0], [], []
    for image in images[:10]:
        lite.set_tensor(lite.get_input_details()[0]["index"], image[None])
        lite.invoke()
        inputs, outputs = (
            _real(lite.get_tensor(place), details[place])
            for place in (operator["inputs"][0], operator["outputs"][0])
        )
        in_float = inputs @ kernel + conv.bias.numpy()
        errors.append(np.mean((in_float - outputs) ** 2))
        variances.append(np.var(in_float))
    own = np.sqrt(np.mean(errors) / np.mean(variances))
    assert row["relative_rms_error"] == pytest.approx(own, rel=0.01)
    assert 1e-3 < own < 0.1


def _real(values, details):
    scale, zero_point = details["quantization"]
    return (values.astype(np.float64) - zero_point) * scale


def test_only_the_worst_are_tried_if_asked(spoiled):
    expected = spoiled.predict(IMAGES, verbose=0)
    result = quantization_error.measure(spoiled, IMAGES, IMAGES[:20], expected[:20], most_tried=3)
    tried = [row for row in result["layers"] if row["harm"] is not None]
    errors = [row["relative_rms_error"] for row in result["layers"]]
    assert len(tried) == 3 and result["layers"][:3] == tried
    assert min(errors[:3]) >= max(errors[3:])
    lines = quantization_error.table(result, 5)
    assert len(lines) == 2 + 5 + len(result["together"])
    assert lines[-len(result["together"]) - 1].split()[0] == "-"  # not tried


def test_layers_that_stay_in_float_are_left_out(spoiled):
    expected, kept = spoiled.predict(IMAGES, verbose=0), ("block1_layer1_dw_swish", "head_conv")
    result = quantization_error.measure(spoiled, IMAGES, IMAGES, expected, most_tried=1, kept=kept)
    listed = {name for row in result["layers"] for name in row["layers"]}
    assert not listed & {"block1_layer1_dw_swish", "head_conv", "head_bn"}
    assert result["kept_in_float"] == list(kept)
    assert result["int8"]["agreement"] == pytest.approx(_agreement(spoiled, kept))


def test_a_model_that_quantises_well_needs_no_float_layers():
    model = small_exports.tiny_student(activation="relu6", se_ratio=0)
    expected = model.predict(IMAGES, verbose=0)
    result = quantization_error.measure(model, IMAGES, IMAGES, expected, 3, least_agreement=0.5)
    assert result["float_layers"] == [] and result["together"] == []
