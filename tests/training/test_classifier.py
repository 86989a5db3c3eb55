"""Training on labels: the figures, one step for many trainings, parts of a batch, averages."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.models import students
from dna_tf.training import classifier, kept_weights, strategies
from tests.helpers.noise_training import (
    BATCH,
    CLASSES,
    SIZE,
    Noise,
    architecture_of_two_blocks,
    data_of_noise,
    recipe,
)

layers = keras.layers


def _student(seed):
    return students.build_student(architecture_of_two_blocks(), 0.3, 0.4, seed)


def _bits(model):
    return [variable.numpy().tobytes() for variable in model.variables]


def _averages(trainer):
    return [v.numpy().tobytes() for v in (trainer.average.variables if trainer.average else ())]


def test_loss_and_accuracy_are_those_of_numpy(tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(CLASSES)(x))
    data = data_of_noise()
    made_recipe = recipe(learning_rate=0.0, weight_decay=0.0)  # the weights stay
    trainer = classifier.ClassifierTrainer(model, data, made_recipe)
    seeds = []
    epoch = data.epoch
    data.epoch = lambda *args, **kwargs: seeds.append(args[2]) or epoch(*args, **kwargs)
    history = trainer.train(5, tmp_path, "toy")
    dense = model.layers[-1]
    assert len(history) == 2 and len(set(seeds)) == 1
    for number, figures in enumerate(history):
        losses, hits = [], []
        for images, labels in epoch(BATCH, number, seeds[0], True, 0, (0, 1), None):
            scores = images.numpy().reshape(BATCH, -1) / 255 @ dense.kernel.numpy().astype(float)
            scores += dense.bias.numpy()
            wanted = np.eye(CLASSES)[labels.numpy()] * 0.9 + 0.1 / CLASSES
            logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
            losses.append(-(wanted * logs).sum(1).mean())
            hits.append(np.mean(scores.argmax(1) == labels.numpy()))
        assert list(figures) == ["loss", "accuracy", "learning_rate"]
        assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
        assert figures["accuracy"] == pytest.approx(np.mean(hits), abs=1e-6)


def test_training_learns(tmp_path):
    model = students.build_student(architecture_of_two_blocks(), seed=0)
    made_recipe = recipe(epochs=12, warmup_epochs=1.0)
    history = classifier.ClassifierTrainer(model, data_of_noise(), made_recipe).train(
        0, tmp_path, "toy"
    )
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert history[-1]["accuracy"] > 0.6


@pytest.mark.parametrize(("kind", "ema_decay"), [("adamw", 0.9), ("rmsprop", 0.0)])
def test_a_used_trainer_trains_as_a_fresh_one(tmp_path, kind, ema_decay):
    data, settings = data_of_noise(), recipe(optimizer=kind, ema_decay=ema_decay)
    used = classifier.ClassifierTrainer(_student(0), data, settings)
    first = used.train(1, tmp_path / "one", "toy", _student(11))
    after_first = _bits(used.model)
    second = used.train(2, tmp_path / "two", "toy", _student(12))
    fresh = classifier.ClassifierTrainer(_student(12), data, settings)
    assert fresh.train(2, tmp_path / "three", "toy") == second != first
    assert len(_bits(fresh.model)) > 30
    assert _bits(used.model) == _bits(fresh.model)  # drop seeds and moving statistics too
    assert _averages(used) == _averages(fresh) and bool(_averages(used)) == bool(ema_decay)
    # And back: the first training again, to the same bits.
    assert used.train(1, tmp_path / "four", "toy", _student(11)) == first
    assert _bits(used.model) == after_first != _bits(fresh.model)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_strategy_of_one_device_is_entered_and_has_the_same_bits(tmp_path, accumulate):
    settings, devices = recipe(accumulate=accumulate, ema_decay=0.5), {}
    models = []
    for name, strategy in (
        ("usual", tf.distribute.get_strategy()),
        ("one", tf.distribute.OneDeviceStrategy("CPU:0")),
    ):
        with strategy.scope():
            model = _student(1)
            trainer = classifier.ClassifierTrainer(
                model, data_of_noise(), settings, strategy=strategy
            )
        loss, seen = trainer.loss, devices.setdefault(name, set())

        def recording(targets, logits, loss=loss, seen=seen):
            seen.add(tf.identity(logits).device)  # where what is traced here will run
            return loss(targets, logits)

        trainer.loss = recording
        trainer.train(1, tmp_path / name, "toy")
        models.append(_bits(trainer.evaluated))
    assert devices["usual"] == {""}
    (device,) = devices["one"]
    assert device.endswith("CPU:0") or device.endswith("cpu:0")
    assert models[0] == models[1]


def test_other_workers_load_the_best_epoch_after_the_chiefs_last_offer(tmp_path, monkeypatch):
    order = []
    for owner, name in (
        (kept_weights.BestWeights, "offer"),
        (kept_weights.BestWeights, "load"),
        (strategies, "wait_for_all"),
    ):
        monkeypatch.setattr(owner, name, lambda *_, name=name: order.append(name))
    settings = recipe(rating_every=1, take="best")
    classifier.ClassifierTrainer(_student(0), data_of_noise(), settings).train(1, tmp_path, "toy")
    assert order == ["offer", "offer", "wait_for_all", "load"]


def test_a_training_that_was_cut_off_ends_with_the_same_bits(tmp_path):
    data, settings = data_of_noise(), recipe(checkpoint_seconds=0.0)
    whole = classifier.ClassifierTrainer(_student(3), data, settings)
    history = whole.train(4, tmp_path / "whole", "toy")
    expected = _bits(whole.model)
    for number, cut_at in enumerate([(0, 1), (1, 0), (1, 2)]):
        folder = tmp_path / f"cut{number}"
        data.cut_at = cut_at
        with pytest.raises(OSError, match="cut off"):
            whole.train(4, folder, "toy", _student(3))
        data.cut_at = None
        # A new process starts from other weights: all must come from the checkpoint.
        again = whole if number else classifier.ClassifierTrainer(_student(9), data, settings)
        assert again.train(4, folder, "toy", _student(8)) == history
        assert _bits(again.model) == expected


def test_start_must_be_of_the_same_architecture(tmp_path):
    trainer = classifier.ClassifierTrainer(_student(0), data_of_noise(), recipe())
    smaller = students.build_student(architecture_of_two_blocks(), 0.0, 0.0)  # without drops
    with pytest.raises(ValueError):
        trainer.train(0, tmp_path, "toy", smaller)


def test_a_batch_larger_than_the_data_is_refused_before_training():
    class Small(Noise):
        def steps_per_epoch(self, batch_size):
            raise ValueError("The batch size must be from 1")

    with pytest.raises(ValueError, match="batch size must be from 1"):
        classifier.ClassifierTrainer(_student(0), Small(), recipe())
