"""Accuracy with its uncertainty."""

import numpy as np
import tensorflow as tf

from dna_tf import intervals


def count_correct(model, batches):
    """Counts right answers.

    Args:
        model: a Keras model from images to scores `(batch, num_classes)`.
        batches: an iterable of `(images, labels)`.

    Returns:
        `(correct, total)`.
    """
    predict = tf.function(
        lambda x: tf.argmax(model(x, training=False), axis=-1), reduce_retracing=True
    )
    correct = total = 0
    for images, labels in batches:
        correct += int(np.sum(predict(images).numpy() == np.asarray(labels)))
        total += len(labels)
    return correct, total


def describe(correct, total):
    """An accuracy for people: `"97.5 % (95 % interval 95.3-98.7, 351 of 360)"`."""
    low, high = intervals.wilson(correct, total)
    return (
        f"{100 * correct / total:.1f} % (95 % interval {100 * low:.1f}-{100 * high:.1f}, "
        f"{correct} of {total})"
    )
