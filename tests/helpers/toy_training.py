"""A training of a few numbers whose every bit depends on all that was before, and its clock."""

import itertools
import math

import numpy as np
import tensorflow as tf

from dna_tf.training import loop

EPOCHS, STEPS = 3, 4


class Cut(Exception):
    """What stops a run in these tests, as a kill would."""


class Toy:
    """A training of one vector with momentum, whose every bit depends on all steps before."""

    def __init__(self):
        self.weights = tf.Variable(tf.linspace(-1.0, 1.0, 5))
        self.speed = tf.Variable(tf.zeros(5))
        self.steps = tf.Variable(0, dtype=tf.int64)
        self.variables = [self.weights, self.speed, self.steps]
        self.seen = []

    def batches(self, epoch, skip):
        batches = (np.random.RandomState([epoch, i]).normal(0, 1, 5) for i in range(STEPS))
        return (tf.constant(batch, tf.float32) for batch in itertools.islice(batches, skip, None))

    def step(self, batch, number):
        self.seen.append(number)
        gradient = tf.sin(3.0 * self.weights) + batch / 3.0
        self.speed.assign(0.9 * self.speed + gradient)
        self.weights.assign_sub(0.01 * self.speed)
        self.steps.assign_add(1)
        return {"loss": tf.reduce_sum(batch / 3.0), "norm": tf.norm(self.weights)}

    def values(self):
        return b"".join(variable.numpy().tobytes() for variable in self.variables)


def run(
    folder,
    toy,
    step=None,
    epochs=EPOCHS,
    seconds=0,
    data_fingerprint=None,
    images_per_step=1,
    watcher=None,
    same_data=None,
    **more,
):
    """Runs the loop on a toy; `more` are further arguments of `loop.run`."""
    return loop.run(
        step=step or toy.step,
        batches=toy.batches,
        epochs=epochs,
        steps_per_epoch=STEPS,
        keep=loop.Keep(folder, toy.variables, seconds, data_fingerprint, same_data=same_data),
        show=loop.Show("toy", images_per_step, watcher),
        **more,
    )


def calling(toy, number, act):
    """The toy's step, with an act in the middle of one of them."""

    def step(batch, at):
        figures = toy.step(batch, at)
        if at == number:
            act()
        return figures

    return step


def cut():
    """Stops the run."""
    raise Cut


def cut_at(toy, number, after=False):
    """The toy's step, cut off before or in the middle of a step."""

    def step(batch, at):
        if at == number:
            raise Cut
        return toy.step(batch, at)

    return calling(toy, number, cut) if after else step


class Clock:
    """The loop's clock; it runs when the test says so."""

    def __init__(self, monkeypatch):
        self.seconds = 1000.0
        monkeypatch.setattr(loop, "now", lambda: self.seconds)

    def takes(self, seconds, function):
        """The function, taking so long."""

        def slow(*arguments):
            self.seconds += seconds
            return function(*arguments)

        return slow


class Cells(Toy):
    """Three cells, some of which fail at a step; then their losses are anything."""

    def __init__(self, **failing):
        super().__init__()
        self.failing = failing
        self.calls = 0

    def step(self, batch, number):
        loss = super().step(batch, number)["norm"]
        losses = {f"block1_cell{c}": loss * c for c in (1, 2, 3)}
        for name, at in self.failing.items():
            if number >= at:  # not a number, infinite, and harmless again
                losses[name] = (tf.constant(math.nan), tf.constant(math.inf), loss)[number % 3]
        return losses

    def failures(self):
        """From the variables alone, as restored ones must tell it, too."""
        self.calls += 1
        done = int(self.steps)
        return {n: f"{n} failed at step {at}." for n, at in self.failing.items() if done > at}
