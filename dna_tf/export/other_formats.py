"""Exports a model as SavedModel and ONNX, written by Keras, and runs what was written."""

import contextlib
import importlib
import importlib.util

import tensorflow as tf

from dna_tf.common import files, progress
from dna_tf.export import agreement
from dna_tf.models import inference

_SAVEDMODEL, _ONNX = "savedmodel", "student.onnx"
_FOR_ONNX = ("tf2onnx", "onnx")
_ONNX_IMAGES = 4  # ONNX's own evaluator is written in Python


def check(kinds):
    """Checks that the packages for these formats are installed.

    Args:
        kinds: of `export_sections.ALSO`.

    Raises:
        ValueError: a package is missing.
    """
    missing = [name for name in _FOR_ONNX if importlib.util.find_spec(name) is None]
    if "onnx" in kinds and missing:
        raise ValueError(
            "also='onnx' is asked for, which Keras writes by means of the packages "
            f"{' and '.join(_FOR_ONNX)}. Missing: {' and '.join(missing)}. Install them with "
            f"pip install {' '.join(missing)}, or leave 'onnx' out."
        )


def write(model, kind, folder, images, expected, convert=None):
    """Writes a model in another format, and runs it.

    Args:
        model: a `keras.Model`.
        kind: of `export_sections.ALSO`.
        folder: where `savedmodel/` or `student.onnx` goes.
        images: uint8 or float32 `(images, height, width, channels)`.
        expected: the model's scores for these, `(images, classes)`.
        convert: as of `agreement.file_scores`.

    Returns:
        A dict: `file`, `images` (on how many it was run), `agreement` and
        `largest_difference`.

    Raises:
        ValueError: Keras or one of its packages cannot write it.
        OSError: the disk is full, or the folder cannot be written.
    """
    name = _SAVEDMODEL if kind == "savedmodel" else _ONNX
    path, unfinished = folder / name, folder / f"unfinished_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    _remove(unfinished)
    form = "tf_saved_model" if kind == "savedmodel" else "onnx"
    try:
        model.export(str(unfinished), format=form, verbose=False)
        files.sync(unfinished)
        _remove(path)
        unfinished.replace(path)
    except (OSError, tf.errors.OpError) as error:
        with contextlib.suppress(OSError):
            _remove(unfinished)
        raise files.unwritable(path, error) from error
    except (ValueError, TypeError, RuntimeError, ImportError, AttributeError) as error:
        _remove(unfinished)
        raise ValueError(
            f"Keras cannot export the model {model.name!r} as {kind}: "
            f"{(str(error).strip() or repr(error)).splitlines()[0]} Leave {kind!r} out, or install "
            "other versions of the packages that it needs."
        ) from error
    if kind == "savedmodel":
        predictor = inference.SavedModelPredictor(files.as_path(path))
        scores = agreement.in_batches(predictor.scores, images, convert)
    else:
        scores = agreement.in_batches(
            lambda batch: _onnx_scores(path, batch), images[:_ONNX_IMAGES], convert
        )
    expected = expected[: len(scores)]
    result = {
        "file": name,
        "images": len(scores),
        "agreement": agreement.same_answers(scores, expected),
        "largest_difference": agreement.largest_difference(scores, expected),
    }
    progress.say(
        f"{model.name} {kind}: {path}, top-1 agreement with Keras on {len(scores)} images "
        f"{100 * result['agreement']:.1f} %, largest difference {result['largest_difference']:.3g}"
    )
    return result


def _onnx_scores(path, images):
    # Imported by name: these packages are not requirements of this project.
    model = importlib.import_module("onnx").load(str(path))
    reference = importlib.import_module("onnx.reference").ReferenceEvaluator(model)
    (scores,) = reference.run(None, {reference.input_names[0]: images})
    return scores


def _remove(path):
    if path.is_dir():
        path.rmtree()
    else:
        path.unlink(missing_ok=True)
