"""Rewrites a model as the graph that its int8 file computes, in float and exactly.

Plain layers in, plain layers out (see `tf_keras_bridge`). In the int8 file a batch norm is part of
the convolution before it, an activation inside a layer is an op of its own, and dropout is gone.
Training with the rounding of the file must round in the same places and in no others, so the model
is rewritten in this form first.
"""

import dataclasses
import math

import numpy as np

from dna_tf.compression import tf_keras_bridge

WEIGHTED = ("Conv2D", "DepthwiseConv2D", "Dense")
# Ops that only move values, or to whose output TFLite gives the scale of their input.
MOVING = ("Flatten", "MaxPooling2D", "AveragePooling2D", "Reshape", "ZeroPadding2D")
# Ops whose output TFLite always quantises as 0..255/256.
FIXED_RANGE = ("sigmoid", "softmax")
_FUSABLE = (*WEIGHTED, "Add", "Multiply")


def prepare(layers):
    """Rewrites plain layers in the form of an integer file; they compute the same.

    - dropout and linear activations are left out;
    - an activation inside a convolution or a dense layer becomes a layer after it;
    - swish becomes a sigmoid and a product, as in the file, where both are rounded;
    - rescaling and normalisation become depthwise 1x1 convolutions: one op, whose scale and
      offset for each channel are exact in 8-bit weights and 32-bit biases;
    - a batch norm is folded into the convolution or dense layer before it, if that is read
      by nothing else; other batch norms become depthwise 1x1 convolutions.

    Args:
        layers: a list of `tf_keras_bridge.PlainLayer`.

    Returns:
        A list of `tf_keras_bridge.PlainLayer` with float32 weights.

    Raises:
        ValueError: a batch norm neither reads a map nor follows a dense layer, or an
            activation has no integer form.
    """
    channels = _channels(layers)
    layers = without_identities(layers)
    layers = [part for layer in layers for part in _split(layer)]
    layers = [_as_convolution(layer, channels) for layer in layers]
    return _fold(layers, channels)


def output_range(layer, layers):
    """How the output of a prepared layer is quantised.

    Args:
        layer: one of `layers`.
        layers: the list that `prepare` returned.

    Returns:
        `"measured"`: by the range of its values. `"fixed"`: as 0..255/256. `"none"`: not
        by itself, because the layer only moves values or the ReLU after it is part of its
        op.
    """
    if layer.kind in MOVING:
        return "none"
    if layer.arguments.get("activation") in FIXED_RANGE or layer.kind == "Softmax":
        return "fixed"
    readers = _readers(layer, layers)
    if layer.kind in _FUSABLE and len(readers) == 1 and _is_relu(readers[0]):
        return "none"
    return "measured"


def _channels(layers):
    """The number of channels of each layer's output, by the layer's name."""
    model = tf_keras_bridge.build(layers, "shapes")
    return {layer.name: model.get_layer(layer.name).output.shape[-1] for layer in layers}


def without_identities(layers):
    """Leaves out dropout and linear activations; the layers after them read the ones before."""
    kept, stands_for = [], {}
    for layer in layers:
        reads = tuple(stands_for.get(name, name) for name in layer.reads)
        if layer.kind == "Dropout" or layer.arguments == {"activation": "linear"}:
            stands_for[layer.name] = reads[0]
        else:
            kept.append(dataclasses.replace(layer, reads=reads))
    return kept


def _split(layer):
    """A layer and its activation as parts; the last one has the layer's name."""
    activation = layer.arguments.get("activation", "linear")
    if activation == "tanh":
        raise ValueError(
            f"The layer {layer.name!r} ({layer.kind}) has the activation 'tanh', which has no "
            "integer form here. Use relu, relu6, swish or sigmoid."
        )
    if activation == "linear":
        return [layer]
    parts, reads = [], layer.reads
    if layer.kind in WEIGHTED:
        arguments = {**layer.arguments, "activation": "linear"}
        parts.append(dataclasses.replace(layer, name=f"{layer.name}_linear", arguments=arguments))
        reads = (parts[0].name,)
    if activation == "swish":
        gate = f"{layer.name}_sigmoid"
        parts.append(
            tf_keras_bridge.PlainLayer(gate, "Activation", {"activation": "sigmoid"}, reads)
        )
        parts.append(tf_keras_bridge.PlainLayer(layer.name, "Multiply", {}, (*reads, gate)))
    else:
        arguments = {"activation": activation}
        parts.append(tf_keras_bridge.PlainLayer(layer.name, "Activation", arguments, reads))
    return parts


def _as_convolution(layer, channels):
    """A rescaling or normalisation as a depthwise convolution; other layers as they are."""
    if layer.kind == "Rescaling":
        scale, offset = layer.arguments["scale"], layer.arguments["offset"]
    elif layer.kind == "Normalization":
        mean, variance = layer.arguments.get("mean"), layer.arguments.get("variance")
        if mean is None:
            mean, variance = layer.weights[:2]
        deviation = np.maximum(np.sqrt(np.ravel(variance).astype(np.float64)), 1e-7)
        scale, offset = 1.0 / deviation, -np.ravel(mean) / deviation
        if layer.arguments.get("invert"):
            scale, offset = deviation, np.ravel(mean)
    else:
        return layer
    return _depthwise(layer, scale, offset, channels[layer.name])


def _depthwise(layer, scale, offset, width):
    scale = np.broadcast_to(np.asarray(scale, np.float32), (width,))
    offset = np.broadcast_to(np.asarray(offset, np.float32), (width,))
    arguments = {"kernel_size": [1, 1], "use_bias": True, "activation": "linear"}
    weights = (scale.reshape(1, 1, width, 1).copy(), offset.copy())
    return tf_keras_bridge.PlainLayer(
        layer.name, "DepthwiseConv2D", arguments, layer.reads, weights
    )


def _fold(layers, channels):
    by_name, stands_for = {}, {}
    for layer in layers:
        reads = tuple(stands_for.get(name, name) for name in layer.reads)
        layer = dataclasses.replace(layer, reads=reads)
        if layer.kind != "BatchNormalization":
            by_name[layer.name] = layer
            continue
        scale, offset = _scale_and_offset(layer)
        before = by_name[reads[0]]
        alone = sum(reads[0] in other.reads for other in layers) == 1
        if before.kind in WEIGHTED and alone and before.name not in stands_for.values():
            by_name[before.name] = _folded(before, scale, offset)
            stands_for[layer.name] = before.name
        elif before.kind != "Dense" and _is_map(before, by_name):
            by_name[layer.name] = _depthwise(layer, scale, offset, channels[layer.name])
        else:
            raise ValueError(
                f"The batch norm {layer.name!r} neither reads a map (height, width, channels) nor "
                "follows a dense layer, so it has no integer form here. Move it before the pooling."
            )
    return list(by_name.values())


def _is_map(layer, by_name):
    """Whether a layer gives a map, as no layer from the image to it flattens or pools it."""
    while layer.reads:
        flat = layer.kind == "GlobalAveragePooling2D" and not layer.arguments.get("keepdims")
        if flat or layer.kind in ("Flatten", "Reshape", "Dense"):
            return False
        layer = by_name[layer.reads[0]]
    return len(layer.arguments["batch_shape"]) == 4


def _scale_and_offset(norm):
    """The factor and the summand of a batch norm, float64."""
    weights = [np.asarray(weight, np.float64) for weight in norm.weights]
    gamma = weights.pop(0) if norm.arguments["scale"] else 1.0
    beta = weights.pop(0) if norm.arguments["center"] else 0.0
    mean, variance = weights
    scale = gamma / np.sqrt(variance + norm.arguments["epsilon"])
    return scale, beta - mean * scale


def _folded(layer, scale, offset):
    kernel = layer.weights[0].astype(np.float64)
    # The channels of a depthwise kernel (height, width, channels, multiplier) are its last two.
    shape = kernel.shape[2:] if layer.kind == "DepthwiseConv2D" else kernel.shape[-1:]
    bias = layer.weights[1] if layer.arguments["use_bias"] else 0.0
    weights = (kernel * np.reshape(scale, shape), bias * scale + offset)
    return dataclasses.replace(
        layer,
        arguments={**layer.arguments, "use_bias": True},
        weights=tuple(weight.astype(np.float32) for weight in weights),
    )


def _readers(layer, layers):
    return [other for other in layers if layer.name in other.reads]


def _is_relu(layer):
    """Whether a layer is a ReLU that can be part of the integer op before it."""
    if layer.kind == "ReLU":
        most = layer.arguments.get("max_value")
        plain = not layer.arguments.get("negative_slope") and not layer.arguments.get("threshold")
        return plain and (most is None or most in (6.0, math.inf))
    return layer.arguments.get("activation") in ("relu", "relu6")
