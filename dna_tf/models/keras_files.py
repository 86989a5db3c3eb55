"""Keras model files: loaded safely, saved atomically, known by their weights."""

import hashlib
import importlib
import zipfile

import keras
import numpy as np

from dna_tf.common import files


def load_model(path, modules=()):
    """Loads a `.keras` file in safe mode, for inference.

    Args:
        path: the file.
        modules: names of Python modules that are imported first, because they register
            the file's own layers with `@keras.saving.register_keras_serializable()`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a module cannot be imported; Keras cannot load the file, or would have
            to run code from it.
    """
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    for module in modules:
        _import(module)
    try:
        if path.suffix == ".keras":
            with path.open("rb") as file:  # Keras would say "file not found"
                if not zipfile.is_zipfile(file):
                    raise ValueError("the file is truncated or damaged.")
        return keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = _reason(error)
        raise ValueError(
            f"The file {path} is no Keras model that can be loaded safely. Expected a .keras file "
            f"of a functional model without Lambda or unknown layers.{_way_out(reason)} The "
            f"reason: {reason}"
        ) from error


def _import(module):
    try:
        importlib.import_module(module)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"The module {module!r} in config.teacher.modules cannot be imported: {error}. Expected"
            " names such as 'my_layers' or 'my_package.layers' of modules that are installed or in "
            "a folder of PYTHONPATH."
        ) from error


def _reason(error):
    """The first line of the cause, which Keras wraps when it lies inside a model."""
    line = str(error).split("Exception encountered: ")[-1].strip().splitlines()[0]
    for rest in (" Full object config", " If you trust"):  # pages of JSON; unsafe advice
        line = line.partition(rest)[0]
    return line


def _way_out(reason):
    if "`Lambda`" in reason:
        return (
            " A Lambda is code in a file: replace it by a layer of Keras, or by a layer class that "
            "is registered with @keras.saving.register_keras_serializable(), and name that class's "
            "module in config.teacher.modules."
        )
    if any(text in reason for text in ("Could not locate", "Unknown layer", "Could not interpret")):
        return (
            " Layers and functions of its own must be registered with "
            "@keras.saving.register_keras_serializable(); name the modules that do this in "
            "config.teacher.modules."
        )
    return ""


def weights_fingerprint(model):
    """Identifies the weights of a Keras model."""
    digest = hashlib.sha256()
    for variable in model.variables:
        # The states of dropout seeds are no weights: they move without training.
        if "seed_generator" not in variable.path:
            digest.update(np.ascontiguousarray(variable.value.numpy()).tobytes())
    return digest.hexdigest()[:16]


def save_model(model, path):
    """Saves a `.keras` file so that a kill leaves no half of it."""
    path = files.as_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"unfinished_{path.name}"
    model.save(str(temporary))
    temporary.replace(path)
