"""Writing the cache: resumable to the bit, refused without room, and no map that is not finite."""

import errno
import os
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import loading
from dna_tf.features import cache_writer, shard_files
from tests.helpers import data_files
from tests.helpers.cached_features import (
    COUNT,
    PER_SHARD,
    SHAPE,
    batches_of,
    contents,
    keys_of,
    open_cache,
    shard,
    teacher_of,
)

pytestmark = pytest.mark.usefixtures("deterministic")
needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


def test_size_and_time_are_printed_first(cut, images, tmp_path, capsys):
    cache_writer.write(tmp_path, cut, images, batch_size=8)
    said = capsys.readouterr().out
    size = sum(path.stat().st_size for path in tmp_path.glob("*.tfrecord"))
    assert f"features of {COUNT} images to {tmp_path}: {size / 1e9:.3f} GB of float16" in said
    assert "minutes for it (" in said
    shards = len(list(tmp_path.glob("*.tfrecord")))
    assert f" in {shards} shards" in said and shards >= 8
    cache_writer.write(tmp_path, cut, images, batch_size=8)
    assert capsys.readouterr().out == ""  # nothing is left to write


def test_a_killed_writing_resumes_to_the_same_bits(written, cut, images, tmp_path, monkeypatch):
    real, finished = shard_files.write, []

    def killed(plan, number, batches):
        if number >= 3:
            raise KeyboardInterrupt
        real(plan, number, batches)
        finished.append(number)

    monkeypatch.setattr(shard_files, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        cache_writer.write(tmp_path, cut, images, images_per_shard=PER_SHARD, batch_size=8)
    assert sorted(finished) == [0, 1, 2]
    with pytest.raises(FileNotFoundError, match="no whole cache .*manifest.json.*features=disk"):
        open_cache(tmp_path, cut, images)
    kept = {number: shard(tmp_path, number).stat().st_mtime_ns for number in finished}
    # As the same writing leaves it, and one of another plan, whose name nobody takes again.
    for name in ("00003-of-00009", "00001-of-00005"):
        (tmp_path / f".features-{name}.tfrecord.tmp").write_bytes(b"half of a shard")
    monkeypatch.setattr(shard_files, "write", real)
    cache_writer.write(tmp_path, cut, images, batch_size=8)  # takes the size of the shards
    assert contents(tmp_path) == contents(written)
    for number, time_ns in kept.items():
        assert shard(tmp_path, number).stat().st_mtime_ns == time_ns


@pytest.mark.parametrize("lost", [[0], [8], [2, 3, 7]])
def test_only_lost_shards_are_written_anew(lost, written, copied, cut, images):
    for path in [shard(copied, number) for number in lost]:
        path.unlink()
    with pytest.raises(FileNotFoundError, match=f"Of the 9 shards .* {len(lost)} are missing"):
        open_cache(copied, cut, images)
    kept = {path: path.stat().st_mtime_ns for path in copied.glob("*.tfrecord")}
    cache_writer.write(copied, cut, images, batch_size=8)
    assert contents(copied) == contents(written)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())


def test_without_its_manifest_all_is_written_anew(written, copied, cut, images):
    (copied / "manifest.json").unlink()
    shard(copied, 1).write_bytes(b"of something else")
    cache_writer.write(copied, cut, images, images_per_shard=PER_SHARD, batch_size=8)
    assert contents(copied) == contents(written)


def test_sources_that_are_read_in_order_resume_too(tmp_path, cut):
    for part in range(2):
        pictures = [data_files.png(data_files.picture(i, 8, 8)) for i in range(part, 36, 2)]
        records = [data_files.example(image=p, label=i % 3) for i, p in enumerate(pictures)]
        data_files.write_records(tmp_path / f"made-{part}", records)
    config = data_files.data_config(
        source=f"tfrecord:{tmp_path}/made-*", image_size=8, rating_per_class=2
    )
    streamed = loading.load(config, 0, memory_limit_bytes=0)
    for folder in ("one", "two"):
        cache_writer.write(tmp_path / folder, cut, streamed, images_per_shard=4, batch_size=2)
        if folder == "one":
            shutil.copytree(tmp_path / "one", tmp_path / "two")
            for number in (4, 2, 1):
                shard(tmp_path / "two", number).unlink()
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    cache = open_cache(tmp_path / "two", cut, streamed)
    keys = keys_of(batches_of(cache.batches(1, 0, 0)))
    assert sorted(keys) == sorted(pixels.tobytes() for pixels in streamed.arrays("train")[0])


def test_a_disk_without_room_is_refused_before_anything_is_written(
    cut, images, tmp_path, monkeypatch
):
    paths = []
    needed = COUNT * 592

    def usage(path):
        paths.append(path)
        return types.SimpleNamespace(total=10**12, used=0, free=free)

    monkeypatch.setattr(cache_writer.shutil, "disk_usage", usage)
    free = int(needed * 1.05) - 1
    folder = tmp_path / "not" / "there"
    with pytest.raises(ValueError, match=r"need 0\.00 GB more .* 5% to spare.*=online"):
        cache_writer.write(folder, cut, images, batch_size=8)
    assert not (tmp_path / "not").exists() and str(paths[0]) == str(tmp_path)
    free += 2
    cache_writer.write(folder, cut, images, images_per_shard=PER_SHARD, batch_size=8)
    shard(folder, 3).unlink()
    free = int(16 * 592 * 1.05) + 1  # what is there already needs no more room
    cache_writer.write(folder, cut, images, batch_size=8)


def _fails_in_python(path, content):
    raise OSError(errno.ENOSPC, "No space left on device")


def _fails_in_tensorflow(path, content):
    with tf.io.TFRecordWriter("/dev/full") as writer:
        writer.write(content)


@pytest.mark.parametrize(
    "fail", [_fails_in_python, pytest.param(_fails_in_tensorflow, marks=needs_dev_full)]
)
def test_a_disk_that_becomes_full_keeps_finished_shards(
    fail, written, cut, images, tmp_path, monkeypatch
):
    real = tf.io.TFRecordWriter

    class Writer:
        def __init__(self, path):
            self._path, self._real = path, real(path)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._real.close()

        def write(self, record):
            if "00004" in self._path:
                fail(self._path, record)
            self._real.write(record)

    monkeypatch.setattr(shard_files.tf.io, "TFRecordWriter", Writer)
    monkeypatch.setattr(cache_writer, "WRITERS", 1)
    with pytest.raises(
        OSError, match="is full .*No space left on device.*Finished shards are kept"
    ):
        cache_writer.write(tmp_path, cut, images, images_per_shard=PER_SHARD, batch_size=8)
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"features-0000{n}-of-00009.tfrecord" for n in range(4)} <= names
    assert not any(name.endswith(".tmp") or "00004" in name for name in names)
    monkeypatch.setattr(shard_files.tf.io, "TFRecordWriter", real)
    cache_writer.write(tmp_path, cut, images, batch_size=8)
    assert contents(tmp_path) == contents(written)


def _scaled_teacher(scale):
    image = keras.Input(SHAPE, name="image")
    x = keras.layers.DepthwiseConv2D(2, 2, use_bias=False, name="first")(image)
    x = keras.layers.Rescaling(scale, name="second")(x)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    model.layers[1].set_weights([np.full((2, 2, 3, 1), 0.25, np.float32)])
    return teacher_of(model=model, cuts=("first", "second"))


def test_overflow_is_refused_and_bfloat16_holds_it(images, tmp_path):
    big = _scaled_teacher(1000.0)
    expected = r"block 2 \(layer 'second'\) holds values beyond .* float16, which ends at 65504.*"
    with pytest.raises(ValueError, match=f"{expected}cache_dtype=bfloat16.*cache_dtype=float32"):
        cache_writer.write(tmp_path, big, images, batch_size=8)
    assert not list(tmp_path.glob("*.tfrecord"))
    cache_writer.write(tmp_path, big, images, "bfloat16", batch_size=8)
    (batch,) = batches_of(open_cache(tmp_path, big, images, "bfloat16").batches(COUNT, 0, 0))
    assert batch[2].max() > 65504
    np.testing.assert_allclose(batch[2], 1000.0 * batch[1], rtol=2**-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_in_any_dtype(value, images, tmp_path):
    broken = _scaled_teacher(value)
    for dtype in ("float16", "float32"):
        with pytest.raises(ValueError, match=r"block 2 \(layer 'second'\) holds NaN or infinity"):
            cache_writer.write(tmp_path, broken, images, dtype, batch_size=8)
    assert not list(tmp_path.glob("*.tfrecord"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images_per_shard": 12}, "multiple of batch_size=8.* Received: images_per_shard=12"),
        ({"images_per_shard": 8}, "hold 16 images each. Received: images_per_shard=8"),
        ({"batch_size": 5}, "multiple of batch_size=5.* Received: images_per_shard=16"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"dtype": "int8"}, "float16, bfloat16, float32.* Received: cache_dtype='int8'"),
    ],
)
def test_bad_arguments_of_writing(changes, message, written, cut, images):
    with pytest.raises(ValueError, match=message):
        cache_writer.write(written, cut, images, **{"batch_size": 8, **changes})
