"""Whole exports of a student: what the config asks for, what is in result and files, refusals."""

import contextlib
import dataclasses
import io
import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.config import export_sections, run_config
from dna_tf.data import loading
from dna_tf.export import agreement, export_images, metadata, other_formats, prepare
from dna_tf.models import inference, keras_files, preprocessing, students
from dna_tf.phases import exporting
from tests.helpers import small_exports, tiny_config

NAME = "tiny"


def _config(**changes):
    made = tiny_config.get_config()
    made.export.calibration_images = 40
    for field, value in changes.items():
        made.export[field] = value
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir with a student of digits: random, but for statistics and classifier."""
    workdir, made = workdirs.open_workdir(tmp_path_factory.mktemp("run"), _config())
    images, labels = (part[:400] for part in loading.load(made.data, made.seed).arrays("train"))
    arch = dataclasses.replace(small_exports.tiny_architecture(classes=10), name=NAME)
    model = students.build_student(arch, seed=2)
    for _ in range(20):
        model(images, training=True)
    small_exports.fit_classifier(model, images, labels)
    small_exports.write_student(workdir, model, arch)
    return workdir, model, arch


def _export(run, tmp_path, **changes):
    made = _config(**changes)
    return exporting.export_tflite(run[0], made, NAME, 0, tmp_path), made


def _tests(made, size=16):
    section = made.data.copy_and_resolve_references()
    section.image_size = size
    images, labels = loading.load(section, made.seed).arrays("test")
    return images[:50], labels[:50]


def _content(folder, precision):
    return pathlib.Path(folder / f"{precision}.tflite").read_bytes()


def test_result_and_files_say_the_same(run, tmp_path):
    workdir, model, arch = run
    result, made = _export(run, tmp_path, precisions=("float32", "int8", "int16"))
    assert result == json.loads((tmp_path / "result.json").read_text())
    images, labels = _tests(made)
    expected = model.predict(images, verbose=0)
    assert result["keras_accuracy"] == 0.125  # what training measured
    assert result["keras_test_accuracy"] == np.mean(expected.argmax(1) == labels)
    assert (result["images"], result["image_size"], result["calibration_images"]) == (50, 16, 40)
    assert list(result["files"]) == ["float32", "int8", "int16"]
    for precision, row in result["files"].items():
        content = _content(tmp_path, precision)
        scores = inference.TFLitePredictor(content, precision).scores(images)
        assert row["bytes"] == len(content)
        assert row["accuracy"] == np.mean(scores.argmax(1) == labels)
        assert row["agreement"] == np.mean(scores.argmax(1) == expected.argmax(1))
        assert row["operators"]["DEPTHWISE_CONV_2D"] == 4 and row["commonly_refused"]
        told = metadata.read(content)["description"]
        assert told["name"] == NAME and told["precision"] == precision
        assert told["architecture"] == files.fingerprint(arch.to_dict())
        assert told["weights"] == result["student"] == keras_files.weights_fingerprint(model)
        assert (told["preprocessing"], told["input_range"]) == ("inside", [0, 255])
        assert (told["mean"], told["std"], told["gives"]) == ([0.0], [1.0], "logits")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.read("labels.txt").decode().split() == list("0123456789")


def test_a_finished_export_is_kept_and_other_settings_are_not(run, tmp_path, capsys):
    result, _ = _export(run, tmp_path, precisions=("float32",))
    before = (tmp_path / "float32.tflite").stat().st_mtime_ns
    capsys.readouterr()
    assert _export(run, tmp_path, precisions=("float32",))[0] == result
    assert "is exported already" in capsys.readouterr().out
    assert (tmp_path / "float32.tflite").stat().st_mtime_ns == before
    other, _ = _export(run, tmp_path, precisions=("float32", "dynamic"))
    assert list(other["files"]) == ["float32", "dynamic"]
    (tmp_path / "float32.tflite").unlink()  # one that is gone is made again
    assert _export(run, tmp_path, precisions=("float32", "dynamic"))[0] == other
    assert (tmp_path / "float32.tflite").exists()
    # A result of an earlier version, which said nothing of settings, is kept as it is.
    old = {key: value for key, value in result.items() if key != "asked"}
    files.write_json(tmp_path / "result.json", old)
    assert _export(run, tmp_path, precisions=("int8",))[0] == old


def test_a_folder_with_another_result_is_left_as_it_is(run, tmp_path):
    told = {"kind": "dna_tf.student", "test_accuracy": 0.5}
    files.write_json(tmp_path / "result.json", told)
    with pytest.raises(ValueError, match="another folder by --output, or delete .*result.json"):
        _export(run, tmp_path, precisions=("float32",))
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert json.loads((tmp_path / "result.json").read_text()) == told


def test_another_size_has_the_same_weights(run, tmp_path):
    _, model, arch = run
    result, made = _export(run, tmp_path, precisions=("float32",), image_size=24)
    content = _content(tmp_path, "float32")
    assert inference.TFLitePredictor(content, "a").input_shape == (24, 24, 3)
    twin = students.build_student(arch.adapted(image_size=24))
    twin.set_weights(model.get_weights())
    images, labels = _tests(made, 24)
    expected = twin.predict(images, verbose=0)
    scores = inference.TFLitePredictor(content, "a").scores(images)
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    assert result["keras_test_accuracy"] == np.mean(expected.argmax(1) == labels)
    assert metadata.read(content)["metadata"]["image_size"] == (24, 24)


def test_rescaling_outside_is_left_to_the_caller(run, tmp_path):
    _, model, _ = run
    result, made = _export(run, tmp_path, precisions=("float32",), preprocessing="outside")
    images, _ = _tests(made)
    expected = model.predict(images, verbose=0)
    content = _content(tmp_path, "float32")
    told = metadata.read(content)
    mean, std = told["metadata"]["mean"], told["metadata"]["std"]
    np.testing.assert_allclose([*mean, *std], 127.5, rtol=1e-6)
    assert told["description"]["preprocessing_kind"] == "minus_one_one"
    predictor = inference.TFLitePredictor(content, "a file")
    scores = predictor.scores((images - mean[0]) / std[0])
    np.testing.assert_allclose(scores, expected, atol=1e-2)
    assert np.abs(predictor.scores(images) - expected).max() > 0.5  # it does no rescaling
    assert result["files"]["float32"]["agreement"] == 1.0
    names = [each["name"] for each in predictor._interpreter.get_tensor_details()]
    assert not any("rescale" in name for name in names)


def test_ranges_are_taken_from_what_the_file_is_given():
    model, images = small_exports.tiny_student(), small_exports.IMAGES
    made = prepare.prepare(model, 0, "outside")
    expected = model.predict(images, verbose=0).argmax(1)
    content = exporting.convert(made.model, "int8", made.images(images), "uint8")
    scores = inference.TFLitePredictor(content, "a file").scores(made.images(images))
    assert np.mean(scores.argmax(1) == expected) > 0.8
    (given,) = interpreter.Interpreter(model_content=content).get_input_details()
    scale, zero_point = given["quantization"]
    np.testing.assert_allclose([-zero_point * scale, (255 - zero_point) * scale], [-1, 1], atol=0.1)


@pytest.mark.parametrize("kind", ["zero_one", "minus_one_one", "torch"])
def test_every_kind_of_rescaling_is_recognised(kind):
    image = keras.Input((8, 8, 3))
    x = preprocessing.apply(kind, image)
    x = keras.layers.Conv2D(4, 3)(x)
    x = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalMaxPooling2D()(x))
    model = keras.Model(image, x)
    made = prepare.prepare(model, 0, "outside")
    assert made.preprocessing == kind and made.gives == "probabilities"
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    scores = made.model(made.images(pixels)).numpy()
    np.testing.assert_allclose(scores, model(pixels).numpy(), atol=1e-5)


def test_rescaling_that_is_not_at_the_start_stays():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(2.0, offset=1.0)(keras.layers.Rescaling(0.5, offset=3.0)(image))
    y = keras.layers.Rescaling(3.0, name="inner")(keras.layers.Conv2D(3, 1)(x))
    x = keras.layers.Add()([x, y])
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    made = prepare.prepare(model, 0, "outside")
    assert made.mean == (-7.0,) and made.std == (1.0,) and len(made.left_out) == 2
    assert made.preprocessing is None and made.model.get_layer("inner")
    bare = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    with pytest.raises(ValueError, match=r"starts with 'flatten\w*' \(Flatten\). Use 'inside'"):
        prepare.prepare(bare, 0, "outside")


def test_a_savedmodel_is_written_and_run(run, tmp_path):
    result, made = _export(run, tmp_path, precisions=("float32",), also=("savedmodel",))
    assert result["also"]["savedmodel"]["agreement"] == 1.0
    images, _ = _tests(made)
    served = keras.layers.TFSMLayer(str(tmp_path / "savedmodel"), call_endpoint="serve")
    np.testing.assert_allclose(served(images), run[1].predict(images, verbose=0), atol=1e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "float32.tflite", "result.json", "savedmodel",
    ]  # fmt: skip


def test_onnx_without_its_packages_is_refused_before_any_work(run, tmp_path, monkeypatch):
    found = other_formats.importlib.util.find_spec
    monkeypatch.setattr(
        other_formats.importlib.util,
        "find_spec",
        lambda name: None if name == "tf2onnx" else found("json"),
    )
    with pytest.raises(ValueError, match="Missing: tf2onnx. Install .* pip install tf2onnx, or"):
        _export(run, tmp_path, also=("onnx",))
    assert not list(tmp_path.iterdir())


def test_too_few_calibration_images_are_refused_or_said(capsys):
    images = type("Images", (), {"counts": {"train": 30}})
    assert export_images.calibration_count(images, 200) == 30
    assert "export.calibration_images=200, and there are 30" in capsys.readouterr().err
    assert export_images.calibration_count(images, 200, "quantize.calibration_images") == 30
    assert "config.quantize.calibration_images=200, and there are" in capsys.readouterr().err
    assert export_images.calibration_count(images, 30) == 30
    assert export_images.calibration_count(images, 20) == 20
    assert not capsys.readouterr().err
    images.counts["train"] = 9
    with pytest.raises(ValueError, match="at least 10 training images. There are 9, .* more data"):
        export_images.calibration_count(images, 200)
    images.counts["train"] = 500
    with pytest.raises(ValueError, match="calibration_images=9. Ask for more"):
        export_images.calibration_count(images, 9)


def test_float_files_need_no_calibration_images(run, tmp_path):
    result, _ = _export(run, tmp_path, precisions=("float32", "dynamic"), calibration_images=1)
    assert result["calibration_images"] == 0 and set(result["files"]) == {"float32", "dynamic"}


def test_scores_that_are_no_use_are_an_error(run, tmp_path):
    workdir, model, _ = run
    broken = keras.models.clone_model(model)
    broken.set_weights(model.get_weights())
    broken.get_layer("classifier").bias.assign([np.nan] * 10)
    keras_files.save_model(broken, tmp_path / "broken.keras")
    made = _config(precisions=("float32",))
    message = "'broken' is of no use: float32 gives NaN or infinity for 50 images"
    for _ in range(2):  # a second run says so too
        with pytest.raises(ValueError, match=message):
            exporting.export_file(tmp_path / "broken.keras", made, tmp_path / "out")
    scores = np.tile([[1.0, 2.0]], (5, 1))
    assert agreement.problem(scores, scores) is None  # Keras answers so too
    assert agreement.problem(scores, scores + np.arange(5)[:, None]) == (
        "gives the same scores for all 5 images"
    )


def test_any_classifier_is_exported_at_its_own_size(tmp_path):
    image = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(4, 3, strides=2)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(x))
    keras_files.save_model(keras.Model(image, x), tmp_path / "mine.keras")
    made = _config(precisions=("float32", "int8"))  # whose data are of 16x16
    result = exporting.export_file(tmp_path / "mine.keras", made, tmp_path / "out")
    assert (result["architecture"], result["image_size"]) == ("mine", 12)
    assert result["keras_accuracy"] == result["keras_test_accuracy"]
    assert result["files"]["float32"]["agreement"] == 1.0
    told = metadata.read(_content(tmp_path / "out", "int8"))["description"]
    assert told["architecture"] is None and told["gives"] == "probabilities"
    wrong = keras.Model(image, keras.layers.Dense(7)(keras.layers.Flatten()(image)))
    keras_files.save_model(wrong, tmp_path / "wrong.keras")
    with pytest.raises(ValueError, match="gives 7 scores, and the data has .* 10 classes"):
        exporting.export_file(tmp_path / "wrong.keras", made, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_wrong_names_of_layers_are_refused_before_any_work(run, tmp_path):
    with pytest.raises(ValueError, match="names 'stem_swih'.* Did you mean 'stem_swish'"):
        _export(run, tmp_path, float_layers=("stem_swih",))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("precisions", (), "must hold at least one of"),
        ("precisions", ("int4",), r"precisions must be one of .*'int16'.* Received: 'int4'"),
        ("int8_io", "int4", "int8_io must be one of .* Received: 'int4'"),
        ("image_size", 4, "image_size must be at least 8, or 0"),
        ("image_size", -1, "image_size must be at least 0"),
        ("preprocessing", "none", "preprocessing must be one of .*'outside'"),
        ("also", ("savedmodle",), "also must be one of .* Did you mean 'savedmodel'"),
        ("float_layers", (3,), "float_layers must hold names of Keras layers"),
        ("calibration_images", 0, "calibration_images must be at least 1"),
        ("test_images", 0, "test_images must be at least 1"),
        ("least_agreement", 1.5, r"least_agreement must be in \[0.0, 1.0\]"),
        ("least_agreement", float("nan"), "least_agreement must be in"),
    ],
)
def test_wrong_values_of_the_section_are_refused(field, value, message):
    made = run_config.default_config()
    with made.unlocked():
        made.export[field] = value
    with pytest.raises(ValueError, match=message):
        run_config.check_config(made)


def test_float_layers_need_an_int8_file():
    made = _config(precisions=("float32",), float_layers=("stem_conv",))
    with pytest.raises(ValueError, match="no 'int8' in config.export.precisions"):
        export_sections.check(made.export)


def test_sources_that_are_sorted_by_class_are_mixed():
    class Sorted:
        num_classes = 10
        reading = staticmethod(contextlib.nullcontext)

        def images(self, split, mixed=False):
            labels = np.repeat(np.arange(10), 20)
            labels = np.random.default_rng(0).permutation(labels) if mixed else labels
            pairs = np.zeros((200, 2, 2, 3), np.float32), labels
            return tf.data.Dataset.from_tensor_slices(pairs)

    assert len(np.unique(export_images.first(Sorted(), "test", 40)[1])) > 5
    assert (export_images.first(Sorted(), "test", 160)[1] == np.repeat(np.arange(8), 20)).all()
