"""Weights that are kept beside those that train: their moving average, and the best epoch's.

A moving average is often better than the weights. Batch norm's moving statistics are averaged
with the weights, as in EfficientNet's TensorFlow code: they belong to the weights with which
they were computed.
"""

import tensorflow as tf

from dna_tf.common import files


class WeightAverage:
    """An exponential moving average of all weights of a model, batch norm's statistics too.

    Create it in the scope of the strategy of `update`.

    Args:
        model: a Keras model; its dropout seeds are not averaged.
        decay: share of the old average that stays in a step, in (0, 1). In early updates n
            (from 1) it is less: `min(decay, (1 + n) / (10 + n))`.

    Attributes:
        variables: the averages, `tf.Variable`s in the order of `model.weights`.

    Source: EfficientNet's TensorFlow code, with `tf.train.ExponentialMovingAverage(decay,
    num_updates=global_step)`.
    """

    def __init__(self, model, decay):
        self._model, self._decay = model, decay
        self._strategy = tf.distribute.get_strategy()
        self.variables = [
            tf.Variable(weight.value, trainable=False, name=f"average_{number}")
            for number, weight in enumerate(model.weights)
        ]

    def start(self):
        """Starts from the current weights of the model."""
        for average, weight in zip(self.variables, self._model.weights, strict=True):
            average.assign(weight.value)

    def update(self, step):
        """Adds the weights of a step to the average, in cross-replica context.

        Args:
            step: number of the update, a tensor, from 1.
        """
        step = tf.cast(step, tf.float32)
        share = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        extended = self._strategy.extended
        for average, weight in zip(self.variables, self._model.weights, strict=True):
            extended.update(average, _move, args=(weight.value, share), group=False)


def _move(average, weight, share):
    average.assign_sub((average - weight) * share)


class BestWeights:
    """Keeps the weights of the best epoch in `checkpoints/best.npz` of a training's folder.

    Of equal epochs the first one stays, so that a killed run that offers some epochs again
    ends with the same weights.

    Args:
        folder: the folder of the training.
        model: the Keras model whose weights are kept.
    """

    def __init__(self, folder, model):
        self._path = files.as_path(folder) / "checkpoints" / "best.npz"
        self._model = model

    def offer(self, epoch, accuracy):
        """Keeps the model's current weights if they are better than those in the file.

        Args:
            epoch: number of the epoch, from 1.
            accuracy: on images that are used neither for training nor for testing.
        """
        arrays = self._read()
        if arrays is not None and float(arrays["accuracy"]) >= accuracy:
            return
        weights = {f"weight_{n}": w.numpy() for n, w in enumerate(self._model.weights)}
        files.write_arrays(self._path, {"epoch": epoch, "accuracy": accuracy, **weights})

    def load(self):
        """Gives the model the kept weights.

        Returns:
            `(epoch, accuracy)` of them, or `None` if none were kept.
        """
        arrays = self._read()
        if arrays is None:
            return None
        for number, weight in enumerate(self._model.weights):
            weight.assign(arrays[f"weight_{number}"])
        return int(arrays["epoch"]), float(arrays["accuracy"])

    def _read(self):
        if not self._path.exists():
            return None
        hint = "Delete its folder to train from the start."
        arrays = files.read_arrays(self._path, hint)
        names = {"epoch", "accuracy", *(f"weight_{n}" for n in range(len(self._model.weights)))}
        shapes = {f"weight_{n}": tuple(w.shape) for n, w in enumerate(self._model.weights)}
        if arrays.keys() != names or any(
            arrays[name].shape != shapes.get(name, ()) for name in names
        ):
            raise ValueError(f"The weights in {self._path} are not those of this model. {hint}")
        return arrays
