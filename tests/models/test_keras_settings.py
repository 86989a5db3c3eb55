"""Settings of Keras that a user may have: models are the same, or one sentence says why not."""

import keras
import numpy as np
import pytest

from dna_tf.compression import tf_keras_bridge
from dna_tf.export import prepare
from dna_tf.latency import graphs
from dna_tf.models import inference, keras_files, keras_settings, students
from dna_tf.space import part_keys, presets
from dna_tf.supernet import cell_models
from dna_tf.teachers import building
from dna_tf.training import determinism
from tests.helpers import small_images

ODD = {
    "floatx": "float16",
    "epsilon": 1e-3,
    "image_data_format": "channels_first",
    "max_epochs": 1,
    "max_steps_per_epoch": 1,
}
SHAPE = (16, 16, 3)
PART = part_keys.LayerKey("layer", 3, 3, 8, 8, 1, 4, "swish", 0.25)


def _values():
    return {name: getattr(keras.config, name)() for name in ODD}


def _set(values):
    for name, value in values.items():
        getattr(keras.config, f"set_{name}")(value)


@pytest.fixture(autouse=True)
def usual():
    """Sets everything back; gives the usual values."""
    values, policy = _values(), keras.config.dtype_policy()
    yield values
    _set(values)
    keras.config.set_dtype_policy(policy)


def _model():
    image = keras.Input(SHAPE, name="image")
    x = keras.layers.Conv2D(4, 3, data_format="channels_last", dtype="float32")(image)
    return keras.Model(image, keras.layers.Dense(2, dtype="float32")(keras.layers.Flatten()(x)))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    _model().save(path)
    return path


# Every way in which this project builds, loads or runs a Keras model.
WAYS = {
    "file": lambda file: keras_files.load_model(file),
    "student": lambda file: students.build_student(small_images.architecture_of()),
    "teacher": lambda file: building.build_teacher("residual_cnn", SHAPE, 4),
    "cells": lambda file: cell_models.build_cells(
        presets.get_space("digits"), [SHAPE, *[(4, 4, 8)] * 4], 0, ["block1_cell1"]
    )[0],
    "evaluation": lambda file: inference.KerasPredictor(_model()).model,
    "export": lambda file: prepare.prepare(_model()).model,
    "latency": lambda file: graphs.part_graph(PART),
    "run": lambda file: determinism.enable(0),
}


@pytest.mark.parametrize("way", WAYS)
def test_models_are_the_same_under_all_settings(way, file, usual, capsys):
    keras.utils.set_random_seed(0)
    expected = WAYS[way](file)
    assert "Keras was set" not in capsys.readouterr().err
    _set(ODD)
    # Without a policy of its own the process has that of floatx.
    keras.config.set_dtype_policy("float16")
    keras.utils.set_random_seed(0)
    model = WAYS[way](file)
    assert _values() == usual and keras.config.dtype_policy().name == "float32"
    assert "Keras was set to floatx='float16', epsilon=0.001, image_data" in capsys.readouterr().err
    if way == "latency":  # TFLite files, which differ in names of tensors
        assert len(model) == pytest.approx(len(expected), abs=100)
        return
    for new, old in zip(*(m.weights if m else () for m in (model, expected)), strict=True):
        assert new.dtype == old.dtype == "float32" and new.shape == old.shape
        if way != "evaluation" and way != "export":  # `_model` has no seed of its own
            np.testing.assert_array_equal(new, old)


def test_what_cannot_be_set_is_said_in_one_sentence(monkeypatch, file):
    keras.config.set_dtype_policy("mixed_float16")
    with pytest.raises(ValueError, match="global dtype policy is 'mixed_float16'.*set_dtype_pol"):
        keras_files.load_model(file)
    keras.config.set_dtype_policy("float32")
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="imported with 'jax'. Import dna_tf before keras"):
        keras_settings.settle()


def test_tf_keras_has_settings_of_its_own():
    tf_keras = tf_keras_bridge.import_tf_keras()
    backend = tf_keras.backend
    backend.set_floatx("float16")
    backend.set_image_data_format("channels_first")
    backend.set_epsilon(1e-3)
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    tf_keras_bridge.import_tfmot()
    assert (backend.floatx(), backend.epsilon()) == ("float32", 1e-7)
    assert backend.image_data_format() == "channels_last"
    assert tf_keras.layers.Dense(1).dtype_policy.name == "float32"
