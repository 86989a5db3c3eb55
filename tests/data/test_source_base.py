"""Broken images: named, or left out up to a limit."""

import json

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import labelled_images, loading, source_base, sources
from dna_tf.evaluation import evaluation_images
from tests.helpers.data_files import data_config, example, picture, png, write_folder, write_records

CLASSES = ["ant", "bee", "cat"]


def config_of(kind, folder, per_class=12, broken=(), **changes):
    """Writes data of which the images of some numbers are no images; returns its config."""
    folder.mkdir(exist_ok=True)
    usual = {"rating_per_class": 2, "image_size": 8, "test_fraction": 0.25}
    if kind == "folder":
        write_folder(folder / "made", CLASSES, per_class)
        for number in broken:
            path = sorted((folder / "made").glob("*/*.png"))[number]
            path.write_bytes(path.read_bytes()[:40])
        return data_config(source=f"folder:{folder}/made", **{**usual, **changes})
    contents = [png(picture(i)) for i in range(3 * per_class)]
    for number in broken:
        contents[number] = contents[number][:40]
    for part in range(2):
        numbers = range(part, 3 * per_class, 2)
        records = [example(image=contents[i], label=i % 3) for i in numbers]
        write_records(folder / f"made-{part}", records)
    return data_config(source=f"tfrecord:{folder}/made-*", **{**usual, **changes})


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
    config = config_of(kind, tmp_path, broken=broken)
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
        assert names[0] == f"{tmp_path}/made/ant/001.png"
    else:
        assert names[0] == f"image 1 (counted from 0) of tfrecord:{tmp_path}/made-*"
    whole, epoch = pixels_of(loaded)
    # The good ones are all there, and no other; and it is so again.
    good = pixels_of(loading.load(config_of(kind, tmp_path / "good"), 0))[0]
    assert whole < good and len(whole) == 33
    again = loading.load(config, 0, cache, limit)
    np.testing.assert_array_equal(pixels_of(again)[1], epoch)
    assert again.fingerprint == loaded.fingerprint
    unlimited = config_of(kind, tmp_path / "other", max_broken_images=3)
    assert loading.load(unlimited, 0).fingerprint != loaded.fingerprint


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
def test_one_broken_image_too_many(tmp_path, kind):
    config = config_of(kind, tmp_path, broken=range(0, 14, 2), max_broken_images=6)
    with pytest.raises(ValueError, match=r"7 images cannot be .* allows 6: .* and 2 more\. All"):
        loading.load(config, 0, tmp_path / "run")
    assert (tmp_path / "run" / source_base.FILE).exists()
    config.max_broken_images = 7
    assert sum(loading.load(config, 0, tmp_path / "run").counts.values()) == 29


def test_a_list_is_read_again_and_whole_data_lists_nothing(tmp_path, monkeypatch, capsys):
    config = config_of("folder", tmp_path, max_broken_images=1)
    first = loading.load(config, 0, tmp_path / "run")
    assert "warning" not in capsys.readouterr().err
    monkeypatch.setattr(sources.Folder, "refused", None)  # a call would be an error
    assert loading.load(config, 0, tmp_path / "run").fingerprint == first.fingerprint
    config.max_broken_images = 0
    assert loading.load(config, 0).fingerprint == first.fingerprint  # nothing was left out


def test_the_usual_refusal_names_the_way_out(tmp_path):
    config = config_of("folder", tmp_path, broken=(2,))
    with pytest.raises(ValueError, match=r"ant/002.png.*allow some with max_broken"):
        loading.load(config, 0)


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
def test_evaluation_leaves_broken_images_out_too(tmp_path, capsys, kind):
    broken = (1, 13, 26)
    config = config_of(kind, tmp_path, broken=broken, max_broken_images=3)
    images = evaluation_images.of_source(config)
    assert "3 images cannot be decoded and are left out." in capsys.readouterr().err
    pairs = [(x.tobytes(), int(y[0])) for x, y in images.dataset(1).as_numpy_iterator()]
    whole = evaluation_images.of_source(config_of(kind, tmp_path / "good"))
    good = [(x.tobytes(), int(y[0])) for x, y in whole.dataset(1).as_numpy_iterator()]
    assert (images.count, len(pairs), len(good)) == (33, 33, 36)
    assert set(pairs) < set(good)
    few = [y for _, y in evaluation_images.of_source(config, limit=30).dataset(40)]
    assert few[0].shape == (30,)
    config.max_broken_images = 0
    assert evaluation_images.of_source(config).fingerprint != images.fingerprint
    config.max_broken_images = 2
    with pytest.raises(ValueError, match=r"3 images cannot be .* allows 2"):
        evaluation_images.of_source(config)


def test_crops_of_broken_images_are_named(tmp_path):
    from dna_tf.data import augmentation

    config = config_of("tfrecord", tmp_path, broken=(5,), rating_per_class=1)
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
