"""Converts Keras models to TFLite in every precision, and names the layer where that fails."""

import contextlib
import re
import warnings

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from tensorflow.lite.python import convert_phase
from tensorflow.lite.python import util as lite_util

from dna_tf.common import checks
from dna_tf.models import graph

_OPS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}
_IO = {"int8": tf.int8, "uint8": tf.uint8, "int16": tf.int16, "float32": tf.float32}
# Exceptions of the converter and its helpers if they cannot convert a model.
FAILURES = (convert_phase.ConverterError, RuntimeError, ValueError, TypeError)
_PROBES = 4  # calibration images for a layer that is converted by itself
_LONGEST_REASON = 300  # characters; the converter's own messages are pages of its graph


def convert(model, precision, calibration, io="int8", per_channel=True, float_layers=()):
    """Converts a Keras model to a TFLite file with batch 1.

    Args:
        model: a functional `keras.Model` of fixed size from images to scores.
        precision: `"float32"`, `"float16"` (weights), `"dynamic"` (8-bit weights),
            `"int8"` (8-bit weights and activations) or `"int16"` (8-bit weights, 16-bit
            activations).
        calibration: images `(images, height, width, channels)` as the model takes them,
            for the ranges of int8 and int16; other precisions ignore it.
        io: input and output of int8 files: `"int8"`, `"uint8"` or `"float32"`. Those of
            int16 files are int16, or float32 with `"float32"`.
        per_channel: whether each channel of a quantised weight has a scale of its own.
        float_layers: names of layers that an int8 file computes in float32.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: the model cannot be converted (the message names the layers that
            cannot, if there are such); a name in `float_layers` is not a layer of the
            model, or has no operator.
    """
    if float_layers and precision == "int8":
        return FloatLayers(model, calibration, per_channel).convert(float_layers, io)
    converter = make_converter(model, precision, calibration, per_channel)
    if precision in _OPS:
        kind = io if io == "float32" or precision == "int8" else precision
        converter.inference_input_type = converter.inference_output_type = _IO[kind]
    with _naming_layers(model, precision), _quiet():
        return converter.convert()


def make_converter(model, precision, calibration, per_channel=True):
    """Sets up TensorFlow's converter for a precision, with float input and output.

    Args:
        model: as for `convert`, with one or more inputs.
        precision, per_channel: as for `convert`.
        calibration: as for `convert`; with several inputs each image is a tuple of arrays.
    """
    signature = [tf.TensorSpec((1, *tensor.shape[1:]), tf.float32) for tensor in model.inputs]
    function = tf.function(lambda *x: model(x[0] if len(x) == 1 else list(x), training=False))
    # Without the Keras model as second argument: the converter reads Keras 3's variables
    # wrongly and writes NaN.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(*signature)], None
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in _OPS:
        converter.representative_dataset = lambda: (_as_batch(image) for image in calibration)
        converter.target_spec.supported_ops = [_OPS[precision]]
    # TensorFlow has no public name for this option.
    converter._experimental_disable_per_channel = not per_channel
    return converter


class FloatLayers:
    """Makes int8 files of one model with different layers in float32; it is calibrated once.

    Args:
        model, calibration, per_channel: as for `convert`.
        debug_images: images like `calibration`, on which `run()` compares the operators;
            `None` takes `calibration`.
        metrics: figures of that comparison, as for `QuantizationDebugOptions`.

    Attributes:
        debugger: TensorFlow's `QuantizationDebugger` of the model.
        nodes: dict from the name of a quantised operator's output tensor to the names of
            the layers that the operator computes: a convolution includes its batch norm and
            its activation.

    Raises:
        ValueError: the model cannot be converted.
    """

    def __init__(self, model, calibration, per_channel=True, debug_images=None, metrics=None):
        images = calibration if debug_images is None else debug_images
        self._options = tf.lite.experimental.QuantizationDebugOptions(
            layer_direct_compare_metrics=metrics
        )
        converter = make_converter(model, "int8", calibration, per_channel)
        with _naming_layers(model, "int8"), _quiet():
            self.debugger = tf.lite.experimental.QuantizationDebugger(
                converter=converter,
                debug_dataset=lambda: ([image[None]] for image in images),
                debug_options=self._options,
            )
        self._model, self._layers = model, [layer.name for layer in model.layers]
        names = _tensor_names(self.debugger.calibrated_model)
        # Scopes in tensor names are names of layers, with or without a number that makes
        # them unique: all of a model have one, or none has.
        self._numbered = not any(name.startswith(f"{model.name}/") for name in names)
        self.nodes = {name: self.layers_of(name) for name in names}

    def run(self):
        """Compares the operators one by one; the result is in `debugger.layer_statistics`."""
        with _quiet():
            self.debugger.run()

    def convert(self, float_layers=(), io="float32"):
        """Makes an int8 file.

        Args:
            float_layers: names of layers that the file computes in float32.
            io: as for `convert`.

        Returns:
            The bytes of the file.

        Raises:
            ValueError: a name is not a layer of the model, or has no operator.
        """
        check_float_layers(self._model, float_layers)
        self._check_have_operators(float_layers)
        self._options.denylisted_nodes = [
            node for node, layers in self.nodes.items() if not set(layers).isdisjoint(float_layers)
        ]
        with _quiet():
            content = bytes(self.debugger.get_nondebug_quantized_model())
        self._options.denylisted_nodes = None
        if io == "float32":
            return content
        content = bytes(lite_util.modify_model_io_type(content, _IO[io], _IO[io]))
        if _io_types(content) != {io.upper()}:  # float ends stay float, without an error
            raise ValueError(
                f"With float_layers={tuple(float_layers)} the first or the last operator is in "
                f"float32, so the file cannot take and give {io}. Set int8_io='float32', or leave "
                "that layer out."
            )
        return content

    def layers_of(self, node):
        """The layers, in the order of the model, in the name of an operator's output tensor."""
        named = {self._layer(scope) for path in node.split(";") for scope in path.split("/")[:-1]}
        # Output tensors of the file have names of their own, not the layer's.
        return [name for name in self._layers if name in named] or self._layers[-1:]

    def _layer(self, scope):
        plain = re.sub(r"_\d+$", "", scope)
        for name in (plain, scope) if self._numbered else (scope, plain):
            if name in self._layers:
                return name
        return None

    def _check_have_operators(self, float_layers):
        with_operator = {layer for layers in self.nodes.values() for layer in layers}
        without = [name for name in float_layers if name not in with_operator]
        if without:
            raise ValueError(
                f"float_layers names {without}, which have no operator in the file. Name layers "
                "such as convolutions, activations and sums."
            )


def check_float_layers(model, float_layers):
    """Checks that a model has layers of these names.

    Args:
        model: the `keras.Model`.
        float_layers: names, as for `convert`.

    Raises:
        ValueError: a layer is missing; the message has near names.
    """
    names = [layer.name for layer in model.layers]
    for name in float_layers:
        if name not in names:
            raise ValueError(
                f"float_layers names {name!r}, which is not a layer of the model that is "
                f"converted, {model.name!r}.{checks.near_names(name, names)}"
            )


def _tensor_names(content):
    """The names of the output tensors of a file's operators."""
    subgraph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    outputs = [subgraph.Operators(n).Outputs(0) for n in range(subgraph.OperatorsLength())]
    return [subgraph.Tensors(place).Name().decode() for place in outputs]


def _io_types(content):
    """The types of a file's inputs and outputs, such as `{"INT8"}`."""
    subgraph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    names = {code: name for name, code in vars(schema.TensorType).items()}
    ends = [*subgraph.InputsAsNumpy(), *subgraph.OutputsAsNumpy()]
    return {names[subgraph.Tensors(int(place)).Type()] for place in ends}


def _as_batch(image):
    return [part[None] for part in (image if isinstance(image, tuple) else (image,))]


@contextlib.contextmanager
def _quiet():
    """Context without TensorFlow's warnings about things that are done here on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        yield


@contextlib.contextmanager
def _naming_layers(model, precision):
    """Context for a conversion: if it fails, the error names the layers that fail.

    Args:
        model: the functional `keras.Model` that is converted.
        precision: the precision.

    Raises:
        ValueError: the conversion failed.
    """
    try:
        yield
    except FAILURES as error:
        layers = _failing_layers(model, precision)
        if layers:
            listed = ", ".join(f"{name!r} ({kind})" for name, kind in layers)
            where = f" The layers that fail by themselves: {listed}. Replace them."
        else:
            where = " Every layer can be converted by itself, so none can be named."
        raise ValueError(
            f"TFLite's converter cannot convert the model {model.name!r} to {precision}: "
            f"{reason(error)}.{where}"
        ) from error


def _failing_layers(model, precision):
    """Converts every layer by itself; returns `(name, class name)` of those that fail."""
    nodes, failing = graph.nodes(graph.functional(model)), []
    for node in nodes[1:]:  # the first is the input
        inputs = [nodes[place].outputs[0] for place in node.reads]
        layer = keras.Model(inputs[0] if len(inputs) == 1 else inputs, node.outputs[0])
        draws = np.random.default_rng(0)
        shapes = [tensor.shape[1:] for tensor in layer.inputs]
        images = [
            tuple(draws.uniform(-1, 1, shape).astype(np.float32) for shape in shapes)
            for _ in range(_PROBES)
        ]
        try:
            with _quiet():
                make_converter(layer, precision, images).convert()
        except FAILURES:
            failing.append((node.name, type(node.layer).__name__))
    return list(dict.fromkeys(failing))


def reason(error):
    """The reason that a failure of the converter gives, in one line."""
    text = str(error)
    message = re.search(r"error: (.*)", text)
    operators = re.search(r"(?:Custom|Flex) ops: (.*)", text)
    line = message[1] if message else (text.strip() or repr(error)).splitlines()[0]
    if operators:
        line += f" (operators that TFLite does not have: {operators[1].strip()})"
    return line.strip().rstrip(".")[:_LONGEST_REASON]
