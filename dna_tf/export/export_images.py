"""The images of an export: of training for ranges, of testing for the comparison."""

import numpy as np

from dna_tf.common import progress, seeding
from dna_tf.config import export_sections
from dna_tf.data import loading
from dna_tf.evaluation import model_checks


def load(config, prepared, name, cache_dir=None):
    """Opens a config's data at the size of the exported model.

    Args:
        config: the config.
        prepared: an `prepare.Prepared`.
        name: how errors call the model.
        cache_dir: as for `loading.load`.

    Returns:
        A `labelled_images.Images`.

    Raises:
        ValueError, FileNotFoundError: as `loading.load`; the model takes other images or
            tells another number of classes apart.
    """
    section = config.data.copy_and_resolve_references()
    with section.unlocked():
        section.image_size = prepared.input_shape[0]
    images = loading.load(section, config.seed, cache_dir)
    model_checks.check_shapes(prepared, images, name)
    return images


def calibration_count(images, asked, field="export.calibration_images"):
    """How many training images ranges are taken from: those asked for, or all there are.

    Args:
        images: a `labelled_images.Images`.
        asked: how many the config asks for.
        field: where it does.

    Raises:
        ValueError: they are too few.
    """
    there, least = images.counts["train"], export_sections.LEAST_CALIBRATION_IMAGES
    if min(asked, there) < least:
        raise ValueError(
            f"The ranges of int8 and int16 files need at least {least} training images. There are "
            f"{there}, and config.{field}={asked}. "
            + ("Ask for more." if asked < least else "Give more data.")
        )
    if asked > there:
        progress.warn(
            f"config.{field}={asked}, and there are {there} training images: all of them are taken."
        )
    return min(asked, there)


def calibration(config, images, count):
    """Training images without augmentation, drawn by the config's seed.

    Args:
        config: the config.
        images: a `labelled_images.Images`.
        count: how many.

    Returns:
        float32 array `(count, height, width, channels)` in 0..255.
    """
    if not count:
        return np.zeros((0, *images.image_shape), np.float32)
    order = seeding.derive_seed("export", config.seed)
    with images.reading():
        batch, _ = next(iter(images.epoch(count, 0, order, augment=False)))
    return batch.numpy()


def first(images, split, count):
    """Up to so many images of a split: the first, where these show most classes.

    Where a source is sorted by class, they are taken from all of it.

    Args:
        images: a `labelled_images.Images`.
        split: `"rating"` or `"test"`.
        count: how many at most.

    Returns:
        float32 images `(images, height, width, channels)` in 0..255, and labels.
    """
    with images.reading():
        made = _take(images.images(split), count)
        if len(np.unique(made[1])) < min(len(made[1]), images.num_classes) / 2:
            made = _take(images.images(split, mixed=True), count)
    return made


def _take(dataset, count):
    return next(dataset.take(count).batch(count).as_numpy_iterator())
