"""Broken images: named, or left out up to a limit."""

import json

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import folder_source, labelled_images, loading, source_base
from tests.helpers.data_files import broken_data


def pixels_of(loaded):
    """The images of all splits as bytes, and those of a training epoch."""
    with loaded.reading():
        splits = [loaded.arrays(split)[0] for split in labelled_images.SPLITS]
        batches = [batch for batch, _ in loaded.epoch(4, 1, 3).as_numpy_iterator()]
    return {image.tobytes() for image in np.concatenate(splits)}, np.concatenate(batches)


@pytest.mark.parametrize("limit", [2**28, 0], ids=["memory", "streamed"])
@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
def test_broken_images_up_to_a_limit_are_left_out_and_listed(tmp_path, capsys, kind, limit):
    broken = (1, 13, 26)
    config = broken_data(kind, tmp_path, broken=broken)
    config.max_broken_images = 3
    cache = tmp_path / "run"
    loaded = loading.load(config, 0, cache, limit)
    assert sum(loaded.counts.values()) == 33
    assert f"3 images cannot be decoded and are left out. All are listed in {cache}" in (
        capsys.readouterr().err
    )
    listed = json.loads((cache / source_base.FILE).read_text())
    (of_source,) = listed["sources"].values()
    assert (listed["kind"], of_source["images"]) == ("dna_tf.broken_images", 36)
    assert [image["index"] for image in of_source["broken"]] == list(broken)
    names = [image["image"] for image in of_source["broken"]]
    if kind == "folder":
        assert names[0] == f"{tmp_path}/images/ant/001.png"
    else:
        assert names[0] == f"image 1 (counted from 0) of tfrecord:{tmp_path}/part-*"
    whole, epoch = pixels_of(loaded)
    # The good ones are all there, and no other; and it is so again.
    good = pixels_of(loading.load(broken_data(kind, tmp_path / "good"), 0))[0]
    assert whole < good and len(whole) == 33
    again = loading.load(config, 0, cache, limit)
    np.testing.assert_array_equal(pixels_of(again)[1], epoch)
    assert again.fingerprint == loaded.fingerprint
    unlimited = broken_data(kind, tmp_path / "other", max_broken_images=3)
    assert loading.load(unlimited, 0).fingerprint != loaded.fingerprint


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
def test_one_broken_image_too_many(tmp_path, kind):
    config = broken_data(kind, tmp_path, broken=range(0, 14, 2), max_broken_images=6)
    with pytest.raises(ValueError, match=r"7 images cannot be .* allows 6: .* and 2 more\. All"):
        loading.load(config, 0, tmp_path / "run")
    assert (tmp_path / "run" / source_base.FILE).exists()
    config.max_broken_images = 7
    assert sum(loading.load(config, 0, tmp_path / "run").counts.values()) == 29


def test_a_list_is_read_again_and_whole_data_lists_nothing(tmp_path, monkeypatch, capsys):
    config = broken_data("folder", tmp_path, max_broken_images=1)
    first = loading.load(config, 0, tmp_path / "run")
    assert "warning" not in capsys.readouterr().err
    with monkeypatch.context() as patched:
        patched.setattr(folder_source.Folder, "refused", None)  # a call would be an error
        assert loading.load(config, 0, tmp_path / "run").fingerprint == first.fingerprint
    config.max_broken_images = 0
    assert loading.load(config, 0).fingerprint == first.fingerprint  # nothing was left out


def test_the_usual_refusal_names_the_way_out(tmp_path):
    config = broken_data("folder", tmp_path, broken=(2,))
    with pytest.raises(ValueError, match=r"ant/002.png.*allow some with max_broken"):
        loading.load(config, 0)


def test_crops_of_broken_images_are_named(tmp_path):
    from dna_tf.data import augmentation

    config = broken_data("tfrecord", tmp_path, broken=(5,), rating_per_class=1)
    loaded = loading.load(config, 0, memory_limit_bytes=0)
    crops = augmentation.Augmentation(crop_area=0.2)
    with pytest.raises(ValueError, match="Cannot decode record"), loaded.reading():
        for _ in range(3):
            for batch in loaded.epoch(3, 0, 0, augmentation=crops):
                tf.size(batch[0])
        for _ in loaded.images("test", 4):
            pass
        for _ in loaded.images("rating", 4):
            pass
