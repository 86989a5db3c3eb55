"""How every pipeline of this project ends: its order kept, and working ahead."""

import tensorflow as tf


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
