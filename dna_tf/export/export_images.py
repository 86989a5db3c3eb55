"""The images of an export: training images for ranges, test images for the comparison."""

import numpy as np

from dna_tf.common import progress, seeding
from dna_tf.config import export_sections

_BATCH = 100


def calibration(images, precisions, count, seed=0, name="calibration_images"):
    """Training images from which the ranges of activations are taken.

    Args:
        images: a `labelled_images.Images`.
        precisions: the precisions that are exported.
        count: how many images are wanted; all, with a warning, where there are fewer.
        seed: draws the images.
        name: how messages call `count`.

    Returns:
        float32 array `(count, height, width, channels)` in 0..255, without augmentation;
        empty where no precision needs ranges.

    Raises:
        ValueError: the images are too few.
    """
    if not set(precisions) & set(export_sections.CALIBRATED):
        return np.zeros((0, *images.image_shape), np.float32)
    return draw(images, calibration_count(images, count, name), seed)


def calibration_count(images, count, name="calibration_images"):
    """The number of training images that are used for ranges: `count`, or all there are.

    Args, Raises: as for `calibration`.
    """
    available, least = images.counts["train"], export_sections.LEAST_CALIBRATION_IMAGES
    if min(count, available) < least:
        fix = "Ask for more." if count < least else "Give more data."
        raise ValueError(
            f"The ranges of int8 and int16 files need at least {least} training images. There are "
            f"{available}, and {name}={count}. {fix}"
        )
    if count > available:
        progress.warn(
            f"{name}={count}, and there are {available} training images: all of them are used."
        )
    return min(count, available)


def draw(images, count, seed=0):
    """Draws training images without augmentation.

    Args:
        images: a `labelled_images.Images`.
        count: how many, at most those of the training split.
        seed: which ones.

    Returns:
        float32 array `(count, height, width, channels)` in 0..255.
    """
    order = seeding.derive_seed("export", seed)
    with images.reading():
        batch, _ = next(iter(images.epoch(count, 0, order, augment=False)))
    return batch.numpy()


def first(images, split, count):
    """At most `count` images of a split: its first ones, if these show most classes.

    Otherwise, as in a source that is sorted by class, they are taken from the whole split. The
    labels decide this, so no image is decoded twice.

    Args:
        images: a `labelled_images.Images`.
        split: `"rating"` or `"test"`.
        count: how many at most.

    Returns:
        uint8 images `(images, height, width, channels)`, which need a fourth of the memory of
        float32, and int32 labels.
    """
    labels = images.labels(split)[:count]
    mixed = len(np.unique(labels)) < min(len(labels), images.num_classes) / 2
    count, start = len(labels), 0
    pixels, labels = np.empty((count, *images.image_shape), np.uint8), np.empty(count, np.int32)
    with images.reading():
        batches = images.images(split, batch_size=_BATCH, mixed=mixed).take(-(-count // _BATCH))
        for batch, labels_of_batch in batches.as_numpy_iterator():
            part = slice(start, min(start + len(batch), count))
            pixels[part] = batch[: part.stop - start]
            labels[part] = labels_of_batch[: part.stop - start]
            start = part.stop
    return pixels, labels
