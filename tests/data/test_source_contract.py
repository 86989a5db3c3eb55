"""Contract of all sources: what splits and batches rely on, whatever the images come from."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import array_source, decoding, loading, sources
from tests.helpers.data_files import (
    data_config,
    example,
    picture,
    png,
    write_folder,
    write_records,
    write_tfds,
)

KINDS = ("arrays", "digits", "folder", "list", "tfds", "tfrecord")
IMAGES, CLASSES = 24, ["ant", "bee", "cat"]


def settings_of(kind, folder):
    """Writes images of a kind of source; returns the settings that open them."""
    changes = {"image_size": 8, "rating_per_class": 2, "test_fraction": 0.25}
    if kind == "folder":
        write_folder(folder / "images", CLASSES, IMAGES // 3)
        return data_config(source=f"folder:{folder}/images", **changes)
    if kind == "list":
        write_folder(folder, CLASSES, IMAGES // 3)
        lines = [
            f"{path.relative_to(folder)},{path.parent.name}" for path in folder.glob("*/*.png")
        ]
        (folder / "list.csv").write_text("\n".join(["path,label", *lines]))
        return data_config(source=f"list:{folder}/list.csv", **changes)
    if kind == "tfrecord":
        for part in range(2):
            numbers = range(part, IMAGES, 2)
            records = [example(image=png(picture(i, 9, 9)), label=i % 3) for i in numbers]
            write_records(folder / f"part-{part}", records)
        return data_config(source=f"tfrecord:{folder}/part-*", **changes)
    if kind == "tfds":
        write_tfds(folder, {"train": IMAGES // 3})
        return data_config(source="tfds:tiny", tfds_data_dir=str(folder), **changes)
    return data_config(source="digits", **changes)


@pytest.fixture(params=KINDS)
def opener(request, tmp_path):
    """A function that opens the same source again and again."""
    if request.param == "arrays":
        pixels = np.stack([picture(i, 9, 9) for i in range(IMAGES)])
        return lambda: array_source.Arrays("train", (pixels, np.arange(IMAGES) % 3))
    settings = settings_of(request.param, tmp_path)
    return lambda: sources.open_source(settings)


def read(source, indices=None):
    """Returns numbers and decoded images of a source."""
    pairs = [(int(index), source.decode(raw).numpy()) for index, raw in source.records(indices)]
    return [index for index, _ in pairs], [image for _, image in pairs]


def test_labels_are_one_int64_for_each_image(opener):
    source = opener()
    labels = source.labels()
    assert labels.dtype == np.int64 and labels.shape == (source.num_examples,)
    classes = len(source.class_names or CLASSES)
    assert sorted(set(labels.tolist())) == list(range(classes))
    paired = [int(label) for _, label in source.images()]
    assert paired == labels.tolist()


def test_images_are_grey_or_rgb_in_0_to_255_and_come_in_the_order_of_the_source(opener):
    source = opener()
    indices, images = read(source)
    assert indices == list(range(source.num_examples))
    for image in images[:IMAGES]:
        assert image.ndim == 3 and image.shape[2] in (1, 3)
        assert 0 <= image.min() and image.max() <= 255
    again = read(opener())[1]
    for first, second in zip(images, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_chosen_images_are_those_of_the_whole_source(opener):
    source = opener()
    images = read(source)[1]
    chosen = np.array([7, 2, 11], np.int64)
    indices, some = read(source, chosen)
    assert indices == (chosen.tolist() if source.random_access else sorted(chosen.tolist()))
    for index, image in zip(indices, some, strict=True):
        np.testing.assert_array_equal(image, images[index])


def test_encoded_images_decode_to_the_same_pixels(opener):
    source = opener()
    for _, raw in source.records(np.arange(3)):
        contents = source.encoded(raw)
        if contents is not None:
            np.testing.assert_array_equal(decoding.decode(contents), source.decode(raw))


def test_the_same_images_have_one_fingerprint_and_good_ones_are_not_refused(opener):
    first, second = opener(), opener()
    assert first.fingerprint() == second.fingerprint() and len(first.fingerprint()) == 16
    assert first.files() == second.files() and isinstance(first.files(), frozenset)
    first.check()
    assert list(first.refused()) == [] == list(first.broken())
    assert "3" in first.place(3) or "/" in first.place(3)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "arrays"])
def test_splits_have_the_same_pixels_in_memory_and_streamed(kind, tmp_path):
    settings = settings_of(kind, tmp_path)
    in_memory = loading.load(settings, 1)
    streamed = loading.load(settings, 1, memory_limit_bytes=0)
    assert in_memory.fingerprint == streamed.fingerprint
    for split in ("rating", "test"):
        np.testing.assert_array_equal(in_memory.arrays(split)[0], streamed.arrays(split)[0])
    batch = next(iter(streamed.epoch(6, epoch=0, seed=0)))
    assert batch[0].shape == (6, 8, 8, 3) and batch[0].dtype == tf.float32
