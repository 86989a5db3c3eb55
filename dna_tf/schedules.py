"""Learning rates: the peak for a batch, the rise to it, and the fall after it."""

import math

import keras
import tensorflow as tf

from dna_tf import recipe_config


def peak_learning_rate(recipe):
    """The learning rate of a recipe for its batch.

    `recipe.learning_rate` holds at `recipe.reference_batch_size` images; at another
    batch it is proportional to the batch for sgd and rmsprop, and to the square root
    of the batch for adamw and lamb, whose steps do not grow with the gradient. With a
    reference of 0 it is taken as it is.

    Args:
        recipe: a config section such as `retrain`.

    Source: Goyal et al., 2017 (linear); Malladi et al., 2022, and You et al., 2020
    (square root).
    """
    if not recipe.reference_batch_size:
        return recipe.learning_rate
    factor = recipe.batch_size / recipe.reference_batch_size
    root = recipe.optimizer in recipe_config.DECOUPLED
    return recipe.learning_rate * (math.sqrt(factor) if root else factor)


def make(recipe, steps_per_epoch):
    """The schedule of a recipe.

    Args:
        recipe: a config section such as `retrain`.
        steps_per_epoch: steps of an epoch.

    Returns:
        A `Schedule`.
    """
    return Schedule(
        peak_learning_rate(recipe),
        math.ceil(recipe.warmup_epochs * steps_per_epoch),
        recipe.epochs * steps_per_epoch,
        recipe.schedule,
        recipe.decay_factor,
        recipe.decay_epochs * steps_per_epoch,
    )


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from zero, then a cosine fall to zero, a staircase, or a constant.

    Args:
        peak: the learning rate after the rise.
        warmup_steps: steps of the rise; the last one has the peak.
        total_steps: steps of the whole training, at which the cosine is zero.
        kind: one of `recipe_config.SCHEDULES`.
        decay_factor: of `exponential`: what each stair multiplies by.
        decay_steps: of `exponential`: steps of a stair, a float. Stairs are counted from
            the first step of the training, so that the rise ends on a lower one.

    Source: EfficientNet's TensorFlow code (`utils.build_learning_rate`) for the
    staircase: 0.97 every 2.4 epochs, counted so. Its rise begins at a rate of 0 where
    ours takes the first of `warmup_steps` equal parts.
    """

    def __init__(
        self, peak, warmup_steps, total_steps, kind, decay_factor=0.97, decay_steps=math.inf
    ):
        self.peak, self.warmup_steps = peak, warmup_steps
        self.total_steps, self.kind = total_steps, kind
        self.decay_factor, self.decay_steps = decay_factor, decay_steps

    def __call__(self, step):
        """The learning rate of a step, counted from 0."""
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / max(1, self.warmup_steps)
        fall = 1.0
        if self.kind == "cosine":
            left = max(1, self.total_steps - self.warmup_steps)
            done = tf.clip_by_value((step - self.warmup_steps) / left, 0.0, 1.0)
            fall = 0.5 * (1.0 + tf.cos(math.pi * done))
        elif self.kind == "exponential":
            fall = self.decay_factor ** tf.floor(step / self.decay_steps)
        return self.peak * tf.where(step < self.warmup_steps, rise, fall)

    def get_config(self):
        """The arguments, for Keras."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "kind": self.kind,
            "decay_factor": self.decay_factor,
            "decay_steps": self.decay_steps,
        }
