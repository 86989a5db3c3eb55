"""Several teachers, one after another: partial to whole knowledge distillation (PWKD).

A student learns first from a narrow teacher and last from the whole one. Each has a part of the
epochs. Which one answers depends on the epoch alone, so that a resumed training needs no state.
"""

import tensorflow as tf


class StagedTeachers:
    """Teachers of one student, each for a part of the epochs.

    Args:
        teachers: `keras.Model`s from the student's images to logits, in the order in which the
            student learns from them.
        ends: for each the share of the epochs at which it ends, rising to 1, such as
            `(0.25, 0.5, 1.0)`; `()` gives all equal parts.
        epochs: of the training.
    """

    def __init__(self, teachers, ends, epochs):
        self.teachers = tuple(teachers)
        count = len(self.teachers)
        ends = tuple(ends) or tuple(number / count for number in range(1, count + 1))
        # The first epoch of the next teacher.
        self.last_epochs = tuple(max(1, round(end * epochs)) for end in ends)
        self._stage = tf.Variable(0, dtype=tf.int32, trainable=False)

    def begin_epoch(self, epoch):
        """Chooses the teacher of an epoch, counted from 0."""
        self._stage.assign(self.stage_of(epoch))

    def stage_of(self, epoch):
        """The number of the teacher of an epoch, from 0."""
        later = [number for number, last in enumerate(self.last_epochs) if epoch < last]
        return later[0] if later else len(self.teachers) - 1

    def __call__(self, images, training=False):
        """The answers of the teacher of this epoch, `(batch, classes)`."""
        answers = [
            lambda teacher=teacher: tf.cast(teacher(images, training=training), tf.float32)
            for teacher in self.teachers
        ]
        return tf.switch_case(self._stage.read_value(), answers)
