"""The images of an export: enough for ranges, and of all classes for the comparison."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import loading
from dna_tf.export import export_images


def test_too_few_calibration_images_are_refused_or_said(capsys):
    images = type("Images", (), {"counts": {"train": 30}})
    assert export_images.calibration_count(images, 200) == 30
    assert "calibration_images=200, and there are 30" in capsys.readouterr().err
    assert export_images.calibration_count(images, 200, "config.quantize.calibration_images") == 30
    assert "config.quantize.calibration_images=200, and there are" in capsys.readouterr().err
    assert export_images.calibration_count(images, 30) == 30
    assert export_images.calibration_count(images, 20) == 20
    assert not capsys.readouterr().err
    images.counts["train"] = 9
    with pytest.raises(ValueError, match="at least 10 training images. There are 9, .* more data"):
        export_images.calibration_count(images, 200)
    images.counts["train"] = 500
    with pytest.raises(ValueError, match="calibration_images=9. Ask for more"):
        export_images.calibration_count(images, 9)


class Sorted:
    """20 grey images of each of 10 classes, in the order of their classes."""

    num_classes, image_shape = 10, (2, 2, 1)
    reading = contextlib.nullcontext

    def __init__(self):
        self.calls = []

    def labels(self, split):
        return np.repeat(np.arange(10), 20)

    def images(self, split, batch_size=None, mixed=False):
        self.calls.append((split, batch_size, mixed))
        order = np.random.default_rng(0).permutation(200) if mixed else np.arange(200)
        pixels = np.broadcast_to(order[:, None, None, None], (200, 2, 2, 1)).astype(np.float32)
        pairs = tf.data.Dataset.from_tensor_slices((pixels, self.labels(split)[order]))
        return pairs if batch_size is None else pairs.batch(batch_size)


@pytest.mark.parametrize("count", [40, 160, 1000])
def test_sources_that_are_sorted_by_class_are_mixed(count):
    images = Sorted()
    pixels, labels = export_images.first(images, "test", count)
    # Half of the classes in the first 100 images are enough.
    expected = np.random.default_rng(0).permutation(200) if count == 40 else np.arange(200)
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], expected[:count])
    np.testing.assert_array_equal(labels, expected[:count] // 20)
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.int32)
    # The split is read once, and never as one batch of all images, which may take gigabytes.
    ((split, batch_size, _),) = images.calls
    assert split == "test" and 1 < batch_size <= 128


def test_ranges_come_from_training_images():
    black, white = (np.full((24, 8, 8, 1), value, np.uint8) for value in (0, 255))
    labels = np.arange(24) % 2
    images = loading.images_from_arrays(
        (black, labels), (white[:20], labels[:20]), rating_per_class=4
    )
    drawn = export_images.calibration(images, ("int8",), 12)
    assert drawn.shape == (12, 8, 8, 1) and not drawn.any()
    assert not export_images.draw(images, 16).any()
    assert (export_images.first(images, "test", 9)[0] == 255).all()
