"""The loss of a student that learns from labels, answers and maps: against a NumPy twin."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.training import distillation

DRAWS = np.random.default_rng(0)
IMAGES = DRAWS.uniform(0, 255, (5, 6, 6, 3)).astype(np.float32)
LOGITS = DRAWS.normal(0, 2, (5, 4)).astype(np.float32)
MAPS = [DRAWS.normal(0, 1, (5, 6, 6, n)).astype(np.float32) for n in (2, 3)]


def _teacher():
    keras.utils.set_random_seed(1)
    image = keras.Input((6, 6, 3))
    one = keras.layers.Conv2D(2, 1, name="one")(image)
    two = keras.layers.Conv2D(3, 1, name="two")(one)
    scores = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(two))
    return keras.Model(image, [scores, one, two])


def _log_shares(scores):
    scores = np.float64(scores)
    return (
        scores
        - np.log(np.exp(scores - scores.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - (scores.max(-1, keepdims=True))
    )


@pytest.mark.parametrize("weights", [(0.3, 0.7, 0.0), (0.0, 1.0, 0.5), (0.0, 0.0, 2.0)])
def test_the_loss_is_the_weighted_sum(weights):
    labels, answers, maps = weights
    teacher, temperature = _teacher(), 2.5
    scores, *targets = (np.asarray(x) for x in teacher(IMAGES, training=False))
    with_maps = distillation.Distillation(
        teacher, labels, answers, temperature, maps, ("one", "two")
    )
    loss, figures = with_maps.loss(IMAGES, tf.constant(1.25), tf.constant(LOGITS), MAPS)
    expected, received = _log_shares(scores / temperature), _log_shares(LOGITS / temperature)
    divergence = (np.exp(expected) * (expected - received)).sum(-1).mean()
    distances = [((x - y) ** 2).mean() / y.var() for x, y in zip(MAPS, targets, strict=True)]
    twin = labels * 1.25 + answers * temperature**2 * divergence + maps * np.mean(distances)
    np.testing.assert_allclose(loss, twin, rtol=1e-5)
    np.testing.assert_allclose(figures["distillation"], divergence, rtol=1e-5)
    np.testing.assert_allclose(figures["maps"], np.mean(distances), rtol=1e-5)
    assert figures["loss"] is loss


def test_without_maps_the_teacher_gives_logits_alone():
    teacher = _teacher()
    scores = keras.Model(teacher.input, teacher.outputs[0])
    plain = distillation.Distillation(scores, 0.5, 0.5)
    loss, figures = plain.loss(IMAGES, tf.constant(1.0), tf.constant(LOGITS))
    assert set(figures) == {"loss", "distillation"}
    assert float(loss) == pytest.approx(0.5 + 0.5 * float(figures["distillation"]))


def test_no_gradient_reaches_the_teacher():
    teacher = _teacher()
    whole = distillation.Distillation(teacher, 0.0, 1.0, 1.0, 1.0, ("one", "two"))
    logits, maps = tf.Variable(LOGITS), [tf.Variable(x) for x in MAPS]
    with tf.GradientTape() as tape:
        loss, _ = whole.loss(IMAGES, tf.constant(0.0), logits, maps)
    to_student = tape.gradient(loss, [logits, *maps])
    assert all(np.abs(gradient).max() > 0 for gradient in to_student)
    with tf.GradientTape() as tape:
        loss, _ = whole.loss(IMAGES, tf.constant(0.0), logits, maps)
    assert all(gradient is None for gradient in tape.gradient(loss, teacher.trainable_variables))
