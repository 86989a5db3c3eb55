"""Keras model files: loaded safely, saved atomically, known by their weights."""

import hashlib
import zipfile

import keras
import numpy as np

from dna_tf import files


def load_model(path):
    """Loads a `.keras` file in safe mode, for inference.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: Keras cannot load it, or would have to run code from it.
    """
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    try:
        if path.suffix == ".keras":
            with path.open("rb") as file:  # Keras would say "file not found"
                if not zipfile.is_zipfile(file):
                    raise ValueError("the file is truncated or damaged.")
        return keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"The file {path} is no Keras model that can be loaded safely. Expected a .keras file "
            "of a functional model without Lambda or custom layers. The reason: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error


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
