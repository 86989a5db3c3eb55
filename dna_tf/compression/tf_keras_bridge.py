"""Rebuilds Keras 3 models in tf_keras, and carries trained weights back.

tensorflow-model-optimization (tfmot) works on tf_keras models only. A functional Keras model is
read into plain layers with their weights, and these are built again in tf_keras under the same
names. tf_keras and tfmot are imported on first use: the rest of this project works without them.
"""

import dataclasses
import os

import keras
import numpy as np
import tensorflow as tf

from dna_tf.models import copies, graph

# Keras class -> the arguments that decide what the layer computes. Initializers are left out,
# because weights are copied. Regularizers and constraints are refused.
_ARGUMENTS = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": ("pool_size", "strides", "padding", "data_format"),
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "Conv2D": (
        *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"),
        *("groups", "activation", "use_bias"),
    ),
    "Dense": ("units", "activation", "use_bias"),
    "DepthwiseConv2D": (
        *("kernel_size", "strides", "padding", "depth_multiplier", "data_format"),
        *("dilation_rate", "activation", "use_bias"),
    ),
    "Dropout": ("rate", "noise_shape", "seed"),
    "Flatten": ("data_format",),
    "GlobalAveragePooling2D": ("data_format", "keepdims"),
    "InputLayer": ("batch_shape",),
    "MaxPooling2D": ("pool_size", "strides", "padding", "data_format"),
    "Multiply": (),
    "Normalization": ("axis", "mean", "variance", "invert"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "Softmax": ("axis",),
    "ZeroPadding2D": ("padding", "data_format"),
}
SUPPORTED = tuple(sorted(_ARGUMENTS))
# Activations that are the same on both sides: name in Keras 3 -> name in tf_keras.
_ACTIVATIONS = {
    name: name for name in ("linear", "relu", "relu6", "swish", "sigmoid", "tanh", "softmax")
} | {"silu": "swish"}


@dataclasses.dataclass(frozen=True)
class PlainLayer:
    """One layer of a functional model as plain data.

    Args:
        name: its name, the same on both sides.
        kind: its class, one of `SUPPORTED`.
        arguments: its arguments, JSON-able.
        reads: names of the layers that it reads, in order; empty for an input.
        weights: NumPy arrays in the order of Keras.
    """

    name: str
    kind: str
    arguments: dict
    reads: tuple[str, ...]
    weights: tuple[np.ndarray, ...] = ()


def import_tf_keras():
    """Imports tf_keras, and gives it the settings that models are built with here.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import tf_keras
    except ImportError as error:
        raise ValueError(_missing("tf_keras", error)) from error
    # It reads keras.json too, on its own; see `models.keras_settings`.
    tf_keras.backend.set_floatx("float32")
    tf_keras.backend.set_epsilon(1e-7)
    tf_keras.backend.set_image_data_format("channels_last")
    tf_keras.mixed_precision.set_global_policy("float32")
    return tf_keras


def import_tfmot():
    """Imports tensorflow-model-optimization.

    Raises:
        ValueError: it, or tf_keras, is not installed.
    """
    import_tf_keras()
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        import tensorflow_model_optimization as tfmot
    except ImportError as error:
        raise ValueError(_missing("tensorflow-model-optimization", error)) from error
    finally:
        # tfmot sets this variable, which would change `tf.keras` here and in child processes.
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        if before is not None:
            os.environ["TF_USE_LEGACY_KERAS"] = before
    return tfmot


def _missing(package, error):
    return (
        f"Quantisation-aware training and pruning need {package}, and it cannot be imported "
        f"({error}). Install both packages: pip install tensorflow-model-optimization tf_keras"
    )


def read(model):
    """Reads a functional Keras model into plain layers.

    Args:
        model: a `keras.Model` with one input and one output. Each of its layers has a
            supported class, is called once, and gives one tensor.

    Returns:
        A list of `PlainLayer`, each after all layers that it reads; the last one is the
        output.

    Raises:
        ValueError: a layer is not supported; the message has its name and class.
    """
    serialized = graph.functional(model).get_config()
    layers = [_read_layer(entry, model) for entry in serialized["layers"]]
    output = serialized["output_layers"]
    last = output[0] if isinstance(output[0], str) else output[0][0]
    layers.sort(key=lambda layer: layer.name == last)  # stable: the others keep their order
    for index, layer in enumerate(layers):
        if not set(layer.reads) <= {earlier.name for earlier in layers[:index]}:
            raise ValueError(
                f"The layer {layer.name!r} of {model.name!r} reads {list(layer.reads)}, which do "
                "not all come before it: the output of the model must be its last layer."
            )
    return layers


def _read_layer(entry, model):
    name, kind, values = entry["name"], entry["class_name"], entry["config"]
    what = f"The layer {name!r} ({kind}) of the model {model.name!r}"
    if kind not in _ARGUMENTS or entry["module"] != "keras.layers":
        fix = " Write bare sums and products as layers." if "ops" in entry["module"] else ""
        raise ValueError(
            f"{what} cannot be rebuilt in tf_keras: its class, of {entry['module']}, is not "
            f"supported.{fix} Supported layers: {', '.join(SUPPORTED)}."
        )
    for key, value in values.items():
        if value is not None and key.endswith(("_regularizer", "_constraint")):
            raise ValueError(f"{what} has a {key}, which is not carried over. Remove it.")
    arguments = {key: values[key] for key in _ARGUMENTS[kind] if key in values}
    if "activation" in arguments:
        activation = arguments["activation"]
        if not isinstance(activation, str) or activation not in _ACTIVATIONS:
            raise ValueError(
                f"{what} has the activation {activation!r}. Supported: {sorted(_ACTIVATIONS)}"
            )
        arguments["activation"] = _ACTIVATIONS[activation]
    calls = entry["inbound_nodes"]
    if len(calls) > 1:
        raise ValueError(
            f"{what} is called {len(calls)} times; it must be called once to be rebuilt."
        )
    reads = tuple(_histories(calls[0]["args"])) if calls else ()
    weights = tuple(np.asarray(weight) for weight in model.get_layer(name).get_weights())
    return PlainLayer(name, kind, arguments, reads, weights)


def _histories(value):
    """Names of the layers whose tensors are in serialized arguments, in order."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _histories(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield value["config"]["keras_history"][0]


def build(layers, name, wrap=None):
    """Builds plain layers in tf_keras, in float32.

    Args:
        layers: a list of `PlainLayer` as `read` gives it.
        name: the name of the model.
        wrap: function `wrap(built, layer)` from a `tf_keras` layer and its `PlainLayer` to
            the layer that takes its place in the model, such as a wrapper around it;
            `None` changes nothing.

    Returns:
        A functional `tf_keras.Model` with the weights.
    """
    tf_keras = import_tf_keras()
    tensors = {}
    for layer in layers:
        if layer.kind == "InputLayer":
            shape = layer.arguments["batch_shape"][1:]
            tensors[layer.name] = tf_keras.Input(shape, name=layer.name)
            continue
        read_tensors = [tensors[name] for name in layer.reads]
        if layer.kind not in ("Add", "Multiply"):
            (read_tensors,) = read_tensors
        built = _build_layer(tf_keras, layer)
        # Weights are set before wrapping: a wrapper puts other tensors in their place.
        built.build(tf.nest.map_structure(lambda tensor: tensor.shape, read_tensors))
        built.set_weights(list(layer.weights))
        if layer.kind == "Normalization" and layer.weights:
            built.finalize_state()  # computes what it uses from its weights
        final = built if wrap is None else wrap(built, layer)
        tensors[layer.name] = final(read_tensors)
    model = tf_keras.Model(tensors[layers[0].name], tensors[layers[-1].name], name=name)
    return model


def _build_layer(tf_keras, layer):
    arguments = dict(layer.arguments)
    if layer.kind == "BatchNormalization":
        # The fused kernel updates the moving variance by n/(n-1) times the batch's; Keras 3 does
        # not.
        arguments["fused"] = False
    return getattr(tf_keras.layers, layer.kind)(name=layer.name, **arguments)


def to_tf_keras(model):
    """Rebuilds a Keras model in tf_keras: the same layers, names and weights.

    Args:
        model: as for `read`, such as a student or a teacher.

    Returns:
        A `tf_keras.Model` that computes the same, in training too except for the draws of
        dropout.

    Raises:
        ValueError: a layer is not supported, or tf_keras is not installed.
    """
    return build(read(model), model.name)


def to_keras(rebuilt, model):
    """Carries weights back: copies a Keras model with the weights of its twin in tf_keras.

    Args:
        rebuilt: a `tf_keras.Model` of `to_tf_keras` or `build`, usually trained since. Its
            layers may have wrappers, such as those of pruning.
        model: the Keras model that it was built from; it stays as it is.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: layers or shapes differ; the message names the first.
    """
    copy = keras.models.clone_model(model)
    copies.copy_variables(model, copy)
    trained = {}
    for layer in rebuilt.layers:
        layer = getattr(layer, "layer", layer)
        trained[layer.name] = layer
    for layer in copy.layers:
        if not layer.weights:
            continue
        shapes = [tuple(weight.shape) for weight in layer.weights]
        twin = trained.get(layer.name)
        # Without the masks and counters that wrappers add: those are in the wrapper's list.
        values = [] if twin is None else twin.get_weights()
        twin_shapes = [value.shape for value in values]
        if twin_shapes != shapes:
            raise ValueError(
                f"The layer {layer.name!r} of {model.name!r} has weights of {shapes}, and its twin "
                f"in tf_keras has {twin_shapes if twin is not None else 'no such layer'}. Give the "
                "model that the twin was built from."
            )
        layer.set_weights(values)
    copies.finalize(copy)
    return copy
