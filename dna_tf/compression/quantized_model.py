"""A model that rounds as its int8 file will, with ranges measured on the float model.

The wrappers and quantizers are tensorflow-model-optimization's 8-bit ones: weights
symmetric for each channel, outputs asymmetric by moving averages. Which layers they go
around is decided in `quantization_graph`, since tfmot's own scheme stops at the
multiplication of squeeze-and-excitation, rounds a depthwise kernel as one for all
channels, and starts all ranges at -6..6 and that of the image at 0..0.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.common import progress
from dna_tf.compression import integer_graph, tf_keras_bridge
from dna_tf.export import conversion

_INPUT = "quantized_image"
_BATCH = 50


def build(model):
    """Builds the model that is trained with rounding; its ranges are not set yet.

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

    def wrap(made, layer):
        config = _QuantizeConfig(layer, integer_graph.output_range(layer, layers))
        wrappers[layer.name] = tfmot.quantization.keras.QuantizeWrapperV2(made, config)
        return wrappers[layer.name]

    floating = tf_keras_bridge.build(layers, f"{model.name}_folded")
    return QuantizedModel(
        tf_keras_bridge.build(layers, f"{model.name}_qat", wrap), floating, layers, wrappers
    )


def _with_quantized_input(layers):
    """With an identity after the image, whose output is quantised: the input of the file."""
    image, *rest = layers
    entry = tf_keras_bridge.Layer(_INPUT, "Activation", {"activation": "linear"}, (image.name,))
    renamed = [
        dataclasses.replace(
            layer, reads=tuple(_INPUT if name == image.name else name for name in layer.reads)
        )
        for layer in rest
    ]
    return [image, entry, *renamed]


class QuantizedModel:
    """The `tf_keras` model that rounds, beside the float one with the same folded weights.

    Attributes:
        model: the `tf_keras.Model` that is trained, from images in 0..255 to scores.
        floating: the same layers without rounding; it keeps the weights of the start.
    """

    def __init__(self, model, floating, layers, wrappers):
        self.model, self.floating = model, floating
        self._layers, self._wrappers = layers, wrappers

    def calibrate(self, images):
        """Sets all ranges: of outputs as the float model gives them, of weights as they are.

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
        with progress.bar("measuring ranges", len(images), "image") as shown:
            for start in range(0, len(images), _BATCH):
                batch = images[start : start + _BATCH]
                low, high = extremes(batch)
                lows, highs = np.minimum(lows, low), np.maximum(highs, high)
                shown.update(len(batch))
        for name, low, high in zip(measured, lows, highs, strict=True):
            self._assign(name, "output", low, high if high > low else low + 1e-6)
        self.calibrate_weights()

    def calibrate_weights(self):
        """Sets the ranges of the weights as these are now."""
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
        found = {}
        for layer in self._layers:
            pair = self._pair(layer.name, "output") if layer.kind != "InputLayer" else None
            if pair:
                found[layer.name] = tuple(float(variable.numpy()) for variable in pair)
        return found

    def _assign(self, name, what, low, high):
        lowest, highest = self._pair(name, what)
        lowest.assign(np.asarray(low, np.float32))
        highest.assign(np.asarray(high, np.float32))

    def _pair(self, name, what):
        """The variables of a range, or `None`; tfmot knows them by the end of their names."""
        variables = self._wrappers[name].non_trainable_weights
        pair = [
            variable
            for end in ("min", "max")
            for variable in variables
            if variable.name.split("/")[-1] == f"{what}_{end}:0"
        ]
        return pair or None

    def to_tflite(self):
        """Converts to a TFLite file with 8 bit weights, activations, input and output.

        Returns:
            The bytes of the file; it takes and gives int8, one image at a time.

        Raises:
            ValueError: TensorFlow cannot convert the model.
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
            return converter.convert()
        except conversion.FAILURES as error:
            raise ValueError(
                f"TensorFlow cannot convert {self.model.name!r}, which was trained with rounding, "
                f"to an int8 file: {conversion.reason(error)}. The training is kept; an int8 "
                "file without it: python -m tools.export_tflite."
            ) from error


class _QuantizeConfig:
    """How one layer is quantised, as tfmot's wrapper asks for it.

    Args:
        layer: a `tf_keras_bridge.Layer`.
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
        return []  # all activations are layers of their own

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
    """tfmot's quantizer of weights, for each channel of depthwise kernels too.

    Those of a dense layer have one range: the converter transposes its kernel, and refuses
    to do that with a range for each output.
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
    """A kernel with one axis of channels, the last; as given if it has that already."""
    if kind != "DepthwiseConv2D":
        return kernel
    height, width, channels, multiplier = kernel.shape
    made = tf.reshape if tf.is_tensor(kernel) else np.reshape
    return made(kernel, (height, width, 1, channels * multiplier))
