"""The cache of features on disk: exact, resumable, in seeded order, and damage is noticed."""

import collections
import errno
import json
import os
import shutil
import struct
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.common import files, seeding
from dna_tf.data import loading, pipelines
from dna_tf.features import cache_writer, feature_batches, feature_cache, record_layout, shard_files
from dna_tf.teachers import cutting, residual_cnn
from dna_tf.training import determinism
from tests.helpers import data_files

SHAPE = (8, 8, 3)
CUTS = ("stage1_out", "stage2_out")
COUNT, PER_SHARD = 129, 16
# Source: arithmetic on the shapes of EfficientNet-B7's cuts at 224 x 224.
B7_SHAPES = ((224, 224, 3), (56, 56, 48), (28, 28, 80), (14, 14, 160))
B7_SHAPES += ((14, 14, 224), (7, 7, 384), (7, 7, 640))
B7_FLOAT16_BYTES = 150_528 + 2 * (150_528 + 62_720 + 31_360 + 43_904 + 18_816 + 31_360)


def _cut(seed=1, cuts=CUTS, model=None):
    model = model or residual_cnn.build(SHAPE, 3, dropout=0.5, seed=seed)
    return cutting.cut_model(model, cuts, SHAPE)


def _data(seed=0, **changes):
    fields = {"image_size": 8, "test_fraction": 0.9, "rating_per_class": 5, **changes}
    return loading.load(data_files.data_config(**fields), seed)


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    """As all training runs: it changes what TensorFlow makes of a dataset."""
    determinism.enable(0)


@pytest.fixture(scope="module")
def cut():
    return _cut()


@pytest.fixture(scope="module")
def images():
    loaded = _data()
    assert loaded.counts["train"] == COUNT
    return loaded


@pytest.fixture(scope="module")
def written(tmp_path_factory, cut, images):
    folder = tmp_path_factory.mktemp("written")
    cache_writer.write(folder, cut, images, images_per_shard=PER_SHARD, batch_size=8)
    return folder


@pytest.fixture
def copied(written, tmp_path):
    """A copy of the cache, to be damaged."""
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"


def _open(folder, cut, images, dtype="float16"):
    return feature_cache.FeatureCache(folder, cache_writer.made_from(cut, images, dtype))


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _shard(folder, number):
    return sorted(folder.glob("*.tfrecord"))[number]


def _batches(dataset):
    return list(dataset.as_numpy_iterator())


def _keys(batches):
    return [row.tobytes() for image, *_ in batches for row in image]


def _records(content):
    """The records of a TFRecord file: length, its checksum, record, its checksum."""
    records = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        records.append(content[12 : 12 + length])
        content = content[16 + length :]
    return records


def _in_order_of_shards(folder):
    return [
        record
        for path in sorted(folder.glob("*.tfrecord"))
        for record in _records(path.read_bytes())
    ]


@pytest.mark.parametrize(
    ("dtype", "numpy_dtype"),
    [("float16", np.float16), ("bfloat16", tf.bfloat16.as_numpy_dtype), ("float32", np.float32)],
)
def test_records_hold_what_the_teacher_says_exactly_rounded(
    dtype, numpy_dtype, cut, images, tmp_path
):
    cache_writer.write(tmp_path, cut, images, dtype, images_per_shard=PER_SHARD, batch_size=8)
    predict = feature_batches.feature_function(cut)
    expected, by_image = [], {}
    for pixels, _ in images.images("train", 8, mixed=True):
        for row in zip(pixels.numpy(), *(maps.numpy() for maps in predict(pixels)), strict=True):
            rounded = [maps.astype(numpy_dtype) for maps in row[1:]]
            stored = [row[0].astype(np.uint8), *rounded]
            expected.append(b"".join(part.tobytes() for part in stored))
            by_image[row[0].tobytes()] = [maps.astype(np.float32) for maps in rounded]
    assert _in_order_of_shards(tmp_path) == expected
    assert set(by_image) == {pixels.tobytes() for pixels in images.arrays("train")[0]}
    batches = _batches(_open(tmp_path, cut, images, dtype).batches(16, 0, seed=3))
    assert len(batches) == COUNT // 16
    for pixels, *maps in batches:
        assert [part.dtype for part in maps] == [np.float32] * 2
        for row in range(16):
            for part, want in zip(maps, by_image[pixels[row].tobytes()], strict=True):
                np.testing.assert_array_equal(part[row], want)


def test_the_size_of_the_records_is_what_the_files_take(written):
    def frame_bytes(shapes, dtype):
        return record_layout.Layout(shapes, dtype).frame_bytes

    shapes = (SHAPE, (2, 2, 32), (1, 1, 64))
    size = sum(path.stat().st_size for path in written.glob("*.tfrecord"))
    assert COUNT * frame_bytes(shapes, "float16") == size
    assert frame_bytes(B7_SHAPES, "float16") == B7_FLOAT16_BYTES + 16
    assert frame_bytes(B7_SHAPES, "float32") == 2 * B7_FLOAT16_BYTES - 150_528 + 16


def test_size_and_time_are_said_first(cut, images, tmp_path, capsys):
    cache_writer.write(tmp_path, cut, images, batch_size=8)
    said = capsys.readouterr().out
    size = sum(path.stat().st_size for path in tmp_path.glob("*.tfrecord"))
    assert f"features of {COUNT} images to {tmp_path}: {size / 1e9:.3f} GB of float16" in said
    assert "minutes for it (" in said
    shards = len(list(tmp_path.glob("*.tfrecord")))
    assert f" in {shards} shards" in said and shards >= 8
    cache_writer.write(tmp_path, cut, images, batch_size=8)
    assert capsys.readouterr().out == ""  # nothing is left to write


def test_the_buffer_is_drawn_anew_in_each_epoch(written, cut, images, monkeypatch):
    monkeypatch.setattr(pipelines, "permutation", lambda count, seeds: np.arange(count))
    cache = _open(written, cut, images)
    orders = [_keys(_batches(cache.batches(43, *of))) for of in ((0, 3), (1, 3), (0, 4))]
    assert orders[0] != orders[1] and orders[0] != orders[2]


def test_an_epoch_is_seeded_and_whole(written, cut, images):
    cache = _open(written, cut, images)
    assert (cache.count, cache.shapes) == (COUNT, (SHAPE, (2, 2, 32), (1, 1, 64)))
    first = _keys(_batches(cache.batches(43, 0, seed=3)))
    assert sorted(first) == sorted(pixels.tobytes() for pixels in images.arrays("train")[0])
    tf.random.set_seed(99)
    again = _open(written, cut, images)
    assert _keys(_batches(again.batches(43, 0, seed=3))) == first
    assert _keys(_batches(cache.batches(43, 1, seed=3))) != first
    assert _keys(_batches(cache.batches(43, 0, seed=4))) != first


def test_the_order_is_that_of_the_twin(written, cut, images, monkeypatch):
    """With a buffer of one image, what is left is the order of shards, read in turn."""
    monkeypatch.setattr(feature_cache, "SHARDS_READ_AT_ONCE", 3)
    cache = _open(written, cut, images)
    shards = [_records(path.read_bytes()) for path in sorted(written.glob("*.tfrecord"))]
    order = pipelines.permutation(len(shards), seeding.seed_pair(7, 2, "shards"))
    waiting = collections.deque(collections.deque(shards[number]) for number in order)
    reading, expected = [waiting.popleft() for _ in range(3)], []
    while reading:
        for shard in list(reading):
            if shard:
                expected.append(shard.popleft())
            elif waiting:  # the next one takes its place, and its turn
                following = waiting.popleft()
                reading[reading.index(shard)] = following
                expected.append(following.popleft())
            else:
                reading.remove(shard)
    pixels = [np.frombuffer(r[:192], np.uint8).astype(np.float32).tobytes() for r in expected]
    assert _keys(_batches(cache.batches(1, 2, seed=7, shuffle_bytes=0))) == pixels
    mixed = _keys(_batches(cache.batches(1, 2, seed=7, shuffle_bytes=40_000)))
    assert mixed != pixels and sorted(mixed) == sorted(pixels)


@pytest.mark.parametrize("skip", [1, 5, 8])
def test_skipping_leaves_the_same_bits(skip, written, cut, images):
    cache = _open(written, cut, images)
    whole = _batches(cache.batches(16, 2, seed=3))
    rest = _batches(cache.batches(16, 2, seed=3, skip_batches=skip))
    assert len(rest) == len(whole) - skip == 8 - skip
    for one, other in zip(whole[skip:], rest, strict=True):
        for part, same in zip(one, other, strict=True):
            assert part.tobytes() == same.tobytes()


@pytest.mark.parametrize("workers", [2, 3])
def test_the_parts_of_workers_are_disjoint_and_together_all(workers, written, cut, images):
    cache = _open(written, cut, images)
    parts = [_keys(_batches(cache.batches(1, 5, 3, shard=(i, workers)))) for i in range(workers)]
    assert {len(part) for part in parts} == {COUNT // workers}
    assert [cache.steps_per_epoch(1, workers)] * workers == [len(part) for part in parts]
    keys = [key for part in parts for key in part]
    expected = [pixels.tobytes() for pixels in images.arrays("train")[0]]
    assert not collections.Counter(keys) - collections.Counter(expected)
    if workers == 3:
        assert sorted(keys) == sorted(expected)


def test_a_killed_writing_goes_on_to_the_same_bits(written, cut, images, tmp_path, monkeypatch):
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
        _open(tmp_path, cut, images)
    kept = {number: _shard(tmp_path, number).stat().st_mtime_ns for number in finished}
    # As the same writing leaves it, and one of another plan, whose name nobody takes again.
    for name in ("00003-of-00009", "00001-of-00005"):
        (tmp_path / f".features-{name}.tfrecord.tmp").write_bytes(b"half of a shard")
    monkeypatch.setattr(shard_files, "write", real)
    cache_writer.write(tmp_path, cut, images, batch_size=8)  # takes the size of the shards
    assert _contents(tmp_path) == _contents(written)
    for number, time_ns in kept.items():
        assert _shard(tmp_path, number).stat().st_mtime_ns == time_ns


@pytest.mark.parametrize("lost", [[0], [8], [2, 3, 7]])
def test_only_lost_shards_are_written_anew(lost, written, copied, cut, images):
    for path in [_shard(copied, number) for number in lost]:
        path.unlink()
    with pytest.raises(FileNotFoundError, match=f"Of the 9 shards .* {len(lost)} are missing"):
        _open(copied, cut, images)
    kept = {path: path.stat().st_mtime_ns for path in copied.glob("*.tfrecord")}
    cache_writer.write(copied, cut, images, batch_size=8)
    assert _contents(copied) == _contents(written)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())


def test_without_its_manifest_all_is_written_anew(written, copied, cut, images):
    (copied / "manifest.json").unlink()
    _shard(copied, 1).write_bytes(b"of something else")
    cache_writer.write(copied, cut, images, images_per_shard=PER_SHARD, batch_size=8)
    assert _contents(copied) == _contents(written)


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
                _shard(tmp_path / "two", number).unlink()
    assert _contents(tmp_path / "two") == _contents(tmp_path / "one")
    cache = _open(tmp_path / "two", cut, streamed)
    keys = _keys(_batches(cache.batches(1, 0, 0)))
    assert sorted(keys) == sorted(pixels.tobytes() for pixels in streamed.arrays("train")[0])


# Of the second record of a shard: its length, the length's checksum, pixels, maps, checksum.
@pytest.mark.parametrize(
    ("number", "place"),
    [(0, 3), (7, 9), (0, 12), (7, 12 + 192 + 5), (0, 12 + 192 + 384 - 1), (5, 590)],
)
def test_a_flipped_bit_is_noticed_when_read_and_names_the_shard(
    number, place, written, copied, cut, images
):
    path = _shard(copied, number)
    _flip(path, 592 + place)
    cache = _open(copied, cut, images)  # of the same size: not noticed yet
    expected = rf"are damaged: \S*{path.name}\. Delete this file and run again: only it"
    with pytest.raises(ValueError, match=expected):
        with cache.reading():
            _batches(cache.batches(16, 0, seed=0))
    with pytest.raises(ValueError, match=expected):
        shard_files.verify(*shard_files.read_plan(files.as_path(copied)))
    path.unlink()
    cache_writer.write(copied, cut, images, batch_size=8)
    assert _contents(copied) == _contents(written)


@pytest.mark.parametrize("length", [0, 3, 592, 592 + 4, -1])
def test_a_truncated_shard_is_refused_at_once(length, copied, cut, images):
    path = _shard(copied, 4)
    path.write_bytes(path.read_bytes()[:length])
    expected = rf"cut off: .*{path.name} has .* bytes instead of 9,472\. Delete this file"
    for attempt in (
        lambda: _open(copied, cut, images),
        lambda: cache_writer.write(copied, cut, images, batch_size=8),
    ):
        with pytest.raises(ValueError, match=expected):
            attempt()


def test_shards_that_change_while_they_are_read_are_named(copied, cut, images):
    cache = _open(copied, cut, images)
    _shard(copied, 5).write_bytes(_shard(copied, 5).read_bytes()[:-7])
    with pytest.raises(ValueError, match="features-00005-of-00009.tfrecord has 9,465 bytes"):
        with cache.reading():
            _batches(cache.batches(16, 0, seed=0))
    _shard(copied, 5).unlink()
    with pytest.raises(FileNotFoundError, match="missing: features-00005-of-00009.tfrecord"):
        with cache.reading():
            _batches(cache.batches(16, 0, seed=0))
    with pytest.raises(tf.errors.DataLossError, match="of a checkpoint"), cache.reading():
        shutil.copy(_shard(copied, 0), copied / "features-00005-of-00009.tfrecord")
        raise tf.errors.DataLossError(None, None, "of a checkpoint")


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_damage_is_found_by_its_place_or_else_by_checksums(copied, cut, images, monkeypatch):
    cache = _open(copied, cut, images)
    verified = []
    monkeypatch.setattr(shard_files, "verify", lambda *of: verified.append(of))
    _flip(_shard(copied, 6), 3 * 592 + 20)
    with pytest.raises(ValueError, match=r"damaged: \S*00006-of-00009.tfrecord\. "):
        with cache.reading():
            _batches(cache.batches(16, 0, seed=0))
    assert not verified  # reading all of a large cache would take long
    # A disk that reads wrong only now and then: the record is sound when it is looked at.
    with pytest.raises(tf.errors.DataLossError), cache.reading():
        raise tf.errors.DataLossError(None, None, "corrupted record at 1196")
    assert len(verified) == 1


def test_verify_finds_exchanged_shards(copied):
    shard_files.verify(*shard_files.read_plan(files.as_path(copied)))
    one, other = _shard(copied, 2), _shard(copied, 6)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    with pytest.raises(ValueError, match="damaged: .*00002.*, .*00006.* Delete these files"):
        shard_files.verify(*shard_files.read_plan(files.as_path(copied)))


def _rescaled():
    """The teacher with other rescaling: the same weights."""
    model = residual_cnn.build(SHAPE, 3, dropout=0.5, seed=1)
    config = model.get_config()
    rescale = [layer for layer in config["layers"] if layer["name"] == "rescale"][0]
    rescale["config"]["scale"] = 1.0 / 255.0
    changed = keras.Model.from_config(config)
    changed.set_weights(model.get_weights())
    return changed


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("teacher", lambda cut, images: (_cut(seed=2), images, "float16")),
        (r"cuts \['stage1_out', 'stage2_out'\] there", lambda cut, images: (
            _cut(cuts=("stage1_out", "stage3_out")), images, "float16")),
        ("data", lambda cut, images: (cut, _data(seed=1), "float16")),
        ("data", lambda cut, images: (cut, _data(crop_fraction=0.5), "float16")),
        ("dtype 'float16' there, 'float32' now", lambda cut, images: (cut, images, "float32")),
        ("preprocessing", lambda cut, images: (_cut(model=_rescaled()), images, "float16")),
    ],
)  # fmt: skip
def test_a_cache_of_something_else_is_refused(what, changes, written, cut, images):
    changed = changes(cut, images)
    before = _contents(written)
    expected = f"something else: (cuts .*; )?{what}.* Delete"
    with pytest.raises(ValueError, match=expected) as error:
        _open(written, *changed)
    with pytest.raises(ValueError, match=expected):
        cache_writer.write(written, *changed, batch_size=8)
    name = what.split(" ")[0]
    names = ("cuts", "data", "dtype", "preprocessing", "teacher")
    differing = {other for other in names if f" {other} " in str(error.value)}
    # A deeper cut has more weights and layers.
    assert differing == ({name, "teacher", "preprocessing"} if name == "cuts" else {name})
    assert _contents(written) == before


def test_the_same_teacher_built_again_is_known(written, cut, images):
    again = _open(written, _cut(), images).batches(8, epoch=0, seed=1)
    first = _open(written, cut, images).batches(8, epoch=0, seed=1)
    pairs = list(zip(again.as_numpy_iterator(), first.as_numpy_iterator(), strict=True))
    assert len(pairs) == COUNT // 8
    for maps, others in pairs:
        assert [one.tobytes() for one in maps] == [one.tobytes() for one in others]


def test_damaged_json_is_refused(copied, cut, images):
    manifest = copied / "manifest.json"
    content = manifest.read_text()
    for text, expected in (
        (content[:100], "not complete JSON"),
        (content.replace("feature_manifest", "ratings"), 'of kind "dna_tf.feature_manifest"'),
        (content.replace('"shapes"', '"sizes"'), "does not describe .*KeyError.*'shapes'"),
        (content.replace("float16", "float15"), "does not describe .*float15"),
    ):
        manifest.write_text(text)
        with pytest.raises(ValueError, match=f"{expected}.* Delete the folder"):
            _open(copied, cut, images)
    manifest.write_text(content)
    sidecar = json.loads(content) | {"kind": shard_files.SHARD_KIND, "images_per_shard": 8}
    (copied / "features-00000-of-00017.json").write_text(json.dumps(sidecar))
    with pytest.raises(ValueError, match="to another cache than the other files"):
        _open(copied, cut, images)


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
    _shard(folder, 3).unlink()
    free = int(16 * 592 * 1.05) + 1  # what is there already needs no more room
    cache_writer.write(folder, cut, images, batch_size=8)


def _fails_in_python(path, content):
    raise OSError(errno.ENOSPC, "No space left on device")


def _fails_in_tensorflow(path, content):
    with tf.io.TFRecordWriter("/dev/full") as writer:
        writer.write(content)


needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


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
    assert _contents(tmp_path) == _contents(written)


def _scaled_teacher(scale):
    image = keras.Input(SHAPE, name="image")
    x = keras.layers.DepthwiseConv2D(2, 2, use_bias=False, name="first")(image)
    x = keras.layers.Rescaling(scale, name="second")(x)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    model.layers[1].set_weights([np.full((2, 2, 3, 1), 0.25, np.float32)])
    return _cut(model=model, cuts=("first", "second"))


def test_overflow_is_refused_and_bfloat16_holds_it(images, tmp_path):
    big = _scaled_teacher(1000.0)
    expected = r"block 2 \(layer 'second'\) holds values beyond .* float16, which ends at 65504.*"
    with pytest.raises(ValueError, match=f"{expected}cache_dtype=bfloat16.*cache_dtype=float32"):
        cache_writer.write(tmp_path, big, images, batch_size=8)
    assert not list(tmp_path.glob("*.tfrecord"))
    cache_writer.write(tmp_path, big, images, "bfloat16", batch_size=8)
    (batch,) = _batches(_open(tmp_path, big, images, "bfloat16").batches(COUNT, 0, 0))
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


def test_bad_arguments_of_reading(written, cut, images):
    cache = _open(written, cut, images)
    with pytest.raises(ValueError, match="from 1 to 129, .* Received: batch_size=130"):
        cache.batches(130, 0, 0)
    with pytest.raises(ValueError, match="from 1 to 64, the 129 images over 2 workers"):
        cache.batches(65, 0, 0, shard=(0, 2))
    with pytest.raises(ValueError, match="from 0 to the 8 batches .* skip_batches=9"):
        cache.batches(16, 0, 0, skip_batches=9)
    with pytest.raises(ValueError, match=r"shard=\(3, 3\)"):
        cache.batches(16, 0, 0, shard=(3, 3))
    with pytest.raises(FileNotFoundError, match="holds no whole cache"):
        _open(written / "none", cut, images)
