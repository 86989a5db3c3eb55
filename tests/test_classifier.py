"""Training on labels: the schedule, what decays, the figures, and one step for many trainings."""

import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf import architecture, classifier, retrain, search_space, student

layers = keras.layers
SIZE, CLASSES, BATCH, IMAGES = 8, 3, 8, 28


def _recipe(**changes):
    recipe = {
        "epochs": 2,
        "batch_size": BATCH,
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "schedule": "cosine",
        "warmup_epochs": 0.5,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "checkpoint_seconds": 0,
    }
    return types.SimpleNamespace(**{**recipe, **changes})


class _Data:
    """Pictures in a seeded order, with noise for augmentation."""

    num_classes = CLASSES

    def __init__(self):
        rng = np.random.default_rng(0)
        self.labels = rng.integers(0, CLASSES, IMAGES).astype(np.int32)
        noise = rng.uniform(0, 150, (IMAGES, SIZE, SIZE, 3))
        self.pictures = (noise + 50 * self.labels[:, None, None, None]).astype(np.float32)
        self.cut_at = None  # a number of an epoch and a batch at which reading fails

    def steps_per_epoch(self, batch_size):
        return IMAGES // batch_size

    def epoch(self, batch_size, epoch, seed, augment, skip_batches):
        assert augment
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(IMAGES)
        for number in range(self.steps_per_epoch(batch_size)):
            rows = order[number * batch_size : (number + 1) * batch_size]
            images = np.clip(self.pictures[rows] + rng.normal(0, 5, (1, 1, 1, 3)), 0, 255)
            if (epoch, number) == self.cut_at:
                raise OSError("cut off")
            if number >= skip_batches:
                yield tf.constant(images, tf.float32), tf.constant(self.labels[rows])


def _architecture():
    ops = (search_space.Op(3, 2),)
    blocks = (architecture.BlockChoice(2, 4, ops), architecture.BlockChoice(1, 4, ops))
    return architecture.Architecture(
        "tiny", blocks, search_space.Frame(4, 2, 4, 8), SIZE, 3, CLASSES
    )


def _student(seed):
    return student.build_student(_architecture(), 0.3, 0.4, seed)


def _bits(model):
    return [variable.numpy().tobytes() for variable in model.variables]


def _twin_rate(step, peak, warmup, total, cosine):
    rise = (step + 1) / warmup if warmup and step < warmup else 1.0
    done = min(1.0, max(0.0, (step - warmup) / max(1, total - warmup)))
    fall = (1 + math.cos(math.pi * done)) / 2 if cosine else 1.0
    return peak * min(rise, fall)


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize(("warmup", "total"), [(0, 10), (4, 20), (1, 3), (7, 7), (20, 10)])
def test_the_schedule_rises_and_falls(cosine, warmup, total):
    schedule = classifier.WarmupSchedule(0.3, warmup, total, cosine)
    for step in range(total + 3):
        expected = _twin_rate(step, 0.3, warmup, total, cosine)
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5, abs=1e-7)
        assert float(schedule(tf.constant(step, tf.int64))) == float(schedule(step))
    again = classifier.WarmupSchedule.from_config(schedule.get_config())
    assert float(again(2)) == float(schedule(2))


def test_the_schedule_by_hand():
    schedule = classifier.WarmupSchedule(1.0, 4, 12, True)
    rates = [float(schedule(step)) for step in (0, 3, 4, 8, 12)]
    assert rates == pytest.approx([0.25, 1.0, 1.0, 0.5, 0.0], abs=1e-6)


@pytest.mark.parametrize("kind", ["adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("decay", [0.05, 0.0])
def test_weight_decay_moves_kernels_alone(kind, decay):
    model = _student(0)
    for variable in model.variables:
        if variable.name in ("bias", "beta"):
            variable.assign(tf.ones(variable.shape))
    recipe = _recipe(
        optimizer=kind, weight_decay=decay, learning_rate=0.1, schedule="constant", warmup_epochs=0
    )
    optimizer = classifier.make_optimizer(recipe, 5)
    weights = model.trainable_variables
    before = [weight.numpy() for weight in weights]
    optimizer.apply([tf.zeros(weight.shape) for weight in weights], weights)
    names = set()
    for weight, old in zip(weights, before, strict=True):
        names.add(weight.name)
        factor = 1.0 - 0.1 * decay if weight.name == "kernel" else 1.0
        np.testing.assert_allclose(weight.numpy(), old * np.float32(factor), rtol=1e-6)
        assert np.any(old)
    assert names == {"kernel", "bias", "gamma", "beta"}


def test_the_optimizers_are_those_of_the_recipe():
    steps = 3  # of an epoch: warm-up ends after ceil(0.5 * 3) of 6 steps
    for kind, expected, fields in (
        ("adamw", keras.optimizers.AdamW, {"beta_1": 0.9, "epsilon": 1e-7}),
        ("rmsprop", keras.optimizers.RMSprop, {"rho": 0.9, "momentum": 0.9, "epsilon": 1e-3}),
        ("sgd", keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
    ):
        made = classifier.make_optimizer(_recipe(optimizer=kind), steps)
        assert type(made) is expected
        assert {name: getattr(made, name) for name in fields} == fields
        config = made.get_config()["learning_rate"]["config"]
        assert config == {"peak": 0.01, "warmup_steps": 2, "total_steps": 6, "cosine": True}


def test_loss_and_accuracy_are_those_of_numpy(tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(CLASSES)(x))
    data = _Data()
    recipe = _recipe(learning_rate=0.0, weight_decay=0.0)  # the weights stay
    trainer = classifier.ClassifierTrainer(model, data, recipe)
    seeds = []
    epoch = data.epoch
    data.epoch = lambda *args, **kwargs: seeds.append(args[2]) or epoch(*args, **kwargs)
    history = trainer.train(5, tmp_path, "toy")
    dense = model.layers[-1]
    assert len(history) == 2 and len(set(seeds)) == 1
    for number, figures in enumerate(history):
        losses, hits = [], []
        for images, labels in epoch(BATCH, number, seeds[0], True, 0):
            scores = images.numpy().reshape(BATCH, -1) / 255 @ dense.kernel.numpy().astype(float)
            scores += dense.bias.numpy()
            wanted = np.eye(CLASSES)[labels.numpy()] * 0.9 + 0.1 / CLASSES
            logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
            losses.append(-(wanted * logs).sum(1).mean())
            hits.append(np.mean(scores.argmax(1) == labels.numpy()))
        assert list(figures) == ["loss", "accuracy"]
        assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
        assert figures["accuracy"] == pytest.approx(np.mean(hits), abs=1e-6)


def test_training_learns(tmp_path):
    model = student.build_student(_architecture(), seed=0)
    recipe = _recipe(epochs=12, warmup_epochs=1.0)
    history = classifier.ClassifierTrainer(model, _Data(), recipe).train(0, tmp_path, "toy")
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert history[-1]["accuracy"] > 0.6


@pytest.mark.parametrize("kind", ["adamw", "rmsprop"])
def test_a_used_trainer_trains_as_a_fresh_one(tmp_path, kind):
    data, recipe = _Data(), _recipe(optimizer=kind)
    used = classifier.ClassifierTrainer(_student(0), data, recipe)
    first = used.train(1, tmp_path / "one", "toy", _student(11))
    after_first = _bits(used.model)
    second = used.train(2, tmp_path / "two", "toy", _student(12))
    fresh_model = _student(12)
    fresh = classifier.ClassifierTrainer(fresh_model, data, recipe)
    assert fresh.train(2, tmp_path / "three", "toy") == second != first
    assert len(_bits(fresh_model)) > 30
    assert _bits(used.model) == _bits(fresh_model)  # drop seeds and moving statistics too
    # And back: the first training again, to the same bits.
    assert used.train(1, tmp_path / "four", "toy", _student(11)) == first
    assert _bits(used.model) == after_first != _bits(fresh_model)


def test_a_training_that_was_cut_off_ends_with_the_same_bits(tmp_path):
    data, recipe = _Data(), _recipe()
    whole = classifier.ClassifierTrainer(_student(3), data, recipe)
    history = whole.train(4, tmp_path / "whole", "toy")
    expected = _bits(whole.model)
    for number, cut_at in enumerate([(0, 1), (1, 0), (1, 2)]):
        folder = tmp_path / f"cut{number}"
        data.cut_at = cut_at
        with pytest.raises(OSError, match="cut off"):
            whole.train(4, folder, "toy", _student(3))
        data.cut_at = None
        # A new process starts from other weights: all must come from the checkpoint.
        again = whole if number else classifier.ClassifierTrainer(_student(9), data, recipe)
        assert again.train(4, folder, "toy", _student(8)) == history
        assert _bits(again.model) == expected


def test_start_must_be_of_the_same_architecture(tmp_path):
    trainer = classifier.ClassifierTrainer(_student(0), _Data(), _recipe())
    smaller = student.build_student(_architecture(), 0.0, 0.0)  # without drops
    with pytest.raises(ValueError):
        trainer.train(0, tmp_path, "toy", smaller)


def test_a_batch_larger_than_the_data_is_refused_before_training():
    class Small(_Data):
        def steps_per_epoch(self, batch_size):
            raise ValueError("The batch size must be from 1")

    with pytest.raises(ValueError, match="batch size must be from 1"):
        classifier.ClassifierTrainer(_student(0), Small(), _recipe())


def test_students_that_do_not_fit_the_data_are_refused():
    fits = types.SimpleNamespace(image_shape=(SIZE, SIZE, 3), num_classes=CLASSES)
    retrain.check_fits_data(_architecture(), fits)
    for shape, classes in (((16, 16, 3), 3), ((8, 8, 1), 3), ((8, 9, 3), 3), ((8, 8, 3), 10)):
        other = types.SimpleNamespace(image_shape=shape, num_classes=classes)
        gives = "x".join(map(str, shape))
        message = (
            f"'tiny' takes images of 8x8x3 and 3 classes, and the data gives {gives} and {classes}"
        )
        with pytest.raises(ValueError, match=message):
            retrain.check_fits_data(_architecture(), other)
