"""Accuracy with its uncertainty."""

import keras
import numpy as np
import tensorflow as tf

from dna_tf import intervals


def predictor(model):
    """A compiled function from images to classes, for many calls of `count_correct`.

    Args:
        model: a Keras model from images to scores `(batch, num_classes)`.
    """
    return tf.function(
        lambda x: tf.argmax(model(x, training=False), axis=-1), reduce_retracing=True
    )


def count_correct(model, batches):
    """Counts right answers.

    Args:
        model: a Keras model from images to scores `(batch, num_classes)`, or what
            `predictor` made of one.
        batches: an iterable of `(images, labels)`.

    Returns:
        `(correct, total)`.
    """
    predict = predictor(model) if isinstance(model, keras.Model) else model
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
