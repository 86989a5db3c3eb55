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
        elif isinstance(layer, _COUNTED):
            macs = _layer_macs(layer)
        else:
            macs = None if any(len(w.shape) > 1 for w in layer.trainable_weights) else 0
        if macs is None:
            return None
        total += macs
    return total


def _layer_macs(layer):
    output = layer.output.shape[1:]
    if None in output:
        return None
    # Each kernel entry works once per output position; a depthwise kernel has one row of
    # outputs per channel, a grouped one reads the channels of its group only.
    positions = output[:-1]
    return math.prod(positions) * math.prod(layer.kernel.shape)
