"""Seeded orders, and pipelines that keep their order, use all cores, and end at once."""

import os

import numpy as np
import tensorflow as tf

from dna_tf.data import loading, pipelines
from tests.helpers.data_files import data_config, write_folder

GOLDEN_PERMUTATION = [2, 4, 1, 0, 5, 3]


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


def _has_no_tuning(dataset):
    options = dataset.options()
    return options.deterministic is True and options.autotune.enabled is False


def test_elements_and_their_order_are_kept():
    dataset = tf.data.Dataset.range(50).map(lambda n: n * n, tf.data.AUTOTUNE)
    for rewrite in (True, False):
        finished = pipelines.finished(dataset, 50, rewrite)
        np.testing.assert_array_equal(list(finished.as_numpy_iterator()), np.arange(50) ** 2)
        optimised = finished.options().experimental_optimization.apply_default_optimizations
        assert optimised is (None if rewrite else False)


def test_no_tuning_thread_is_left_to_wait_for(tmp_path):
    write_folder(tmp_path, ["ant", "bee"], 12)
    config = data_config(source=f"folder:{tmp_path}", rating_per_class=3, image_size=8)
    loaded = loading.load(config, 0)
    assert _has_no_tuning(pipelines.finished(tf.data.Dataset.range(3)).map(lambda n: n + 1))
    assert _has_no_tuning(loaded.images("train", 4))
    assert _has_no_tuning(loaded.epoch(4, 0, 0, augment=True))


def test_as_many_images_are_decoded_at_once_as_there_are_cores(tmp_path, monkeypatch):
    """TensorFlow's own choice is at most 16."""
    write_folder(tmp_path, ["ant", "bee"], 30)
    config = data_config(source=f"folder:{tmp_path}", rating_per_class=3, image_size=8)
    calls, whole = [], tf.data.Dataset.map

    def recorded(dataset, function, num_parallel_calls=None, **options):
        calls.append(num_parallel_calls)
        return whole(dataset, function, num_parallel_calls, **options)

    monkeypatch.setattr(tf.data.Dataset, "map", recorded)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(24)))
    loaded = loading.load(config, 0, memory_limit_bytes=0)
    for read in (lambda: loaded.images("train"), lambda: loaded.epoch(40, 0, 0)):
        calls.clear()
        assert list(read())
        assert 24 in calls and tf.data.AUTOTUNE not in calls, calls
    assert pipelines.parallel_calls() == 24 and pipelines.calls_of_batches() == 16
