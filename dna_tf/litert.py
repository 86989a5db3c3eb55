"""TFLite files, run as a phone runs them: batch 1, by the LiteRT interpreter."""

import numpy as np
from ai_edge_litert import interpreter


class Predictor:
    """Runs a TFLite classifier on images in 0..255.

    Integer inputs and outputs are quantised and dequantised with the file's own scales.

    Args:
        content: the bytes of the file.
        name: how errors call it.
        num_threads: threads of the interpreter.

    Raises:
        ValueError: the bytes are no TFLite model.
    """

    def __init__(self, content, name, num_threads=2):
        try:
            self._interpreter = interpreter.Interpreter(
                model_content=content, num_threads=num_threads
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"{name} is no TFLite model that LiteRT can run: {str(error).splitlines()[0]}"
            ) from error
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self.input_shape = tuple(int(n) for n in self._input["shape"][1:])
        self.num_outputs = int(self._output["shape"][-1])

    def scores(self, images):
        """Scores of images, run one by one.

        Args:
            images: float32 array `(batch, height, width, channels)` in 0..255.

        Returns:
            A float32 array `(batch, num_classes)`.
        """
        return np.stack([self._one(image[None]) for image in images])

    def _one(self, image):
        self._interpreter.set_tensor(self._input["index"], _quantize(image, self._input))
        self._interpreter.invoke()
        return _dequantize(self._interpreter.get_tensor(self._output["index"]), self._output)[0]


def _quantize(values, details):
    dtype = details["dtype"]
    if dtype == np.float32:
        return values.astype(np.float32)
    scale, zero_point = details["quantization"]
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def _dequantize(values, details):
    if details["dtype"] == np.float32:
        return values
    scale, zero_point = details["quantization"]
    return ((values.astype(np.float32) - zero_point) * scale).astype(np.float32)
