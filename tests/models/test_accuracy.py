"""Accuracy: counted as NumPy counts, told with its interval."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.common import statistics
from dna_tf.models import inference


def _model():
    image = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dropout(0.9)(x)  # would spoil the answers, were it at work
    return keras.Model(image, keras.layers.Dense(4)(x))


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("batch_size", [1, 7, 30, 100])
def test_right_answers_are_counted_as_numpy_counts_them(batch_size):
    model = _model()
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (30, 2, 2, 1)).astype(np.float32)
    labels = rng.integers(0, 4, 30).astype(np.int32)
    dense = model.layers[-1]
    scores = images.reshape(30, 4) @ dense.kernel.numpy() + dense.bias.numpy()
    expected = int(np.sum(scores.argmax(1) == labels))
    assert 0 < expected < 30
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)
    assert inference.count_correct(model, dataset) == (expected, 30)
    starts = range(0, 30, batch_size)
    pairs = [(images[i : i + batch_size], labels[i : i + batch_size]) for i in starts]
    assert inference.count_correct(model, pairs) == (expected, 30)


def test_no_image_is_no_answer():
    assert inference.count_correct(_model(), []) == (0, 0)


def test_an_accuracy_is_told_with_wilsons_interval():
    # 95 of 100 by R's prop.test(95, 100, correct = FALSE): 0.8882 to 0.9785.
    text = statistics.describe_accuracy(95, 100)
    assert text == "95.0 % (95 % interval 88.8-97.8, 95 of 100)"
    assert statistics.describe_accuracy(20, 20) == "100.0 % (95 % interval 83.9-100.0, 20 of 20)"
    assert statistics.describe_accuracy(0, 20) == "0.0 % (95 % interval 0.0-16.1, 0 of 20)"
    # The ends of the interval are the shares that are just z standard errors off.
    shares = np.linspace(0, 1, 200_001)[1:-1]
    inside = shares[np.abs(351 / 360 - shares) <= 1.959964 * np.sqrt(shares * (1 - shares) / 360)]
    low, high = 100 * inside.min(), 100 * inside.max()
    assert statistics.describe_accuracy(351, 360) == (
        f"97.5 % (95 % interval {low:.1f}-{high:.1f}, 351 of 360)"
    )
