"""The images that a model is measured on: a run's test split, or any source as a whole."""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.common import files, seeding
from dna_tf.data import decoding, loading, pipelines, source_base, sources

INTERPOLATIONS = ("bilinear", "bicubic")
# Raised when the same source and settings would give other pixels than before.
_PIXELS_VERSION = 1


@dataclasses.dataclass(frozen=True)
class EvaluationImages:
    """Labelled images in an order that mixes the classes where the source can.

    Args:
        name: the source as the user wrote it.
        image_shape: `(height, width, channels)`.
        crop_fraction: central part of the resized image that is kept.
        num_classes: as the data says; `None` where it names no classes.
        class_names: of the data; `None` without.
        count: the number of images.
        label_range: the lowest and the highest label, `None` without images.
        fingerprint: of source, pixels and, for a run, its splits.
        label_offset: what was subtracted from the labels of TFRecords; else `None`.
        seen_in_training: whether some may have been trained on.
        dataset: function from batch size to a `tf.data.Dataset` of (images float32
            `(batch, height, width, channels)` in 0..255, labels int32).
        reading: context that names an image that cannot be decoded.
    """

    name: str
    image_shape: tuple
    crop_fraction: float
    num_classes: int | None
    class_names: list | None
    count: int
    label_range: tuple | None
    fingerprint: str
    label_offset: int | None
    seen_in_training: bool
    dataset: object
    reading: object


def of_run(config, seed, cache_dir=None, limit=0):
    """The test split of a config's data.

    Args:
        config: the data section.
        seed: the config's, which draws the splits.
        cache_dir: as for `loading.load`.
        limit: take only so many images, of all classes mixed; 0 takes all.

    Raises:
        ValueError, FileNotFoundError: as `loading.load`.
    """
    loaded = loading.load(config, seed, cache_dir)
    count = min(limit or loaded.counts["test"], loaded.counts["test"])

    def dataset(batch_size):
        return loaded.images("test", mixed=True).take(count).batch(batch_size).prefetch(2)

    return EvaluationImages(
        name=config.test_source or config.source,
        image_shape=loaded.image_shape,
        crop_fraction=config.crop_fraction,
        num_classes=loaded.num_classes,
        class_names=loaded.class_names,
        count=count,
        label_range=(0, loaded.num_classes - 1),  # `loading.load` refuses others
        fingerprint=loaded.fingerprint,
        label_offset=loaded.source("test").label_offset,
        seen_in_training=False,
        dataset=dataset,
        reading=loaded.reading,
    )


def of_source(config, interpolation="bilinear", limit=0, trained_on=""):
    """All images of a source: of its test split, or where it has none, of the whole.

    Args:
        config: the data section; `source` is read, at `image_size` and `crop_fraction`. Up to
            `max_broken_images` that cannot be decoded are left out.
        interpolation: of `INTERPOLATIONS`.
        limit: as for `of_run`.
        trained_on: the source that the run trains on, or `""`.

    Raises:
        ValueError: the source is not usable, has more broken images than are allowed, or
            `interpolation` is unknown.
        FileNotFoundError: there is nothing where it points.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"The interpolation must be one of {list(INTERPOLATIONS)}. Received: {interpolation!r}"
        )
    source, is_test_split = sources.open_to_evaluate(config)
    labels, order = source.labels(), np.arange(source.num_examples)
    if config.max_broken_images:
        (order,) = source_base.leave_out([source], config.max_broken_images, None)
    identity = [source.fingerprint()]
    if len(order) < source.num_examples:
        identity.append({"images": len(order)})
    if source.random_access:
        order = order[pipelines.permutation(len(order), seeding.seed_pair("mixed"))]
    order = order[: limit or len(order)]
    size, channels, crop = config.image_size, config.channels, config.crop_fraction

    def dataset(batch_size):
        known = source_base.on_cpu(labels.astype(np.int32))
        made = source.records(order).map(
            lambda index, raw: (
                tf.cast(
                    decoding.fit(source.decode(raw), size, channels, crop, interpolation),
                    tf.float32,
                ),
                known[index],
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return pipelines.finished(made.batch(batch_size))

    settings = [_PIXELS_VERSION, size, channels, crop, interpolation]
    names = source.class_names
    return EvaluationImages(
        name=config.source,
        image_shape=(size, size, channels),
        crop_fraction=crop,
        num_classes=len(names) if names else config.num_classes or None,
        class_names=names,
        count=len(order),
        label_range=(int(labels.min()), int(labels.max())) if len(labels) else None,
        fingerprint=files.fingerprint([*identity, settings]),
        label_offset=source.label_offset,
        seen_in_training=config.source == trained_on and not is_test_split,
        dataset=dataset,
        reading=lambda: source_base.naming_broken_images(source),
    )
