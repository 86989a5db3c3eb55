"""The learning rates, optimizers and weight decay of a recipe.

Weight decay changes kernels only, not biases and batch norm. For adamw and lamb it is
decoupled: the rate times the decay is subtracted from the weight itself. For sgd and rmsprop
it is L2, part of the gradient, as in EfficientNet's TensorFlow code.
"""

import math

import keras
import tensorflow as tf

from dna_tf.config import training_sections


def peak_learning_rate(recipe):
    """Returns the learning rate of a recipe for its batch.

    `recipe.learning_rate` is for a batch of `recipe.reference_batch_size` images. For other
    batches it is proportional to the batch for sgd and rmsprop, and to the square root
    of the batch for adamw and lamb, whose steps do not grow with the gradient. With a
    reference of 0 it is not scaled.

    Args:
        recipe: a config section such as `retrain`.

    Source: Goyal et al., 2017 (linear); Malladi et al., 2022, and You et al., 2020
    (square root).
    """
    if not recipe.reference_batch_size:
        return recipe.learning_rate
    factor = recipe.batch_size / recipe.reference_batch_size
    root = recipe.optimizer in training_sections.DECOUPLED
    return recipe.learning_rate * (math.sqrt(factor) if root else factor)


def make_schedule(recipe, steps_per_epoch):
    """Returns the schedule of a recipe.

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
        recipe.get("cycles", 1),
    )


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from zero, then a fall to zero by cosines, a staircase, or a constant.

    Args:
        peak: the learning rate after the rise.
        warmup_steps: steps of the rise; the last one has the peak.
        total_steps: steps of the whole training, at which the cosine is zero.
        kind: one of `training_sections.SCHEDULES`.
        decay_factor: of `exponential`: the factor of each stair.
        decay_steps: of `exponential`: steps of a stair, a float. Stairs are counted from
            the first step of the training, so the rise may end on a lower stair.
        cycles: of `cyclic_cosine`: how many times the rate falls to zero, each time over an equal
            part of the steps. It rises in the first one only; the others begin at the peak.

    Source: EfficientNet's TensorFlow code (`utils.build_learning_rate`) for the
    staircase: 0.97 every 2.4 epochs, counted in this way. Its rise starts at a rate of 0; here
    it starts at the first of `warmup_steps` equal parts.
    """

    def __init__(
        self,
        peak,
        warmup_steps,
        total_steps,
        kind,
        decay_factor=0.97,
        decay_steps=math.inf,
        cycles=1,
    ):
        self.peak, self.warmup_steps = peak, warmup_steps
        self.total_steps, self.kind = total_steps, kind
        self.decay_factor, self.decay_steps = decay_factor, decay_steps
        self.cycles = cycles

    def __call__(self, step):
        """Returns the learning rate of a step, counted from 0."""
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / max(1, self.warmup_steps)
        fall = 1.0
        if self.kind in ("cosine", "cyclic_cosine"):
            cycles = self.cycles if self.kind == "cyclic_cosine" else 1
            length = self.total_steps / cycles
            cycle = tf.clip_by_value(tf.floor(step / length), 0.0, cycles - 1.0)
            begin = tf.where(cycle > 0, cycle * length, float(self.warmup_steps))
            left = tf.maximum(1.0, (cycle + 1.0) * length - begin)
            done = tf.clip_by_value((step - begin) / left, 0.0, 1.0)
            fall = 0.5 * (1.0 + tf.cos(math.pi * done))
        elif self.kind == "exponential":
            fall = self.decay_factor ** tf.floor(step / self.decay_steps)
        return self.peak * tf.where(step < self.warmup_steps, rise, fall)

    def get_config(self):
        """Returns the arguments, for Keras."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "kind": self.kind,
            "decay_factor": self.decay_factor,
            "decay_steps": self.decay_steps,
            "cycles": self.cycles,
        }


class RMSpropTF(keras.optimizers.RMSprop):
    """RMSprop as in TensorFlow 1, with which EfficientNet and DNA's students were trained.

    The mean square starts at one and not at zero, so the first steps are small.
    As in Keras, epsilon is inside the root, `rate * g / sqrt(mean_square + epsilon)`, and the
    momentum sums steps with the rate of their time. An update is one operation of TensorFlow
    for each weight; in Keras it is seven.

    Source: TensorFlow's `tf.compat.v1.train.RMSPropOptimizer`, which the authors' script uses
    too (as `rmsproptf` with an epsilon of 0.001).
    """

    def build(self, var_list):
        """Creates the variables of the optimizer."""
        built = self.built
        super().build(var_list)
        if not built:
            for mean_square in self._velocities:
                mean_square.assign(tf.ones(mean_square.shape))

    def update_step(self, gradient, variable, learning_rate):
        """Updates one weight by its gradient."""
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=self._velocities[index].value.handle,
            mom=self._momentums[index].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            grad=gradient,
        )


class FusedSGD(keras.optimizers.SGD):
    """Keras' SGD with momentum, with one operation of TensorFlow for the update of each weight."""

    def update_step(self, gradient, variable, learning_rate):
        """Updates one weight by its gradient."""
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[index].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


class FusedAdamW(keras.optimizers.AdamW):
    """Keras' AdamW with one operation of TensorFlow for the update of each weight.

    In Keras an update is about forty operations, as each weight computes the learning rate of
    its decay again. The same weights follow except for rounding, the graph is traced faster, and
    memory is passed over once.

    Source: Loshchilov and Hutter, 2019.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Decays one weight and updates it by its gradient."""
        index = self._get_variable_index(variable)
        rate = tf.cast(learning_rate, variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            variable.assign(variable * (1.0 - rate * self.weight_decay))
        number = tf.cast(self.iterations.value + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, number),
            beta2_power=tf.pow(self.beta_2, number),
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def _apply_weight_decay(self, variables):
        """Does nothing: `update_step` decays."""


def make_optimizer(recipe, steps_per_epoch):
    """Returns the optimizer of a recipe, with its learning-rate schedule.

    In mixed float16 it scales the loss: its gradients must be those of `scale_loss(loss)`.

    Args:
        recipe: a config section such as `retrain`.
        steps_per_epoch: steps of an epoch.

    Returns:
        A `keras.optimizers.Optimizer`.

    Source: rmsprop's decay 0.9, momentum 0.9 and epsilon 1e-3 are those of DNA and
    EfficientNet; lamb is that of Keras, which applies weight decay outside its trust ratio,
    not inside it as You et al., 2020.
    """
    rate = make_schedule(recipe, steps_per_epoch)
    decay = (
        (recipe.weight_decay or None) if recipe.optimizer in training_sections.DECOUPLED else None
    )
    if recipe.optimizer == "adamw":
        optimizer = FusedAdamW(rate, weight_decay=recipe.weight_decay)
    elif recipe.optimizer == "lamb":
        optimizer = keras.optimizers.Lamb(rate, epsilon=1e-6, weight_decay=decay)
    elif recipe.optimizer == "rmsprop":
        optimizer = RMSpropTF(rate, rho=0.9, momentum=0.9, epsilon=1e-3)
    else:
        optimizer = FusedSGD(rate, momentum=0.9, nesterov=True)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    if recipe.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def add_l2(recipe, gradients, weights, factor=1.0):
    """Adds L2 weight decay to gradients, for the optimizers whose decay is not decoupled.

    Args:
        recipe: a config section such as `retrain`.
        gradients: tensors like the weights.
        weights: Keras variables.
        factor: factor of the gradients, such as a loss scale.

    Returns:
        A list of tensors.
    """
    if not recipe.weight_decay or recipe.optimizer in training_sections.DECOUPLED:
        return gradients
    return [
        gradient + factor * recipe.weight_decay * weight.value if is_kernel(weight) else gradient
        for gradient, weight in zip(gradients, weights, strict=True)
    ]


def is_kernel(weight):
    """Whether weight decay changes a weight."""
    return not any(name in weight.path for name in ("bias", "beta", "gamma"))
