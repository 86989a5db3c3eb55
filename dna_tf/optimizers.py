"""The optimizers of a recipe, and what its weight decay means for each of them.

Weight decay moves kernels only, never biases and batch norm. For adamw and lamb it is
decoupled: the rate times the decay is taken off the weight itself. For sgd and rmsprop
it is L2, part of the gradient, as in EfficientNet's TensorFlow code.
"""

import keras
import tensorflow as tf

from dna_tf import recipe_config, schedules


class RMSpropTF(keras.optimizers.RMSprop):
    """RMSprop as TensorFlow 1 had it, in which EfficientNet and DNA's students were trained.

    The mean square starts at one and not at zero, so that the first steps are small.
    As in Keras' own, epsilon is inside the root, `rate * g / sqrt(mean_square + epsilon)`,
    and the momentum sums steps that hold the rate of their time. An update is one
    operation of TensorFlow's for each weight, where Keras' own takes seven.

    Source: TensorFlow's `tf.compat.v1.train.RMSPropOptimizer`; the authors' script asks
    for the same (`--opt rmsproptf --opt-eps 0.001`).
    """

    def build(self, var_list):
        """Makes the variables of the optimizer."""
        built = self.built
        super().build(var_list)
        if not built:
            for mean_square in self._velocities:
                mean_square.assign(tf.ones(mean_square.shape))

    def update_step(self, gradient, variable, learning_rate):
        """Moves one weight by its gradient."""
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


def make(recipe, steps_per_epoch):
    """The optimizer of a recipe, with its learning-rate schedule.

    In mixed float16 it scales the loss: give it gradients of its `scale_loss(loss)`.

    Args:
        recipe: a config section such as `retrain`.
        steps_per_epoch: steps of an epoch.

    Returns:
        A `keras.optimizers.Optimizer`.

    Source: rmsprop's decay 0.9, momentum 0.9 and epsilon 1e-3 are DNA's (and
    EfficientNet's); lamb is Keras' own, which applies weight decay beside its trust
    ratio and not within it as You et al., 2020.
    """
    rate = schedules.make(recipe, steps_per_epoch)
    decay = (recipe.weight_decay or None) if recipe.optimizer in recipe_config.DECOUPLED else None
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    elif recipe.optimizer == "lamb":
        optimizer = keras.optimizers.Lamb(rate, epsilon=1e-6, weight_decay=decay)
    elif recipe.optimizer == "rmsprop":
        optimizer = RMSpropTF(rate, rho=0.9, momentum=0.9, epsilon=1e-3)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    if recipe.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def add_l2(recipe, gradients, weights, factor=1.0):
    """Adds the part of L2 weight decay to gradients, for those optimizers that take it so.

    Args:
        recipe: a config section such as `retrain`.
        gradients: tensors like the weights.
        weights: Keras variables.
        factor: what the gradients are multiplied by, such as a loss scale.

    Returns:
        A list of tensors.
    """
    if not recipe.weight_decay or recipe.optimizer in recipe_config.DECOUPLED:
        return gradients
    return [
        gradient + factor * recipe.weight_decay * weight.value if is_kernel(weight) else gradient
        for gradient, weight in zip(gradients, weights, strict=True)
    ]


def is_kernel(weight):
    """Whether weight decay moves a weight."""
    return not any(name in weight.path for name in ("bias", "beta", "gamma"))
