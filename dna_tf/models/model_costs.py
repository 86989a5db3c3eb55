"""Parameters, MACs and receptive field of any Keras model, counted layer by layer.

This is for teachers and other models. Costs of students come from `space.cost_tables`, which
needs no model.
"""

import math
import typing

import keras

from dna_tf.models import graph

_COUNTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


def count_macs(model):
    """Counts multiply-accumulates of convolutions and dense layers for one image.

    Args:
        model: a functional `keras.Model` with a fixed input size; models inside it are
            counted too.

    Returns:
        An int; `None` if a layer with matrices of weights is of an uncounted type, or a size
        is not fixed.
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
    """Whether multiply-accumulates of this type of layer can be counted."""
    return isinstance(layer, _COUNTED)


def layer_macs(layer, output_shape):
    """Counts multiply-accumulates of one call of a layer for one image.

    Args:
        layer: a `keras.Layer` that is not a model, or a `keras.Operation`.
        output_shape: shape of its output, without the batch axis.

    Returns:
        An int; `None` if the layer has matrices of weights and is of an uncounted type, or a
        size is not fixed.
    """
    if not is_counted(layer):
        return None if any(len(w.shape) > 1 for w in parameters(layer)) else 0
    if None in output_shape:
        return None
    # Each entry of the kernel is used once per output position. This holds for depthwise and
    # grouped kernels too, because their shapes have only the channels that they read.
    return math.prod(output_shape[:-1]) * math.prod(layer.kernel.shape)


def count_params(model):
    """Counts parameters: frozen ones too, but, as for students, no statistics of batch norm."""
    return sum(math.prod(weight.shape) for weight in parameters(model))


def parameters(layer):
    """The weights that training changes if nothing is frozen.

    `trainable` decides what is trained, and not what a model costs: a frozen layer has no
    `trainable_weights`.

    Args:
        layer: a `keras.Layer` or a model, or a `keras.Operation`, which has none.

    Returns:
        A list of variables, each once.
    """
    if not isinstance(layer, keras.Layer):
        return []
    inside = graph.layers_inside(layer)
    return list({id(w): w for part in inside for w in part._trainable_variables}.values())


class CallCost(typing.NamedTuple):
    """The cost of one call of a layer, and its receptive field.

    Args:
        params: parameters, without those of earlier calls.
        macs: multiply-accumulates for one image; `None` if unknown.
        pointwise: number of layers in it with a 1x1 kernel.
        spatial: number of layers in it with a larger kernel.
    """

    params: int
    macs: int | None
    pointwise: int
    spatial: int


def total_macs(model, image_shape):
    """Counts multiply-accumulates of a model for one image of `image_shape`.

    Unlike `count_macs` it accepts models that do not fix the size of images, and counts every
    call of a shared layer.

    Returns:
        An int; `None` if unknown.
    """
    model = graph.functional(model)
    listed = graph.nodes(model)
    shapes = graph.output_shapes(model, listed, image_shape)
    return add_macs(cost.macs for cost in count(listed, shapes))


def add_macs(counts):
    """Adds counts of multiply-accumulates; `None` if one of them is `None`."""
    counts = list(counts)
    return None if None in counts else sum(counts)


def count(listed, shapes):
    """Counts the costs of every node of a graph.

    Args:
        listed: `graph.nodes` of a model.
        shapes: its `graph.output_shapes`.

    Returns:
        A list of `CallCost`.
    """
    counts, seen = [], set()
    for node, shape in zip(listed, shapes, strict=True):
        new = [w for w in parameters(node.layer) if id(w) not in seen]
        seen.update(id(w) for w in new)
        macs = _macs(node.layer, [shapes[read] for read in node.reads], shape)
        params = sum(math.prod(w.shape) for w in new)
        counts.append(CallCost(params, macs, *_reach(node.layer)))
    return counts


def _macs(layer, input_shapes, output_shapes):
    if isinstance(layer, keras.Model):
        macs = count_macs(layer)
        one_input = len(input_shapes) == 1 and len(input_shapes[0]) == 1
        if macs is None and one_input and layer.inputs:  # it may not fix the size of images
            return total_macs(layer, input_shapes[0][0])
        return macs
    return layer_macs(layer, output_shapes[0])


def _reach(layer):
    """The number of layers with a 1x1 kernel, and with a larger one."""
    if isinstance(layer, keras.Model):
        inside = [_reach(inner) for inner in layer.layers]
        return sum(a for a, _ in inside), sum(b for _, b in inside)
    if not any(len(w.shape) > 1 for w in getattr(layer, "weights", ())):
        return 0, 0
    one_pixel = isinstance(layer, keras.layers.Dense | keras.layers.EinsumDense)
    # Other layers with matrices of weights count as spatial.
    kernel = (1,) if one_pixel else getattr(layer, "kernel_size", (2,))
    return (1, 0) if max(kernel) == 1 else (0, 1)
