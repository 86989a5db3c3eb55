"""TFLite files: every precision runs in LiteRT, and is compared with Keras as it should be."""

import numpy as np
import pytest
from ai_edge_litert import interpreter

from dna_tf.export import agreement, conversion
from dna_tf.models import litert, students
from dna_tf.space import architectures, spaces, tasks

SIZE, CLASSES = 16, 5
PRECISIONS = ("float32", "float16", "dynamic", "int8")
RNG = np.random.default_rng(0)
CALIBRATION = RNG.uniform(0, 255, (40, SIZE, SIZE, 3)).astype(np.float32)
# Smooth pictures that differ in colour, so that a model tells them apart.
IMAGES = np.clip(
    RNG.uniform(0, 255, (25, 1, 1, 3)) + RNG.normal(0, 20, (25, SIZE, SIZE, 3)), 0, 255
).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, 25)


def _student(activation="swish", se_ratio=0.25):
    ops = (spaces.Op(3, 6), spaces.Op(5, 3))
    blocks = (architectures.BlockChoice(2, 16, ops), architectures.BlockChoice(1, 24, ops[:1]))
    frame = spaces.Frame(16, 2, 8, 64, activation, se_ratio)
    arch = architectures.Architecture("tiny", blocks, frame, tasks.Task(SIZE, 3, CLASSES))
    model = students.build_student(arch, dropout=0.1, drop_connect=0.1, seed=2)
    for _ in range(30):  # moving statistics of real batches, as after a training
        model(np.concatenate([CALIBRATION, IMAGES]), training=True)
    # So that its answers differ from image to image.
    head, scores = model.get_layer("classifier"), model(IMAGES, training=False).numpy()
    head.bias.assign(-scores.mean(0))
    assert len(set((scores - scores.mean(0)).argmax(1))) >= 3
    return model


@pytest.fixture(scope="module")
def model():
    return _student()


@pytest.fixture(scope="module")
def content(model):
    calibration = np.concatenate([CALIBRATION, IMAGES])
    return {each: conversion.convert(model, each, calibration) for each in PRECISIONS}


def _lite_scores(content, images):
    """Scores by the interpreter itself; integers by the formula of TFLite's specification."""
    lite = interpreter.Interpreter(model_content=content)
    lite.allocate_tensors()
    (inputs,), (outputs,) = lite.get_input_details(), lite.get_output_details()
    scores = []
    for image in images:
        if inputs["dtype"] == np.int8:
            scale, zero = inputs["quantization"]
            image = np.clip(np.round(image / scale) + zero, -128, 127).astype(np.int8)
        lite.set_tensor(inputs["index"], image[None])
        lite.invoke()
        values = lite.get_tensor(outputs["index"])[0]
        if outputs["dtype"] == np.int8:
            scale, zero = outputs["quantization"]
            values = scale * (values.astype(np.float64) - zero)
        scores.append(values)
    return np.array(scores)


@pytest.mark.parametrize(
    ("precision", "relative"),
    [("float32", 1e-4), ("float16", 0.03), ("dynamic", 0.25), ("int8", 0.5)],
)
def test_every_precision_gives_the_scores_of_keras(model, content, precision, relative):
    expected = model(IMAGES, training=False).numpy()
    scores = _lite_scores(content[precision], IMAGES)
    assert np.isfinite(scores).all() and scores.shape == (25, CLASSES)
    error = np.sqrt(np.mean((scores - expected) ** 2)) / expected.std()
    assert error < relative
    if precision != "float32":
        assert error > 1e-3  # it is not the float32 file under another name


def test_relu6_without_squeeze_quantises(tmp_path):
    lite = _student("relu6", 0)
    content = conversion.convert(lite, "int8", np.concatenate([CALIBRATION, IMAGES]))
    expected = lite(IMAGES, training=False).numpy()
    scores = _lite_scores(content, IMAGES)
    assert np.sqrt(np.mean((scores - expected) ** 2)) / expected.std() < 0.3


def test_files_have_the_types_and_sizes_of_their_precision(content):
    for precision, file in content.items():
        lite = interpreter.Interpreter(model_content=file)
        (inputs,), (outputs,) = lite.get_input_details(), lite.get_output_details()
        kind = np.int8 if precision == "int8" else np.float32
        assert inputs["dtype"] == outputs["dtype"] == kind
        assert inputs["shape"].tolist() == [1, SIZE, SIZE, 3]
        assert outputs["shape"].tolist() == [1, CLASSES]
    size = {precision: len(file) for precision, file in content.items()}
    assert size["float16"] < 0.75 * size["float32"]
    assert max(size["dynamic"], size["int8"]) < 0.85 * size["float32"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_comparison_is_numpys(model, content, precision):
    expected = model(IMAGES, training=False).numpy()
    scores = _lite_scores(content[precision], IMAGES)
    # Labels of which some are right, so that accuracy and agreement are different numbers.
    labels = np.where(np.arange(25) < 9, scores.argmax(1), (scores.argmax(1) + 1) % CLASSES)
    row = agreement.compare(content[precision], scores, expected, labels)
    assert list(row) == ["bytes", "accuracy", "agreement", "largest_difference"]
    assert row["bytes"] == len(content[precision])
    assert row["accuracy"] == pytest.approx(9 / 25)
    assert row["agreement"] == np.mean(scores.argmax(1) == expected.argmax(1))
    largest = np.abs(scores - expected).max()
    assert row["largest_difference"] == pytest.approx(largest, rel=1e-3, abs=1e-6)


def test_the_comparison_sees_a_file_of_another_model(content):
    other = students.build_student(
        architectures.Architecture(
            "other",
            (architectures.BlockChoice(2, 8, (spaces.Op(3, 1),)),),
            spaces.Frame(8, 2, 8, 16),
            tasks.Task(SIZE, 3, CLASSES),
        ),
        seed=5,
    )
    kernel = other.get_layer("classifier").kernel
    kernel.assign(kernel * 1e4)
    expected = other(IMAGES, training=False).numpy()
    scores = agreement.file_scores(content["float32"], IMAGES)
    row = agreement.compare(content["float32"], scores, expected, LABELS)
    np.testing.assert_allclose(
        scores, _lite_scores(content["float32"], IMAGES), rtol=1e-4, atol=1e-5
    )
    assert row["agreement"] == np.mean(expected.argmax(1) == scores.argmax(1)) < 1.0
    assert row["largest_difference"] > 1.0


def test_the_predictor_gives_what_the_interpreter_gives(content):
    for precision, file in content.items():
        predictor = litert.TFLitePredictor(file, precision)
        assert predictor.input_shape == (SIZE, SIZE, 3) and predictor.num_outputs == CLASSES
        scores = predictor.scores(IMAGES)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, _lite_scores(file, IMAGES), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(predictor.scores(IMAGES[:1]), scores[:1])


def test_int8_input_is_clipped_not_wrapped(content):
    predictor = litert.TFLitePredictor(content["int8"], "a file")
    bright = np.full((1, SIZE, SIZE, 3), 255.0, np.float32)
    np.testing.assert_array_equal(predictor.scores(bright * 3), predictor.scores(bright))


@pytest.mark.parametrize("bad", [b"", b"no model" * 100, "truncated"])
def test_bytes_that_are_no_model_are_refused(content, bad):
    if bad == "truncated":
        bad = content["float32"][: len(content["float32"]) // 2]
    with pytest.raises(ValueError, match="The file is not a TFLite model that LiteRT can run"):
        litert.TFLitePredictor(bad, "The file")
