"""Builds a model that rounds as its int8 file will, with ranges measured on the float model.

The wrappers and quantizers are the 8-bit ones of tensorflow-model-optimization: weights symmetric
for each channel, outputs asymmetric by moving averages. `integer_graph` decides which layers they
are put around, because tfmot's own scheme stops at the multiplication of squeeze-and-excitation,
rounds a depthwise kernel with one scale for all channels, and starts all ranges at -6..6 and that
of the image at 0..0.
"""

import dataclasses
import tempfile

import numpy as np
import tensorflow as tf

from dna_tf.common import progress
from dna_tf.compression import integer_graph, tf_keras_bridge
from dna_tf.export import conversion

# Where the model is built and trained. With TensorFlow's deterministic ops, which make a training
# repeatable, the gradients of rounding are not implemented on GPUs.
DEVICE = "CPU:0"

_INPUT = "quantized_image"
_BATCH = 50


def build(model):
    """Builds the model that is trained with rounding, before its ranges are set, on `DEVICE`.

    Args:
        model: a functional `keras.Model`; see `tf_keras_bridge.SUPPORTED`.

    Returns:
        A `QuantizedModel`.

    Raises:
        ValueError: a layer is not supported, or a package is missing.
    """
    tfmot = tf_keras_bridge.import_tfmot()
    layers = integer_graph.prepare(tf_keras_bridge.read(model))
    layers = _with_quantized_input(layers)
    wrappers = {}

    def wrap(built, layer):
        scheme = _QuantizeConfig(layer, integer_graph.output_range(layer, layers))
        wrappers[layer.name] = tfmot.quantization.keras.QuantizeWrapperV2(built, scheme)
        return wrappers[layer.name]

    with tf.device(DEVICE):
        floating = tf_keras_bridge.build(layers, f"{model.name}_folded")
        rounding = tf_keras_bridge.build(layers, f"{model.name}_qat", wrap)
    return QuantizedModel(rounding, floating, layers, wrappers)


def _with_quantized_input(layers):
    """Adds an identity after the image, whose quantised output is the input of the file."""
    image, *rest = layers
    entry = tf_keras_bridge.PlainLayer(
        _INPUT, "Activation", {"activation": "linear"}, (image.name,)
    )
    renamed = [
        dataclasses.replace(
            layer, reads=tuple(_INPUT if name == image.name else name for name in layer.reads)
        )
        for layer in rest
    ]
    return [image, entry, *renamed]


class QuantizedModel:
    """A `tf_keras` model that rounds, and the float model with the same folded weights.

    Attributes:
        model: the `tf_keras.Model` that is trained, from images in 0..255 to scores.
        floating: the same layers without rounding; it keeps its first weights.
    """

    def __init__(self, model, floating, layers, wrappers):
        self.model, self.floating = model, floating
        self._layers, self._wrappers = layers, wrappers

    def calibrate(self, images):
        """Sets the ranges of all outputs, measured on the float model, and of all weights.

        Args:
            images: float32 `(images, height, width, channels)` in 0..255.
        """
        tf_keras = tf_keras_bridge.import_tf_keras()
        measured = [
            layer.name
            for layer in self._layers
            if layer.kind != "InputLayer"
            and integer_graph.output_range(layer, self._layers) == "measured"
        ]
        outputs = [self.floating.get_layer(name).output for name in measured]
        maps = tf_keras.Model(self.floating.input, outputs)

        @tf.function(reduce_retracing=True)
        def extremes(batch):
            values = maps(batch, training=False)
            values = values if isinstance(values, list) else [values]
            lows = tf.stack([tf.reduce_min(value) for value in values])
            return lows, tf.stack([tf.reduce_max(value) for value in values])

        lows, highs = np.zeros(len(measured)), np.zeros(len(measured))  # zero is in every range
        with progress.bar("measuring ranges", len(images), "image") as bar:
            for start in range(0, len(images), _BATCH):
                batch = images[start : start + _BATCH]
                low, high = extremes(batch)
                lows, highs = np.minimum(lows, low), np.maximum(highs, high)
                bar.update(len(batch))
        for name, low, high in zip(measured, lows, highs, strict=True):
            self._assign(name, "output", low, high if high > low else low + 1e-6)
        self.calibrate_weights()

    def calibrate_weights(self):
        """Sets the ranges of the weights to those of their present values."""
        for layer in self._layers:
            if layer.kind in integer_graph.WEIGHTED:
                wrapper = self._wrappers[layer.name]
                ((weight, _, _),) = wrapper._weight_vars
                most = np.abs(_channels_last(weight.numpy(), layer.kind))
                axes = range(most.ndim - (layer.kind != "Dense"))
                most = most.max(axis=tuple(axes))
                self._assign(layer.name, "weight", -most, most)

    def ranges(self):
        """The present ranges of outputs: a dict from layer to `(lowest, highest)`."""
        ranges = {}
        for layer in self._layers:
            pair = self._pair(layer.name, "output") if layer.kind != "InputLayer" else None
            if pair:
                ranges[layer.name] = tuple(float(variable.numpy()) for variable in pair)
        return ranges

    def _assign(self, name, what, low, high):
        lowest, highest = self._pair(name, what)
        lowest.assign(np.asarray(low, np.float32))
        highest.assign(np.asarray(high, np.float32))

    def _pair(self, name, what):
        """The two variables of a range, or `None`; they are recognised by their names."""
        variables = self._wrappers[name].non_trainable_weights
        pair = [
            variable
            for end in ("min", "max")
            for variable in variables
            if variable.name.split("/")[-1] == f"{what}_{end}:0"
        ]
        return pair or None

    def to_tflite(self):
        """Converts to a TFLite file with 8-bit weights, activations, input and output.

        Returns:
            The bytes of the file, which takes and gives int8, one image at a time.

        Raises:
            ValueError: TensorFlow cannot convert the model.
            OSError: its temporary files could not be written.
        """
        shape = tf.TensorSpec((1, *self.model.input_shape[1:]), tf.float32)
        function = tf.function(lambda image: self.model(image, training=False))
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function(shape)], self.model
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        try:
            content = converter.convert()
        except conversion.FAILURES as error:
            raise ValueError(
                f"TensorFlow cannot convert {self.model.name!r}, which was trained with rounding, "
                f"to an int8 file: {conversion.reason(error)}. The training is kept. Export an "
                "int8 file without this training instead."
            ) from error
        # Where it cannot write its temporary files the converter takes another way in silence,
        # and the file has other bytes.
        if not converter.saved_model_dir:
            raise OSError(
                f"TensorFlow could not write its temporary files into {tempfile.gettempdir()}, so "
                f"{self.model.name!r} was not converted. Free space there, or set TMPDIR to a "
                "folder with space. The training is kept: run this again."
            )
        return content


class _QuantizeConfig:
    """The way in which one layer is quantised, in the form of tfmot's wrapper.

    Args:
        layer: a `tf_keras_bridge.PlainLayer`.
        output: as `integer_graph.output_range` gives it.
    """

    def __init__(self, layer, output):
        self._kind, self._output = layer.kind, output
        self._attribute = {"DepthwiseConv2D": "depthwise_kernel"}.get(layer.kind, "kernel")

    def get_weights_and_quantizers(self, layer):
        if self._kind not in integer_graph.WEIGHTED:
            return []
        return [(getattr(layer, self._attribute), _WeightQuantizer(self._kind))]

    def set_quantize_weights(self, layer, weights):
        for weight in weights:
            setattr(layer, self._attribute, weight)

    def get_activations_and_quantizers(self, layer):
        return []  # every activation is a layer of its own

    def set_quantize_activations(self, layer, activations):
        pass

    def get_output_quantizers(self, layer):
        quantizers = tf_keras_bridge.import_tfmot().quantization.keras.quantizers
        if self._output == "none":
            return []
        if self._output == "fixed":
            return [quantizers.FixedQuantizer(8, 0.0, 255 / 256, narrow_range=False)]
        return [
            quantizers.MovingAverageQuantizer(
                num_bits=8, per_axis=False, symmetric=False, narrow_range=False
            )
        ]

    def get_config(self):
        return {"kind": self._kind, "output": self._output}


class _WeightQuantizer:
    """tfmot's quantizer of weights, with a scale for each channel of depthwise kernels too.

    The weights of a dense layer have one range: the converter transposes its kernel, which it
    refuses with a range for each output.
    """

    def __init__(self, kind):
        quantizers = tf_keras_bridge.import_tfmot().quantization.keras.quantizers
        self._kind = kind
        self._quantizer = quantizers.LastValueQuantizer(
            num_bits=8, per_axis=kind != "Dense", symmetric=True, narrow_range=True
        )

    def build(self, shape, name, layer):
        del name
        channels = int(np.prod(shape[2:])) if self._kind == "DepthwiseConv2D" else shape[-1]
        return self._quantizer.build([channels], "weight", layer)

    def __call__(self, inputs, training, weights, **kwargs):
        values = _channels_last(inputs, self._kind)
        rounded = self._quantizer(values, training, weights, **kwargs)
        return tf.reshape(rounded, inputs.shape)

    def get_config(self):
        return {"kind": self._kind}


def _channels_last(kernel, kind):
    """Reshapes a depthwise kernel so that all its channels are the last axis."""
    if kind != "DepthwiseConv2D":
        return kernel
    height, width, channels, multiplier = kernel.shape
    reshape = tf.reshape if tf.is_tensor(kernel) else np.reshape
    return reshape(kernel, (height, width, 1, channels * multiplier))
