"""The one bridge between Keras 3 and tf_keras, the Keras that model optimisation takes.

tensorflow-model-optimization (tfmot) knows models of tf_keras only. Here a functional
Keras model is read into plain layers with their weights, and these are built again in
tf_keras, under the same names. Weights come back the same way. tf_keras and tfmot are
imported on first use: the rest of this project works without them.
"""

import dataclasses
import os

import keras
import numpy as np
import tensorflow as tf

from dna_tf.models import copies, graph

# Class of Keras -> arguments that say what the layer computes. Those of initializers are
# left out, since weights are copied. Regularizers and constraints are refused.
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
# Activations by name that mean the same on both sides; Keras 3 calls swish silu.
_ACTIVATIONS = {
    name: name for name in ("linear", "relu", "relu6", "swish", "sigmoid", "tanh", "softmax")
} | {"silu": "swish"}


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a functional model as plain data.

    Args:
        name: its name, the same on both sides.
        kind: its class, one of `SUPPORTED`.
        config: its arguments, JSON-able.
        reads: names of the layers that it reads, in order; of an input none.
        weights: NumPy arrays in the order of Keras.
    """

    name: str
    kind: str
    config: dict
    reads: tuple[str, ...]
    weights: tuple[np.ndarray, ...] = ()


def import_tf_keras():
    """Imports tf_keras.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import tf_keras
    except ImportError as error:
        raise ValueError(_missing("tf_keras", error)) from error
    return tf_keras


def import_tfmot():
    """Imports tensorflow-model-optimization.

    Raises:
        ValueError: it, or tf_keras, is not installed.
    """
    import_tf_keras()
    known = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        import tensorflow_model_optimization as tfmot
    except ImportError as error:
        raise ValueError(_missing("tensorflow-model-optimization", error)) from error
    finally:
        # It sets this for the whole process and its children, whose `tf.keras` would change.
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        if known is not None:
            os.environ["TF_USE_LEGACY_KERAS"] = known
    return tfmot


def _missing(package, error):
    return (
        f"Quantisation-aware training and pruning need {package}, and it cannot be imported "
        f"({error}). Install both packages: pip install tensorflow-model-optimization tf_keras"
    )


def read(model):
    """Reads a functional Keras model into plain layers.

    Args:
        model: a `keras.Model` with one input and one output, each layer of which is of a
            supported class, is called once, and gives one tensor.

    Returns:
        A list of `Layer`, each after all that it reads; the last one is the output.

    Raises:
        ValueError: a layer is not supported; the message has its name and class.
    """
    config = graph.functional(model).get_config()
    layers = [_read_layer(entry, model) for entry in config["layers"]]
    output = config["output_layers"]
    last = output[0] if isinstance(output[0], str) else output[0][0]
    layers.sort(key=lambda layer: layer.name == last)  # stable: the order stays
    for index, layer in enumerate(layers):
        if not set(layer.reads) <= {earlier.name for earlier in layers[:index]}:
            raise ValueError(
                f"The layer {layer.name!r} of {model.name!r} reads {list(layer.reads)}, which do "
                "not all come before it: the output of the model must be its last layer."
            )
    return layers


def _read_layer(entry, model):
    name, kind, config = entry["name"], entry["class_name"], entry["config"]
    what = f"The layer {name!r} ({kind}) of the model {model.name!r}"
    if kind not in _ARGUMENTS or entry["module"] != "keras.layers":
        written = " Write bare sums and products as layers." if "ops" in entry["module"] else ""
        raise ValueError(
            f"{what} cannot be rebuilt in tf_keras: its class, of {entry['module']}, is not "
            f"supported.{written} Supported are the layers {', '.join(SUPPORTED)}."
        )
    for key, value in config.items():
        if value is not None and key.endswith(("_regularizer", "_constraint")):
            raise ValueError(f"{what} has a {key}, which is not carried over. Remove it.")
    taken = {key: config[key] for key in _ARGUMENTS[kind] if key in config}
    if "activation" in taken:
        known = taken["activation"]
        if not isinstance(known, str) or known not in _ACTIVATIONS:
            raise ValueError(
                f"{what} has the activation {known!r}. Supported: {sorted(_ACTIVATIONS)}"
            )
        taken["activation"] = _ACTIVATIONS[known]
    calls = entry["inbound_nodes"]
    if len(calls) > 1:
        raise ValueError(f"{what} is called {len(calls)} times; only layers called once go.")
    reads = tuple(_histories(calls[0]["args"])) if calls else ()
    weights = tuple(np.asarray(weight) for weight in model.get_layer(name).get_weights())
    return Layer(name, kind, taken, reads, weights)


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
        layers: a list of `Layer` as `read` gives it.
        name: the model's name.
        wrap: `wrap(made, layer)` returns what stands in the model for the `tf_keras` layer
            `made`, such as a wrapper around it; `None` takes the layers as they are.

    Returns:
        A functional `tf_keras.Model` with the weights.
    """
    tf_keras = import_tf_keras()
    tensors = {}
    for layer in layers:
        if layer.kind == "InputLayer":
            shape = layer.config["batch_shape"][1:]
            tensors[layer.name] = tf_keras.Input(shape, name=layer.name)
            continue
        read_tensors = [tensors[name] for name in layer.reads]
        if layer.kind not in ("Add", "Multiply"):
            (read_tensors,) = read_tensors
        built = _make(tf_keras, layer)
        # Before it is wrapped: a wrapper puts other tensors in the place of the weights.
        built.build(tf.nest.map_structure(lambda tensor: tensor.shape, read_tensors))
        built.set_weights(list(layer.weights))
        if layer.kind == "Normalization" and layer.weights:
            built.finalize_state()  # it works with what it derives from its weights
        stands = built if wrap is None else wrap(built, layer)
        tensors[layer.name] = stands(read_tensors)
    model = tf_keras.Model(tensors[layers[0].name], tensors[layers[-1].name], name=name)
    return model


def _make(tf_keras, layer):
    config = dict(layer.config)
    if layer.kind == "BatchNormalization":
        # The fused kernel multiplies the variance that moves by n/(n-1); Keras 3 does not.
        config["fused"] = False
    return getattr(tf_keras.layers, layer.kind)(name=layer.name, **config)


def to_tf_keras(model):
    """Rebuilds a Keras model in tf_keras: the same layers, names and weights.

    Args:
        model: as of `read`, such as a student or a teacher.

    Returns:
        A `tf_keras.Model` that computes the same, in training too but for the draws of
        dropout.

    Raises:
        ValueError: a layer is not supported, or tf_keras is not installed.
    """
    return build(read(model), model.name)


def to_keras(rebuilt, model):
    """Carries weights back: a copy of a Keras model with those of its twin in tf_keras.

    Args:
        rebuilt: a `tf_keras.Model` that `to_tf_keras` or `build` made, trained since.
            Wrappers around layers, such as those of pruning, are looked through.
        model: the Keras model that it was made from; it stays as it is.

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
        known = trained.get(layer.name)
        # Masks and counters that wrappers add to a layer's own list are not among them.
        values = [] if known is None else known.get_weights()
        found = [value.shape for value in values]
        if found != shapes:
            raise ValueError(
                f"The layer {layer.name!r} of {model.name!r} has weights of {shapes}, and its twin "
                f"in tf_keras has {found if known is not None else 'no such layer'}. Give the "
                "model that the twin was made from."
            )
        layer.set_weights(values)
    copies.finalize(copy)
    return copy
