"""TFLite files run on real images: what they answer beside Keras, and whether that is of use."""

import numpy as np

from dna_tf.models import inference


def scores(content, images):
    """Runs a TFLite file.

    Args:
        content: the bytes of the file.
        images: float32 array `(images, height, width, channels)`, as the file takes them.

    Returns:
        A float32 array `(images, classes)`.
    """
    return inference.TFLitePredictor(content, "the exported file").scores(images)


def answers(made, expected, labels):
    """Compares scores with those of another model, and with the labels.

    Args:
        made, expected: arrays `(images, classes)`.
        labels: int array `(images,)`.

    Returns:
        A dict: `accuracy`, and `agreement`, the share of images with the same top-1 answer.
    """
    return {
        "accuracy": float(np.mean(made.argmax(-1) == labels)),
        "agreement": float(np.mean(made.argmax(-1) == expected.argmax(-1))),
    }


def compare(content, made, expected, labels):
    """As `answers`, of a file, with its `bytes` and the `largest_difference` of any score."""
    return {
        "bytes": len(content),
        **answers(made, expected, labels),
        "largest_difference": float(np.max(np.abs(made - expected))),
    }


def problem(made, expected):
    """Why scores are of no use, or `None`.

    Args:
        made: array `(images, classes)`.
        expected: those of the model that the file was made from.
    """
    if not np.isfinite(made).all():
        return f"gives NaN or infinity for {int((~np.isfinite(made)).any(-1).sum())} images"
    if len(made) > 1 and not np.ptp(made, axis=0).any() and np.ptp(expected, axis=0).any():
        return f"gives the same scores for all {len(made)} images"
    return None


def least_agreement_problem(rows, least):
    """Names files whose agreement is below `least`; `None` if there are none.

    Args:
        rows: dict from what a file is called to a row of `compare`.
        least: share in [0, 1].
    """
    bad = {name: row["agreement"] for name, row in rows.items() if row["agreement"] < least}
    if not bad:
        return None
    shown = ", ".join(f"{name} {100 * agreement:.1f} %" for name, agreement in bad.items())
    return f"{shown}; at least {100 * least:.1f} % of the answers must be the same"
