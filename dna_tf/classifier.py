"""Training of a whole classifier on labels, for teachers and for students."""

import math

import keras
import tensorflow as tf

from dna_tf import determinism, loop


class ClassifierTrainer:
    """Trains a classifier; one compiled step serves several trainings of one model.

    Args:
        model: a Keras model from images in 0..255 to logits.
        data: a `data.Data`; its training split is used.
        recipe: a config section such as `retrain`.
    """

    def __init__(self, model, data, recipe):
        self.model = model
        self._data, self._recipe = data, recipe
        self._optimizer = make_optimizer(recipe, data.steps_per_epoch(recipe.batch_size))
        self._optimizer.build(model.trainable_variables)
        self._loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing
        )
        self._step = tf.function(self._train_step)
        self._variables = [v.value for v in [*model.variables, *self._optimizer.variables]]
        self._first_state = [v.numpy() for v in self._optimizer.variables]

    def train(self, seed, folder, label, start=None):
        """Trains from the first weights, resuming where a killed run was.

        Args:
            seed: seeds the order and the augmentation of the images.
            folder: where checkpoints and history go.
            label: what the progress line says.
            start: a model of the same architecture whose weights to start from; `None`
                starts from those that the model has now.

        Returns:
            The history: for each epoch the means of `loss` and `accuracy`.
        """
        if start is not None:
            for variable, first in zip(self.model.variables, start.variables, strict=True):
                variable.assign(first.value)
        for variable, first in zip(self._optimizer.variables, self._first_state, strict=True):
            variable.assign(first)
        recipe = self._recipe
        order_seed = determinism.derive_seed("classifier", seed)
        return loop.run(
            label=label,
            folder=folder,
            variables=self._variables,
            epochs=recipe.epochs,
            steps_per_epoch=self._data.steps_per_epoch(recipe.batch_size),
            batches=lambda epoch, skip: self._data.epoch(
                recipe.batch_size, epoch, order_seed, augment=True, skip_batches=skip
            ),
            step=lambda batch, _: self._step(*batch),
            checkpoint_seconds=recipe.checkpoint_seconds,
            images_per_step=recipe.batch_size,
        )

    def _train_step(self, images, labels):
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            loss = self._loss(tf.one_hot(labels, self._data.num_classes), logits)
        self._optimizer.apply(tape.gradient(loss, weights), weights)
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32)
        return {"loss": loss, "accuracy": tf.reduce_mean(right)}


def make_optimizer(recipe, steps_per_epoch):
    """The optimizer of a recipe, with its learning-rate schedule.

    Weight decay is decoupled and moves kernels only, not biases and batch norm.

    Args:
        recipe: a config section such as `retrain`.
        steps_per_epoch: steps of an epoch.
    """
    schedule = WarmupSchedule(
        recipe.learning_rate,
        math.ceil(recipe.warmup_epochs * steps_per_epoch),
        recipe.epochs * steps_per_epoch,
        recipe.schedule == "cosine",
    )
    decay = recipe.weight_decay or None
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    elif recipe.optimizer == "rmsprop":  # decay 0.9, eps 1e-3: DNA's retraining
        optimizer = keras.optimizers.RMSprop(
            schedule, rho=0.9, momentum=0.9, epsilon=1e-3, weight_decay=decay
        )
    else:
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=decay)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from zero, then a cosine fall to zero or a constant.

    Args:
        peak: the learning rate after the rise.
        warmup_steps: steps of the rise.
        total_steps: steps of the whole training.
        cosine: whether it falls.
    """

    def __init__(self, peak, warmup_steps, total_steps, cosine):
        self.peak, self.warmup_steps = peak, warmup_steps
        self.total_steps, self.cosine = total_steps, cosine

    def __call__(self, step):
        """The learning rate of a step, counted from 0."""
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / max(1, self.warmup_steps)
        fall = 1.0
        if self.cosine:
            left = max(1, self.total_steps - self.warmup_steps)
            done = tf.clip_by_value((step - self.warmup_steps) / left, 0.0, 1.0)
            fall = 0.5 * (1.0 + tf.cos(math.pi * done))
        return self.peak * tf.minimum(rise, fall)

    def get_config(self):
        """The arguments, for Keras."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "cosine": self.cosine,
        }
