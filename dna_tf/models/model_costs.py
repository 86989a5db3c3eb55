"""MACs of any Keras functional model, counted layer by layer: for teachers.

Costs of students come from `cost.py`, which needs no model.
"""
# MERGED: "What each call of a layer in a model's graph costs, and how far it looks around."

import math
import typing

import keras

from dna_tf.models import graph

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


class Cost(typing.NamedTuple):
    """The cost of one call of a layer.

    Args:
        params: trainable parameters that no call before has.
        macs: multiply-accumulates for one image; `None` where unknown.
        pointwise: number of layers in it with matrices of weights that read single pixels.
        spatial: number of layers in it with such weights that read neighbouring pixels.
    """

    params: int
    macs: int | None
    pointwise: int
    spatial: int


def total_macs(model, image_shape):
    """Counts multiply-accumulates of a model for one image of `image_shape`.

    Unlike `model_costs.count_macs` it takes models that leave the size of images open, and
    counts every call of a shared layer.

    Returns:
        An int; `None` where unknown.
    """
    model = graph.functional(model)
    listed = graph.nodes(model)
    shapes = graph.output_shapes(model, listed, image_shape)
    return add_macs(cost.macs for cost in count(listed, shapes))


def add_macs(counts):
    """The sum of counts of multiply-accumulates; `None` if one is unknown."""
    counts = list(counts)
    return None if None in counts else sum(counts)


def count(listed, shapes):
    """Counts the cost of every node.

    Args:
        listed: `graph.nodes` of a model.
        shapes: its `graph.output_shapes`.

    Returns:
        A list of `Cost`.
    """
    counts, seen = [], set()
    for node, shape in zip(listed, shapes, strict=True):
        weights = getattr(node.layer, "trainable_weights", ())
        new = [w for w in weights if id(w) not in seen]
        seen.update(id(w) for w in new)
        macs = _macs(node.layer, [shapes[read] for read in node.reads], shape)
        params = sum(math.prod(w.shape) for w in new)
        counts.append(Cost(params, macs, *_reach(node.layer)))
    return counts


def _macs(layer, read, given):
    if isinstance(layer, keras.Model):
        macs = count_macs(layer)
        open_size = macs is None and len(read) == 1 and len(read[0]) == 1
        return total_macs(layer, read[0][0]) if open_size and layer.inputs else macs
    return layer_macs(layer, given[0])


def _reach(layer):
    """How many layers with matrices of weights read single pixels, and neighbours too."""
    if isinstance(layer, keras.Model):
        inside = [_reach(inner) for inner in layer.layers]
        return sum(a for a, _ in inside), sum(b for _, b in inside)
    if not any(len(w.shape) > 1 for w in getattr(layer, "weights", ())):
        return 0, 0
    one_pixel = isinstance(layer, keras.layers.Dense | keras.layers.EinsumDense)
    kernel = (1,) if one_pixel else getattr(layer, "kernel_size", (2,))  # others look around
    return (1, 0) if max(kernel) == 1 else (0, 1)
