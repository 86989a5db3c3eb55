"""Models to evaluate, whatever file they come in: what they take, give and answer."""

import zipfile

import keras
import numpy as np
import tensorflow as tf

from dna_tf import files, graph_copy, keras_files, litert, model_macs, progress


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
        predictor = litert.Predictor(content, str(path))
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
            model = resized(model, image_size)
            progress.say(
                f"{path} was made for {own[0]}x{own[1]} and runs at {image_size}x{image_size}."
            )
        self.model = model
        self.input_shape = tuple(model.inputs[0].shape[1:])
        self.num_outputs = int(shapes[1][1])
        self.params = model_macs.count_params(model)
        self.macs = model_macs.count_macs(model)
        signature = tf.TensorSpec(model.inputs[0].shape, tf.float32)
        # One graph for whole batches and the last, smaller one.
        self._run = tf.function(
            lambda images: tf.cast(model(images, training=False), tf.float32),
            input_signature=[signature],
        )

    def scores(self, images):
        """Scores of images, as a float32 tensor that may still be in the making."""
        return self._run(images)


def resized(model, image_size):
    """The same layers and weights as a graph for images of another size.

    Args:
        model: a functional `keras.Model` for images of a fixed size.
        image_size: the new height and width in pixels.

    Raises:
        ValueError: a layer's weights depend on the size.
    """
    shape = (image_size, image_size, model.inputs[0].shape[-1])
    try:
        made = keras.models.clone_model(model, input_tensors=keras.Input(shape))
        graph_copy.copy_variables(model, made)
    except (ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).split("Exception encountered: ")[-1].strip().splitlines()[0]
        raise ValueError(
            f"The model {model.name!r} is for images of "
            f"{'x'.join(map(str, model.inputs[0].shape[1:]))} and cannot run at "
            f"{image_size}x{image_size}: a layer depends on the size. Leave --image_size out. The "
            f"reason: {reason}"
        ) from error
    return made


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
