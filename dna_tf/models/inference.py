"""Models to evaluate, whatever file they come in: what they take, give and answer."""
# MERGED: 'Accuracy with its uncertainty.'
# MERGED: 'TFLite files, run as a phone runs them: batch 1, by the LiteRT interpreter.'

import zipfile

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import interpreter

from dna_tf.common import files, progress
from dna_tf.models import copies, keras_files, model_costs


def open_model(path, image_size=None, modules=()):
    """Opens a model file for inference.

    Args:
        path: a `.keras` file (loaded in safe mode), a `.tflite` file, or the folder of a
            SavedModel, whose graph is code that runs as it is.
        image_size: height and width at which to run a Keras model, in pixels, instead of
            its own; `None` keeps that.
        modules: of a `.keras` file, as for `keras_files.load_model`.

    Returns:
        A predictor with `input_shape` `(height, width, channels)`, `None` where any size
        is taken; `num_outputs`; `fingerprint` of the weights; of Keras models `params` (the
        trainable ones) and `macs`; and `scores(images)`, from
        images `(batch, height, width, channels)` to an array or tensor `(batch, outputs)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model that can be run, or has not one input and one output.
    """
    path = files.as_path(path)
    if path.suffix == ".tflite" and path.is_file():
        content = path.read_bytes()
        predictor = TFLitePredictor(content, str(path))
        predictor.fingerprint = files.fingerprint(content)
        return predictor
    if path.is_dir():
        return SavedModelPredictor(path)
    if path.suffix not in (".keras", ".tflite"):
        raise ValueError(
            "A model to evaluate is a SavedModel's folder, or a .keras or .tflite file. "
            f"Received: {path}"
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    return KerasPredictor(keras_files.load_model(path, modules), path, image_size)


class KerasPredictor:
    """A Keras model as one compiled function, in inference mode.

    Args:
        model: a `keras.Model` from images to scores `(batch, outputs)`.
        path: the `.keras` file it came from.
        image_size: height and width to run it at, in pixels; `None` for its own.

    Raises:
        ValueError: the model has not one input and one output of these forms, or cannot
            run at that size.
    """

    def __init__(self, model, path, image_size=None):
        inputs, outputs = model.inputs or (), model.outputs or ()
        shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
        if (len(inputs), len(outputs)) != (1, 1) or len(shapes[1]) != 2 or shapes[1][1] is None:
            raise ValueError(
                f"Expected a model from images to scores (batch, classes). Received: {path} with "
                f"the inputs {shapes[: len(inputs)]} and the outputs {shapes[len(inputs) :]}"
            )
        self.fingerprint = files.fingerprint(
            [keras_files.weights_fingerprint(model), _graph_fingerprint(path)]
        )
        own = shapes[0][1:]
        if image_size and len(own) == 3 and own[0] not in (None, image_size):
            model = copies.resized(model, image_size)
            progress.say(
                f"{path} was made for {own[0]}x{own[1]} and runs at {image_size}x{image_size}."
            )
        self.model = model
        self.input_shape = tuple(model.inputs[0].shape[1:])
        self.num_outputs = int(shapes[1][1])
        self.params = model_costs.count_params(model)
        self.macs = model_costs.count_macs(model)
        signature = tf.TensorSpec(model.inputs[0].shape, tf.float32)
        # One graph for whole batches and the last, smaller one.
        self._run = tf.function(
            lambda images: tf.cast(model(images, training=False), tf.float32),
            input_signature=[signature],
        )

    def scores(self, images):
        """Scores of images, as a float32 tensor that may still be in the making."""
        return self._run(images)


class SavedModelPredictor:
    """A SavedModel's serving signature.

    Args:
        path: its folder. Nothing but the graph in it is run; a graph can read and write
            files, so it must come from someone who is trusted.

    Raises:
        ValueError: it is no SavedModel, or has no signature from one tensor of images to
            one of scores.
    """

    def __init__(self, path):
        if not (path / "saved_model.pb").exists():
            raise ValueError(
                f"The folder {path} is no SavedModel: it has no file saved_model.pb. Expected what "
                "model.export(FOLDER) of Keras or tf.saved_model.save writes."
            )
        try:
            self._loaded = tf.saved_model.load(str(path))  # kept: it owns the variables
        except (ValueError, OSError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"The SavedModel {path} cannot be loaded: {reason}") from error
        signatures = dict(self._loaded.signatures)
        name = "serving_default" if "serving_default" in signatures else next(iter(signatures), "")
        if not name:
            raise ValueError(
                f"The SavedModel {path} has no signature. Save it by model.export(FOLDER) of Keras,"
                " or give tf.saved_model.save signatures={'serving_default': ...}."
            )
        self._run = signatures[name]
        inputs = self._run.structured_input_signature[1]
        outputs = self._run.structured_outputs
        shapes = [tuple(spec.shape) for spec in (*inputs.values(), *outputs.values())]
        if (len(inputs), len(outputs)) != (1, 1) or len(shapes[0]) != 4 or shapes[1][-1] is None:
            raise ValueError(
                "Expected a signature from images (batch, height, width, channels) to scores "
                f"(batch, classes). Received: {name!r} of {path} with the inputs {inputs} and the "
                f"outputs {outputs}"
            )
        ((self._input, spec),) = inputs.items()
        self._dtype, self._batch = spec.dtype, shapes[0][0]
        self.input_shape, self.num_outputs = shapes[0][1:], int(shapes[1][-1])
        content = sorted([path / "saved_model.pb", *(path / "variables").glob("*")])
        self.fingerprint = files.fingerprint([files.fingerprint(p.read_bytes()) for p in content])

    def scores(self, images):
        """Scores of images; a signature of a fixed batch runs in batches of that."""
        images = tf.cast(images, self._dtype)
        if self._batch in (None, len(images)):
            return self._call(images)
        made = []
        for start in range(0, len(images), self._batch):
            part = images[start : start + self._batch]
            missing = self._batch - len(part)
            padded = tf.pad(part, [[0, missing], [0, 0], [0, 0], [0, 0]])
            made.append(self._call(padded)[: len(part)])
        return tf.concat(made, axis=0)

    def _call(self, images):
        (scores,) = self._run(**{self._input: images}).values()
        return tf.cast(scores, tf.float32)


def _graph_fingerprint(path):
    """Of the layers as the file lists them: an activation is in no weight."""
    with files.as_path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        return files.fingerprint(archive.read("config.json"))


def as_array(scores):
    """Scores as a float32 array `(batch, outputs)`; waits until they are made."""
    return np.asarray(scores, np.float32).reshape(len(scores), -1)


def predictor(model):
    """A compiled function from images to classes, for many calls of `count_correct`.

    Args:
        model: a Keras model from images to scores `(batch, num_classes)`.
    """
    return tf.function(
        lambda x: tf.argmax(model(x, training=False), axis=-1), reduce_retracing=True
    )


def count_correct(model, batches):
    """Counts right answers.

    Args:
        model: a Keras model from images to scores `(batch, num_classes)`, or what
            `predictor` made of one.
        batches: an iterable of `(images, labels)`.

    Returns:
        `(correct, total)`.
    """
    predict = predictor(model) if isinstance(model, keras.Model) else model
    correct = total = 0
    for images, labels in batches:
        correct += int(np.sum(predict(images).numpy() == np.asarray(labels)))
        total += len(labels)
    return correct, total


_THREADS = 2  # of the interpreter; of Keras models TensorFlow takes what it likes


class TFLitePredictor:
    """Runs a TFLite classifier on images in 0..255.

    Integer inputs and outputs are quantised and dequantised with the file's own scales.

    Args:
        content: the bytes of the file.
        name: how errors call it.

    Raises:
        ValueError: the bytes are no TFLite model.
    """

    def __init__(self, content, name):
        try:
            self._interpreter = interpreter.Interpreter(model_content=content, num_threads=_THREADS)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"{name} is no TFLite model that LiteRT can run: {str(error).splitlines()[0]}"
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
        # -1, here None, stands for a size that may be chosen.
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
        if tuple(self._input["shape"]) != image.shape:  # a batch above 1, or a size to choose
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
    return (scale, zero_point) if scale else (1.0, 0)  # whole numbers that stand for themselves
