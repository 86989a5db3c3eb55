"""The images that a model is evaluated on: one split of a data set, or a source as a whole."""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.common import files, seeding
from dna_tf.data import data_settings, decoding, pipelines, source_base, sources

INTERPOLATIONS = data_settings.INTERPOLATIONS
# Raised when the same source and settings would give other pixels than before.
_PIXELS_VERSION = 1


@dataclasses.dataclass(frozen=True)
class EvaluationImages:
    """Labelled images, with the classes mixed where the source allows any order.

    Args:
        name: the source as the user wrote it.
        image_shape: `(height, width, channels)`.
        crop_fraction: central part of the resized image that is kept.
        interpolation: of the resize.
        num_classes: the number of classes; `None` if the data does not name its classes.
        class_names: list of text, or `None`.
        count: the number of images.
        label_range: `(lowest, highest)` label; `None` without images.
        fingerprint: identifies source, pixels and, for a split, the splits.
        label_offset: the number that is subtracted from the labels of TFRecords; `None`
            for other sources.
        seen_in_training: whether a model may have been trained on some of them.
        dataset: function from the batch size to a `tf.data.Dataset` of (images float32
            `(batch, height, width, channels)` in 0..255, labels int32).
        reading: function that returns a context in which an error names the image that
            cannot be decoded.
    """

    name: str
    image_shape: tuple
    crop_fraction: float
    interpolation: str
    num_classes: int | None
    class_names: list | None
    count: int
    label_range: tuple | None
    fingerprint: str
    label_offset: int | None
    seen_in_training: bool
    dataset: object
    reading: object


def of_split(images, split="test", name="the images", crop_fraction=1.0, limit=0):
    """The images of one split.

    Args:
        images: a `labelled_images.Images`.
        split: `"train"`, `"rating"` or `"test"`.
        name: what messages and results call them.
        crop_fraction: with which they were loaded, for the record.
        limit: take only this many images, with all classes mixed; 0 takes all.

    Raises:
        ValueError: there is no such split.
    """
    source = images.source(split)
    count = min(limit or images.counts[split], images.counts[split])

    def dataset(batch_size):
        return images.images(split, mixed=True).take(count).batch(batch_size).prefetch(2)

    return EvaluationImages(
        name=name,
        image_shape=images.image_shape,
        crop_fraction=crop_fraction,
        interpolation=images.interpolation,
        num_classes=images.num_classes,
        class_names=images.class_names,
        count=count,
        label_range=(0, images.num_classes - 1),  # other labels are refused on loading
        fingerprint=images.fingerprint,
        label_offset=source.label_offset,
        seen_in_training=False,
        dataset=dataset,
        reading=images.reading,
    )


def of_source(settings, limit=0, trained_on=""):
    """All images of a source: of its test split or, without one, of the whole source.

    Args:
        settings: the data settings; `source` is read, at `image_size`, `crop_fraction` and
            `interpolation`. Up to `max_broken_images` that cannot be decoded are left out.
        limit: as for `of_split`.
        trained_on: the source that the run trains on, or `""`.

    Raises:
        ValueError: the source cannot be used, has more broken images than are allowed, or
            `interpolation` is unknown.
        FileNotFoundError: the source names a file or a folder that does not exist.
    """
    interpolation = settings.interpolation
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"The interpolation must be one of {list(INTERPOLATIONS)}. Received: {interpolation!r}"
        )
    source, is_test_split = sources.open_to_evaluate(settings)
    labels, order = source.labels(), np.arange(source.num_examples)
    if settings.max_broken_images:
        (order,) = source_base.leave_out([source], settings.max_broken_images, None)
    identity = [source.fingerprint()]
    if len(order) < source.num_examples:
        identity.append({"images": len(order)})
    if source.random_access:
        order = order[pipelines.permutation(len(order), seeding.seed_pair("mixed"))]
    order = order[: limit or len(order)]
    size, channels, crop = settings.image_size, settings.channels, settings.crop_fraction

    def dataset(batch_size):
        label_of = source_base.on_cpu(labels.astype(np.int32))

        def example(index, raw):
            image = decoding.fit(source.decode(raw), size, channels, crop, interpolation)
            return tf.cast(image, tf.float32), label_of[index]

        examples = source.records(order).map(
            example, num_parallel_calls=pipelines.parallel_calls(), deterministic=True
        )
        return pipelines.finished(examples.batch(batch_size))

    identity.append([_PIXELS_VERSION, size, channels, crop, interpolation])
    names = source.class_names
    return EvaluationImages(
        name=settings.source,
        image_shape=(size, size, channels),
        crop_fraction=crop,
        interpolation=interpolation,
        num_classes=len(names) if names else settings.num_classes or None,
        class_names=names,
        count=len(order),
        label_range=(int(labels.min()), int(labels.max())) if len(labels) else None,
        fingerprint=files.fingerprint(identity),
        label_offset=source.label_offset,
        seen_in_training=settings.source == trained_on and not is_test_split,
        dataset=dataset,
        reading=lambda: source_base.naming_broken_images(source),
    )
