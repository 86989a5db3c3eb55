"""MACs of any Keras functional model, counted layer by layer: for teachers.

Costs of students come from `cost.py`, which needs no model.
"""

import math

import keras

_COUNTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


def count_macs(model):
    """Counts multiply-accumulates of convolutions and dense layers for one image.

    Args:
        model: a functional `keras.Model` with a fixed input size, models inside it
            included.

    Returns:
        An int; `None` if a layer with trainable matrices is of a kind that is not
        counted, or a size is not fixed.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            macs = count_macs(layer)
        else:
            macs = layer_macs(layer, layer.output.shape[1:] if is_counted(layer) else ())
        if macs is None:
            return None
        total += macs
    return total


def is_counted(layer):
    """Whether multiply-accumulates of layers of this kind are known."""
    return isinstance(layer, _COUNTED)


def layer_macs(layer, output_shape):
    """Counts multiply-accumulates of one call of a layer for one image.

    Args:
        layer: a `keras.Layer` that is no model, or a `keras.Operation`.
        output_shape: what the call gives, without the batch axis.

    Returns:
        An int; `None` if the layer has trainable matrices and is of a kind that is not
        counted, or a size is not fixed.
    """
    if not is_counted(layer):
        weights = getattr(layer, "trainable_weights", ())  # a bare `a + b` has none
        return None if any(len(w.shape) > 1 for w in weights) else 0
    if None in output_shape:
        return None
    # Each kernel entry works once per output position; a depthwise kernel has one row of
    # outputs per channel, a grouped one reads the channels of its group only.
    return math.prod(output_shape[:-1]) * math.prod(layer.kernel.shape)


def count_params(model):
    """Trainable parameters of a model, as for students: statistics of batch norm are none."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)
