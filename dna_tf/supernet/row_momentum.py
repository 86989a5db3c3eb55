"""SGD with momentum on rows of packed variables: an op that was not drawn does not move.

Stock SGD with momentum would move ops that were not drawn by what is left of their earlier
steps. Here weights, velocity and step count belong to a row, and only drawn rows are read or
written.
"""

import tensorflow as tf

from dna_tf.supernet import row_adam

MOMENTUM = 0.9


class RowMomentum:
    """Lazy SGD with momentum for packed variables `(ops, row size)`.

    The velocity of a row becomes `momentum * velocity + gradient`, and the row moves by the
    learning rate times it. Create it in the scope of the strategy under which it is used.

    Args:
        packed: the variables.
        for_gpu: as of `row_adam.RowAdam`.
        momentum: share of the velocity that is kept in a step of the row.

    Source: SPOS, Guo et al. 2020: its code takes the gradients of ops that were not drawn
    away, so that neither momentum nor weight decay moves them.
    """

    def __init__(self, packed, for_gpu=False, momentum=MOMENTUM):
        self._packed, self._momentum = list(packed), momentum
        self._write = row_adam.row_writer(for_gpu)
        self._velocities = [tf.Variable(tf.zeros(rows.shape), trainable=False) for rows in packed]
        self._counts = [tf.Variable(tf.zeros(rows.shape[:1]), trainable=False) for rows in packed]

    @property
    def variables(self):
        """Velocities and step counts, in a fixed order."""
        return [*self._velocities, *self._counts]

    @property
    def counts(self):
        """Number of steps of each row: for each packed variable a variable `(ops,)`."""
        return self._counts

    def update(self, index, op, gradient, learning_rate):
        """Moves one row of one packed variable.

        Under a strategy it is called in cross-replica context (`merge_call`), with the
        same values from all replicas.

        Args:
            index: which packed variable.
            op: int32 scalar, which row.
            gradient: of the loss with respect to the row, `(row size,)`.
            learning_rate: float scalar.
        """
        tf.distribute.get_strategy().extended.update(
            self._packed[index],
            self._move,
            args=(self._velocities[index], self._counts[index], op, gradient, learning_rate),
            group=False,
        )

    def _move(self, packed, velocities, counts, op, gradient, learning_rate):
        row, velocity, count = (tf.gather(v, op) for v in (packed, velocities, counts))
        velocity = self._momentum * velocity + gradient
        new = [row - learning_rate * velocity, velocity, count + 1.0]
        for variable, after in zip((packed, velocities, counts), new, strict=True):
            self._write(variable, tf.reshape(op, [1]), after)
