"""Adam on rows of packed variables: an op that was not drawn does not move.

With the dense zero gradients of ops that were not drawn, stock Adam would still
move them through its momentum. Here weights, both moments and the step count
belong to a row, and only drawn rows are read or written.
"""

import tensorflow as tf

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # PyTorch's defaults, as in the authors' code


class RowAdam:
    """Lazy Adam for packed variables `(ops, row size)`.

    Create it in the scope of the strategy under which it is used.

    Args:
        packed: the variables.
        for_gpu: whether it runs on GPUs, where a row is assigned: a scatter that is deterministic
            copies the whole variable to the host and back. Elsewhere a row is scattered. On a
            CPU that takes less than half of the time, and XLA, as on TPUs, would make a program
            of an assignment for each path.

    Source: Kingma and Ba, 2015. That rows are lazy is needed for the single paths of DNA.
    """

    def __init__(self, packed, for_gpu=False):
        self._packed = list(packed)
        self._write = row_writer(for_gpu)
        self._means = [tf.Variable(tf.zeros(rows.shape), trainable=False) for rows in packed]
        self._squares = [tf.Variable(tf.zeros(rows.shape), trainable=False) for rows in packed]
        self._counts = [tf.Variable(tf.zeros(rows.shape[:1]), trainable=False) for rows in packed]

    @property
    def variables(self):
        """Moments and step counts, in a fixed order."""
        return [*self._means, *self._squares, *self._counts]

    @property
    def counts(self):
        """Number of steps of each row: for each packed variable a variable `(ops,)`."""
        return self._counts

    def update(self, index, op, gradient, learning_rate, moves=True):
        """Moves one row of one packed variable.

        Under a strategy it is called in cross-replica context (`merge_call`), with the
        same values from all replicas.

        Args:
            index: which packed variable.
            op: int32 scalar, which row.
            gradient: of the loss with respect to the row, `(row size,)`.
            learning_rate: float scalar.
            moves: bool scalar; `False` leaves everything as it is.
        """
        state = (self._means[index], self._squares[index], self._counts[index])
        tf.distribute.get_strategy().extended.update(
            self._packed[index],
            self._move,
            args=(*state, op, gradient, learning_rate, tf.convert_to_tensor(moves)),
            group=False,
        )

    def _move(self, packed, means, squares, counts, op, gradient, learning_rate, moves):
        row, mean, square, count = (
            tf.gather(variable, op) for variable in (packed, means, squares, counts)
        )
        # A step that does not count has factors that change nothing, which costs less than
        # choosing between old and new values; its gradient may be NaN.
        beta_1, beta_2 = (tf.where(moves, beta, 1.0) for beta in (BETA_1, BETA_2))
        part_1, part_2 = (tf.where(moves, 1.0 - beta, 0.0) for beta in (BETA_1, BETA_2))
        steps = count + 1.0
        mean = beta_1 * mean + tf.math.multiply_no_nan(gradient, part_1)
        square = beta_2 * square + tf.math.multiply_no_nan(tf.square(gradient), part_2)
        rate = tf.where(moves, learning_rate / (1.0 - tf.pow(BETA_1, steps)), 0.0)
        scale = tf.sqrt(square / (1.0 - tf.pow(BETA_2, steps))) + EPSILON
        new = [row - rate * mean / scale, mean, square, tf.where(moves, steps, count)]
        for variable, after in zip((packed, means, squares, counts), new, strict=True):
            self._write(variable, tf.reshape(op, [1]), after)


def row_writer(for_gpu):
    """The function `(variable, at, row)` that writes one row of a packed variable.

    Args:
        for_gpu: as of `RowAdam`.
    """
    return _assign_row if for_gpu else _scatter_row


def _assign_row(variable, at, row):
    # `variable[op].assign(row)` would read the whole variable first.
    tf.raw_ops.ResourceStridedSliceAssign(
        ref=variable.handle, begin=at, end=at + 1, strides=[1], value=row, shrink_axis_mask=1
    )


def _scatter_row(variable, at, row):
    variable.scatter_update(tf.IndexedSlices(row[None], at))
