"""Whole exports of a student: what the config asks for, what is in result and files, refusals."""

import dataclasses
import io
import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert import interpreter

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.data import loading
from dna_tf.export import agreement, metadata, other_formats
from dna_tf.models import keras_files, litert, students
from dna_tf.phases import exporting
from tests.helpers import small_exports, tiny_config

NAME = "tiny"


def _config(**changes):
    config = tiny_config.get_config()
    config.export.calibration_images = 40
    for field, value in changes.items():
        config.export[field] = value
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir with a student of digits: random, but for statistics and classifier."""
    workdir, config = workdirs.open_workdir(tmp_path_factory.mktemp("run"), _config())
    images, labels = (part[:400] for part in loading.load(config.data, config.seed).arrays("train"))
    arch = dataclasses.replace(small_exports.tiny_architecture(classes=10), name=NAME)
    model = students.build_student(arch, seed=2)
    for _ in range(20):
        model(images, training=True)
    small_exports.fit_classifier(model, images, labels)
    small_exports.write_student(workdir, model, arch)
    return workdir, model, arch


def _export(run, tmp_path, **changes):
    config = _config(**changes)
    return exporting.export_tflite(run[0], config, NAME, 0, tmp_path), config


def _tests(config, size=16):
    section = config.data.copy_and_resolve_references()
    section.image_size = size
    images, labels = loading.load(section, config.seed).arrays("test")
    return images[:50], labels[:50]


def _content(folder, precision):
    return pathlib.Path(folder / f"{precision}.tflite").read_bytes()


def test_result_and_files_say_the_same(run, tmp_path):
    workdir, model, arch = run
    result, config = _export(run, tmp_path, precisions=("float32", "int8", "int16"))
    assert result == json.loads((tmp_path / "result.json").read_text())
    images, labels = _tests(config)
    expected = model.predict(images, verbose=0)
    assert result["keras_accuracy"] == 0.125  # what training measured
    assert result["keras_test_accuracy"] == np.mean(expected.argmax(1) == labels)
    assert (result["images"], result["image_size"], result["calibration_images"]) == (50, 16, 40)
    assert list(result["files"]) == ["float32", "int8", "int16"]
    for precision, row in result["files"].items():
        content = _content(tmp_path, precision)
        scores = litert.TFLitePredictor(content, precision).scores(images)
        assert row["bytes"] == len(content)
        assert row["accuracy"] == np.mean(scores.argmax(1) == labels)
        assert row["agreement"] == np.mean(scores.argmax(1) == expected.argmax(1))
        assert row["operators"]["DEPTHWISE_CONV_2D"] == 4 and row["commonly_refused"]
        description = metadata.read(content)["description"]
        assert description["name"] == NAME and description["precision"] == precision
        assert description["architecture"] == files.fingerprint(arch.to_dict())
        assert description["weights"] == result["student"] == keras_files.weights_fingerprint(model)
        assert (description["preprocessing"], description["input_range"]) == ("inside", [0, 255])
        assert (description["mean"], description["std"], description["gives"]) == (
            [0.0],
            [1.0],
            "logits",
        )
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.read("labels.txt").decode().split() == list("0123456789")


def test_a_kill_before_the_result_leaves_no_result_of_other_files(run, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    _export(run, tmp_path, precisions=("float32",))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(exporting.files, "write_json", killed)
        _export(run, tmp_path, precisions=("float32",), preprocessing="outside")
    _export(run, tmp_path, precisions=("float32",))  # it is not there already
    description = metadata.read(_content(tmp_path, "float32"))["description"]
    assert description["preprocessing"] == "inside"


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
    result = {"kind": "dna_tf.student", "test_accuracy": 0.5}
    files.write_json(tmp_path / "result.json", result)
    with pytest.raises(ValueError, match="another folder by --output, or delete .*result.json"):
        _export(run, tmp_path, precisions=("float32",))
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert json.loads((tmp_path / "result.json").read_text()) == result


def test_another_size_has_the_same_weights(run, tmp_path):
    _, model, arch = run
    result, config = _export(run, tmp_path, precisions=("float32",), image_size=24)
    content = _content(tmp_path, "float32")
    assert litert.TFLitePredictor(content, "a").input_shape == (24, 24, 3)
    twin = students.build_student(arch.adapted(image_size=24))
    twin.set_weights(model.get_weights())
    images, labels = _tests(config, 24)
    expected = twin.predict(images, verbose=0)
    scores = litert.TFLitePredictor(content, "a").scores(images)
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    assert result["keras_test_accuracy"] == np.mean(expected.argmax(1) == labels)
    assert metadata.read(content)["metadata"]["image_size"] == (24, 24)


def test_rescaling_outside_is_left_to_the_caller(run, tmp_path):
    _, model, _ = run
    result, config = _export(run, tmp_path, precisions=("float32",), preprocessing="outside")
    images, _ = _tests(config)
    expected = model.predict(images, verbose=0)
    content = _content(tmp_path, "float32")
    contents = metadata.read(content)
    mean, std = contents["metadata"]["mean"], contents["metadata"]["std"]
    np.testing.assert_allclose([*mean, *std], 127.5, rtol=1e-6)
    assert contents["description"]["preprocessing_kind"] == "minus_one_one"
    predictor = litert.TFLitePredictor(content, "a file")
    scores = predictor.scores((images - mean[0]) / std[0])
    np.testing.assert_allclose(scores, expected, atol=1e-2)
    assert np.abs(predictor.scores(images) - expected).max() > 0.5  # it does no rescaling
    assert result["files"]["float32"]["agreement"] == 1.0
    tensors = interpreter.Interpreter(model_content=content).get_tensor_details()
    assert not any("rescale" in tensor["name"] for tensor in tensors)


def test_a_savedmodel_is_written_and_run(run, tmp_path):
    result, config = _export(run, tmp_path, precisions=("float32",), also=("savedmodel",))
    assert result["also"]["savedmodel"]["agreement"] == 1.0
    images, _ = _tests(config)
    served = keras.layers.TFSMLayer(str(tmp_path / "savedmodel"), call_endpoint="serve")
    np.testing.assert_allclose(served(images), run[1].predict(images, verbose=0), atol=1e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "float32.tflite", "result.json", "savedmodel",
    ]  # fmt: skip


def test_onnx_without_its_packages_is_refused_before_any_work(run, tmp_path, monkeypatch):
    find_spec = other_formats.importlib.util.find_spec
    monkeypatch.setattr(
        other_formats.importlib.util,
        "find_spec",
        lambda name: None if name == "tf2onnx" else find_spec("json"),
    )
    with pytest.raises(ValueError, match="Missing: tf2onnx. Install .* pip install tf2onnx, or"):
        _export(run, tmp_path, also=("onnx",))
    assert not list(tmp_path.iterdir())


def test_float_files_need_no_calibration_images(run, tmp_path):
    result, _ = _export(run, tmp_path, precisions=("float32", "dynamic"), calibration_images=1)
    assert result["calibration_images"] == 0 and set(result["files"]) == {"float32", "dynamic"}


def test_scores_that_are_no_use_are_an_error(run, tmp_path):
    workdir, model, _ = run
    broken = keras.models.clone_model(model)
    broken.set_weights(model.get_weights())
    broken.get_layer("classifier").bias.assign([np.nan] * 10)
    keras_files.save_model(broken, tmp_path / "broken.keras")
    config = _config(precisions=("float32",))
    message = "'broken' is useless: float32 gives NaN or infinity for 50 images"
    for _ in range(2):  # a second run says so too
        with pytest.raises(ValueError, match=message):
            exporting.export_file(tmp_path / "broken.keras", config, tmp_path / "out")
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
    config = _config(precisions=("float32", "int8"))  # whose data are of 16x16
    result = exporting.export_file(tmp_path / "mine.keras", config, tmp_path / "out")
    assert (result["architecture"], result["image_size"]) == ("mine", 12)
    assert result["keras_accuracy"] == result["keras_test_accuracy"]
    assert result["files"]["float32"]["agreement"] == 1.0
    description = metadata.read(_content(tmp_path / "out", "int8"))["description"]
    assert description["architecture"] is None and description["gives"] == "probabilities"
    wrong = keras.Model(image, keras.layers.Dense(7)(keras.layers.Flatten()(image)))
    keras_files.save_model(wrong, tmp_path / "wrong.keras")
    with pytest.raises(ValueError, match="gives 7 scores, and the data has .* 10 classes"):
        exporting.export_file(tmp_path / "wrong.keras", config, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_wrong_names_of_layers_are_refused_before_any_work(run, tmp_path):
    with pytest.raises(ValueError, match="names 'stem_swih'.* Did you mean 'stem_swish'"):
        _export(run, tmp_path, float_layers=("stem_swih",))
    assert not list(tmp_path.iterdir())


def test_files_that_do_not_agree_are_an_error():
    result = {
        "architecture": "tiny",
        "files": {
            "float32": {"agreement": 1.0, "good": True},
            "int8": {"agreement": 0.9412, "good": False},
        },
    }
    with pytest.raises(ValueError, match=r"'tiny' does not .*: int8 94\.1 %; at least 95\.0 %"):
        exporting.check_good(result, 0.95)
    assert exporting.check_good(result, 0.94) is result
    result["also"] = {"onnx": {"agreement": 0.5}}
    with pytest.raises(ValueError, match=r"'tiny' does not .*: onnx 50\.0 %; at least 94\.0 %"):
        exporting.check_good(result, 0.94)
