"""Seeded orders, parts of batches for workers, and the options of every pipeline.

Orders depend on their seeds alone. `tf.data.Dataset.shuffle` mixes TensorFlow's global seed
into its own, so `tf.random.set_seed` elsewhere would change the order of a resumed run.
"""

import os

import numpy as np
import tensorflow as tf

# Calls of a step over batches at once: each keeps a batch in memory.
MOST_BATCHES = 16


def parallel_calls():
    """Returns how many calls of a step over images run at once: one for each core.

    Cores are those that this process may use, such as those of its container.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def calls_of_batches():
    """Returns how many calls of a step over batches run at once."""
    return min(MOST_BATCHES, parallel_calls())


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
    """Shuffles a dataset within a buffer, by `seeds` alone, in the same way each time it is read.

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
    """Returns the slice of a batch for one of several workers, all of equal size.

    Args:
        batch_size: images of a whole batch.
        shard: `(index, count)`: the worker, and the number of workers.

    Raises:
        ValueError: the shard is out of range, or the parts would not be equal.
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
    """Returns `shard`, `(index, count)`, after checking that the index is below the count."""
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(
            "A shard is (index, count) with an index from 0 to count - 1. Received: "
            f"shard=({index}, {count})"
        )
    return index, count


def in_part(positions, every, part):
    """Whether positions are in the slice `part` of their run of `every`, as array or tensor."""
    place = positions % every
    return (place >= part.start) & (place < part.stop)


def parts_of(dataset, every, part):
    """Keeps of each run of `every` elements of a dataset those of the slice `part`."""
    numbered = dataset.enumerate().filter(lambda number, _: in_part(number, every, part))
    return numbered.map(lambda _, element: element)


def finished(dataset, count=None, rewrite=True):
    """Ends a pipeline: its order is kept, and it works ahead of its reader.

    TensorFlow's tuning of parallelism is off. Its thread sleeps for up to a minute at a time
    and sometimes misses the end of an epoch, which then waits for it, as long as the epoch was
    (TensorFlow 2.21: 20 s after every other epoch of 21 s). Without it `AUTOTUNE` means at
    most 16 calls at once, whatever the cores: give `parallel_calls()` to steps instead.

    Args:
        dataset: a `tf.data.Dataset`.
        count: number of its elements, if TensorFlow cannot know it; a pipeline with another
            number is an error.
        rewrite: whether TensorFlow may rewrite the pipeline to a faster one; `False` if it
            captures large arrays, which would be copied.

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
