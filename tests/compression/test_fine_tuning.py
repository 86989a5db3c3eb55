"""Fine-tuning of tf_keras models: Adam under a cosine, and the same bits after a kill."""

import contextlib
import math
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from dna_tf.compression import fine_tuning

STEPS, EPOCHS, RATE = 3, 2, 0.05
PIXELS = np.random.RandomState(0).uniform(-1, 1, (STEPS * EPOCHS, 4, 2, 2, 1)).astype(np.float32)
LABELS = np.random.RandomState(1).randint(0, 3, (STEPS * EPOCHS, 4)).astype(np.int32)


class _Images:
    """Six batches in a fixed order; a kill comes before the batch `cut`."""

    def __init__(self, cut=None):
        self.cut = cut

    def steps_per_epoch(self, batch_size):
        assert batch_size == 4
        return STEPS

    def epoch(self, batch_size, epoch, seed, skip_batches=0):
        assert seed == 7
        for step in range(skip_batches, STEPS):
            number = epoch * STEPS + step
            if number == self.cut:
                raise KeyboardInterrupt
            yield tf.constant(PIXELS[number]), tf.constant(LABELS[number])

    @contextlib.contextmanager
    def reading(self):
        yield


def _model():
    image = tf_keras.Input((2, 2, 1))
    x = tf_keras.layers.Flatten()(image)
    model = tf_keras.Model(image, tf_keras.layers.Dense(3)(x))
    model.set_weights([np.linspace(-1, 1, 12).reshape(4, 3), np.array([0.1, 0.0, -0.1])])
    return model


def _tune(folder, model, images, device=None):
    section = types.SimpleNamespace(
        epochs=EPOCHS, batch_size=4, learning_rate=RATE, checkpoint_seconds=0.0
    )
    return fine_tuning.fine_tune("test", folder, model, images, section, 7, device)


def _adam():
    """The weights and losses in NumPy."""
    weights = [np.linspace(-1, 1, 12).reshape(4, 3), np.array([0.1, 0.0, -0.1])]
    first = [0.0 * w for w in weights]
    second = [0.0 * w for w in weights]
    losses = []
    for n in range(STEPS * EPOCHS):
        x, labels = PIXELS[n].reshape(4, 4).astype(np.float64), LABELS[n]
        logits = x @ weights[0] + weights[1]
        odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        losses.append(-np.log(odds[range(4), labels]).mean())
        odds[range(4), labels] -= 1
        gradients = [x.T @ odds / 4, odds.mean(0)]
        rate = RATE * 0.5 * (1 + math.cos(math.pi * n / (STEPS * EPOCHS)))
        for i, g in enumerate(gradients):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g * g
            step = (first[i] / (1 - 0.9 ** (n + 1))) / (
                np.sqrt(second[i] / (1 - 0.999 ** (n + 1))) + 1e-7
            )
            weights[i] = weights[i] - rate * step
    return weights, np.reshape(losses, (EPOCHS, STEPS)).mean(1)


def test_it_is_adam_under_a_cosine(tmp_path):
    model = _model()
    history = _tune(tmp_path, model, _Images())
    weights, losses = _adam()
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert [epoch["loss"] for epoch in history] == pytest.approx(list(losses), rel=1e-4)


@pytest.mark.parametrize("cut", range(1, STEPS * EPOCHS))
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, cut):
    whole, killed, again = _model(), _model(), _model()
    history = _tune(tmp_path / "whole", whole, _Images())
    with pytest.raises(KeyboardInterrupt):
        _tune(tmp_path / "killed", killed, _Images(cut))
    assert _tune(tmp_path / "killed", again, _Images()) == history
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_rounding_and_its_gradients_are_computed_on_the_device(tmp_path):
    """On GPUs these gradients are not implemented where TensorFlow's ops are deterministic."""
    graphs = []

    def rounded(x):
        graphs.append(tf.compat.v1.get_default_graph())
        return tf.quantization.fake_quant_with_min_max_vars(x, -2.0, 2.0)

    image = tf_keras.Input((2, 2, 1))
    x = tf_keras.layers.Dense(3)(tf_keras.layers.Flatten()(image))
    model = tf_keras.Model(image, tf_keras.layers.Lambda(rounded)(x))
    graphs.clear()
    _tune(tmp_path, model, _Images(), "CPU:0")
    rounding = [op for op in graphs[-1].get_operations() if op.type.startswith("FakeQuant")]
    assert any(op.type.endswith("Gradient") for op in rounding) and len(rounding) == 2
    assert {op.device for op in rounding} == {"/device:CPU:0"}
