"""The splits and the batches of an epoch: their pixels, order and parts."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

from dna_tf.common import seeding
from dna_tf.data import labelled_images, loading, pipelines
from tests.helpers.data_files import (
    assert_same,
    batches,
    data_config,
    example,
    picture,
    png,
    write_records,
    write_small,
)

SHARED_DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
CIFAR10 = SHARED_DATA / "cifar10"


@pytest.fixture(scope="module")
def digits():
    return loading.load(data_config(), seed=0)


def test_arrays_and_images_hold_the_split_in_order(digits):
    source = datasets.load_digits()
    pixels, labels = digits.arrays("test")
    indices = digits.indices("test")
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
    for split in labelled_images.SPLITS:
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
    numbers = loaded.indices("train")[skipped]
    # The two files are read in turn, so that the index is the number of the picture.
    for part in range(2):
        names = [i for i in range(part, 36, 2)]
        contents = [b"broken" if i in numbers else png(picture(i)) for i in names]
        records = [
            example(image=image, label=i % 3 + 1) for i, image in zip(names, contents, strict=True)
        ]
        write_records(tmp_path / f"part-{part}", records)
    rest = batches(loaded.epoch(4, epoch=0, seed=0, augment=False, skip_batches=1))
    assert_same(rest, whole[1:])
    with pytest.raises(ValueError, match="Cannot decode record .* of .*/part-"):
        with loaded.reading():
            batches(loaded.epoch(4, epoch=0, seed=0))


@pytest.mark.parametrize("limit", [0, 2**30])
def test_some_images_are_decoded_alone(tmp_path, limit):
    config = write_small(tmp_path, "tfrecord")
    pixels, _ = loading.load(config, seed=3, memory_limit_bytes=limit).arrays("train")
    positions = np.array([17, 2, 11])
    loaded = loading.load(config, seed=3, memory_limit_bytes=limit)
    wanted = loaded.indices("train")[positions]
    _break_all_but(tmp_path, wanted)
    received = loaded.some("train", positions)
    assert received.dtype == np.float32
    np.testing.assert_array_equal(received, pixels[positions])
    with pytest.raises(ValueError, match="Cannot decode record"):
        loaded.some("train", np.array([3, 2, 11]))


def test_rating_images_that_fit_in_memory_are_read_once(tmp_path):
    """They are measured after each epoch; from records, all images would be read for them."""
    config = write_small(tmp_path, "tfrecord")
    loaded = loading.load(config, seed=3, memory_limit_bytes=2000)  # 1,152 bytes of 6,912
    first = batches(loaded.images("rating", 4))
    _break_all_but(tmp_path, ())
    assert_same(batches(loaded.images("rating", 4)), first)
    with pytest.raises(ValueError, match="Cannot decode record"), loaded.reading():
        batches(loaded.images("train", 4))


def _break_all_but(folder, numbers):
    """Writes the records of `write_small` again, in which only some images can be decoded."""
    for part in range(2):
        content = {i: png(picture(i)) if i in numbers else b"broken" for i in range(part, 36, 2)}
        records = [example(image=image, label=i % 3 + 1) for i, image in content.items()]
        write_records(folder / f"part-{part}", records)


def test_an_epoch_uses_every_image_once(digits):
    read = batches(digits.epoch(digits.counts["train"], epoch=0, seed=0, augment=False))
    pixels, labels = digits.arrays("train")
    key = [p.tobytes() for p in pixels]
    assert sorted(image.tobytes() for image in read[0][0]) == sorted(key)
    assert not np.array_equal(read[0][1], labels)


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


def test_bad_arguments(digits):
    train = digits.counts["train"]
    with pytest.raises(ValueError, match=f"training images, {train}. Received: batch_size=5000"):
        digits.epoch(5000, epoch=0, seed=0)
    with pytest.raises(ValueError, match="from 0 to the 2 batches .* skip_batches=3"):
        digits.epoch(train // 2, epoch=0, seed=0, skip_batches=3)
    with pytest.raises(ValueError, match="train, rating, test. Received: 'val'"):
        digits.images("val")
