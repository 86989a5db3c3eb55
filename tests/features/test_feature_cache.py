"""Reading the cache: seeded, whole, in parts for workers, resumable to the bit."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.common import seeding
from dna_tf.data import pipelines
from dna_tf.features import feature_cache
from tests.helpers.cached_features import (
    COUNT,
    SHAPE,
    batches_of,
    keys_of,
    open_cache,
    records_of,
)

pytestmark = pytest.mark.usefixtures("deterministic")


def test_the_buffer_is_drawn_anew_in_each_epoch(written, cut, images, monkeypatch):
    monkeypatch.setattr(pipelines, "permutation", lambda count, seeds: np.arange(count))
    cache = open_cache(written, cut, images)
    orders = [keys_of(batches_of(cache.batches(43, *of))) for of in ((0, 3), (1, 3), (0, 4))]
    assert orders[0] != orders[1] and orders[0] != orders[2]


def test_an_epoch_is_seeded_and_whole(written, cut, images):
    cache = open_cache(written, cut, images)
    assert (cache.count, cache.shapes) == (COUNT, (SHAPE, (2, 2, 32), (1, 1, 64)))
    first = keys_of(batches_of(cache.batches(43, 0, seed=3)))
    assert sorted(first) == sorted(pixels.tobytes() for pixels in images.arrays("train")[0])
    tf.random.set_seed(99)
    again = open_cache(written, cut, images)
    assert keys_of(batches_of(again.batches(43, 0, seed=3))) == first
    assert keys_of(batches_of(cache.batches(43, 1, seed=3))) != first
    assert keys_of(batches_of(cache.batches(43, 0, seed=4))) != first


def test_the_order_is_that_of_the_twin(written, cut, images, monkeypatch):
    """With a buffer of one image, what is left is the order of shards, read in turn."""
    monkeypatch.setattr(feature_cache, "SHARDS_READ_AT_ONCE", 3)
    cache = open_cache(written, cut, images)
    shards = [records_of(path.read_bytes()) for path in sorted(written.glob("*.tfrecord"))]
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
    assert keys_of(batches_of(cache.batches(1, 2, seed=7, shuffle_bytes=0))) == pixels
    mixed = keys_of(batches_of(cache.batches(1, 2, seed=7, shuffle_bytes=40_000)))
    assert mixed != pixels and sorted(mixed) == sorted(pixels)


@pytest.mark.parametrize("skip", [1, 5, 8])
def test_skipping_leaves_the_same_bits(skip, written, cut, images):
    cache = open_cache(written, cut, images)
    whole = batches_of(cache.batches(16, 2, seed=3))
    rest = batches_of(cache.batches(16, 2, seed=3, skip_batches=skip))
    assert len(rest) == len(whole) - skip == 8 - skip
    for one, other in zip(whole[skip:], rest, strict=True):
        for part, same in zip(one, other, strict=True):
            assert part.tobytes() == same.tobytes()


@pytest.mark.parametrize("workers", [2, 3])
def test_the_parts_of_workers_are_disjoint_and_together_all(workers, written, cut, images):
    cache = open_cache(written, cut, images)
    parts = [
        keys_of(batches_of(cache.batches(1, 5, 3, shard=(i, workers)))) for i in range(workers)
    ]
    assert {len(part) for part in parts} == {COUNT // workers}
    assert [cache.steps_per_epoch(1, workers)] * workers == [len(part) for part in parts]
    keys = [key for part in parts for key in part]
    expected = [pixels.tobytes() for pixels in images.arrays("train")[0]]
    assert not collections.Counter(keys) - collections.Counter(expected)
    if workers == 3:
        assert sorted(keys) == sorted(expected)


def test_bad_arguments_of_reading(written, cut, images):
    cache = open_cache(written, cut, images)
    with pytest.raises(ValueError, match="from 1 to 129, .* Received: batch_size=130"):
        cache.batches(130, 0, 0)
    with pytest.raises(ValueError, match="from 1 to 64, the 129 images over 2 workers"):
        cache.batches(65, 0, 0, shard=(0, 2))
    with pytest.raises(ValueError, match="from 0 to the 8 batches .* skip_batches=9"):
        cache.batches(16, 0, 0, skip_batches=9)
    with pytest.raises(ValueError, match=r"shard=\(3, 3\)"):
        cache.batches(16, 0, 0, shard=(3, 3))
    with pytest.raises(FileNotFoundError, match="holds no whole cache"):
        open_cache(written / "none", cut, images)
