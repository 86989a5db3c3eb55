"""A model of any Keras code is made ready for training with rounding, or refused by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.config import run_config
from dna_tf.models import keras_files
from dna_tf.phases import compression_start, model_files
from tests.helpers import small_teachers


def _start(path, source="digits", image_size=0):
    config = run_config.default_config()
    return compression_start.start_of_file(
        path, config, "quantize", 2, None, source, image_size, test_images=0
    )


def test_a_model_with_a_softmax_gives_logits_of_the_same_answers(tmp_path):
    path = small_teachers.plain_file(tmp_path / "plain.keras")
    start, config = _start(path)
    assert start.name == "plain" and start.seed == 0 and start.architecture is None
    assert config.data.image_size == 16 and config.data.channels == 1
    images = start.images()
    pixels, _ = images.arrays("rating")
    expected = keras_files.load_model(path).predict(pixels, verbose=0)
    received = tf.nn.softmax(start.model.predict(pixels, verbose=0))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)
    assert all(not isinstance(layer, keras.Model) for layer in start.model.layers)


def test_a_result_belongs_to_a_model_and_to_settings(tmp_path):
    path = small_teachers.plain_file(tmp_path / "plain.keras")
    first, again = (_start(path)[0] for _ in range(2))
    assert first.made_from == again.made_from
    model = keras_files.load_model(path)
    model.get_layer("answers").bias.assign(np.ones(10, np.float32))
    model.save(path)
    assert _start(path)[0].made_from != first.made_from
    head = first.head("kind", first.images())
    assert head["student"] == first.fingerprint and head["architecture"] == "plain"
    assert head["data_fingerprint"] == first.data_fingerprint


def test_a_model_of_any_size_needs_a_size(tmp_path):
    path = small_teachers.plain_file(tmp_path / "plain.keras", size=None)
    with pytest.raises(ValueError, match="takes images of any size. .* such as --image_size=224"):
        _start(path)
    start, config = _start(path, image_size=8)
    assert start.model.input_shape == (None, 8, 8, 1) and config.data.image_size == 8
    with pytest.raises(ValueError, match="square images of 8. Received: .*, which takes 16x16"):
        _start(small_teachers.plain_file(tmp_path / "fixed.keras"), image_size=8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"extra": keras.layers.LayerNormalization(name="other_norm")},
            "'other_norm' .LayerNormalization. .* cannot be rebuilt in tf_keras",
        ),
        ({"ending": "sigmoid"}, "no distribution over classes: its last layer 'answers'"),
    ],
)
def test_what_cannot_be_trained_is_named_before_images_are_read(tmp_path, settings, message):
    path = small_teachers.plain_file(tmp_path / "plain.keras", **settings)
    with pytest.raises(ValueError, match=message):
        _start(path, source="folder:/absent")


def test_files_that_are_no_models(tmp_path):
    (tmp_path / "a.h5").write_text("")
    with pytest.raises(ValueError, match="must be a .keras file. Received: .*a.h5"):
        _start(tmp_path / "a.h5")
    with pytest.raises(FileNotFoundError, match="no model file .*absent.keras"):
        _start(tmp_path / "absent.keras")


def test_without_another_source_the_images_of_the_config_get_the_models_size(tmp_path):
    path = small_teachers.plain_file(tmp_path / "plain.keras", size=None)
    config, model = run_config.default_config(), keras_files.load_model(path)
    config.data.image_size = 24
    assert model_files.config_for(config, model, path).data.image_size == 24
    fixed = keras_files.load_model(small_teachers.plain_file(tmp_path / "fixed.keras"))
    changed = model_files.config_for(config, fixed, path)
    assert changed.data.image_size == 16 and changed.data.channels == config.data.channels
    assert config.data.image_size == 24  # the config of the caller stays as it is
