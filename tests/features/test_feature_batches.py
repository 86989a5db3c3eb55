"""Teacher features: each batch has the maps of its images, in all modes."""

import hashlib
import types

import ml_collections
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.common import seeding
from dna_tf.data import loading
from dna_tf.features import feature_batches
from dna_tf.teachers import cutting, residual_cnn
from tests.helpers import data_files

SHAPE = (8, 8, 3)
BATCH = 16
MODES = ["memory", "disk", "online"]
# Drawn once. If it changes, a resumed run sees images in another order than before.
GOLDEN_ORDER = "0df71cfb066eb10f"


@pytest.fixture(scope="module")
def cut():
    model = residual_cnn.build(SHAPE, 3, dropout=0.5, seed=1)
    return cutting.cut_model(model, ("stage1_out", "stage2_out"), SHAPE)


@pytest.fixture(scope="module")
def images():
    config = data_files.data_config(image_size=8, test_fraction=0.9, rating_per_class=4, shift=0.3)
    loaded = loading.load(config, seed=0)
    assert loaded.image_shape == SHAPE and 100 < loaded.counts["train"] < 200
    assert loaded.counts["train"] % BATCH
    return loaded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "features"


def _section(mode, **changes):
    section = {"batch_size": BATCH, "cache_dtype": "float16", "cache_folder": ""}
    return ml_collections.ConfigDict({"features": mode, **section, **changes})


def _feature_batches(section, cut, images, seed, folder):
    """Function from `(epoch, skip)` to batches with all maps, as a training step has them."""
    datasets = feature_batches.feature_datasets(section, cut, images, seed, folder)
    predict = feature_batches.feature_function(cut)

    def batches(epoch, skip):
        with datasets.reading():
            for batch in datasets(epoch, skip):
                yield (*batch, *predict(batch[0])) if len(batch) == 1 else batch

    return batches


def _epoch(batches, epoch=0, skip=0):
    return [[np.asarray(part) for part in batch] for batch in batches(epoch, skip)]


def _check_maps(cut, epoch, rtol=1e-4):
    for image, *maps in epoch:
        assert image.dtype == np.float32 and image.shape == (BATCH, *SHAPE)
        expected = cut.features(image, training=False)
        for received, want, shape in zip(maps, expected, cut.shapes[1:], strict=True):
            assert received.shape == (BATCH, *shape)
            np.testing.assert_allclose(received, want, rtol=rtol, atol=1e-4)


def _keys(epoch):
    return [row.tobytes() for image, *_ in epoch for row in image]


@pytest.mark.parametrize("mode", MODES)
def test_an_epoch_shows_images_with_the_maps_that_the_teacher_makes_of_them(
    mode, cut, images, folder
):
    batches = _feature_batches(_section(mode), cut, images, 3, folder)
    first = _epoch(batches)
    assert len(first) == images.steps_per_epoch(BATCH)
    _check_maps(cut, first, rtol=2**-10 if mode == "disk" else 1e-4)
    assert _keys(_epoch(batches)) == _keys(first)  # the same at every call
    assert _keys(_epoch(batches, epoch=1)) != _keys(first)
    again = _feature_batches(_section(mode), cut, images, 3, folder)
    assert _keys(_epoch(again)) == _keys(first)
    other = _feature_batches(_section(mode), cut, images, 4, folder)
    assert _keys(_epoch(other)) != _keys(first)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("skip", [1, 4, -1])
def test_skipping_leaves_the_same_bits(mode, skip, cut, images, folder):
    batches = _feature_batches(_section(mode), cut, images, 3, folder)
    whole = _epoch(batches, epoch=2)
    skip = len(whole) if skip < 0 else skip
    rest = _epoch(batches, epoch=2, skip=skip)
    assert len(rest) == len(whole) - skip
    for one, other in zip(whole[skip:], rest, strict=True):
        for part, same in zip(one, other, strict=True):
            assert part.tobytes() == same.tobytes()


def test_memory_keeps_its_order(cut, images, folder):
    batches = _feature_batches(_section("memory"), cut, images, 3, folder)
    keys = [b"".join(_keys(_epoch(batches, epoch, skip=2))) for epoch in (0, 1)]
    assert hashlib.sha256(b"".join(keys)).hexdigest()[:16] == GOLDEN_ORDER


@pytest.mark.parametrize("mode", MODES)
def test_datasets_are_on_the_host_and_have_static_shapes(mode, cut, images, folder):
    datasets = feature_batches.feature_datasets(_section(mode), cut, images, 3, folder)
    dataset = datasets(1)
    assert isinstance(dataset, tf.data.Dataset)
    assert dataset.cardinality() == images.steps_per_epoch(BATCH)
    assert dataset.options().autotune.enabled is False and dataset.options().deterministic
    shapes = cut.shapes[:1] if mode == "online" else cut.shapes
    expected = tuple(tf.TensorSpec((BATCH, *shape), tf.float32) for shape in shapes)
    assert dataset.element_spec == expected
    batches = _feature_batches(_section(mode), cut, images, 3, folder)
    with datasets.reading():
        for got, want in zip(dataset, batches(1, 0), strict=True):
            assert all("CPU" in part.device for part in got)
            for part, same in zip(got, want[: len(got)], strict=True):
                np.testing.assert_array_equal(part, same)


@pytest.mark.parametrize("mode", ["memory", "online"])
def test_the_parts_of_workers_are_the_batch(mode, cut, images, folder):
    datasets = feature_batches.feature_datasets(_section(mode), cut, images, 3, folder)
    parts = [datasets(1, 2, (index, 4)) for index in range(4)]
    for whole, *of_workers in zip(datasets(1, 2), *parts, strict=True):
        for number, value in enumerate(whole):
            joined = np.concatenate([batch[number] for batch in of_workers])
            np.testing.assert_array_equal(joined, value)


def test_workers_of_a_cache_on_disk_share_an_epoch(cut, images, folder):
    datasets = feature_batches.feature_datasets(_section("disk"), cut, images, 3, folder)
    parts = [list(datasets(1, 1, (index, 2)).as_numpy_iterator()) for index in range(2)]
    assert [len(part) for part in parts] == [images.steps_per_epoch(BATCH) - 1] * 2
    assert all(batch[0].shape[0] == BATCH // 2 for part in parts for batch in part)
    assert not set(_keys(parts[0])) & set(_keys(parts[1]))


@pytest.mark.parametrize("mode", MODES)
def test_bad_shards_are_refused(mode, cut, images, folder):
    datasets = feature_batches.feature_datasets(_section(mode), cut, images, 3, folder)
    with pytest.raises(ValueError, match="multiple of the number of shards, 3. .*batch_size=16"):
        datasets(0, 0, (0, 3))
    with pytest.raises(ValueError, match=r"index from 0 to count - 1. .*shard=\(2, 2\)"):
        datasets(0, 0, (2, 2))


def test_the_cache_on_disk_follows_its_fields(cut, images, tmp_path):
    section = _section("disk", cache_dtype="float32", cache_folder=str(tmp_path / "elsewhere"))
    batches = _feature_batches(section, cut, images, 3, tmp_path / "features")
    assert not (tmp_path / "features").exists()
    _check_maps(cut, _epoch(batches))  # float32 keeps what float16 would round
    section.cache_dtype = "float12"
    with pytest.raises(ValueError, match="float16, bfloat16, float32. Did you mean .*'float12'"):
        _feature_batches(section, cut, images, 3, tmp_path / "features")


def test_a_damaged_cache_names_the_file(cut, images, tmp_path):
    batches = _feature_batches(_section("disk"), cut, images, 3, tmp_path)
    first = _epoch(batches)
    damaged = sorted(tmp_path.glob("*.tfrecord"))[1]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{damaged.name}\. Delete this file and run again"):
        _epoch(batches)
    damaged.unlink()
    again = _feature_batches(_section("disk"), cut, images, 3, tmp_path)
    assert _keys(_epoch(again)) == _keys(first)


def test_an_unknown_mode_is_refused(cut, images, folder):
    with pytest.raises(ValueError, match="must be one of .* Did you mean 'disk'. Received: 'disc'"):
        _feature_batches(_section("disc"), cut, images, 3, folder)


def test_a_distributed_dataset_gives_the_same_values(cut, images, folder):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    for mode in MODES:
        dataset = feature_batches.feature_datasets(_section(mode), cut, images, 3, folder)(0, 1)
        for got, want in zip(
            strategy.experimental_distribute_dataset(dataset), dataset, strict=True
        ):
            for part, same in zip(got, want, strict=True):
                np.testing.assert_array_equal(strategy.experimental_local_results(part)[0], same)


def test_memory_shows_each_training_image_at_most_once_and_unchanged(cut, images):
    unchanged = {row.tobytes() for row in images.arrays("train")[0]}
    batches = _feature_batches(_section("memory"), cut, images, 3, None)
    seen = set()
    for epoch in range(4):
        keys = _keys(_epoch(batches, epoch))
        assert set(keys) <= unchanged
        assert len(keys) - len(set(keys)) <= images.counts["train"] - len(unchanged)  # twin images
        seen.update(keys)
    assert seen == unchanged  # what one epoch leaves out another one shows


def test_online_shows_the_augmented_images_of_the_data(cut, images):
    batches = _feature_batches(_section("online"), cut, images, 3, None)
    seed = seeding.derive_seed("features", 3)
    expected = images.epoch(BATCH, 1, seed, augment=True)
    for (image, *_), (want, _) in zip(batches(1, 0), expected, strict=True):
        np.testing.assert_array_equal(image, want)
    unchanged = {row.tobytes() for row in images.arrays("train")[0]}
    assert not set(_keys(_epoch(batches))) <= unchanged


def test_features_that_do_not_fit_are_refused(cut, images, monkeypatch):
    limits = [100_000]
    monkeypatch.setattr(feature_batches.memory, "limit_bytes", lambda: limits[-1])
    with pytest.raises(ValueError, match=r"images need .* GiB.* features=online, which ke"):
        _feature_batches(_section("memory"), cut, images, 3, None)
    # The limit is half of the memory; maps and images are float32.
    floats = sum(int(np.prod(shape)) for shape in cut.shapes) * images.counts["train"]
    limits.append(8 * floats)
    _feature_batches(_section("memory"), cut, images, 3, None)
    limits.append(8 * floats - 2)
    with pytest.raises(ValueError, match="need"):
        _feature_batches(_section("memory"), cut, images, 3, None)
    _feature_batches(_section("online"), cut, images, 3, None)


def test_one_block_gives_one_map(cut):
    one = cutting.cut_model(cut.model, ("stage1_out",), SHAPE)
    image = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    maps = feature_batches.feature_function(one)(image)
    assert isinstance(maps, tuple) and len(maps) == 1
    np.testing.assert_allclose(maps[0], cut.blocks[0](image, training=False), rtol=1e-4, atol=1e-4)


def test_the_teacher_runs_in_inference_mode():
    modes = []

    def ask(images, training):
        modes.append(training)
        return [images, images + 1.0]

    maps = feature_batches.feature_function(types.SimpleNamespace(features=ask))(
        np.zeros((1, 2, 2, 1))
    )
    assert modes == [False] and [float(np.sum(each)) for each in maps] == [0.0, 4.0]
