"""Runs TFLite files as a phone does: batch 1, by the LiteRT interpreter, without TensorFlow."""

import numpy as np
from ai_edge_litert import interpreter

_THREADS = 2  # of the interpreter; Keras models use TensorFlow's own threads


class TFLitePredictor:
    """Runs a TFLite classifier on images in 0..255.

    It runs as on a phone: batch 1, by the LiteRT interpreter. Integer inputs and outputs are
    quantised and dequantised with the scales in the file.

    Args:
        content: the bytes of the file.
        name: its name in errors.

    Raises:
        ValueError: the bytes are not a TFLite model.
    """

    def __init__(self, content, name):
        try:
            self._interpreter = interpreter.Interpreter(model_content=content, num_threads=_THREADS)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"{name} is not a TFLite model that LiteRT can run: {str(error).splitlines()[0]}"
            ) from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                f"Expected a TFLite file with one input, images, and one output, scores. Received: "
                f"{name} with {len(inputs)} inputs and {len(outputs)} outputs."
            )
        self._input, self._output = inputs[0], outputs[0]
        self.num_outputs = int(self._output["shape"][-1])
        # TFLite has -1 for a size that is not fixed.
        sizes = self._input.get("shape_signature", ())
        sizes = sizes if len(sizes) else self._input["shape"]
        self.input_shape = tuple(None if n < 0 else int(n) for n in sizes[1:])

    def scores(self, images):
        """Scores of images, run one by one.

        Args:
            images: float32 array `(batch, height, width, channels)` in 0..255.

        Returns:
            A float32 array `(batch, num_classes)`.
        """
        images = np.asarray(images, np.float32)
        return np.stack([self._one(image[None]) for image in images])

    def _one(self, image):
        if tuple(self._input["shape"]) != image.shape:  # a batch above 1, or an open size
            self._interpreter.resize_tensor_input(self._input["index"], image.shape)
            self._interpreter.allocate_tensors()
            self._input = self._interpreter.get_input_details()[0]
        self._interpreter.set_tensor(self._input["index"], _quantize(image, self._input))
        self._interpreter.invoke()
        return _dequantize(self._interpreter.get_tensor(self._output["index"]), self._output)[0]


def _quantize(values, details):
    dtype = details["dtype"]
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype)
    scale, zero_point = _scale(details)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def _dequantize(values, details):
    if np.issubdtype(details["dtype"], np.floating):
        return values.astype(np.float32)
    scale, zero_point = _scale(details)
    return ((values.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _scale(details):
    scale, zero_point = details["quantization"]
    return (scale, zero_point) if scale else (1.0, 0)  # integers that are not scaled
