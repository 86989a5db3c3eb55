"""Teacher features: each batch is what the teacher makes of its images, in both modes."""

import types

import numpy as np
import pytest

from dna_tf import data, determinism, features, residual_cnn, teacher
from tests import made_data

SHAPE = (8, 8, 3)
BATCH = 16


@pytest.fixture(scope="module")
def cut():
    model = residual_cnn.build(SHAPE, 3, dropout=0.5, seed=1)
    return teacher.cut_teacher(model, ("stage1_out", "stage2_out"), SHAPE)


@pytest.fixture(scope="module")
def images():
    config = made_data.data_config(image_size=8, test_fraction=0.9, rating_per_class=4, shift=0.3)
    made = data.load(config, seed=0)
    assert made.image_shape == SHAPE and 100 < made.counts["train"] < 200
    assert made.counts["train"] % BATCH
    return made


def _epoch(batches, epoch=0, skip=0):
    return [[np.asarray(part) for part in batch] for batch in batches(epoch, skip)]


def _check_maps(cut, epoch):
    for image, *maps in epoch:
        assert image.dtype == np.float32 and image.shape == (BATCH, *SHAPE)
        expected = cut.features(image, training=False)
        for made, want, shape in zip(maps, expected, cut.shapes[1:], strict=True):
            assert made.shape == (BATCH, *shape)
            np.testing.assert_allclose(made, want, rtol=1e-4, atol=1e-4)


def _keys(epoch):
    return [row.tobytes() for image, *_ in epoch for row in image]


@pytest.mark.parametrize("mode", ["memory", "online"])
def test_an_epoch_shows_images_with_the_maps_that_the_teacher_makes_of_them(mode, cut, images):
    batches = features.feature_batches(mode, cut, images, BATCH, seed=3)
    first = _epoch(batches)
    assert len(first) == images.steps_per_epoch(BATCH)
    _check_maps(cut, first)
    assert _keys(_epoch(batches)) == _keys(first)  # the same at every call
    assert _keys(_epoch(batches, epoch=1)) != _keys(first)
    again = features.feature_batches(mode, cut, images, BATCH, seed=3)
    assert _keys(_epoch(again)) == _keys(first)
    other = features.feature_batches(mode, cut, images, BATCH, seed=4)
    assert _keys(_epoch(other)) != _keys(first)


@pytest.mark.parametrize("mode", ["memory", "online"])
@pytest.mark.parametrize("skip", [1, 4, -1])
def test_skipping_leaves_the_same_bits(mode, skip, cut, images):
    batches = features.feature_batches(mode, cut, images, BATCH, seed=3)
    whole = _epoch(batches, epoch=2)
    skip = len(whole) if skip < 0 else skip
    rest = _epoch(batches, epoch=2, skip=skip)
    assert len(rest) == len(whole) - skip
    for one, other in zip(whole[skip:], rest, strict=True):
        for part, same in zip(one, other, strict=True):
            assert part.tobytes() == same.tobytes()


def test_memory_shows_each_training_image_at_most_once_and_unchanged(cut, images):
    known = {row.tobytes() for row in images.arrays("train")[0]}
    batches = features.feature_batches("memory", cut, images, BATCH, seed=3)
    seen = set()
    for epoch in range(4):
        keys = _keys(_epoch(batches, epoch))
        assert set(keys) <= known
        assert len(keys) - len(set(keys)) <= images.counts["train"] - len(known)  # twin images
        seen.update(keys)
    assert seen == known  # what one epoch leaves out another one shows


def test_online_shows_the_augmented_images_of_the_data(cut, images):
    batches = features.feature_batches("online", cut, images, BATCH, seed=3)
    seed = determinism.derive_seed("features", 3)
    expected = images.epoch(BATCH, 1, seed, augment=True)
    for (image, *_), (want, _) in zip(batches(1, 0), expected, strict=True):
        np.testing.assert_array_equal(image, want)
    known = {row.tobytes() for row in images.arrays("train")[0]}
    assert not set(_keys(_epoch(batches))) <= known


def test_features_that_do_not_fit_are_refused(cut, images, monkeypatch):
    sizes = {"SC_PAGE_SIZE": 1000, "SC_PHYS_PAGES": 100}
    monkeypatch.setattr(features.os, "sysconf", sizes.__getitem__)
    with pytest.raises(ValueError, match=r"images need .* GiB.*--config\.supernet\.features=onl"):
        features.feature_batches("memory", cut, images, BATCH, seed=3)
    # The limit is half of the memory; maps and images are float32.
    floats = sum(int(np.prod(shape)) for shape in cut.shapes) * images.counts["train"]
    sizes.update(SC_PAGE_SIZE=1, SC_PHYS_PAGES=8 * floats)
    features.feature_batches("memory", cut, images, BATCH, seed=3)
    sizes.update(SC_PHYS_PAGES=8 * floats - 2)
    with pytest.raises(ValueError, match="need"):
        features.feature_batches("memory", cut, images, BATCH, seed=3)
    features.feature_batches("online", cut, images, BATCH, seed=3)


def test_one_block_gives_one_map(cut):
    one = teacher.cut_teacher(cut.model, ("stage1_out",), SHAPE)
    image = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    maps = features.feature_function(one)(image)
    assert isinstance(maps, tuple) and len(maps) == 1
    np.testing.assert_allclose(maps[0], cut.blocks[0](image, training=False), rtol=1e-4, atol=1e-4)


def test_the_teacher_is_asked_in_inference_mode():
    asked = []

    def ask(images, training):
        asked.append(training)
        return [images, images + 1.0]

    maps = features.feature_function(types.SimpleNamespace(features=ask))(np.zeros((1, 2, 2, 1)))
    assert asked == [False] and [float(np.sum(each)) for each in maps] == [0.0, 4.0]
