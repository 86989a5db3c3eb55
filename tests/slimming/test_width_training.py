"""All widths train on one batch: gradients add up, narrow ones learn the whole one's answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.config import training_sections
from dna_tf.data import loading
from dna_tf.slimming import sliced_model, width_training

layers = keras.layers
RECIPE = {"epochs": 2, "batch_size": 16, "warmup_epochs": 0.0, "learning_rate": 0.01}


def _sliced(widths=(0.5,)):
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 255.0, name="rescaling")(image)
    x = layers.Conv2D(16, 3, strides=2, use_bias=False, name="conv")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(momentum=0.5, name="norm")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Conv2D(32, 1, name="wide")(x))
    return sliced_model.SlicedModel(
        keras.Model(image, layers.Dense(3, name="scores")(x), name="net"), widths
    )


def _images():
    draws = np.random.default_rng(0)
    labels = np.arange(72) % 3
    pixels = draws.integers(0, 80, (72, 8, 8, 1)) + 80 * labels[:, None, None, None]
    train, test = (slice(0, 60), slice(60, 72))
    return loading.images_from_arrays(
        (pixels[train].astype(np.uint8), labels[train]),
        (pixels[test].astype(np.uint8), labels[test]),
        rating_per_class=4,
    )


def _trainer(sliced, images, **changes):
    keep_whole = changes.pop("keep_whole", False)
    recipe = training_sections.complete({**RECIPE, **changes})
    return width_training.WidthTrainer(sliced, images, recipe, keep_whole)


def _batch():
    draws = np.random.default_rng(3)
    pixels = draws.uniform(0, 255, (6, 8, 8, 1)).astype(np.float32)
    return tf.constant(pixels), tf.constant(np.arange(6) % 3, tf.int32)


def test_gradients_are_the_sum_of_those_of_each_loss():
    sliced, images = _sliced((0.25, 0.5)), _images()
    trainer = _trainer(sliced, images, label_smoothing=0.0)
    pixels, labels = _batch()
    figures, received = trainer.gradients(pixels, labels)
    values = [variable.value for variable in trainer.variables]
    # The answers of the whole model, in training as there, as plain numbers.
    whole = np.asarray(sliced.whole(pixels, training=True), np.float64)
    answers = np.exp(whole) / np.exp(whole).sum(-1, keepdims=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, sliced.whole(pixels, training=True)
            )
        )
    expected = tape.gradient(loss, values, unconnected_gradients="zero")
    np.testing.assert_allclose(figures["loss"], loss, rtol=1e-5)
    for width in (0.25, 0.5):
        with tf.GradientTape() as tape:
            logits = sliced.models[width](pixels, training=True)
            crossed = -tf.reduce_mean(tf.reduce_sum(answers * tf.nn.log_softmax(logits), -1))
        more = tape.gradient(crossed, values, unconnected_gradients="zero")
        expected = [a + b for a, b in zip(expected, more, strict=True)]
        entropy = -np.mean((answers * np.log(answers)).sum(-1))
        np.testing.assert_allclose(
            figures[f"divergence_{width:g}"], crossed - entropy, rtol=1e-3, atol=1e-5
        )
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_a_whole_model_that_is_kept_does_not_move():
    sliced, images = _sliced(), _images()
    before = [np.asarray(weight) for weight in sliced.whole.get_weights()]
    trainer = _trainer(sliced, images, keep_whole=True)
    assert {variable.path.split("/")[-1] for variable in trainer.variables} == {"gamma", "beta"}
    history = width_training.train_widths(sliced, images, RECIPE, keep_whole=True)
    for weight, first in zip(sliced.whole.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, first)
    assert history[1]["divergence_0.5"] < history[0]["divergence_0.5"]


def test_all_widths_learn():
    sliced, images = _sliced(), _images()
    recipe = {**RECIPE, "epochs": 8, "learning_rate": 0.05}
    history = width_training.train_widths(sliced, images, recipe)
    assert set(history[0]) == {"loss", "accuracy", "divergence_0.5"}
    correct = width_training.count_correct(sliced, images, "test")
    assert set(correct) == {0.5, 1.0}
    for right, total in correct.values():
        assert total == 12 and right >= 9


class _Killed(Exception):
    pass


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    recipe = {**RECIPE, "checkpoint_seconds": 0.0}
    straight = _sliced()
    expected = width_training.train_widths(straight, _images(), recipe, folder=tmp_path / "a")
    update, count = width_training.WidthTrainer.update_batch, []

    def die(trainer, *batch):
        count.append(1)
        if len(count) == 4:
            raise _Killed
        return update(trainer, *batch)

    monkeypatch.setattr(width_training.WidthTrainer, "update_batch", die)
    with pytest.raises(_Killed):
        width_training.train_widths(_sliced(), _images(), recipe, folder=tmp_path / "b")
    monkeypatch.undo()
    resumed = _sliced()
    received = width_training.train_widths(resumed, _images(), recipe, folder=tmp_path / "b")
    assert received == expected
    for width in (0.5, 1.0):
        pairs = zip(resumed.models[width].variables, straight.models[width].variables, strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("accuracies", "message"),
    [
        ({0.5: 0.15, 1.0: 0.9}, r"The width 0.5 answers 15.0 % right, and guessing has 10.0 %"),
        ({0.5: 0.8, 0.75: 0.7, 1.0: 0.9}, "must be better the wider they are"),
    ],
)
def test_widths_that_cannot_teach_are_refused(accuracies, message):
    with pytest.raises(ValueError, match=message):
        width_training.check_teachers(accuracies, 10)
    width_training.check_teachers({0.5: 0.3, 1.0: 0.9}, 10)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"ema_decay": 0.9}, "recipe.ema_decay=0.0 only. Received: 0.9"),
        ({"mixup": 0.2}, "recipe.mixup=0.0 only"),
        ({"take": "best"}, "recipe.take='last' only"),
        ({"epochs": 0}, "recipe.epochs must be in"),
    ],
)
def test_recipes_that_are_not_taken(recipe, message):
    with pytest.raises(ValueError, match=message):
        width_training.train_widths(_sliced(), _images(), {**RECIPE, **recipe})


def test_a_model_of_other_classes_is_refused():
    sliced = _sliced()
    other = keras.Model(sliced.whole.input, sliced.whole.get_layer("pool").output)
    with pytest.raises(ValueError, match="3 classes. Received: .* to 32 scores"):
        width_training.train_widths(sliced_model.SlicedModel(other, (0.5,)), _images(), RECIPE)
