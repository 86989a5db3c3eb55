"""Images by the name of their source or from arrays: splits, fingerprints, refusals."""

import numpy as np
import pytest
from sklearn import datasets

from dna_tf.data import labelled_images, loading
from tests.helpers.data_files import (
    data_config,
    example,
    picture,
    png,
    write_folder,
    write_records,
    write_small,
)

GOLDEN_FINGERPRINT = "07e30f15230c54fb"
GOLDEN_TEST = [9, 15, 18, 21, 22, 24, 26, 28]
GOLDEN_RATING = [6, 25, 31, 32, 35, 40, 48, 49]


@pytest.fixture(scope="module")
def digits():
    return loading.load(data_config(), seed=0)


def split_indices(loaded):
    return {name: loaded.indices(name) for name in labelled_images.SPLITS}


def test_digits_splits_are_disjoint_complete_and_balanced(digits):
    target = datasets.load_digits().target
    indices = split_indices(digits)
    assert sorted(np.concatenate(list(indices.values()))) == list(range(1797))
    per_class = {name: np.bincount(target[drawn]) for name, drawn in indices.items()}
    total = np.bincount(target)
    np.testing.assert_array_equal(per_class["test"], [round(0.2 * n) for n in total])
    np.testing.assert_array_equal(per_class["rating"], [20] * 10)
    assert digits.counts == {name: len(drawn) for name, drawn in indices.items()}
    assert sum(digits.counts.values()) == 1797
    assert (digits.num_classes, digits.image_shape) == (10, (32, 32, 3))
    assert digits.class_names == list("0123456789")


def test_digits_splits_never_change(digits):
    # These numbers were drawn once. If they change, every run of before is cut off.
    indices = split_indices(digits)
    assert indices["test"][:8].tolist() == GOLDEN_TEST
    assert indices["rating"][:8].tolist() == GOLDEN_RATING
    again = split_indices(loading.load(data_config(), seed=0))
    other = split_indices(loading.load(data_config(), seed=1))
    for name in labelled_images.SPLITS:
        np.testing.assert_array_equal(again[name], indices[name])
        assert not np.array_equal(other[name], indices[name])


def test_own_test_split_is_taken_whole(tmp_path):
    write_folder(tmp_path / "train", ["ant", "bee"], 5)
    written = write_folder(tmp_path / "test", ["ant", "bee"], 2, first=90)
    config = data_config(source=f"folder:{tmp_path}", rating_per_class=3, image_size=5)
    loaded = loading.load(config, seed=0)
    assert loaded.counts == {"train": 4, "rating": 6, "test": 4}
    np.testing.assert_array_equal(loaded.arrays("test")[1], [0, 0, 1, 1])
    # Pictures are 6 x 5: one row is cropped.
    np.testing.assert_array_equal(loaded.arrays("test")[0], written[:, :5])


def test_fingerprint_follows_what_changes_images_or_splits(digits):
    fingerprints = {digits.fingerprint, loading.load(data_config(), seed=1).fingerprint}
    changes = {
        "image_size": 16,
        "channels": 1,
        "crop_fraction": 0.5,
        "rating_per_class": 5,
        "test_fraction": 0.5,
        "shift": 0.2,
        "flip": True,
    }
    for name, value in changes.items():
        fingerprints.add(loading.load(data_config(**{name: value}), seed=0).fingerprint)
    assert len(fingerprints) == 2 + len(changes)
    same = loading.load(data_config(shuffle_buffer=5, num_classes=10), seed=0)
    assert same.fingerprint == digits.fingerprint


def test_the_fingerprint_without_a_fraction_is_the_one_of_before(digits):
    assert digits.fingerprint == GOLDEN_FINGERPRINT
    assert data_config().rating_fraction == 0.0


def test_every_class_needs_a_test_image(tmp_path):
    write_records(tmp_path / "test", [example(image=png(picture(0)), label=2)])
    config = write_small(tmp_path, "tfrecord")
    config.test_source = f"tfrecord:{tmp_path}/test"
    with pytest.raises(ValueError, match=r"at least 1 test images .* class '0' .* '2' .* has 0"):
        loading.load(config, seed=0)


def test_one_class_is_refused(tmp_path):
    write_folder(tmp_path, ["everything"], 3)
    with pytest.raises(ValueError, match="at least 2 classes.*everything"):
        loading.load(data_config(source=f"folder:{tmp_path}"), seed=0)


def test_images_by_name_are_those_of_the_data_section(digits):
    images = loading.load_images("digits", image_size=32, seed=0)
    assert images.fingerprint == digits.fingerprint == GOLDEN_FINGERPRINT
    assert loading.load_images(shift=0, seed=0).fingerprint == (
        loading.load(data_config(shift=0.0), 0).fingerprint
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"imagesize": 32}, "no setting 'imagesize'. Did you mean 'image_size'"),
        ({"image_size": 7}, "image_size must be at least 8. Received: 7"),
        ({"channels": 2}, r"channels must be one of \[1, 3\]. Received: 2"),
        ({"shift": 0.6}, r"shift must be in \[0.0, 0.5\]. Received: 0.6"),
        ({"shift": float("nan")}, "shift must be in .* Received: nan"),
        ({"flip": 1}, "flip must be of type bool, such as False. Received: 1 of type int"),
        ({"rating_per_class": 2.5}, "rating_per_class must be of type int"),
        ({"seed": -1}, "seed must be a whole number of at least 0. Received: -1"),
        ({"seed": 2**31}, "seed must be below"),
        ({"source": "digit"}, "Did you mean 'digits'"),
        ({"rating_per_class": 200}, "Every class needs at least 201 training images"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        loading.load_images(**settings)


def arrays_of(count, size=9, channels=3):
    pixels = np.stack([picture(number, size, size, channels) for number in range(count)])
    return pixels, np.arange(count) % 3


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_split_and_keep_their_pixels(channels):
    pixels, labels = arrays_of(60, channels=channels)
    images = loading.images_from_arrays((pixels, labels), rating_per_class=4)
    assert images.counts == {"train": 36, "rating": 12, "test": 12}
    assert images.image_shape == (9, 9, channels) and images.class_names == ["0", "1", "2"]
    indices = {split: images.indices(split) for split in labelled_images.SPLITS}
    assert sorted(np.concatenate(list(indices.values()))) == list(range(60))
    for split, numbers in indices.items():
        kept, kept_labels = images.arrays(split)
        np.testing.assert_array_equal(kept, pixels[numbers])
        np.testing.assert_array_equal(kept_labels, labels[numbers])
    floats = loading.images_from_arrays((pixels.astype(np.float32), labels), rating_per_class=4)
    assert floats.fingerprint == images.fingerprint
    other = loading.images_from_arrays((255 - pixels, labels), rating_per_class=4)
    assert other.fingerprint != images.fingerprint
    batch, batch_labels = next(iter(images.epoch(6, 0, 0)))  # no shift by default
    for image, label in zip(batch.numpy(), batch_labels.numpy(), strict=True):
        (number,) = np.flatnonzero((pixels == image).all((1, 2, 3)))
        assert label == labels[number] and number in indices["train"]


def test_test_arrays_are_taken_whole():
    train, (pixels, labels) = arrays_of(30), arrays_of(45)
    test = pixels[30:], labels[30:]
    images = loading.images_from_arrays(train, test, rating_per_class=2, class_names=list("abc"))
    assert images.counts == {"train": 24, "rating": 6, "test": 15}
    np.testing.assert_array_equal(images.arrays("test")[0], pixels[30:])
    assert images.class_names == ["a", "b", "c"]


def _changed(pixels=None, labels=None, **others):
    train = arrays_of(30)
    train = (train[0] if pixels is None else pixels, train[1] if labels is None else labels)
    return {"train": train, "rating_per_class": 2, **others}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": arrays_of(30)[0]}, r"train must be a pair \(images, labels\) of arrays"),
        (_changed(np.zeros((30, 9, 9), np.uint8)), r"Received: uint8 \(30, 9, 9\)"),
        (_changed(np.zeros((30, 9, 9, 2), np.uint8)), "with 1 or 3 channels"),
        (_changed(np.zeros((30, 9, 9, 3))), "must be uint8 or float32. Received: float64"),
        (_changed(np.zeros((30, 9, 8, 3), np.uint8)), "must be square, of at least 8x8"),
        (_changed(np.zeros((30, 7, 7, 3), np.uint8)), "must be square, of at least 8x8"),
        (_changed(np.full((30, 9, 9, 3), 256.0, np.float32)), "values in 0..255. .*256..256"),
        (_changed(np.full((30, 9, 9, 3), np.nan, np.float32)), "values in 0..255. .*nan"),
        (_changed(np.full((30, 9, 9, 3), 0.5, np.float32)), "looks like 0..1. Multiply them"),
        (_changed(labels=np.arange(29)), "an array of 30 integers, one for each image"),
        (_changed(labels=np.zeros(30)), "an array of 30 integers.* Received: float64"),
        (_changed(labels=np.arange(30) % 3 - 1), "must be at least 0. Received: -1..1"),
        (_changed(labels=np.arange(30) % 3 + 1), "must start at 0. .* Subtract 1, or give class"),
        (_changed(labels=np.zeros(30, int)), "at least 2 classes"),
        (_changed(class_names=["a", "b"]), r"in 0..1 for 2 class_names. Received: 0..2"),
        (_changed(class_names=["a", "b", "b"]), "class_names must be different strings"),
        (_changed(class_names=list("abcd")), r"class 'd' \(label 3\) has 0"),
        (_changed(rating_per_class=9), "Every class needs at least 10 training images"),
        (_changed(rating_fraction=2), "rating_fraction must be in"),
        (_changed(test=arrays_of(30)), "The test images are the training images"),
        (_changed(test=arrays_of(6, 10)), r"shape of the training images, \(9, 9, 3\)"),
        (
            _changed(test=(arrays_of(6)[0], np.arange(6))),
            "must be in 0..2, as the training labels. Received: a label 5",
        ),
        (_changed(test=(arrays_of(6)[0], np.arange(6) % 2)), "at least 1 test images.*label 2"),
    ],
)
def test_bad_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        loading.images_from_arrays(**arguments)
