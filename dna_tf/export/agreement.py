"""Compares the scores of an exported file with those of the Keras model it was made from."""

import numpy as np

from dna_tf.models import litert


def file_scores(content, images):
    """Runs a TFLite file.

    Args:
        content: the bytes of the file.
        images: float32 array `(images, height, width, channels)`, as the file takes them.

    Returns:
        A float32 array `(images, classes)`.
    """
    return litert.TFLitePredictor(content, "the exported file").scores(images)


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
