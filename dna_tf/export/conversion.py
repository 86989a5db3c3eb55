"""Keras models converted to TFLite files, in every precision; the layer named where that fails."""
# MERGED: "Which layer TFLite's converter cannot convert, and why, in one line."

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
_PROBES = 4  # calibration images for a layer that is converted by itself


def convert(model, precision, calibration, io="int8", per_channel=True, float_layers=()):
    """Converts a Keras model to a TFLite file with batch 1.

    Args:
        model: a functional `keras.Model` from images to scores, of a fixed size.
        precision: `"float32"`, `"float16"` (weights), `"dynamic"` (8-bit weights),
            `"int8"` (8-bit weights and activations) or `"int16"` (8-bit weights, 16-bit
            activations).
        calibration: images `(images, height, width, channels)` in the range that the model
            takes, for the ranges of int8 and int16; others ignore it.
        io: input and output of int8 files: `"int8"`, `"uint8"` or `"float32"`. Those of
            int16 files are int16, or float32 with `"float32"`.
        per_channel: whether each channel of a quantised weight has a scale of its own.
        float_layers: names of layers that an int8 file computes in float32.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: the model cannot be converted, and which layer of it, where that can be
            found; `float_layers` names no layer of it, or one without an operator.
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
    """A converter of TensorFlow that is set up for a precision; its input and output are float.

    Args:
        model: as for `convert`, of one or more inputs.
        precision, per_channel: as for `convert`.
        calibration: as for `convert`; for several inputs each is a tuple of arrays.
    """
    signature = [tf.TensorSpec((1, *tensor.shape[1:]), tf.float32) for tensor in model.inputs]
    function = tf.function(lambda *x: model(x[0] if len(x) == 1 else list(x), training=False))
    # The converter must not be given the Keras model too: it would then read Keras 3's
    # variables wrongly and write NaN.
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
    # TensorFlow has no public name for it.
    converter._experimental_disable_per_channel = not per_channel
    return converter


class FloatLayers:
    """Int8 files of one model with different layers in float32, calibrated once.

    Args:
        model, calibration, per_channel: as for `convert`.
        debug_images: images as `calibration` holds them, on which `run()` compares the
            operators; by default the calibration's.
        metrics: of the comparison, as for `QuantizationDebugOptions`.

    Attributes:
        debugger: TensorFlow's `QuantizationDebugger` of the model.
        nodes: dict from the name of a quantised operator's tensor to the layers that it
            came from: a convolution has its batch norm and its activation inside.

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
        # Scopes are layers' names, made unique by a number, always or never.
        self._numbered = not any(name.startswith(f"{model.name}/") for name in names)
        self.nodes = {name: self.layers_of(name) for name in names}

    def run(self):
        """Compares the operators one by one; `debugger.layer_statistics` has what it found."""
        with _quiet():
            self.debugger.run()

    def convert(self, float_layers=(), io="float32"):
        """An int8 file.

        Args:
            float_layers: names of layers that it computes in float32.
            io: as for `convert`.

        Returns:
            The bytes of the file.

        Raises:
            ValueError: a name is no layer of the model, or one without an operator.
        """
        check_float_layers(self._model, float_layers)
        self._check(float_layers)
        kept = [
            node for node, layers in self.nodes.items() if not set(layers).isdisjoint(float_layers)
        ]
        self._options.denylisted_nodes = kept
        with _quiet():
            content = bytes(self.debugger.get_nondebug_quantized_model())
        self._options.denylisted_nodes = None
        if io == "float32":
            return content
        content = bytes(lite_util.modify_model_io_type(content, _IO[io], _IO[io]))
        if _io_types(content) != {io.upper()}:  # an end in float stays so without a word
            raise ValueError(
                f"With config.export.float_layers={tuple(float_layers)} the first or the last "
                f"operator is in float32, so that the file cannot take and give {io}. Set "
                "config.export.int8_io='float32', or leave that layer out."
            )
        return content

    def layers_of(self, node):
        """The layers, in the order of the model, that an operator's tensor name tells of."""
        found = {self._layer(part) for path in node.split(";") for part in path.split("/")[:-1]}
        # What the file gives has a name of its own.
        return [name for name in self._layers if name in found] or self._layers[-1:]

    def _layer(self, part):
        plain = re.sub(r"_\d+$", "", part)
        for name in (plain, part) if self._numbered else (part, plain):
            if name in self._layers:
                return name
        return None

    def _check(self, float_layers):
        known = {layer for layers in self.nodes.values() for layer in layers}
        without = [name for name in float_layers if name not in known]
        if without:
            raise ValueError(
                f"config.export.float_layers names {without}, which have no operator in the file. "
                "Name layers such as convolutions, activations and sums."
            )


def check_float_layers(model, float_layers):
    """Checks, before any work, that a model has layers of these names.

    Args:
        model: the `keras.Model`.
        float_layers: names, as for `convert`.

    Raises:
        ValueError: it lacks one; near names are given.
    """
    known = [layer.name for layer in model.layers]
    for name in float_layers:
        if name not in known:
            raise ValueError(
                f"config.export.float_layers names {name!r}, which is no layer of the model that "
                f"is converted, {model.name!r}.{checks.near_names(name, known)}"
            )


def _tensor_names(content):
    """Names of what the operators of a file give."""
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    made = [graph.Operators(n).Outputs(0) for n in range(graph.OperatorsLength())]
    return [graph.Tensors(place).Name().decode() for place in made]


def _io_types(content):
    """The types of a file's inputs and outputs, such as `{"INT8"}`."""
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    names = {code: name for name, code in vars(schema.TensorType).items()}
    ends = [*graph.InputsAsNumpy(), *graph.OutputsAsNumpy()]
    return {names[graph.Tensors(int(place)).Type()] for place in ends}


def _as_batch(image):
    return [part[None] for part in (image if isinstance(image, tuple) else (image,))]


def _naming_layers(model, precision):
    def convert_part(part):
        draws = np.random.default_rng(0)
        shapes = [tensor.shape[1:] for tensor in part.inputs]
        images = [
            tuple(draws.uniform(-1, 1, shape).astype(np.float32) for shape in shapes)
            for _ in range(_PROBES)
        ]
        with _quiet():
            make_converter(part, precision, images).convert()

    return naming_layers(model, precision, convert_part)


@contextlib.contextmanager
def _quiet():
    """Without the warnings of TensorFlow about what is done here on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        yield


# What the converter and its helpers raise when they cannot convert a model.
FAILURES = (convert_phase.ConverterError, RuntimeError, ValueError, TypeError)
_LONGEST_REASON = 300  # characters; the converter's own messages are pages of its graph


@contextlib.contextmanager
def naming_layers(model, precision, convert_part):
    """Context for a conversion: if it fails, the error names the layers.

    Args:
        model: the functional `keras.Model` that is converted.
        precision: to what, for the message.
        convert_part: function that converts a `keras.Model` of one layer, of one or more
            inputs, in the same way, and raises one of `FAILURES` if it cannot.

    Raises:
        ValueError: what is inside failed.
    """
    try:
        yield
    except FAILURES as error:
        listed = find(model, convert_part)
        if listed:
            shown = ", ".join(f"{name!r} ({kind})" for name, kind in listed)
            where = f" The layers that fail by themselves: {shown}. Replace them."
        else:
            where = " Every layer can be converted by itself, so none can be named."
        raise ValueError(
            f"TFLite's converter cannot convert the model {model.name!r} to {precision}: "
            f"{reason(error)}.{where}"
        ) from error


def find(model, convert_part):
    """Converts every layer by itself.

    Args:
        model, convert_part: as for `naming_layers`.

    Returns:
        A list of `(name, class name)` of the layers that cannot be converted.
    """
    nodes, failing = graph.nodes(graph.functional(model)), []
    for node in nodes[1:]:  # the first is the input
        given = [nodes[place].outputs[0] for place in node.reads]
        part = keras.Model(given[0] if len(given) == 1 else given, node.outputs[0])
        try:
            convert_part(part)
        except FAILURES:
            failing.append((node.name, type(node.layer).__name__))
    return list(dict.fromkeys(failing))


def reason(error):
    """What a failure of the converter says, in one line."""
    text = str(error)
    told = re.search(r"error: (.*)", text)
    operators = re.search(r"(?:Custom|Flex) ops: (.*)", text)
    line = told[1] if told else (text.strip() or repr(error)).splitlines()[0]
    if operators:
        line += f" (operators that TFLite lacks: {operators[1].strip()})"
    return line.strip().rstrip(".")[:_LONGEST_REASON]
