"""The ImageNet-trained Lite0 teacher, whole and cut, on real images; skipped without them."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.config import run_config
from dna_tf.data import decoding
from dna_tf.evaluation import measuring
from dna_tf.models import keras_files
from dna_tf.phases import evaluating
from dna_tf.space import fit, presets
from dna_tf.teachers import cut_points, cutting, input_range

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
TEACHER = DATA / "teachers" / "efficientnet_lite0_imagenet.keras"
SAMPLE = DATA / "imagenet_sample"
CUTS = ["block2b_add", "block3b_add", "block4c_add", "block5c_add", "block6d_add"]
CUTS.append("block7a_project_bn")

pytestmark = pytest.mark.skipif(
    not (TEACHER.exists() and SAMPLE.exists()), reason=f"needs {TEACHER} and {SAMPLE}"
)


@pytest.fixture(scope="module")
def lite0():
    return keras_files.load_model(TEACHER)


def sample(count):
    """Images `(224, 224, 3)` in 0..255 and labels, the first of `count` classes."""
    folders = sorted(path for path in SAMPLE.iterdir() if path.is_dir())[:count]
    files = [str(next(iter(sorted(folder.iterdir())))) for folder in folders]

    def read(path):
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")
        return tf.cast(decoding.fit(image, 224, 3, 0.875), tf.float32)

    return tf.data.Dataset.from_tensor_slices(files).map(read, tf.data.AUTOTUNE), np.arange(count)


def test_proposed_cuts_fit_the_space_and_the_input_is_right(lite0):
    space = presets.get_space("dna_four_ops")
    assert list(cut_points.propose(lite0, (224, 224, 3), space)) == CUTS
    cut = cutting.cut_model(lite0, CUTS, (224, 224, 3))
    fit.check_fit(space, cut.shapes, cut.cuts)
    dataset, _ = sample(32)
    batch = next(iter(dataset.batch(32))).numpy()
    assert input_range.check(lite0, batch) is None
    assert "0..255" in input_range.check(lite0, batch / 255.0)


@pytest.mark.slow
def test_top1_is_875_before_and_after_cutting(lite0):
    cut = cutting.cut_model(lite0, CUTS, (224, 224, 3))
    head = keras.Model(lite0.get_layer(CUTS[-1]).output, lite0.output)
    dataset, labels = sample(1000)
    whole, chained = [], []
    for batch in dataset.batch(50).prefetch(2):
        whole.append(np.argmax(lite0(batch, training=False), -1))
        for block in cut.blocks:
            batch = block(batch, training=False)
        chained.append(np.argmax(head(batch, training=False), -1))
    whole, chained = np.concatenate(whole), np.concatenate(chained)
    print(f"top-1 {np.mean(whole == labels):.4f}, cut {np.mean(chained == labels):.4f}")
    np.testing.assert_array_equal(whole, chained)
    # 87.5 % with shorter side 256 and a centre crop, as measured when the file was made.
    assert abs(np.mean(whole == labels) - 0.875) <= 0.002


@pytest.mark.slow
def test_the_evaluation_gives_875_too(tmp_path):
    settings = measuring.Settings(data=f"folder:{SAMPLE}", image_size=224, crop_fraction=224 / 256)
    result = evaluating.evaluate(None, run_config.default_config(), TEACHER, settings, tmp_path)
    assert abs(result["test_correct"] - 875) <= 2 and result["top5_correct"] > 960
    assert result["warnings"] == [] and result["params"] == 4_652_008
