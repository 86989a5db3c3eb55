"""Runs any model file, Keras, SavedModel or TFLite, and counts correct answers."""

import zipfile

import keras
import numpy as np
import tensorflow as tf

from dna_tf.common import files, progress
from dna_tf.models import (
    copies,
    graph,
    keras_files,
    keras_settings,
    litert,
    model_costs,
    plain_models,
)


def open_model(path, image_size=None, modules=()):
    """Opens a model file for inference.

    Args:
        path: a `.keras` file (loaded in safe mode), a `.tflite` file, or the folder of a
            SavedModel, whose graph is code that runs unchecked.
        image_size: height and width in pixels at which to run a Keras model; `None` keeps
            its own.
        modules: names of modules that a `.keras` file needs, as for `keras_files.load_model`.

    Returns:
        A predictor with `input_shape` `(height, width, channels)`, `None` for sizes that are
        not fixed; `num_outputs`; `fingerprint`; for Keras models `params` and `macs`; and
        `scores(images)`, from images `(batch, height, width, channels)` to an array or tensor
        `(batch, outputs)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a model that can be run, or does not have one input and one
            output.
    """
    keras_settings.settle()  # for the preprocessing before any model
    path = files.as_path(path)
    if path.suffix == ".tflite" and path.is_file():
        content = path.read_bytes()
        predictor = litert.TFLitePredictor(content, str(path))
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
    """A Keras model as one compiled function, in inference mode and in float32.

    Args:
        model: a `keras.Model` from images to scores `(batch, outputs)`.
        path: its `.keras` file; `None` for a model without a file, which has no
            `fingerprint`.
        image_size: height and width in pixels at which to run it; `None` for its own.

    Raises:
        ValueError: the model does not have one input and one output of these forms, or cannot
            run at that size.
    """

    def __init__(self, model, path=None, image_size=None):
        name = path or repr(model.name)
        inputs = getattr(model, "inputs", None) or ()  # a subclassed model has none
        outputs = getattr(model, "outputs", None) or ()
        shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
        if (len(inputs), len(outputs)) != (1, 1) or len(shapes[1]) != 2 or shapes[1][1] is None:
            raise ValueError(
                f"Expected a model from images to scores (batch, classes). Received: {name} with "
                f"the inputs {shapes[: len(inputs)]} and the outputs {shapes[len(inputs) :]}"
            )
        keras_settings.settle()
        if not tf.config.list_physical_devices("GPU"):
            graph.check_channels_last(model, f"The model {name}")
        model = plain_models.usable(model)
        self.fingerprint = path and files.fingerprint(
            [keras_files.weights_fingerprint(model), _graph_fingerprint(path)]
        )
        own = shapes[0][1:]
        if image_size and len(own) == 3 and own[0] not in (None, image_size):
            model = copies.resized(model, image_size)
            progress.say(
                f"{name} was made for {own[0]}x{own[1]} and runs at {image_size}x{image_size}."
            )
        self.model = model
        self.input_shape = tuple(model.inputs[0].shape[1:])
        self.num_outputs = int(shapes[1][1])
        self.params = model_costs.count_params(model)
        self.macs = model_costs.count_macs(model)
        signature = tf.TensorSpec(model.inputs[0].shape, tf.float32)
        # A single graph serves full batches and the smaller last one.
        self._run = tf.function(
            lambda images: tf.cast(model(images, training=False), tf.float32),
            input_signature=[signature],
        )

    def scores(self, images):
        """Scores of images, as a float32 tensor that may not be computed yet."""
        return self._run(images)


def _graph_fingerprint(path):
    """A fingerprint of the layers in the file, since weights do not show, say, an activation."""
    with files.as_path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        return files.fingerprint(archive.read("config.json"))


class SavedModelPredictor:
    """A SavedModel's serving signature.

    Args:
        path: its folder. Only its graph is run; but a graph can read and write files, so
            the folder must come from a trusted source.

    Raises:
        ValueError: it is not a SavedModel, or has no signature from one tensor of images to
            one of scores.
    """

    def __init__(self, path):
        if not (path / "saved_model.pb").exists():
            raise ValueError(
                f"The folder {path} is not a SavedModel: it has no file saved_model.pb. Expected "
                "a folder written by model.export(FOLDER) of Keras or by tf.saved_model.save."
            )
        try:
            self._loaded = tf.saved_model.load(str(path))  # owns the variables
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
        """Scores of images; a signature with a fixed batch size runs in such batches."""
        images = tf.cast(images, self._dtype)
        if self._batch in (None, len(images)):
            return self._call(images)
        scores = []
        for start in range(0, len(images), self._batch):
            part = images[start : start + self._batch]
            missing = self._batch - len(part)
            padded = tf.pad(part, [[0, missing], [0, 0], [0, 0], [0, 0]])
            scores.append(self._call(padded)[: len(part)])
        return tf.concat(scores, axis=0)

    def _call(self, images):
        (scores,) = self._run(**{self._input: images}).values()
        return tf.cast(scores, tf.float32)


def as_array(scores):
    """Scores as a float32 array `(batch, outputs)`; waits until they are computed."""
    return np.asarray(scores, np.float32).reshape(len(scores), -1)


def class_function(model, devices=()):
    """Compiles a model into a function from images to classes, for many `count_correct`.

    Args:
        model: a Keras model from images to scores `(batch, num_classes)`.
        devices: names of devices of this machine, each of which runs a part of the images. With
            fewer than two of them all images run where the model is.
    """

    def classes(images):
        return tf.argmax(model(images, training=False), axis=-1)

    def on_devices(images):
        count, number = tf.shape(images)[0], len(devices)
        sizes = [(count + place) // number for place in range(number)]
        results = []
        for device, part in zip(devices, tf.split(images, sizes, num=number), strict=True):
            with tf.device(device):
                results.append(classes(part))
        return tf.concat(results, axis=0)

    return tf.function(on_devices if len(devices) > 1 else classes, reduce_retracing=True)


def count_correct(model, batches):
    """Counts correct answers.

    Args:
        model: a Keras model from images to scores `(batch, num_classes)`, or the `class_function`
            of one.
        batches: an iterable of `(images, labels)`.

    Returns:
        `(correct, total)`.
    """
    predict = class_function(model) if isinstance(model, keras.Model) else model
    correct = total = 0
    for images, labels in batches:
        correct += int(np.sum(predict(images).numpy() == np.asarray(labels)))
        total += len(labels)
    return correct, total
