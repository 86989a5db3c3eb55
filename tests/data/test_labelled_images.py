"""The splits and the batches of an epoch: their pixels, order and parts."""

import io
import json
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from sklearn import datasets

from dna_tf.common import files, seeding
from dna_tf.data import labelled_images, loading, pipelines, sources
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


def test_a_run_is_resized_as_its_settings_say(tmp_path):
    """Against Pillow, for images in memory and streamed; training sees the same resize."""
    for number in range(12):
        folder = tmp_path / ("ant", "bee")[number % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{number:03}.png").write_bytes(png(picture(number, 30, 30)))
    fingerprints = set()
    for name in ("bilinear", "bicubic"):
        resample = PIL.Image.Resampling[name.upper()]
        config = data_config(
            source=f"folder:{tmp_path}", image_size=12, rating_per_class=1, interpolation=name
        )
        expected = {
            np.asarray(PIL.Image.fromarray(picture(n, 30, 30)).resize((12, 12), resample)).tobytes()
            for n in range(12)
        }
        for limit in (0, 2**30):
            loaded = loading.load(config, seed=0, memory_limit_bytes=limit)
            (step,) = loaded.epoch(loaded.counts["train"], 0, 0, augment=False)
            images = [*loaded.arrays("test")[0], *loaded.arrays("rating")[0], *step[0].numpy()]
            received = np.array(images, np.uint8)
            near = [min(np.abs(one - e).max() for e in _arrays(expected)) for one in received * 1.0]
            assert len(near) == 12 and max(near) <= 1
            fingerprints.add(loaded.fingerprint)
            assert loaded.interpolation == name
    assert len(fingerprints) == 2
    with pytest.raises(ValueError, match="interpolation must be one of"):
        loading.load_images("digits", interpolation="nearest")


def _arrays(contents):
    return [np.frombuffer(content, np.uint8).reshape(12, 12, 3) * 1.0 for content in contents]


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
def test_a_run_of_before_keeps_its_fingerprint_and_its_pixels(tmp_path, kind):
    """Earlier fingerprints had the path, and photos were not turned."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    (tmp_path / "images").mkdir()
    contents = []
    for number in range(12):
        file = io.BytesIO()
        PIL.Image.fromarray(picture(number, 8, 8)).save(file, "PNG", exif=exif)
        contents.append(file.getvalue())
        folder = tmp_path / "images" / ("ant", "bee")[number % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{number:03}.png").write_bytes(contents[-1])
    records = [example(image=image, label=n % 2) for n, image in enumerate(contents)]
    write_records(tmp_path / "images" / "part-0", records)
    settings = {"image_size": 8, "rating_per_class": 1, "test_fraction": 0.25}
    where = "folder:{}/images" if kind == "folder" else "tfrecord:{}/images/part-*"
    loaded = loading.load(data_config(source=where.format(tmp_path), **settings), seed=0)
    upright = loaded.arrays("train")[0]
    # What the version before computed: the name of the source first, then the content.
    source = loaded.source("train")
    content = (
        [
            [f"{c}/{n:03}.png", len(contents[n])]
            for i, c in enumerate(("ant", "bee"))
            for n in range(i, 12, 2)
        ]
        if kind == "folder"
        else [["part-0", (tmp_path / "images/part-0").stat().st_size, source.tails()[0][2]]]
    )
    of_source = [source.name, content, *(["image", "label", 0] if kind == "tfrecord" else [])]
    names = ["test_fraction", "image_size", "channels", "crop_fraction", "shift", "flip"]
    chosen = data_config(**settings)
    before = files.fingerprint(
        {
            "version": 1,
            "sources": [files.fingerprint(of_source), None],
            "settings": {name: chosen[name] for name in [*names, "rating_per_class"]},
            "num_classes": 2,
            "seed": 0,
        }
    )
    now = loaded.fingerprint
    assert now != before and loaded.take_up(before) and loaded.fingerprint == before
    np.testing.assert_array_equal(loaded.arrays("train")[0], upright[:, ::-1, ::-1])
    streamed = loading.load(
        data_config(source=where.format(tmp_path), **settings), seed=0, memory_limit_bytes=0
    )
    assert streamed.take_up(before)
    np.testing.assert_array_equal(streamed.arrays("train")[0], upright[:, ::-1, ::-1])
    assert loaded.take_up(now) and not loaded.take_up("another")
    np.testing.assert_array_equal(loaded.arrays("train")[0], upright)
    # Data that moved is the same data.
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "images").rename(moved / "images")
    assert loading.load(data_config(source=where.format(moved), **settings), 0).fingerprint == now


def test_labels_that_an_earlier_version_kept_are_not_read_again(tmp_path):
    config = write_small(tmp_path, "tfrecord")
    source = sources.open_source(config)
    cache = {
        "kind": "dna_tf.data",
        "labels": {source.former_fingerprint(): [i % 3 for i in range(36)]},
    }
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data.json").write_text(json.dumps(cache))
    loading.load(config, 0, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == cache
