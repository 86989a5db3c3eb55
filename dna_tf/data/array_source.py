"""Images and labels in memory as a source, with checks of both."""

import hashlib

import numpy as np
import tensorflow as tf

from dna_tf.data import source_base

SMALLEST_IMAGE = 8  # pixels


class Arrays(source_base.Source):
    """Images and labels in memory.

    Args:
        role: `"train"` or `"test"`, for messages.
        arrays: `(images, labels)`: uint8 or float32 images in 0..255 `(count, height, width,
            channels)`, and integer labels `(count,)`. Floats are rounded to whole numbers.
        class_names: list of str, or `None`: the classes are then named by their numbers.

    Attributes:
        image_shape: `(height, width, channels)`.

    Raises:
        ValueError: an array has the wrong shape or type, or a value or a label is out of
            range.
    """

    random_access = True

    def __init__(self, role, arrays, class_names=None):
        if not isinstance(arrays, tuple | list) or len(arrays) != 2:
            raise ValueError(
                f"{role} must be a pair (images, labels) of arrays. Received: "
                f"{type(arrays).__name__}"
            )
        pixels, labels = map(np.asarray, arrays)
        _check_pixels(role, pixels)
        _check_labels(role, labels, len(pixels), class_names)
        names = class_names or map(str, range(int(labels.max()) + 1))
        super().__init__(f"{role} arrays", list(names))
        self.image_shape = pixels.shape[1:]
        self._pixels = np.ascontiguousarray(_whole(pixels))
        self._labels = labels.astype(np.int64)
        self._tensor = None

    def labels(self):
        return self._labels

    def _identity(self):
        digests = [hashlib.sha256(values).hexdigest() for values in (self._pixels, self._labels)]
        return ["arrays", list(self._pixels.shape), self.class_names, *digests]

    def records(self, indices=None):
        if self._tensor is None:
            self._tensor = source_base.on_cpu(self._pixels)
        indices = np.arange(len(self._labels)) if indices is None else indices
        dataset = tf.data.Dataset.from_tensor_slices(indices)
        return dataset.map(lambda index: (index, self._tensor[index]))

    def decode(self, raw):
        return raw


def check_test_arrays(train, test):
    """Checks that test images fit the training images.

    Args:
        train, test: `Arrays`.

    Raises:
        ValueError: their shapes differ, the test labels have classes that the training labels
            do not have, or both have the same images.
    """
    if test.image_shape != train.image_shape:
        raise ValueError(
            f"The test images must have the shape of the training images, {train.image_shape}. "
            f"Received: {test.image_shape}"
        )
    if len(test.class_names) > len(train.class_names):
        raise ValueError(
            f"The test labels must be in 0..{len(train.class_names) - 1}, as the training labels. "
            f"Received: a label {len(test.class_names) - 1}. Give class_names if the training "
            "images do not have every class."
        )
    if test.fingerprint() == train.fingerprint():
        raise ValueError(
            "The test images are the training images. Leave test out to hold out some of them."
        )


def _check_pixels(role, pixels):
    received = f"Received: {pixels.dtype} {pixels.shape}"
    if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3) or not pixels.size:
        raise ValueError(
            f"The {role} images must be an array (count, height, width, channels) with 1 or 3 "
            f"channels. {received}"
        )
    if pixels.dtype not in (np.uint8, np.float32):
        raise ValueError(f"The {role} images must be uint8 or float32. {received}")
    height, width = pixels.shape[1:3]
    if height != width or height < SMALLEST_IMAGE:
        raise ValueError(
            f"The {role} images must be square, of at least {SMALLEST_IMAGE}x{SMALLEST_IMAGE} "
            f"pixels. {received}. Resize or crop them."
        )
    lowest, highest = float(pixels.min()), float(pixels.max())
    if not 0.0 <= lowest <= highest <= 255.0:  # NaN is refused too
        raise ValueError(
            f"The {role} images must have values in 0..255. Received: {lowest:g}..{highest:g}"
        )
    if pixels.dtype == np.float32 and highest <= 1.0:
        raise ValueError(
            f"The {role} images must have values in 0..255. Received: {lowest:g}..{highest:g}, "
            "which looks like 0..1. Multiply them by 255."
        )


def _check_labels(role, labels, count, class_names):
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"The {role} labels must be an array of {count} integers, one for each image. "
            f"Received: {labels.dtype} {labels.shape}"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0:
        raise ValueError(f"The {role} labels must be at least 0. Received: {lowest}..{highest}")
    if class_names is None:
        if role == "train" and lowest:
            raise ValueError(
                f"The train labels must start at 0. Received: {lowest}..{highest}. Subtract "
                f"{lowest}, or give class_names if the first classes really have no images."
            )
        return
    names = list(class_names)
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names must be different strings. Received: {names}")
    if highest >= len(names):
        raise ValueError(
            f"The {role} labels must be in 0..{len(names) - 1} for {len(names)} class_names. "
            f"Received: {lowest}..{highest}"
        )


def _whole(pixels):
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels).astype(np.uint8)
