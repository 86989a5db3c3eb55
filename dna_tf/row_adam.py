"""Adam on rows of packed variables: an op that was not drawn does not move.

With the dense zero gradients of ops that were not drawn, stock Adam would still
move them through its momentum. Here weights, both moments and the step count
belong to a row, and only drawn rows are read or written.
"""

import tensorflow as tf

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # PyTorch's defaults, as in the authors' code


class RowAdam:
    """Lazy Adam for packed variables `(ops, row size)`.

    Args:
        packed: the variables.

    Source: Kingma and Ba, 2015; laziness by row is our choice, as DNA needs it.
    """

    def __init__(self, packed):
        self._packed = list(packed)
        self._means = [tf.Variable(tf.zeros(rows.shape), trainable=False) for rows in packed]
        self._squares = [tf.Variable(tf.zeros(rows.shape), trainable=False) for rows in packed]
        self._counts = [tf.Variable(tf.zeros(rows.shape[:1]), trainable=False) for rows in packed]

    @property
    def variables(self):
        """Moments and step counts, in a fixed order."""
        return [*self._means, *self._squares, *self._counts]

    def update(self, index, op, row, gradient, learning_rate):
        """Moves one row of one packed variable.

        Args:
            index: which packed variable.
            op: int32 scalar, which row.
            row: the row's present value `(row size,)`.
            gradient: of the loss with respect to the row, `(row size,)`.
            learning_rate: float scalar.
        """
        count = tf.gather(self._counts[index], op) + 1.0
        mean = BETA_1 * tf.gather(self._means[index], op) + (1.0 - BETA_1) * gradient
        square = BETA_2 * tf.gather(self._squares[index], op)
        square += (1.0 - BETA_2) * tf.square(gradient)
        rate = learning_rate / (1.0 - tf.pow(BETA_1, count))
        scale = tf.sqrt(square / (1.0 - tf.pow(BETA_2, count))) + EPSILON
        for variable, value in (
            (self._packed[index], row - rate * mean / scale),
            (self._means[index], mean),
            (self._squares[index], square),
            (self._counts[index], count),
        ):
            variable.scatter_update(tf.IndexedSlices(value[None], tf.reshape(op, [1])))
