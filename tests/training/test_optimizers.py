"""Optimizers, schedules and averages against NumPy twins, step by step."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.config import training_sections
from dna_tf.training import kept_weights, optimizers

STEPS = 6


def recipe(**changes):
    section = training_sections.default_retraining(4, 0.1)
    section.update({"schedule": "constant", "warmup_epochs": 0.0, **changes})
    return section


def twin_rate(step, peak, warmup, total, kind, factor=0.97, stair=7.5):
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    fall = {"cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}
    fall["cyclic_cosine"] = fall["cosine"]  # one cycle
    fall["exponential"] = factor ** (step // stair)
    return peak * fall[kind]


@pytest.mark.parametrize("kind", training_sections.SCHEDULES)
@pytest.mark.parametrize(("warmup", "total"), [(0, 10), (4, 20), (1, 3), (7, 7), (20, 10)])
def test_the_schedule_rises_and_falls(kind, warmup, total):
    schedule = optimizers.Schedule(0.3, warmup, total, kind, 0.97, 7.5)
    for step in range(total + 3):
        expected = twin_rate(step, 0.3, warmup, total, kind)
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5, abs=1e-7)
        assert float(schedule(tf.constant(step, tf.int64))) == float(schedule(step))
    again = optimizers.Schedule.from_config(schedule.get_config())
    assert float(again(2)) == float(schedule(2))


def test_the_schedule_by_hand():
    schedule = optimizers.Schedule(1.0, 4, 12, "cosine")
    rates = [float(schedule(step)) for step in (0, 3, 4, 8, 12)]
    assert rates == pytest.approx([0.25, 1.0, 1.0, 0.5, 0.0], abs=1e-6)


def test_cycles_begin_at_the_peak_and_end_at_zero():
    schedule = optimizers.Schedule(1.0, 2, 12, "cyclic_cosine", cycles=3)
    first = [0.5, 1.0, 1.0, 0.5]  # two steps of rise, two of fall
    other = [(1 + math.cos(math.pi * done)) / 2 for done in (0, 0.25, 0.5, 0.75)]
    rates = [float(schedule(step)) for step in range(12)]
    assert rates == pytest.approx([*first, *other, *other], abs=1e-6)
    assert float(schedule(12)) == pytest.approx(0.0, abs=1e-6)
    section = recipe(schedule="cyclic_cosine", epochs=6, cycles=3, warmup_epochs=1.0)
    built = optimizers.make_schedule(section, 2)
    peak = optimizers.peak_learning_rate(section)
    assert [float(built(step)) / peak for step in range(12)] == pytest.approx(rates, abs=1e-6)
    again = optimizers.Schedule.from_config(schedule.get_config())
    assert [float(again(step)) for step in range(12)] == rates


def test_the_papers_schedule_by_hand():
    # EfficientNet: 0.256 at 4096, 0.97 every 2.4 epochs, after 5 epochs of warm-up.
    section = recipe(
        schedule="exponential",
        learning_rate=0.256,
        reference_batch_size=4096,
        batch_size=2048,
        optimizer="rmsprop",
        warmup_epochs=5.0,
        epochs=350,
    )
    schedule = optimizers.make_schedule(section, 10)
    rates = [float(schedule(step)) for step in (0, 49, 50, 71, 72, 95, 96)]
    peak = 0.128
    expected = [peak / 50, peak, peak * 0.97**2, peak * 0.97**2, *[peak * 0.97**3] * 2]
    assert rates == pytest.approx([*expected, peak * 0.97**4], rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "factor"), [("sgd", 4), ("rmsprop", 4), ("adamw", 2), ("lamb", 2)]
)
def test_the_rate_grows_with_the_batch_by_the_stated_rule(kind, factor):
    section = recipe(optimizer=kind, batch_size=256, reference_batch_size=64)
    assert optimizers.peak_learning_rate(section) == pytest.approx(0.1 * factor)
    section.reference_batch_size = 0
    assert optimizers.peak_learning_rate(section) == 0.1
    # Parts of a batch change nothing: the rate is of the update.
    section.update({"accumulate": 8, "reference_batch_size": 64})
    assert optimizers.peak_learning_rate(section) == pytest.approx(0.1 * factor)


class Twin:
    """The optimizers in NumPy, in float64; weight 0 is a kernel, weight 1 a bias."""

    def __init__(self, kind, decay, weights):
        self.kind, self.decay = kind, decay
        self.weights = [np.array(w, np.float64) for w in weights]
        self.first = [np.zeros_like(w) for w in self.weights]
        self.second = [np.full_like(w, kind == "rmsprop") for w in self.weights]

    def step(self, gradients, rate, number):
        for i, gradient in enumerate(gradients):
            decay = 0.0 if i else self.decay
            gradient = gradient.astype(np.float64)
            getattr(self, self.kind)(i, gradient, rate, number, decay)

    def sgd(self, i, gradient, rate, number, decay):
        gradient = gradient + decay * self.weights[i]
        self.first[i] = 0.9 * self.first[i] - rate * gradient
        self.weights[i] += 0.9 * self.first[i] - rate * gradient

    def rmsprop(self, i, gradient, rate, number, decay):
        gradient = gradient + decay * self.weights[i]
        self.second[i] = 0.9 * self.second[i] + 0.1 * gradient**2
        self.first[i] = 0.9 * self.first[i] + rate * gradient / np.sqrt(self.second[i] + 1e-3)
        self.weights[i] -= self.first[i]

    def adamw(self, i, gradient, rate, number, decay):
        self.weights[i] *= 1 - rate * decay
        # Keras adds epsilon before it corrects the second moment for its start.
        self.weights[i] -= rate * self._adam(i, gradient, number, 1e-7, keras_form=True)

    def lamb(self, i, gradient, rate, number, decay):
        self.weights[i] *= 1 - rate * decay
        update = self._adam(i, gradient, number, 1e-6)
        ratio = np.linalg.norm(self.weights[i]) / np.linalg.norm(update)
        self.weights[i] -= (ratio or 1.0) * rate * update

    def _adam(self, i, gradient, number, epsilon, keras_form=False):
        self.first[i] += 0.1 * (gradient - self.first[i])
        self.second[i] += 0.001 * (gradient**2 - self.second[i])
        mean = self.first[i] / (1 - 0.9 ** (number + 1))
        root = np.sqrt(1 - 0.999 ** (number + 1))
        if keras_form:
            return mean * root / (np.sqrt(self.second[i]) + epsilon)
        return mean / (np.sqrt(self.second[i]) / root + epsilon)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("decay", [0.3, 0.0])
@pytest.mark.parametrize("kind", training_sections.OPTIMIZERS)
def test_an_optimizer_does_what_its_twin_does(kind, decay):
    dense = keras.layers.Dense(3)
    dense.build((None, 4))
    dense.bias.assign([0.0, 1.0, -2.0])
    weights = dense.trainable_variables
    section = recipe(optimizer=kind, weight_decay=decay, learning_rate=0.05)
    optimizer = optimizers.make_optimizer(section, STEPS)
    optimizer.build(weights)
    twin = Twin(kind, decay, [w.numpy() for w in weights])
    rng = np.random.RandomState(0)
    for number in range(STEPS):
        gradients = [rng.normal(0, 10.0 ** (number - 3), w.shape).astype("f") for w in weights]
        twin.step(gradients, 0.05, number)
        tensors = [tf.constant(gradient) for gradient in gradients]
        optimizer.apply(optimizers.add_l2(section, tensors, weights), weights)
        for weight, expected in zip(weights, twin.weights, strict=True):
            np.testing.assert_allclose(weight.numpy(), expected, rtol=2e-5, atol=2e-6)


def test_rmsprop_is_tensorflows_own():
    variable = tf.Variable([0.5, -1.0, 3.0])
    dense = keras.layers.Dense(3, use_bias=False)
    dense.build((None, 1))
    dense.kernel.assign([[0.5, -1.0, 3.0]])
    old = tf.compat.v1.train.RMSPropOptimizer(0.1, 0.9, 0.9, 1e-3)
    optimizer = optimizers.make_optimizer(recipe(optimizer="rmsprop", weight_decay=0.0), STEPS)
    assert type(optimizer) is optimizers.RMSpropTF
    for number in range(STEPS):
        gradient = tf.constant([0.02, -3.0, 0.5]) * (number - 2.5)
        old.apply_gradients([(gradient, variable)])
        optimizer.apply([gradient[None]], [dense.kernel])
        np.testing.assert_allclose(dense.kernel.numpy()[0], variable.numpy(), rtol=1e-5)


def test_the_average_is_that_of_tensorflow_and_holds_statistics():
    image = keras.Input((4, 4, 2))
    x = keras.layers.Dropout(0.5, seed=1)(keras.layers.BatchNormalization()(image))
    model = keras.Model(image, keras.layers.Dense(3)(x))
    average = kept_weights.WeightAverage(model, 0.6)
    assert len(average.variables) == len(model.weights) == 6  # no seed of the dropout
    twins = [tf.Variable(w.value) for w in model.weights]
    steps = tf.Variable(0)
    reference = tf.train.ExponentialMovingAverage(0.6, num_updates=steps)
    reference.apply(twins)
    average.start()
    rng = np.random.RandomState(0)
    for number in range(1, 12):
        for weight, twin in zip(model.weights, twins, strict=True):
            twin.assign(rng.normal(size=weight.shape))
            weight.assign(twin)
        steps.assign(number)
        reference.apply(twins)
        average.update(tf.constant(number))
        for variable, twin in zip(average.variables, twins, strict=True):
            expected = reference.average(twin)
            np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


def test_a_new_average_takes_the_first_steps_fast():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    average = kept_weights.WeightAverage(model, 0.9999)
    model.weights[0].assign([[11.0]])
    average.start()
    model.weights[0].assign([[0.0]])
    average.update(tf.constant(1))
    assert float(average.variables[0][0, 0]) == pytest.approx(2.0)  # 2/11 of the old one stays
