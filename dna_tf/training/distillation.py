"""The loss of a student that learns from labels, from a teacher's answers and from its maps."""

import dataclasses

import keras
import tensorflow as tf

from dna_tf.training import kept_answers, staged_teachers


@dataclasses.dataclass(frozen=True)
class Distillation:
    """What a student learns from, each with a weight in the loss.

    Args:
        teacher: a `keras.Model` from the student's images to logits; with `layers` to logits and
            then to the map of each layer, in their order. Or a `staged_teachers.StagedTeachers`.
        labels: weight of the loss on the labels.
        answers: weight of the divergence of the teacher's answers.
        temperature: by which both logits are divided for that divergence.
        maps: weight of the distance of the maps.
        layers: names of the student's layers whose maps are compared.
        kept: a `kept_answers.KeptAnswers` of the teacher: it answers once for all trainings with
            one seed and recipe. Not with `layers`, whose maps are not kept.
    """

    teacher: keras.Model | staged_teachers.StagedTeachers
    labels: float
    answers: float
    temperature: float = 1.0
    maps: float = 0.0
    layers: tuple[str, ...] = ()
    kept: kept_answers.KeptAnswers | None = None

    def begin_epoch(self, epoch):
        """Chooses the teacher of an epoch, counted from 0, if there are several."""
        if isinstance(self.teacher, staged_teachers.StagedTeachers):
            self.teacher.begin_epoch(epoch)

    def loss(self, images, label_loss, logits, maps=(), answers=None):
        """The weighted sum of the losses, and its parts as figures.

        Args:
            images: float tensor `(batch, height, width, channels)`.
            label_loss: the loss on the labels, a scalar.
            logits: of the student, float32 `(batch, classes)`.
            maps: of the student, one for each of `layers`.
            answers: of the teacher, float32 `(batch, classes)`; `None` asks it.

        Returns:
            `(loss, figures)`: a scalar, and a dict of scalars.

        Source: answers: Hinton et al., 2015. Maps: squared distance over the variance of the
        teacher's map, the mean over the layers.
        """
        received = self.teacher(images, training=False) if answers is None else answers
        targets, *target_maps = received if self.layers else [received]
        targets = tf.stop_gradient(tf.cast(targets, tf.float32) / self.temperature)
        gap = tf.nn.log_softmax(targets) - tf.nn.log_softmax(logits / self.temperature)
        distance = tf.reduce_mean(tf.reduce_sum(tf.nn.softmax(targets) * gap, axis=-1))
        # Gradients shrink with the square of the temperature, which is made up for here.
        loss = self.labels * label_loss + self.answers * self.temperature**2 * distance
        figures = {"distillation": distance}
        if self.layers:
            distances = [_distance(y, x) for y, x in zip(target_maps, maps, strict=True)]
            figures["maps"] = tf.add_n(distances) / len(distances)
            loss = loss + self.maps * figures["maps"]
        return loss, {"loss": loss, **figures}


def _distance(target, received):
    target = tf.stop_gradient(tf.cast(target, tf.float32))
    squared = tf.reduce_mean(tf.math.squared_difference(target, tf.cast(received, tf.float32)))
    return squared / (tf.math.reduce_variance(target) + 1e-9)
