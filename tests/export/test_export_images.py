"""The images of an export: enough for ranges, and of all classes for the comparison."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

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


def test_sources_that_are_sorted_by_class_are_mixed():
    class Sorted:
        num_classes = 10
        reading = contextlib.nullcontext

        def images(self, split, mixed=False):
            labels = np.repeat(np.arange(10), 20)
            labels = np.random.default_rng(0).permutation(labels) if mixed else labels
            pairs = np.zeros((200, 2, 2, 3), np.float32), labels
            return tf.data.Dataset.from_tensor_slices(pairs)

    assert len(np.unique(export_images.first(Sorted(), "test", 40)[1])) > 5
    assert (export_images.first(Sorted(), "test", 160)[1] == np.repeat(np.arange(8), 20)).all()
