"""Keras files with layers of their own: loaded when their module is named, refused if not."""

import importlib
import sys

import keras
import numpy as np
import pytest

from dna_tf.models import keras_files
from dna_tf.teachers import building

CODE = """
import keras

@keras.saving.register_keras_serializable(package="test_keras_files")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

@keras.saving.register_keras_serializable(package="test_keras_files")
def tripled(x):
    return 3 * x
"""
SHAPE = (4, 4, 3)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module, as a name, that is not imported yet; its classes are forgotten after."""
    (tmp_path / "my_layers_of_a_test.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(keras.saving.get_custom_objects())
    yield "my_layers_of_a_test"
    _forget(before, monkeypatch)


def _forget(before, monkeypatch):
    registered = keras.saving.get_custom_objects()
    registered.clear()
    registered.update(before)
    monkeypatch.delitem(sys.modules, "my_layers_of_a_test", raising=False)


def test_a_files_own_layers_are_registered_by_the_modules_named(tmp_path, module, monkeypatch):
    before = dict(keras.saving.get_custom_objects())
    layers_module = importlib.import_module(module)
    image = keras.Input(SHAPE)
    x = keras.layers.Activation(layers_module.tripled)(layers_module.Doubled(name="own")(image))
    keras_files.save_model(keras.Model(image, x), tmp_path / "own.keras")
    _forget(before, monkeypatch)
    expected = r"own\.keras is not a Keras.*must be registered.*name the modules.*Doubled"
    with pytest.raises(ValueError, match=expected):
        keras_files.load_model(tmp_path / "own.keras")
    model = keras_files.load_model(tmp_path / "own.keras", [module])
    np.testing.assert_array_equal(model(np.ones((1, *SHAPE))), np.full((1, *SHAPE), 6.0))
    _forget(before, monkeypatch)
    path = str(tmp_path / "own.keras")
    built = building.build_teacher(path, SHAPE, 3, preprocessing="zero_one", modules=(module,))
    np.testing.assert_allclose(built(np.full((1, *SHAPE), 51.0)), np.full((1, *SHAPE), 1.2))


@pytest.mark.parametrize("name", ["no_such_module_here", "", ".relative", "two words", 3])
def test_modules_that_cannot_be_imported_are_refused(tmp_path, name):
    image = keras.Input(SHAPE)
    keras_files.save_model(keras.Model(image, keras.layers.ReLU()(image)), tmp_path / "m.keras")
    with pytest.raises(ValueError, match=f"module {name!r} cannot be"):
        keras_files.load_model(tmp_path / "m.keras", [name])


def test_a_lambda_stays_refused_and_the_way_out_is_told(tmp_path, module):
    image = keras.Input(SHAPE)
    inner = keras.Sequential([image, keras.layers.Lambda(lambda x: x * 2)])
    for i, model in enumerate((inner, keras.Model(image, inner(image)))):
        keras_files.save_model(model, tmp_path / f"{i}.keras")
        with pytest.raises(ValueError, match="A Lambda is code in a file: replace it") as caught:
            keras_files.load_model(tmp_path / f"{i}.keras", [module])
        assert "safe_mode" not in str(caught.value)  # Keras' own advice is not ours
