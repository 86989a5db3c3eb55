"""Quantisation-aware training: it starts near the float student, and ends in an integer file."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert import interpreter
from tensorflow.lite.python import convert_phase
from tensorflow.python.saved_model import save as saved_model_save

from dna_tf.compression import fine_tuning, pruned_model, quantized_model, tf_keras_bridge
from dna_tf.export import agreement
from dna_tf.models import litert
from dna_tf.teachers import residual_cnn
from tests.helpers import small_images

TRAIN, TEST = small_images.Stripes(), small_images.Stripes(200, seed=9)


def _scores(model):
    return np.asarray(model.predict(TEST.pixels, batch_size=100, verbose=0))


def _agreement(one, other):
    return np.mean(_scores(one).argmax(1) == _scores(other).argmax(1))


@pytest.fixture(scope="module")
def model():
    return small_images.trained()


@pytest.fixture(scope="module")
def story(model, tmp_path_factory):
    """The state at each point of a training with rounding."""
    rounding = quantized_model.build(model)
    story = types.SimpleNamespace(rounding=rounding, alone=_agreement(rounding.model, model))
    rounding.calibrate(TRAIN.pixels[:100])
    story.calibrated, story.ranges = _agreement(rounding.model, model), rounding.ranges()
    story.kernels = {name: _kernels(rounding, name) for name in WEIGHTED}
    section = types.SimpleNamespace(
        epochs=2, batch_size=32, learning_rate=1e-3, checkpoint_seconds=99.0
    )
    folder = tmp_path_factory.mktemp("qat")
    story.history = fine_tuning.fine_tune("test", folder, rounding.model, TRAIN, section, 0)
    rounding.calibrate_weights()
    story.content = rounding.to_tflite()
    return story


# Name, and the axes of its kernel that share a scale.
WEIGHTED = {"stem_conv": (0, 1, 2), "block1_layer1_dw_conv": (0, 1), "classifier": (0, 1)}


def _kernels(rounding, name):
    """The float kernel of a layer, and as the rounding model computes with it."""
    kernel = rounding.floating.get_layer(name).get_weights()[0]
    wrapper = rounding.model.get_layer(f"quant_{name}")
    wrapper(tf.zeros((1, *rounding.floating.get_layer(name).input.shape[1:])), training=False)
    attribute = "depthwise_kernel" if "dw" in name else "kernel"
    return kernel, np.asarray(getattr(wrapper.layer, attribute))


def _tfmot_alone(model):
    """tfmot's own scheme; the two kinds of layers that it refuses are left unrounded."""
    tfmot = tf_keras_bridge.import_tfmot().quantization.keras
    nothing = ("get_weights_and_quantizers", "get_activations_and_quantizers")
    nothing += ("get_output_quantizers", "set_quantize_weights", "set_quantize_activations")
    methods = {name: lambda self, *_: [] for name in nothing}
    unrounded = type("Unrounded", (tfmot.QuantizeConfig,), {**methods, "get_config": lambda _: {}})

    def annotated(layer):
        refused = isinstance(layer, tf_keras.layers.Multiply | tf_keras.layers.Rescaling)
        return tfmot.quantize_annotate_layer(layer, unrounded() if refused else None)

    twin = tf_keras_bridge.to_tf_keras(model)
    copy = tf_keras.models.clone_model(twin, clone_function=annotated)
    copy.set_weights(twin.get_weights())
    with tfmot.quantize_scope({"Unrounded": unrounded}):
        return tfmot.quantize_apply(copy)


def test_it_starts_near_the_float_student_and_without_calibration_does_not(model, story):
    assert np.mean(_scores(model).argmax(1) == TEST.labels) > 0.95
    assert story.calibrated >= 0.95
    assert story.alone < 0.8
    assert _agreement(_tfmot_alone(model), model) < 0.8


def test_first_ranges_are_those_of_the_float_student(model, story):
    names = ["rescale", "stem_swish", "stem_mbconv_se_scale", "block1_layer2_add", "classifier"]
    outputs = [model.get_layer(name).output for name in names]
    maps = keras.Model(model.input, outputs).predict(TRAIN.pixels[:100], verbose=0)
    for name, values in zip(names, maps, strict=True):
        expected = (min(0.0, values.min()), max(0.0, values.max()))
        assert story.ranges[name] == pytest.approx(expected, rel=1e-3, abs=1e-4), name
    assert story.ranges["quantized_image"] == pytest.approx((0.0, TRAIN.pixels[:100].max()))


@pytest.mark.parametrize("name", list(WEIGHTED))
def test_weights_are_rounded_to_127_steps_for_each_channel(story, name):
    kernel, rounded = story.kernels[name]
    scale = np.abs(kernel).max(axis=WEIGHTED[name], keepdims=True) / 127
    off = np.abs(rounded - np.round(kernel / scale) * scale) / scale
    # Halves may go either way, and it multiplies by a float32 inverse of the scale.
    assert np.mean(off < 1e-2) > 0.99 and off.max() < 1.01
    assert np.abs(rounded - kernel).max() > 0


def test_training_moves_ranges_and_weights(model, story):
    assert story.history[-1]["accuracy"] > 0.95
    assert story.rounding.ranges() != story.ranges
    kernel = story.kernels["stem_conv"][0]
    (trained,) = [w for w in story.rounding.model.trainable_weights if w.shape == kernel.shape]
    assert 1e-4 < np.abs(trained.numpy() - kernel).max() < 0.1


def test_the_file_is_all_integers_and_gives_what_was_trained(story):
    scores = agreement.file_scores(story.content, TEST.pixels)
    row = agreement.answers(scores, _scores(story.rounding.model), TEST.labels)
    assert row["agreement"] >= 0.98 and row["accuracy"] > 0.95
    lite = interpreter.Interpreter(model_content=story.content)
    (inputs,), (outputs,) = lite.get_input_details(), lite.get_output_details()
    assert inputs["dtype"] == outputs["dtype"] == np.int8
    assert inputs["shape"].tolist() == [1, 16, 16, 3]
    tensors = lite.get_tensor_details()
    assert {np.dtype(each["dtype"]).name for each in tensors} == {"int8", "int32"}
    (depthwise,) = [t for t in tensors if list(t["shape"])[:3] == [1, 5, 5]]
    assert len(depthwise["quantization_parameters"]["scales"]) == depthwise["shape"][3]


def test_a_converter_that_fails_is_reported(story, model, monkeypatch, capsys):
    def fails(*_):
        raise convert_phase.ConverterError("no such op")

    converter = types.SimpleNamespace(convert=lambda: fails())
    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_concrete_functions", lambda *_: converter)
    with pytest.raises(ValueError, match="cannot convert 'small_qat'.* no such op.* Export an"):
        story.rounding.to_tflite()
    assert pruned_model.sparse_tflite(model) is None
    assert "no sparse TFLite file: no such op" in capsys.readouterr().err


def test_temporary_files_that_cannot_be_written(story, monkeypatch):
    """The converter goes another way in silence then, and the file would have other bytes."""

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved_model_save, "save", full)
    with pytest.raises(OSError, match="could not write its temporary files into .*TMPDIR"):
        story.rounding.to_tflite()


def test_teachers_go_as_well():
    teacher = small_images.shaken(residual_cnn.build((16, 16, 3), 4))
    rounding = quantized_model.build(teacher)
    rounding.calibrate(TRAIN.pixels[:100])
    one, other = (_scores(each) - _scores(each).mean(0) for each in (rounding.model, teacher))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98


@pytest.mark.slow
def test_a_lite_student_starts_near_and_its_file_is_all_integers():
    lite = small_images.trained("relu6", 0.0)
    rounding = quantized_model.build(lite)
    rounding.calibrate(TRAIN.pixels[:100])
    assert _agreement(rounding.model, lite) >= 0.95
    content = rounding.to_tflite()
    answers = agreement.file_scores(content, TEST.pixels).argmax(1)
    assert np.mean(answers == _scores(lite).argmax(1)) >= 0.95
    tensors = interpreter.Interpreter(model_content=content).get_tensor_details()
    assert {np.dtype(each["dtype"]).name for each in tensors} == {"int8", "int32"}


@pytest.mark.slow
@pytest.mark.usefixtures("seeded")
def test_other_layers_become_integers_too():
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = layers.Add()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(layers.Conv2D(8, 3, strides=2)(x))
    x = layers.Dense(16, activation="silu")(layers.Flatten()(x))
    bare = small_images.shaken(keras.Model(image, layers.Dense(4)(x)))
    rounding = quantized_model.build(bare)
    rounding.calibrate(TRAIN.pixels[:100])
    content = rounding.to_tflite()
    tensors = interpreter.Interpreter(model_content=content).get_tensor_details()
    assert {np.dtype(each["dtype"]).name for each in tensors} == {"int8", "int32"}
    expected = _scores(bare) - _scores(bare).mean(0)
    scores = litert.TFLitePredictor(content, "the file").scores(TEST.pixels)
    assert np.corrcoef(expected.ravel(), (scores - scores.mean(0)).ravel())[0, 1] > 0.98
