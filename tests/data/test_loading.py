"""Tests of `data`, `splits`, `ordering` and what `images` does after decoding."""

import hashlib
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

from dna_tf.common import seeding
from dna_tf.data import decoding, held_out, loading, pipelines, record_sources, sources
from tests.helpers.data_files import data_config, example, picture, png, write_folder, write_records

SHARED_DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
CIFAR10, IMAGENET = SHARED_DATA / "cifar10", SHARED_DATA / "imagenet_sample"
GOLDEN_FINGERPRINT = "07e30f15230c54fb"
GOLDEN_TEST = [9, 15, 18, 21, 22, 24, 26, 28]
GOLDEN_RATING = [6, 25, 31, 32, 35, 40, 48, 49]
GOLDEN_PERMUTATION = [2, 4, 1, 0, 5, 3]


@pytest.fixture(scope="module")
def digits():
    return loading.load(data_config(), seed=0)


def write_small(tmp_path, kind, per_class=12):
    """Writes 3 classes of pictures; returns the config of a source of that kind."""
    changes = {"rating_per_class": 2, "image_size": 8, "test_fraction": 0.25, "flip": True}
    if kind == "folder":
        write_folder(tmp_path / "made", ["ant", "bee", "cat"], per_class)
        return data_config(source=f"folder:{tmp_path}/made", **changes)
    for part in range(2):
        numbers = range(part, per_class * 3, 2)
        records = [example(image=png(picture(i)), label=i % 3 + 1) for i in numbers]
        write_records(tmp_path / f"made-{part}", records)
    return data_config(source=f"tfrecord:{tmp_path}/made-*", label_offset=1, **changes)


def batches(dataset):
    return [(image, label) for image, label in dataset.as_numpy_iterator()]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def split_indices(loaded):
    return {name: loaded._splits[name].indices for name in loading.SPLITS}


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
    for name in loading.SPLITS:
        np.testing.assert_array_equal(again[name], indices[name])
        assert not np.array_equal(other[name], indices[name])


def test_draw_takes_the_first_by_hash():
    labels = np.array([0, 1, 0, 0, 1, 0])
    drawn, rest = held_out.draw(labels, np.array([0, 1, 2, 4, 5]), [2, 1], seed=7)

    def first(label, members, count):
        order = sorted(members, key=lambda i: hashlib.sha256(f"7,{label},{i}".encode()).digest())
        return order[:count]

    assert drawn.tolist() == sorted(first(0, [0, 2, 5], 2) + first(1, [1, 4], 1))
    assert sorted([*drawn, *rest]) == [0, 1, 2, 4, 5]


def test_arrays_and_images_hold_the_split_in_order(digits):
    source = datasets.load_digits()
    pixels, labels = digits.arrays("test")
    indices = split_indices(digits)["test"]
    np.testing.assert_array_equal(labels, source.target[indices])
    assert (pixels.dtype, labels.dtype) == (np.float32, np.int32)
    # Bilinear, half-pixel centres: output 1 and 2 of 4 per pixel lie 1/8 from its centre.
    exact = source.images[indices] * 255 / 16
    np.testing.assert_allclose(pixels[:, 0, 0, 0], np.round(exact[:, 0, 0]), atol=0.51)
    mixed = 0.875 * exact[:, 3, 3] + 0.125 * exact[:, 3, 4]
    mixed_below = 0.875 * exact[:, 4, 3] + 0.125 * exact[:, 4, 4]
    expected = 0.875 * mixed + 0.125 * mixed_below
    np.testing.assert_allclose(pixels[:, 14, 14, 0], expected, atol=0.51)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])
    read = batches(digits.images("test", batch_size=100))
    assert [len(image) for image, _ in read] == [100, 100, 100, len(labels) - 300]
    np.testing.assert_array_equal(np.concatenate([image for image, _ in read]), pixels)
    np.testing.assert_array_equal(np.concatenate([label for _, label in read]), labels)
    image, label = next(digits.images("test").as_numpy_iterator())
    assert (image.shape, image.dtype, label.dtype) == ((32, 32, 3), np.float32, np.int32)


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
def test_memory_and_streaming_give_the_same_pixels(tmp_path, kind):
    config = write_small(tmp_path, kind)
    kept = loading.load(config, seed=3)
    streamed = loading.load(config, seed=3, memory_limit_bytes=0)
    assert kept.fingerprint == streamed.fingerprint
    assert kept.counts == {"train": 21, "rating": 6, "test": 9}
    for split in loading.SPLITS:
        assert_same(batches(kept.images(split, 4)), batches(streamed.images(split, 4)))
        np.testing.assert_array_equal(kept.arrays(split)[0], streamed.arrays(split)[0])

    def by_value(loaded):
        read = batches(loaded.epoch(7, epoch=2, seed=5))
        pairs = (pair for step in read for pair in zip(*step, strict=True))
        return sorted((label, image.tobytes()) for image, label in pairs)

    # Augmentation goes by image, so that only the order may differ.
    assert by_value(kept) == by_value(streamed)


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_epochs_repeat_and_resume_to_the_bit(tmp_path, kind, limit):
    config = write_small(tmp_path, kind)
    config.shuffle_buffer = 10
    loaded = loading.load(config, seed=3, memory_limit_bytes=limit)
    dataset = loaded.epoch(4, epoch=1, seed=5)
    assert dataset.element_spec[0] == tf.TensorSpec((4, 8, 8, 3), tf.float32)
    assert dataset.element_spec[1] == tf.TensorSpec((4,), tf.int32)
    first = batches(dataset)
    assert len(first) == loaded.steps_per_epoch(4) == 5
    tf.random.set_seed(99)
    again = loading.load(config, seed=3, memory_limit_bytes=limit)
    assert_same(batches(again.epoch(4, epoch=1, seed=5)), first)
    assert_same(batches(again.epoch(4, epoch=1, seed=5, skip_batches=3)), first[3:])
    assert batches(again.epoch(4, epoch=1, seed=5, skip_batches=5)) == []
    for epoch, seed in ((2, 5), (1, 6)):
        other = batches(loaded.epoch(4, epoch=epoch, seed=seed))
        assert any(np.any(one[1] != two[1]) for one, two in zip(first, other, strict=True))


def test_skipped_images_are_not_decoded(tmp_path):
    config = write_small(tmp_path, "tfrecord")
    loaded = loading.load(config, seed=3, memory_limit_bytes=0)
    whole = batches(loaded.epoch(4, epoch=0, seed=0, augment=False))
    pixels, _ = loaded.arrays("train")
    skipped = [np.where((pixels == image).all((1, 2, 3)))[0][0] for image in whole[0][0]]
    numbers = loaded._splits["train"].indices[skipped]
    # The two files are read in turn, so that the index is the number of the picture.
    for part in range(2):
        names = [i for i in range(part, 36, 2)]
        contents = [b"broken" if i in numbers else png(picture(i)) for i in names]
        records = [
            example(image=image, label=i % 3 + 1) for i, image in zip(names, contents, strict=True)
        ]
        write_records(tmp_path / f"made-{part}", records)
    rest = batches(loaded.epoch(4, epoch=0, seed=0, augment=False, skip_batches=1))
    assert_same(rest, whole[1:])
    with pytest.raises(ValueError, match="Cannot decode record .* of .*/made-"):
        with loaded.reading():
            batches(loaded.epoch(4, epoch=0, seed=0))


def test_an_epoch_uses_every_image_once(digits):
    read = batches(digits.epoch(digits.counts["train"], epoch=0, seed=0, augment=False))
    pixels, labels = digits.arrays("train")
    key = [p.tobytes() for p in pixels]
    assert sorted(image.tobytes() for image in read[0][0]) == sorted(key)
    assert not np.array_equal(read[0][1], labels)


@pytest.mark.parametrize("flip", [False, True])
def test_augmentation_matches_numpy(digits, flip):
    image = picture(0, 9, 9)
    shifts, flips, limit = set(), set(), 2
    for number in range(80):
        seed = tf.constant([11, number], tf.int64)
        draws = tf.random.stateless_uniform([3], seed).numpy()
        down, right = np.floor(draws[:2] * 5).astype(int) - 2
        flipped = bool(flip and draws[2] < 0.5)
        expected = image[:, ::-1] if flipped else image
        padded = np.pad(expected, ((limit, limit), (limit, limit), (0, 0)), mode="edge")
        top, left = limit - down, limit - right
        expected = padded[top : top + 9, left : left + 9]
        got = tf.function(decoding.augment)(tf.constant(image), seed, limit, flip)
        np.testing.assert_array_equal(got, expected)
        shifts |= {("down", down), ("right", right)}
        flips.add(flipped)
    assert len(shifts) == 10
    assert flips == ({False, True} if flip else {False})


def test_epoch_augments_by_the_limit_of_the_config(digits):
    pixels, _ = digits.arrays("train")
    plain = batches(digits.epoch(8, epoch=3, seed=1, augment=False))[0][0]
    moved = batches(digits.epoch(8, epoch=3, seed=1))[0][0]
    offsets = set()
    for before, after in zip(plain, moved, strict=True):
        padded = np.pad(before, ((3, 3), (3, 3), (0, 0)), mode="edge")
        options = {(y, x): padded[y : y + 32, x : x + 32] for y in range(7) for x in range(7)}
        fitting = [key for key, image in options.items() if np.array_equal(image, after)]
        assert fitting
        offsets.add(fitting[0])
    assert len(offsets) > 3


def test_shift_limit():
    assert decoding.shift_limit(0.1, 32) == 3
    assert decoding.shift_limit(0.29, 100) == 29
    assert decoding.shift_limit(0.0, 32) == 0


def test_fit_shrinks_crops_and_keeps_size():
    image = picture(1, 16, 24)
    same = decoding.fit(image[:, :16], 16, 3, 1.0)
    np.testing.assert_array_equal(same, image[:, :16])
    cropped = decoding.fit(image, 16, 3, 1.0)
    np.testing.assert_array_equal(cropped, image[:, 4:20])
    central = decoding.fit(image, 8, 3, 0.5)
    np.testing.assert_array_equal(central, image[4:12, 8:16])
    # Antialiased: a fine checkerboard becomes grey. Plain bilinear would pick every third
    # pixel: a third of 63 puts the centre of each new pixel on an old one.
    board = (np.indices((63, 63)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    small = decoding.fit(board, 21, 1, 1.0).numpy()[1:-1, 1:-1]
    assert np.abs(small.astype(int) - 127.5).max() < 20


def test_fit_converts_channels():
    image = picture(2, 8, 8)
    grey = decoding.fit(image, 8, 1, 1.0).numpy()
    weights = np.array([0.2989, 0.5870, 0.1140])
    np.testing.assert_allclose(grey[..., 0], image @ weights, atol=0.51)
    again = decoding.fit(grey, 8, 3, 1.0).numpy()
    np.testing.assert_array_equal(again, np.repeat(grey, 3, -1))
    np.testing.assert_array_equal(decoding.fit(grey, 8, 1, 1.0), grey)


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


def test_labels_are_read_once(tmp_path, monkeypatch):
    config = write_small(tmp_path, "tfrecord")
    cache = tmp_path / "cache"
    first = loading.load(config, seed=0, cache_dir=cache)
    assert json.loads((cache / "data.json").read_text())["kind"] == "dna_tf.data"

    def never(self):
        raise AssertionError("the labels were read again")

    monkeypatch.setattr(record_sources.TFRecords, "_read_labels", never)
    again = loading.load(config, seed=0, cache_dir=cache)
    np.testing.assert_array_equal(again.arrays("train")[1], first.arrays("train")[1])
    config.label_offset = 0
    with pytest.raises(AssertionError, match="read again"):
        loading.load(config, seed=0, cache_dir=cache)
    (cache / "data.json").write_text("{")
    with pytest.raises(ValueError, match="not complete JSON.*Delete it"):
        loading.load(config, seed=0, cache_dir=cache)


def test_shuffled_ignores_the_global_seed():
    orders = set()
    for seed in (1, 2):
        tf.random.set_seed(seed)
        dataset = pipelines.shuffled(tf.data.Dataset.range(20), 8, (5, 7))
        orders.add(tuple(dataset.as_numpy_iterator()))
        orders.add(tuple(dataset.as_numpy_iterator()))
        assert pipelines.permutation(6, (5, 7)).tolist() == GOLDEN_PERMUTATION
    assert len(orders) == 1
    assert sorted(orders.pop()) == list(range(20))


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_images_skip_and_mix(tmp_path, kind, limit):
    loaded = loading.load(write_small(tmp_path, kind), seed=3, memory_limit_bytes=limit)
    plain = batches(loaded.images("train"))
    mixed = batches(loaded.images("train", mixed=True))

    def labels(read):
        return [int(label) for _, label in read]

    if kind == "folder":  # sorted by class until it is mixed
        assert labels(plain) == sorted(labels(plain)) == sorted(labels(mixed)) != labels(mixed)
        golden = pipelines.permutation(21, seeding.seed_pair("mixed"))
        assert_same(mixed, [plain[position] for position in golden])
    else:
        assert_same(mixed, plain)
    for kept, options in ((plain, {}), (mixed, {"mixed": True})):
        assert_same(batches(loaded.images("train", skip=4, **options)), kept[4:])
        in_fours = batches(loaded.images("train", 4, skip=4, **options))
        np.testing.assert_array_equal(
            np.concatenate([image for image, _ in in_fours]), [image for image, _ in kept[4:]]
        )


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_the_parts_of_workers_are_the_batch(tmp_path, kind, limit):
    loaded = loading.load(write_small(tmp_path, kind), seed=3, memory_limit_bytes=limit)
    whole = batches(loaded.epoch(6, epoch=1, seed=5, skip_batches=1))
    assert len(whole) == 2
    parts = [
        batches(loaded.epoch(6, epoch=1, seed=5, skip_batches=1, shard=(index, 3)))
        for index in range(3)
    ]
    for step, (image, label) in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[step][0] for part in parts]), image)
        np.testing.assert_array_equal(np.concatenate([part[step][1] for part in parts]), label)
    assert all(len(part) == 2 for part in parts)


def test_the_fingerprint_without_a_fraction_is_the_one_of_before(digits):
    assert digits.fingerprint == GOLDEN_FINGERPRINT
    assert data_config().rating_fraction == 0.0


def test_a_fraction_is_drawn_whatever_the_class(tmp_path):
    write_folder(tmp_path / "one", [f"class{number:02}" for number in range(40)], 1)
    config = data_config(source=f"folder:{tmp_path}/one", image_size=8, test_fraction=0.26)
    with pytest.raises(ValueError, match="at least 21 training images .* or set rating_fraction"):
        loading.load(config, seed=7)
    config.rating_fraction = 0.1
    loaded = loading.load(config, seed=7)
    assert loaded.counts == {"train": 27, "rating": 3, "test": 10}
    indices = split_indices(loaded)
    order = sorted(range(40), key=lambda i: hashlib.sha256(f"7,{i}".encode()).digest())
    assert indices["test"].tolist() == sorted(order[:10])
    assert indices["rating"].tolist() == sorted(order[10:13])
    assert indices["train"].tolist() == sorted(order[13:])
    assert loaded.num_classes == 40
    np.testing.assert_array_equal(loaded.arrays("rating")[1], sorted(order[10:13]))
    other = split_indices(loading.load(config, seed=8))
    assert not np.array_equal(other["rating"], indices["rating"])
    config.rating_per_class = 3  # is not used then
    assert loading.load(config, seed=7).fingerprint == loaded.fingerprint
    config.rating_fraction = 0.2
    assert loading.load(config, seed=7).fingerprint != loaded.fingerprint


def test_a_fraction_beside_test_images_of_their_own(tmp_path):
    write_folder(tmp_path / "train", ["ant", "bee"], 4)
    write_folder(tmp_path / "test", ["ant", "bee"], 1, first=90)
    config = data_config(source=f"folder:{tmp_path}", image_size=5, rating_fraction=0.01)
    loaded = loading.load(config, seed=0)
    assert loaded.counts == {"train": 7, "rating": 1, "test": 2}


@pytest.mark.parametrize(
    ("fraction", "test_fraction", "message"),
    [
        (0.99, 0.2, r"of 4 images none is left for train at rating_fraction=0.99 and test_frac"),
        (0.5, 0.9, r"none is left for train and rating at rating_fraction=0.5 and .*=0.9\. Add"),
        (1.0, 0.2, r"rating_fraction must be above 0 and below 1, .* Received: 1.0"),
        (-0.1, 0.2, r"Received: -0.1"),
    ],
)
def test_bad_fractions(tmp_path, fraction, test_fraction, message):
    write_folder(tmp_path, ["ant", "bee"], 2)
    config = data_config(source=f"folder:{tmp_path}", rating_fraction=fraction)
    config.test_fraction = test_fraction
    with pytest.raises(ValueError, match=message):
        loading.load(config, seed=0)


@pytest.mark.skipif(not IMAGENET.exists(), reason="needs ../shared/data/imagenet_sample")
def test_a_sample_of_one_image_a_class():
    config = data_config(source=f"folder:{IMAGENET}", rating_fraction=0.1, test_fraction=0.2)
    source = sources.open_source(config)
    labels = source.labels()
    drawn = held_out.draw_all(labels, None, source.class_names, config, seed=0)
    assert {name: len(indices) for name, indices in drawn.items()} == {
        "train": 720,
        "rating": 80,
        "test": 200,
    }


@pytest.mark.skipif(not CIFAR10.exists(), reason="needs ../shared/data/cifar10")
def test_cifar10_streams():
    config = data_config(
        source=f"tfrecord:{CIFAR10}/cifar10-test*0-of*",
        test_source=f"tfrecord:{CIFAR10}/cifar10-test*1-of*",
        num_classes=10,
    )
    loaded = loading.load(config, seed=0, memory_limit_bytes=0)
    assert sum(loaded.counts.values()) == 10_000
    image, label = next(loaded.epoch(16, epoch=0, seed=0).as_numpy_iterator())
    assert image.shape == (16, 32, 32, 3) and 60 < image.mean() < 180


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_offset": 0, "num_classes": 3}, r"in 0..2 for 3 classes. Found: 1..3. Set label"),
        ({"label_offset": 2}, r"Found: -1..1. Set label_offset=1 if they start at -1, or"),
        ({"label_offset": 0}, r"has the label 0: labels are 1..3, as if .* Set label_offset=1"),
        (
            {"rating_per_class": 9},
            r"at least 10 .*=9 after test_fraction, and class '0' \(label 0\) has 9, '1'",
        ),
        ({"source": "digits", "num_classes": 12}, "num_classes=12, and digits has 10 classes"),
    ],
)
def test_bad_labels_and_counts(tmp_path, changes, message):
    config = write_small(tmp_path, "tfrecord")
    config.update(changes)
    with pytest.raises(ValueError, match=message):
        loading.load(config, seed=0)


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


def test_bad_arguments(digits):
    train = digits.counts["train"]
    with pytest.raises(ValueError, match=f"training images, {train}. Received: batch_size=5000"):
        digits.epoch(5000, epoch=0, seed=0)
    with pytest.raises(ValueError, match="from 0 to the 2 batches .* skip_batches=3"):
        digits.epoch(train // 2, epoch=0, seed=0, skip_batches=3)
    with pytest.raises(ValueError, match="train, rating, test. Received: 'val'"):
        digits.images("val")
