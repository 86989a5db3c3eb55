"""What a classifier's short training needs: noisy pictures, a recipe, small networks."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from dna_tf.config import training_sections
from dna_tf.space import architectures, spaces, tasks

layers = keras.layers
ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE, CLASSES, BATCH, IMAGES = 8, 3, 8, 28


def recipe(**changes):
    """A short recipe for this data, with changes."""
    defaults = {
        "epochs": 2,
        "batch_size": BATCH,
        "warmup_epochs": 0.5,
        "weight_decay": 0.05,
        "rating_every": 0,
        "tensorboard": False,
        "checkpoint_seconds": 1e6,  # one takes longer than a step here
    }
    section = training_sections.default_retraining(2, 0.01)
    section.update({**defaults, **changes})
    return section


def tiny_architecture(num_classes=3, size=16):
    """An architecture of two layers, the second with a residual connection."""
    ops = (spaces.Op(3, 2), spaces.Op(3, 2))
    frame = spaces.Frame(stem_width=4, stem_output_width=4, head_width=8)
    blocks = (architectures.BlockChoice(2, 4, ops),)
    return architectures.Architecture("tiny", blocks, frame, tasks.Task(size, 3, num_classes))


class Noise:
    """Pictures in a seeded order; the augmentation is noise."""

    num_classes = CLASSES
    fingerprint = "noise"

    def __init__(self):
        rng = np.random.default_rng(0)
        self.labels = rng.integers(0, CLASSES, IMAGES).astype(np.int32)
        noise = rng.uniform(0, 150, (IMAGES, SIZE, SIZE, 3))
        self.pictures = (noise + 50 * self.labels[:, None, None, None]).astype(np.float32)
        self.cut_at = None  # `(epoch, batch)` at which reading fails

    def take_up(self, fingerprint):
        return fingerprint == self.fingerprint

    def steps_per_epoch(self, batch_size):
        return IMAGES // batch_size

    def images(self, split, batch_size):
        assert split == "rating"
        for start in range(0, IMAGES, batch_size):
            rows = slice(start, start + batch_size)
            yield tf.constant(self.pictures[rows] + 20.0), tf.constant(self.labels[rows])

    def epoch(self, batch_size, epoch, seed, augment, skip_batches, shard, augmentation):
        assert augment and shard == (0, 1) and augmentation is None
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(IMAGES)
        noise = rng.normal(0, 5, (IMAGES, 1, 1, 3))
        for number in range(self.steps_per_epoch(batch_size)):
            rows = order[number * batch_size : (number + 1) * batch_size]
            images = np.clip(self.pictures[rows] + noise[rows], 0, 255)
            if (epoch, number) == self.cut_at:
                raise OSError("cut off")
            if number >= skip_batches:
                yield tf.constant(images, tf.float32), tf.constant(self.labels[rows])


def data_of_noise():
    """The pictures, with the methods of `labelled_images.Images`."""
    return Noise()


def architecture_of_two_blocks():
    """An architecture of two blocks for these pictures."""
    ops = (spaces.Op(3, 2),)
    blocks = (architectures.BlockChoice(2, 4, ops), architectures.BlockChoice(1, 4, ops))
    return architectures.Architecture(
        "tiny", blocks, spaces.Frame(4, 2, 4, 8), tasks.Task(SIZE, 3, CLASSES)
    )


def plain_model(seed=0, norm=False, dtype=None):
    """A small network for these pictures; with batch norm if `norm`."""
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255)(image)
    start = keras.initializers.GlorotUniform(seed)
    x = layers.Conv2D(4, 3, kernel_initializer=start, name="conv")(x)
    if norm:
        x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = layers.GlobalAveragePooling2D()(layers.Activation("tanh")(x))
    return keras.Model(image, layers.Dense(CLASSES, kernel_initializer=start, dtype=dtype)(x))
