"""Compares the scores of an exported file with those of the Keras model it was made from."""

import numpy as np

from dna_tf.models import litert

# Images that are in memory as float32 at once.
_BATCH = 100


def file_scores(content, images, convert=None):
    """Runs a TFLite file.

    Args:
        content: the bytes of the file.
        images: uint8 or float32 array `(images, height, width, channels)`.
        convert: function from some of the images, as float32, to those that the file takes;
            `None` where it takes them as they are.

    Returns:
        A float32 array `(images, classes)`.
    """
    predictor = litert.TFLitePredictor(content, "the exported file")
    return in_batches(predictor.scores, images, convert)


def in_batches(run, images, convert=None):
    """Runs a function on images, some of them at a time, as float32.

    Args:
        run: from images to scores `(images, classes)`.
        images, convert: as for `file_scores`.

    Returns:
        A float32 array `(images, classes)`.
    """
    scores = []
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH].astype(np.float32)
        scores.append(np.asarray(run(convert(batch) if convert else batch)))
    return np.concatenate(scores)


def same_answers(scores, expected):
    """The share of images for which two arrays of scores have the same top-1 answer.

    Args:
        scores, expected: arrays `(images, classes)`.
    """
    return float(np.mean(scores.argmax(-1) == expected.argmax(-1)))


def largest_difference(scores, expected):
    """The largest difference of any score, as an absolute value."""
    return float(np.max(np.abs(scores - expected)))


def answers(scores, expected, labels):
    """Compares scores with those of another model, and with the labels.

    Args:
        scores, expected: arrays `(images, classes)`.
        labels: int array `(images,)`.

    Returns:
        A dict: `accuracy` of `scores`, and `agreement` with `expected` as `same_answers`
        gives it.
    """
    return {
        "accuracy": float(np.mean(scores.argmax(-1) == labels)),
        "agreement": same_answers(scores, expected),
    }


def compare(content, scores, expected, labels):
    """As `answers`, for a file: with its `bytes` and its `largest_difference`."""
    return {
        "bytes": len(content),
        **answers(scores, expected, labels),
        "largest_difference": largest_difference(scores, expected),
    }


def problem(scores, expected):
    """Says why scores are useless whatever the labels are; `None` if they are not.

    Args:
        scores: array `(images, classes)`.
        expected: scores of the model that the file was made from.
    """
    if not np.isfinite(scores).all():
        return f"gives NaN or infinity for {int((~np.isfinite(scores)).any(-1).sum())} images"
    if len(scores) > 1 and not np.ptp(scores, axis=0).any() and np.ptp(expected, axis=0).any():
        return f"gives the same scores for all {len(scores)} images"
    return None


def too_low(rows, least_agreement):
    """Lists the files whose agreement is below `least_agreement`; `None` if there are none.

    Args:
        rows: dict from the name of a file to a row with its `agreement`.
        least_agreement: share in [0, 1].
    """
    low = [
        f"{name} {100 * row['agreement']:.1f} %"
        for name, row in rows.items()
        if row["agreement"] < least_agreement
    ]
    if not low:
        return None
    return f"{', '.join(low)}; at least {100 * least_agreement:.1f} % of the answers must be equal"
