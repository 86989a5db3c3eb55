"""Training of a whole classifier on labels, for teachers and for students."""

import math

import keras
import tensorflow as tf

from dna_tf import determinism, loop


def train_classifier(model, data, recipe, seed, folder, label):
    """Trains a model on the training split, resuming where a killed run was.

    Args:
        model: a Keras model from images in 0..255 to logits.
        data: a `data.Data`.
        recipe: a config section such as `retrain`.
        seed: seeds the order and the augmentation of the images.
        folder: where checkpoints and history go.
        label: what the progress line says.

    Returns:
        The history: for each epoch the means of `loss` and `accuracy`.
    """
    steps = data.steps_per_epoch(recipe.batch_size)
    optimizer = make_optimizer(recipe, steps)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing
    )

    @tf.function(reduce_retracing=True)
    def step_function(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = loss_of(tf.one_hot(labels, data.num_classes), logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32)
        return {"loss": loss, "accuracy": tf.reduce_mean(right)}

    order_seed = determinism.derive_seed("classifier", seed)
    return loop.run(
        label=label,
        folder=folder,
        variables=[v.value for v in [*model.variables, *optimizer.variables]],
        epochs=recipe.epochs,
        steps_per_epoch=steps,
        batches=lambda epoch, skip: data.epoch(
            recipe.batch_size, epoch, order_seed, augment=True, skip_batches=skip
        ),
        step=lambda batch, _: step_function(*batch),
        checkpoint_seconds=recipe.checkpoint_seconds,
    )


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
