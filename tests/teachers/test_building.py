"""Teachers by name, from files and from memory, and cut for a space."""

import keras
import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.models import keras_files
from dna_tf.space import presets, spaces
from dna_tf.teachers import building, residual_cnn
from tests.helpers import small_teachers
from tests.helpers.data_files import data_config, write_folder

SHAPE = (16, 16, 3)
CUTS = ("stage1_out", "stage2_out", "stage3_out")
SPACE = spaces.SearchSpace.from_dict(
    {
        "name": "two",
        "ops": ["k3e1"],
        "blocks": [{"stride": 2, "cells": [[1, 4]]}, {"stride": 2, "cells": [[1, 4]]}],
    }
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two classes of images of 16x16."""
    folder = tmp_path_factory.mktemp("images")
    write_folder(folder, ["ant", "bee"], 12)
    config = data_config(source=f"folder:{folder}", rating_per_class=3, image_size=16)
    return loading.load(config, 0)


@pytest.fixture(scope="module")
def model():
    return small_teachers.shaken(residual_cnn.build(SHAPE, 5, seed=3))


def test_teachers_by_name():
    small = building.build_teacher("residual_cnn", SHAPE, 5, dropout=0.3, seed=1)
    assert small.output_shape == (None, 5) and small.get_layer("head_dropout").rate == 0.3
    with pytest.raises(ValueError, match="no teacher named 'residual_cn'.*mean 'residual_cnn'"):
        building.build_teacher("residual_cn", SHAPE, 5)
    with pytest.raises(ValueError, match="no teacher named 'efficientnet_b9'.*efficientnet_b7"):
        building.build_teacher("efficientnet_b9", SHAPE, 5)
    assert building.needs_training("residual_cnn")
    assert building.needs_training("efficientnet_b0")
    assert not building.needs_training("efficientnet_b0", "imagenet")
    assert not building.needs_training("some/model.keras")


def test_one_seed_gives_one_teacher():
    def weights(model, seed):
        built = building.build_teacher(model, (32, 32, 3), 3, seed=seed)
        return keras_files.weights_fingerprint(built)

    assert weights("residual_cnn", 1) == weights("residual_cnn", 1) != weights("residual_cnn", 2)


def test_a_model_a_file_and_a_name_are_cut_alike(images, model, tmp_path, capsys):
    keras_files.save_model(model, tmp_path / "model.keras")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, *SHAPE)).astype(np.float32)
    expected = keras.Model(model.input, model.get_layer(CUTS[1]).output)(pixels)
    for teacher in (
        building.cut_teacher(model, images),
        building.cut_teacher(str(tmp_path / "model.keras"), images),
        building.cut_teacher(tmp_path / "model.keras", images, cuts=CUTS),
    ):
        assert teacher.cuts == CUTS and teacher.shapes[0] == SHAPE
        np.testing.assert_array_equal(teacher.features(pixels, training=False)[1], expected)
    capsys.readouterr()
    named = building.cut_teacher("residual_cnn", images, seed=1)
    assert named.cuts == CUTS and named.model.output_shape == (None, 2)
    assert "residual_cnn has first weights" in capsys.readouterr().err


def test_the_cut_fits_the_space(images, model):
    assert building.cut_teacher(model, images, space=SPACE).cuts == ("stage1_out", "stage3_out")
    with pytest.raises(ValueError, match="block"):
        building.cut_teacher(model, images, space=SPACE, cuts=CUTS)
    with pytest.raises(ValueError, match="dna"):
        building.cut_teacher(model, images, space=presets.get_space("dna"))


def test_images_in_another_range_are_warned_of(images, capsys):
    inner = small_teachers.shaken(residual_cnn.build(SHAPE, 5, seed=3))
    norm = next(x for x in inner.layers if isinstance(x, keras.layers.BatchNormalization))
    norm.moving_mean.assign(norm.moving_mean * 0.0)
    norm.moving_variance.assign(norm.moving_variance * 0.0 + 1e-4)
    building.cut_teacher(inner, images)
    assert "another range" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cuts": ("stage1_ou",)}, "no layer 'stage1_ou'.*stage1_out"),
        ({"weights": "imagenet"}, "weights='imagenet' is for models by name"),
        ({"preprocessing": "tourch"}, "no preprocessing 'tourch'"),
    ],
)
def test_wrong_input_is_refused(images, model, settings, message):
    with pytest.raises(ValueError, match=message):
        building.cut_teacher(model, images, **settings)


def test_a_model_for_other_images_and_an_unknown_name_are_refused(images):
    with pytest.raises(ValueError, match="16"):
        building.cut_teacher(residual_cnn.build((24, 24, 3), 5), images)
    with pytest.raises(ValueError, match="no teacher named 'resnet5'"):
        building.cut_teacher("resnet5", images)
    with pytest.raises(FileNotFoundError, match="missing.keras"):
        building.cut_teacher("missing.keras", images)
