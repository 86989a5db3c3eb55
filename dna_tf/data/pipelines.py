"""Seeded orders that no global random state touches and that every run repeats.

`tf.data.Dataset.shuffle` mixes TensorFlow's global seed into its own, so that
`tf.random.set_seed` elsewhere would change the order of a resumed run.
"""
# MERGED: 'How every pipeline of this project ends: its order kept, and working ahead.'

import numpy as np
import tensorflow as tf


def permutation(count, seeds):
    """Returns the numbers 0..count-1 shuffled: np.int64 `(count,)`.

    Args:
        count: how many.
        seeds: two ints from `seed_pair`.
    """
    with tf.device("CPU:0"):
        keys = tf.random.stateless_uniform(
            [count], seeds, minval=None, maxval=None, dtype=tf.uint64, alg="philox"
        )
    return np.argsort(keys.numpy(), kind="stable").astype(np.int64)


def shuffled(dataset, buffer_size, seeds):
    """Shuffles a dataset within a buffer, by `seeds` alone: the same each time it is iterated.

    Args:
        dataset: dataset of tensors of static rank.
        buffer_size: elements from which the next one is drawn.
        seeds: two ints from `seed_pair`.
    """
    flat = tf.nest.flatten(dataset.element_spec)
    variant = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=buffer_size,
        seed=seeds[0],
        seed2=seeds[1],
        output_types=[spec.dtype for spec in flat],
        output_shapes=[spec.shape for spec in flat],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(variant, dataset.element_spec)


def part_of_batch(batch_size, shard):
    """Returns the slice of a batch that is one of its equal parts, each for one worker.

    Args:
        batch_size: images of a whole batch.
        shard: `(index, count)`: which of how many parts.

    Raises:
        ValueError: there is no such part, or the parts would not be equal.
    """
    index, count = check_shard(shard)
    if batch_size % count:
        raise ValueError(
            f"The batch size must be a multiple of the number of shards, {count}. Received: "
            f"batch_size={batch_size}"
        )
    size = batch_size // count
    return slice(index * size, (index + 1) * size)


def check_shard(shard):
    """Returns `shard`, `(index, count)`, if it is one of `count` shards; else a `ValueError`."""
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(
            "A shard is (index, count) with an index from 0 to count - 1. Received: "
            f"shard=({index}, {count})"
        )
    return index, count


def in_part(positions, every, part):
    """Which positions lie in the slice `part` of their run of `every`: array or tensor of bool."""
    place = positions % every
    return (place >= part.start) & (place < part.stop)


def parts_of(dataset, every, part):
    """Returns of each run of `every` elements of a dataset those of the slice `part`."""
    numbered = dataset.enumerate().filter(lambda number, _: in_part(number, every, part))
    return numbered.map(lambda _, element: element)


def finished(dataset, count=None, rewrite=True):
    """Keeps a pipeline's order and lets it work ahead of whoever reads it.

    TensorFlow's tuning of parallelism is off. Its thread sleeps for up to a minute between two
    looks, and now and then misses that the epoch has ended: the end of the epoch then waits for
    it, as long as the epoch was (TensorFlow 2.21; seen as 20 s at every other epoch of 21 s).
    Without it `AUTOTUNE` is a thread for each core, 16 at most.

    Args:
        dataset: a `tf.data.Dataset`.
        count: how many elements it has, to be stated where TensorFlow cannot know; a pipeline
            that gives another number is an error.
        rewrite: whether TensorFlow may rewrite the pipeline to a faster one; `False` where it
            captures large arrays, which that would copy.

    Returns:
        A `tf.data.Dataset` of the same elements; steps added to it keep these options.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    if not rewrite:
        options.experimental_optimization.apply_default_optimizations = False
    if count is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
