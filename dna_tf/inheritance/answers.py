"""How far a model's answers are from a teacher's: divergence in nats, agreement, accuracy."""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.common import statistics


@dataclasses.dataclass(frozen=True)
class Answers:
    """How a model answers on some images.

    Args:
        kl: mean divergence of the teacher's answers from the model's, in nats; 0 if equal.
        agreed: number of images with the teacher's answer.
        correct: number of images with the right answer.
        images: number of images.
    """

    kl: float
    agreed: int
    correct: int
    images: int

    @property
    def agreement(self):
        """Share of the images with the teacher's answer."""
        return self.agreed / self.images

    @property
    def accuracy(self):
        """Share of the images with the right answer."""
        return self.correct / self.images

    def text(self):
        """The accuracy with its interval, agreement and divergence, in one line."""
        accuracy = statistics.describe_accuracy(self.correct, self.images)
        return f"{accuracy}, agrees with the teacher on {self.agreement:.1%}, KL {self.kl:.4f} nats"


@tf.function(reduce_retracing=True)
def divergence(teacher_logits, logits):
    """The divergence of the teacher's answers from a model's, image by image.

    Args:
        teacher_logits: `(images, classes)`.
        logits: of the model, of the same shape.

    Returns:
        A float64 tensor `(images,)` in nats: the Kullback-Leibler divergence, at least 0. It is
        computed in float64, as nearly equal answers differ by less than float32 has digits.
    """
    expected = tf.nn.log_softmax(tf.cast(teacher_logits, tf.float64))
    received = tf.nn.log_softmax(tf.cast(logits, tf.float64))
    nats = tf.reduce_sum(tf.exp(expected) * (expected - received), axis=-1)
    return tf.maximum(nats, 0.0)


def compare(model, teacher, images, split="rating", batch_size=100, most=None):
    """Compares the answers of a model with a teacher's on a split.

    Args:
        model: a `keras.Model` from images in 0..255 to logits.
        teacher: the teacher as such a model.
        images: a `labelled_images.Images`.
        split: which images.
        batch_size: images that are computed at a time.
        most: how many images at most; `None` is all.

    Returns:
        An `Answers`.
    """

    @tf.function(reduce_retracing=True)
    def both(pixels):
        return teacher(pixels, training=False), model(pixels, training=False)

    nats, agreed, correct, count = 0.0, 0, 0, 0
    for pixels, labels in images.images(split, batch_size=batch_size):
        if most is not None:
            pixels, labels = pixels[: most - count], labels[: most - count]
        expected, received = both(pixels)
        nats += float(np.sum(divergence(expected, received).numpy()))
        classes = np.argmax(received.numpy(), axis=-1)
        agreed += int(np.sum(classes == np.argmax(expected.numpy(), axis=-1)))
        correct += int(np.sum(classes == labels.numpy()))
        count += len(labels)
        if most is not None and count >= most:
            break
    return Answers(nats / count, agreed, correct, count)
