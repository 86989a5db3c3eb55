"""Exports by value: a Keras model and images in, checked files out, and wrong arguments refused."""

import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.export import exporter, metadata
from dna_tf.models import litert
from tests.helpers import small_exports, tiny_config


@pytest.fixture(scope="module")
def images():
    config = tiny_config.get_config()
    return loading.load(config.data, config.seed)


@pytest.fixture(scope="module")
def model(images):
    pixels, labels = (array[:200] for array in images.arrays("train"))
    model = small_exports.tiny_student(pixels, classes=10)
    small_exports.fit_classifier(model, pixels, labels)
    return model


def test_files_are_written_and_compared_with_the_model(model, images, tmp_path):
    exported = exporter.export_tflite(
        model, images, tmp_path, ("int8", "float32"), name="tiny", test_images=30, least_agreement=0
    )
    assert [file.precision for file in exported] == ["int8", "float32"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["float32.tflite", "int8.tflite"]
    pixels, labels = (array[:30] for array in images.arrays("test"))
    expected = model.predict(pixels, verbose=0)
    for file in exported:
        content = file.path.read_bytes()
        scores = litert.TFLitePredictor(content, "a file").scores(pixels)
        assert file.bytes == len(content)
        assert file.accuracy == np.mean(scores.argmax(1) == labels)
        assert file.agreement == np.mean(scores.argmax(1) == expected.argmax(1))
        assert file.largest_difference == np.abs(scores - expected).max()
        assert file.operators["DEPTHWISE_CONV_2D"] == 4 and file.commonly_refused
        description = metadata.read(content)["description"]
        assert (description["name"], description["class_names"]) == ("tiny", images.class_names)


def test_a_file_that_does_not_agree_is_an_error_and_is_kept(images, tmp_path):
    pixels, labels = (array[:200] for array in images.arrays("train"))
    spoiled = small_exports.tiny_student(pixels, classes=10, spoiled=True)
    small_exports.fit_classifier(spoiled, pixels, labels)
    with pytest.raises(ValueError, match=r"'tiny' does not agree with Keras: int8 .*at least 95"):
        exporter.export_tflite(spoiled, images, tmp_path, ("int8",), name="tiny", test_images=40)
    assert (tmp_path / "int8.tflite").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "student.keras"}, "Expected a keras.Model to export. Received: 'student.keras'"),
        ({"precisions": ()}, "precisions must be a list or tuple of at least one of"),
        ({"precisions": "int8"}, "precisions must be a list or tuple of .* Received: 'int8'"),
        ({"precisions": ("int4",)}, r"precisions must be one of .*'int16'.* Received: 'int4'"),
        ({"int8_io": "int4"}, "int8_io must be one of .* Received: 'int4'"),
        ({"preprocessing": "none"}, "preprocessing must be one of .*'outside'"),
        ({"calibration_images": 9}, "at least 10 training images.*calibration_images=9. Ask for"),
        ({"images": np.zeros((4, 16, 16, 3))}, "images from load_images .* Received: ndarray"),
        ({"least_agreement": float("nan")}, r"least_agreement must be in \[0, 1\]. Received: nan"),
        ({"test_images": 0}, "test_images must be a whole number of at least 1"),
        ({"float_layers": ("stem_swih",)}, "names 'stem_swih'.* Did you mean 'stem_swish'"),
        ({"model": small_exports.tiny_student}, "gives 5 scores, and the data has .* 10 classes"),
    ],
)
def test_wrong_arguments_are_refused_before_any_file_is_written(
    model, images, tmp_path, changes, message
):
    if callable(changes.get("model")):
        changes = {"model": changes["model"]()}
    arguments = {"model": model, "images": images, "folder": tmp_path, **changes}
    with pytest.raises(ValueError, match=message):
        exporter.export_tflite(**arguments)
    assert not list(tmp_path.iterdir())


def test_the_export_of_a_run_is_not_overwritten(model, images, tmp_path):
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ValueError, match=r"has the export of a run, .* Give another folder"):
        exporter.export_tflite(model, images, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
