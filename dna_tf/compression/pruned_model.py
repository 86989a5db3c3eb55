"""Magnitude pruning: the smallest weights of a model become zero while it goes on learning.

Zeros do not make an int8 or float32 file faster on a phone. They save bytes where the file is sent
or stored compressed, so the compressed sizes are measured here.
"""

import gzip

import numpy as np
import tensorflow as tf

from dna_tf.common import progress
from dna_tf.compression import integer_graph, tf_keras_bridge
from dna_tf.export import conversion

# The sparsity rises in 20 steps during the first 60 % of the training; the rest of the training
# recovers the accuracy lost in the last of these steps.
_RISE = 0.6
_RISES = 20


class PrunedModel:
    """A `tf_keras` twin of a model whose pointwise convolutions and dense layers lose weights.

    The smallest weights of each such layer are held at zero. Their share rises from 0 to the
    sparsity by tfmot's cubic `PolynomialDecay`. Depthwise kernels, the first convolution,
    biases and batch norms stay dense.

    Args:
        model: a functional `keras.Model`.
        sparsity: share of zeros at the end, in (0, 1).
        steps: the number of steps of the training.

    Attributes:
        model: the `tf_keras.Model` to train.
        names: the names of the pruned layers.

    Raises:
        ValueError: there is no such layer, or a layer is not supported.
    """

    def __init__(self, model, sparsity, steps):
        sparsity_api = tf_keras_bridge.import_tfmot().sparsity.keras
        self._original = model
        layers = integer_graph.without_identities(tf_keras_bridge.read(model))
        self.names = [layer.name for layer in layers if _is_prunable(layer)]
        if not self.names:
            raise ValueError(
                f"The model {model.name!r} has no pointwise (1x1) convolution and no dense layer, "
                "and only these are pruned. Give a student, or a model with such layers."
            )
        every = max(1, int(_RISE * steps) // _RISES)
        rise = max(every, int(_RISE * steps) // every * every)
        schedule = sparsity_api.PolynomialDecay(0.0, sparsity, 0, rise, frequency=every)
        self._wrappers = []

        def wrap(built, layer):
            if layer.name not in self.names:
                return built
            self._wrappers.append(sparsity_api.prune_low_magnitude(built, schedule))
            return self._wrappers[-1]

        self.model = tf_keras_bridge.build(layers, f"{model.name}_pruning", wrap)
        for wrapper in self._wrappers:
            wrapper.pruning_step.assign(0)  # as tfmot's callback of `fit` does

    def strip(self):
        """Returns the Keras model with the present weights, pruned ones set to zero."""
        for wrapper in self._wrappers:
            wrapper.pruning_obj.weight_mask_op()  # the last step moved them away from zero
        return tf_keras_bridge.to_keras(self.model, self._original)


def _is_prunable(layer):
    if layer.kind == "Conv2D":
        return tuple(layer.weights[0].shape[:2]) == (1, 1)
    return layer.kind == "Dense"


def layer_sparsity(model, names):
    """The share of zeros in the kernel of each of these layers: a dict by name."""
    return {name: share_of_zeros([np.asarray(model.get_layer(name).kernel)]) for name in names}


def share_of_zeros(arrays):
    """The share of zeros in several arrays together."""
    zeros = sum(int(np.sum(array == 0)) for array in arrays)
    return zeros / sum(array.size for array in arrays)


def file_bytes(model, calibration):
    """Sizes of a model's TFLite files, plain and under gzip.

    Args:
        model: a functional `keras.Model`.
        calibration: images for int8 ranges.

    Returns:
        A dict from `"float32"`, `"int8"` and `"sparse"` (float32 in TFLite's own sparse
        form) to `{"file": bytes, "gzip": bytes}`; `"sparse"` is `None` for a model that
        the converter cannot write in that form.
    """
    contents = {
        "float32": conversion.convert(model, "float32", calibration),
        "int8": conversion.convert(model, "int8", calibration),
        "sparse": sparse_tflite(model),
    }
    return {
        form: None
        if content is None
        else {"file": len(content), "gzip": len(gzip.compress(content, 9, mtime=0))}
        for form, content in contents.items()
    }


def sparse_tflite(model):
    """A float32 TFLite file with weights in sparse form; `None` if the converter fails."""
    converter = conversion.make_converter(model, "float32", None)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    try:
        return converter.convert()
    except conversion.FAILURES as error:
        progress.warn(f"no sparse TFLite file: {conversion.reason(error)}")
        return None
