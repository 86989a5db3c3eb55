"""Logits of models that end in a softmax, in every form in which users write it."""

import keras
import numpy as np
import pytest

from dna_tf.models import logits

layers = keras.layers
PIXELS = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)


def _model(end):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    return keras.Model(image, end(layers.Flatten()(layers.Rescaling(1 / 255)(image))))


ENDS = {
    "activation": lambda x: layers.Dense(4, activation="softmax", name="last")(x),
    "layer": lambda x: layers.Softmax()(layers.Dense(4, name="last")(x)),
    "activation layer": lambda x: layers.Activation("softmax")(layers.Dense(4, name="last")(x)),
    "operation": lambda x: keras.ops.softmax(layers.Dense(4, name="last")(x)),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_softmax_of_the_logits_is_what_the_model_gives(name):
    model = _model(ENDS[name])
    received = logits.with_logits(model)(PIXELS, training=False).numpy()
    expected = model(PIXELS, training=False).numpy()
    powers = np.exp(received - received.max(-1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(-1, keepdims=True), expected, atol=1e-6)
    by_hand = PIXELS.reshape(6, -1) / 255 @ model.get_layer("last").kernel.numpy()
    np.testing.assert_allclose(received, by_hand, atol=1e-5)


def test_a_model_of_logits_stays_as_it_is():
    model = _model(lambda x: layers.Dense(4)(x))
    assert logits.with_logits(model) is model


def test_two_classes_are_enough():
    model = _model(lambda x: layers.Dense(2, activation="softmax", name="last")(x))
    assert logits.with_logits(model).output.shape == (None, 2)


def test_the_model_itself_is_not_changed():
    model = _model(ENDS["activation"])
    before = model(PIXELS).numpy()
    other = logits.with_logits(model)
    other.get_layer("last").kernel.assign(0 * other.get_layer("last").kernel.value)
    np.testing.assert_array_equal(model(PIXELS).numpy(), before)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda x: layers.Dense(4, activation="sigmoid", name="tags")(x), "'tags' has the activ"),
        (lambda x: layers.Dense(1)(x), r"returns \(None, 1\).*two or more classes"),
        (lambda x: layers.Reshape((2, 2))(layers.Dense(4)(x)), r"returns \(None, 2, 2\)"),
        (lambda x: layers.Activation("sigmoid", name="s")(layers.Dense(4)(x)), "no distribution"),
    ],
)
def test_answers_that_are_no_distribution(end, message):
    with pytest.raises(ValueError, match=message):
        logits.with_logits(_model(end))
