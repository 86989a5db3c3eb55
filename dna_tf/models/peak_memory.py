"""The memory that the maps of a Keras model need at one time, counted over its graph.

A runtime keeps a map until the last layer that reads it has run. It computes layers in an order
in which each comes after all that it reads; here this is the order of `graph.nodes`. Batch norm,
ReLU and the like are part of the convolution before them, and write where they read.
"""

import math

import keras

from dna_tf.models import graph

# Layers that change each entry of a map by itself, with nothing that is kept beside it.
_IN_PLACE = (
    "BatchNormalization", "Dropout", "Flatten", "Identity", "LeakyReLU", "Normalization", "PReLU",
    "ReLU", "Rescaling", "Reshape", "SpatialDropout2D",
)  # fmt: skip
_PLAIN = ("linear", "relu", "relu6")  # activations in place
GATED = ("silu", "swish", "hard_silu", "hard_swish", "gelu")  # a map, its gate, their product


def peak_elements(model, image_shape):
    """The most entries of maps that a model holds at one time, for one image.

    Args:
        model: a functional `keras.Model` with one input and one output.
        image_shape: `(height, width, channels)` of its input.

    Returns:
        An int: with one byte for an entry, as in int8 files, the bytes.
    """
    listed = graph.nodes(model)
    shapes = graph.output_shapes(model, listed, image_shape)
    sizes = [sum(math.prod(shape) for shape in outputs) for outputs in shapes]
    last_reader = {read: place for place, node in enumerate(listed) for read in node.reads}
    alive = {}  # place of a node -> entries, while a later node reads its output
    peak = sizes[0]
    for place, node in enumerate(listed):
        is_free = all(last_reader[read] == place for read in node.reads)
        activation = _activation(node.layer)
        if _is_in_place(node.layer, activation) and is_free and node.reads:
            needed = sum(alive.values())
        else:
            needed = sum(alive.values()) + sizes[place]
        if activation in GATED:
            rest = sum(size for other, size in alive.items() if last_reader[other] > place)
            needed = max(needed, rest + 3 * sizes[place])
        peak = max(peak, needed)
        alive[place] = sizes[place]
        alive = {other: size for other, size in alive.items() if last_reader.get(other, -1) > place}
    return peak


def _activation(layer):
    """The name of a layer's activation; `""` without one."""
    function = getattr(layer, "activation", None)
    if isinstance(layer, keras.layers.Activation) or callable(function):
        return getattr(function, "__name__", "")
    return ""


def _is_in_place(layer, activation):
    if isinstance(layer, keras.layers.Activation):
        return activation in _PLAIN
    return type(layer).__name__ in _IN_PLACE
