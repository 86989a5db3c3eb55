"""Every copy of a model has its weights, and what normalisations derive from theirs."""

import keras
import numpy as np
import pytest

from dna_tf.compression import tf_keras_bridge
from dna_tf.export import prepare, split_kernels
from dna_tf.models import copies
from dna_tf.training import training_twin

SIZE = 12


@pytest.fixture(scope="module")
def model():
    """A classifier with an adapted normalisation and a 7x7 depthwise kernel."""
    keras.utils.set_random_seed(0)
    normalization = keras.layers.Normalization(name="adapted")
    normalization.adapt(np.random.RandomState(0).uniform(60, 200, (50, 3)).astype(np.float32))
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3))
    x = normalization(layers.Rescaling(0.9)(image))
    x = layers.DepthwiseConv2D(7, padding="same")(x)
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, activation="relu")(x))
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(1).uniform(0, 255, (5, SIZE, SIZE, 3)).astype(np.float32)


def _inside(model):
    """The model as one layer of another."""
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, keras.layers.Dense(2, name="last")(model(image)))


COPIES = {
    "with other first layers": lambda model: copies.copy_model(model),
    "to train": training_twin.make,
    "with small kernels": split_kernels.split,
    "through tf_keras and back": lambda model: tf_keras_bridge.to_keras(
        tf_keras_bridge.to_tf_keras(model), model
    ),
    "for a file": lambda model: prepare.prepare(model).model,
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_computes_what_the_model_does(model, images, copy):
    copied = COPIES[copy](model)
    assert copied is not model
    expected = model.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(copied.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [training_twin.make, split_kernels.split])
def test_models_inside_a_model_are_copied_as_well(model, images, make):
    outer = _inside(model)
    copied = make(outer)
    kinds = {type(layer) for layer in copied.layers[1].layers}
    assert not kinds & {keras.layers.DepthwiseConv2D}
    expected = outer.predict(images, verbose=0)
    np.testing.assert_allclose(copied.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_at_another_size_the_same_layers_are_called(model):
    larger = np.random.RandomState(2).uniform(0, 255, (3, 20, 20, 3)).astype(np.float32)
    x = larger
    for layer in model.layers[1:]:
        x = layer(x)
    copied = copies.resized(model, 20)
    np.testing.assert_allclose(copied.predict(larger, verbose=0), x, rtol=1e-4, atol=1e-5)
    at_size = prepare.prepare(model, 20)
    assert at_size.input_shape == (20, 20, 3)
    np.testing.assert_allclose(at_size.model.predict(larger, verbose=0), x, rtol=1e-4, atol=1e-5)
