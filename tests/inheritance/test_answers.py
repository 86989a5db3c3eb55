"""Divergence of answers: against a NumPy twin in float64, and where float32 has no digits left."""

import keras
import numpy as np

from dna_tf.inheritance import answers
from tests.helpers import small_images


def _twin(expected, received):
    """Kullback-Leibler divergence image by image, from its definition."""

    def shares(scores):
        powers = np.exp(np.float64(scores) - np.float64(scores).max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    p, q = shares(expected), shares(received)
    return (p * np.log(p / q)).sum(-1)


def test_the_divergence_is_that_of_the_definition():
    draws = np.random.default_rng(0)
    expected, received = draws.normal(0, 3, (2, 40, 7)).astype(np.float32)
    nats = answers.divergence(expected, received).numpy()
    np.testing.assert_allclose(nats, _twin(expected, received), rtol=1e-9)
    assert (nats > 0).all() and nats.dtype == np.float64
    assert (answers.divergence(expected, expected).numpy() == 0).all()


def test_answers_that_are_nearly_equal():
    expected = np.random.default_rng(1).normal(0, 3, (20, 5))
    received = (expected + 1e-4 * np.sin(np.arange(100)).reshape(20, 5)).astype(np.float32)
    nats = answers.divergence(expected.astype(np.float32), received).numpy()
    np.testing.assert_allclose(nats, _twin(expected.astype(np.float32), received), rtol=1e-3)
    assert 0 < nats.max() < 1e-8


def test_answers_that_are_certain():
    """Scores of hundreds: the shares of other classes are 0 in float32, their logs are not."""
    expected = np.array([[500.0, 0.0, -300.0]], np.float32)
    received = np.array([[0.0, 500.0, -300.0]], np.float32)
    np.testing.assert_allclose(answers.divergence(expected, received).numpy(), [500.0])


class _Images(small_images.Stripes):
    """With the method `images` of `labelled_images.Images`."""

    def images(self, split, batch_size):
        assert split == "test"
        for start in range(0, len(self.labels), batch_size):
            part = slice(start, start + batch_size)
            yield keras.ops.array(self.pixels[part]), keras.ops.array(self.labels[part])


def test_models_are_compared_image_by_image():
    keras.utils.set_random_seed(0)

    def model():
        layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255)]
        return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(4)])

    one, other, images = model(), model(), _Images(90)
    compared = answers.compare(one, other, images, "test", batch_size=40)
    received, expected = (m.predict(images.pixels, verbose=0) for m in (one, other))
    assert compared.images == 90
    np.testing.assert_allclose(compared.kl, _twin(expected, received).mean(), rtol=1e-5)
    assert compared.agreed == (expected.argmax(-1) == received.argmax(-1)).sum()
    assert compared.correct == (received.argmax(-1) == images.labels).sum()
    assert compared.accuracy == compared.correct / 90
    assert "agrees with the teacher on" in compared.text()
    some = answers.compare(one, other, images, "test", batch_size=40, most=50)
    assert some.images == 50
    np.testing.assert_allclose(some.kl, _twin(expected[:50], received[:50]).mean(), rtol=1e-5)
    same = answers.compare(one, one, images, "test")
    assert (same.kl, same.agreement) == (0.0, 1.0)
