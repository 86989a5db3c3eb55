"""Images that a small network learns in seconds, and students trained on them."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from dna_tf.models import students
from dna_tf.space import architectures, spaces, tasks

SIZE, CLASSES = 16, 4


class Stripes:
    """Noisy stripes, labelled by their direction, with the methods of `labelled_images.Images`."""

    def __init__(self, count=256, seed=0):
        draws = np.random.RandomState(seed)
        rows, columns = np.mgrid[:SIZE, :SIZE]
        waves = np.stack([rows, columns, rows + columns, rows - columns])
        self.labels = np.arange(count, dtype=np.int32) % CLASSES
        phases = draws.uniform(0, 2 * np.pi, (count, 1, 1))
        pictures = 127 + 80 * np.sin(waves[self.labels] * 1.3 + phases)
        tint = draws.uniform(0.5, 1.0, (count, 1, 1, 3))
        noisy = pictures[..., None] * tint + draws.normal(0, 20, (count, SIZE, SIZE, 3))
        self.pixels = np.clip(noisy, 0, 255).astype(np.float32)
        self.counts = {"train": count, "test": count}

    def steps_per_epoch(self, batch_size):
        return len(self.labels) // batch_size

    def epoch(self, batch_size, epoch, seed, augment=True, skip_batches=0):
        order = np.random.RandomState([seed, epoch]).permutation(len(self.labels))
        for step in range(skip_batches, self.steps_per_epoch(batch_size)):
            rows = order[step * batch_size : (step + 1) * batch_size]
            yield tf.constant(self.pixels[rows]), tf.constant(self.labels[rows])

    @contextlib.contextmanager
    def reading(self):
        yield


def architecture_of(activation="swish", se_ratio=0.25, name="small"):
    """A small architecture with a residual, all expansions and two kernel sizes."""
    ops = (spaces.Op(3, 6), spaces.Op(5, 3), spaces.Op(3, 1))
    blocks = (
        architectures.BlockChoice(2, 12, ops[:2]),
        architectures.BlockChoice(1, 16, ops[2:]),
    )
    frame = spaces.Frame(8, 1, 8, 32, activation, se_ratio)
    return architectures.Architecture(name, blocks, frame, tasks.Task(SIZE, 3, CLASSES))


def trained(activation="swish", se_ratio=0.25, epochs=5):
    """A student that was trained on the stripes."""
    keras.utils.set_random_seed(0)
    model = students.build_student(architecture_of(activation, se_ratio), 0.1, 0.1, seed=1)
    images = Stripes()
    model.compile(
        keras.optimizers.Adam(5e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(images.pixels, images.labels, 32, epochs, verbose=0)
    return model


def shaken(model, seed=0):
    """Moves every weight of a model away from its initial value; returns the model."""
    draws = np.random.RandomState(seed)
    weights = model.get_weights()
    for index, variable in enumerate(model.weights):
        factors = draws.uniform(0.5, 1.5, weights[index].shape)
        if "gamma" in variable.path or "variance" in variable.path:
            weights[index] = factors.astype(np.float32)
        else:
            noise = draws.normal(0, 0.1, weights[index].shape)
            weights[index] = (weights[index] * factors + noise).astype(np.float32)
    model.set_weights(weights)
    return model
