"""The ImageNet-accurate check: Lite0's int8 file keeps its accuracy; skipped without the data."""

import pathlib

import pytest

from dna_tf.config import run_config
from dna_tf.phases import exporting

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
TEACHER = DATA / "teachers" / "efficientnet_lite0_imagenet.keras"
SAMPLE = DATA / "imagenet_sample"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (TEACHER.exists() and SAMPLE.exists()), reason=f"needs {TEACHER} and {SAMPLE}"
    ),
]


def test_int8_is_within_a_point_of_keras(tmp_path):
    config = run_config.default_config()
    config.data.source = f"folder:{SAMPLE}"
    config.data.image_size, config.data.crop_fraction = 224, 0.875
    # Ranges come from images that are not tested: there is one image a class.
    config.data.rating_fraction, config.data.test_fraction = 0.05, 0.8
    config.export.precisions, config.export.calibration_images = ("int8",), 150
    result = exporting.export_file(TEACHER, config, tmp_path)
    assert result["images"] == 800 and result["keras_accuracy"] > 0.86
    assert abs(result["files"]["int8"]["accuracy"] - result["keras_accuracy"]) <= 0.01
    assert result["files"]["int8"]["agreement"] > 0.95
