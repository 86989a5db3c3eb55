"""The images of an evaluation: a whole source, cropped and resized, or a part of all classes."""

import numpy as np
import pytest

from dna_tf.config import run_config
from dna_tf.data import decoding
from dna_tf.evaluation import evaluation_images
from tests.helpers import grey_levels


def test_a_limit_takes_images_of_all_classes(tmp_path):
    pictures, _ = grey_levels.write_pictures(tmp_path / "data")
    section = run_config.default_config().data.copy_and_resolve_references()
    section.update({"source": f"folder:{tmp_path}/data", "image_size": grey_levels.SIZE})
    images = evaluation_images.of_source(section, limit=30)
    labels = np.concatenate([y for _, y in images.dataset(8).as_numpy_iterator()])
    assert images.count == len(labels) == 30 and len(set(labels)) == grey_levels.CLASSES
    again = [y for _, y in evaluation_images.of_source(section, limit=30).dataset(8)]
    np.testing.assert_array_equal(np.concatenate(again), labels)
    with pytest.raises(ValueError, match="interpolation must be one of"):
        section.interpolation = "nearest"
        evaluation_images.of_source(section)
    section.interpolation = "bilinear"
    section.crop_fraction = 0.6
    cropped = evaluation_images.of_source(section)
    batch, _ = next(iter(cropped.dataset(78)))
    expected = [decoding.fit(p, grey_levels.SIZE, 3, 0.6).numpy() for p in pictures]
    received = sorted(x.astype(np.uint8).tobytes() for x in batch.numpy())
    assert received == sorted(x.tobytes() for x in expected)
    section.crop_fraction = 1.0
    section.interpolation = "bicubic"
    bicubic = evaluation_images.of_source(section)
    assert (images.interpolation, bicubic.interpolation) == ("bilinear", "bicubic")
    assert len({images.fingerprint, cropped.fingerprint, bicubic.fingerprint}) == 3
    (first, _), (other, _) = (next(iter(d.dataset(78))) for d in (bicubic, images))
    assert 0 < np.mean(np.abs(first[:30] - other)) < 5
