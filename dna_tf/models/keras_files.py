"""Keras model files: loaded safely, saved atomically, and fingerprints of their weights."""

import hashlib
import importlib

import keras
import numpy as np

from dna_tf.common import archives, checks, files
from dna_tf.models import keras_settings, plain_models


def load_model(path, modules=()):
    """Loads a `.keras` file in safe mode, for inference: in float32, for batches of any size.

    Args:
        path: the file.
        modules: names of Python modules to import first: those that register layers of the
            file with `@keras.saving.register_keras_serializable()`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a module cannot be imported, Keras cannot load the file without running
            code from it, or the model cannot be copied in float32.
    """
    keras_settings.settle()
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    for module in modules:
        _import(module)
    try:
        if path.suffix == ".keras":
            with path.open("rb") as file:  # otherwise Keras says "file not found"
                archives.check_size(file, path.stat().length)
        model = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except Exception as error:  # of Keras, HDF5, zip or TensorFlow, depending on what is broken
        reason = _reason(error)
        raise ValueError(
            f"The file {path} is not a Keras model that can be loaded safely. Expected a .keras "
            f"file of a functional model without Lambda or unknown layers.{_way_out(reason)} The "
            f"reason: {reason}"
        ) from error
    return plain_models.usable(model)


def _import(module):
    try:
        importlib.import_module(module)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"The module {module!r} cannot be imported: {error}. Expected names such as "
            "'my_layers' or 'my_package.layers' of modules that are installed or in a folder of "
            "PYTHONPATH."
        ) from error


def _reason(error):
    """The first line of the cause, which Keras wraps if the layer is inside a model."""
    text = str(error).split("Exception encountered: ")[-1].strip() or repr(error)
    line = text.splitlines()[0]
    for rest in (" Full object config", " If you trust"):  # pages of JSON, and unsafe advice
        line = line.partition(rest)[0]
    return checks.cut(line, 500)


def _way_out(reason):
    if "`Lambda`" in reason:
        return (
            " A Lambda is code in a file: replace it by a layer of Keras, or by a layer class that "
            "is registered with @keras.saving.register_keras_serializable(), and name the module "
            "of that class (modules)."
        )
    if any(text in reason for text in ("Could not locate", "Unknown layer", "Could not interpret")):
        return (
            " Its own layers and functions must be registered with "
            "@keras.saving.register_keras_serializable(); name the modules of these (modules)."
        )
    return ""


def weights_fingerprint(model):
    """Returns a fingerprint of the weights of a Keras model."""
    digest = hashlib.sha256()
    for variable in model.variables:
        # Dropout seeds are not weights: they change without training.
        if "seed_generator" not in variable.path:
            digest.update(np.ascontiguousarray(variable.value.numpy()).tobytes())
    return digest.hexdigest()[:16]


def save_model(model, path):
    """Saves a `.keras` file atomically: if the process is killed, no partial file is left.

    Raises:
        OSError: as `files.replacing`.
    """
    with files.replacing(path, ".tmp.keras") as temporary:
        model.save(str(temporary))
