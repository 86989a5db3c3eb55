"""Draws the path that a step trains, from the seed and the number of the step alone."""

import tensorflow as tf


def draw(kind, seed, step, block, cell, layers, num_ops):
    """Draws the op of each layer of a cell.

    * `uniform`: each op with the same probability, independent of earlier draws.
    * `fair`: in each group of `num_ops` steps every layer trains every op once, in an
      order drawn for the group and the layer.

    Args:
        kind: `"uniform"` or `"fair"`.
        seed: an int.
        step: the step's number, from 0.
        block: block index from 0.
        cell: cell index from 0.
        layers: layers of the cell.
        num_ops: ops of each layer.

    Returns:
        An int32 tensor `(layers,)` in the host's memory: there the choice of an op needs its
        number, and a copy from a GPU would wait for all work before.

    Source: DNA 3.3 draws single paths uniformly; strict fairness is FairNAS' (Chu et
    al., 2019), here for the steps of a group one after another.
    """
    with tf.device("CPU:0"):
        return _draw(kind, seed, tf.cast(step, tf.int64), block, cell, layers, num_ops)


def _draw(kind, seed, step, block, cell, layers, num_ops):
    # The step is always int64: with int32 a seed above 2147 would wrap, and the path would depend
    # on the dtype of the step.
    cell_seed = seed * 1_000_003 + block * 1009 + cell
    if kind == "uniform":
        key = tf.stack([cell_seed, step])
        return tf.random.stateless_uniform([layers], key, maxval=num_ops, dtype=tf.int32)
    # An order of the ops for each layer: the ranks of random numbers. The group's key is
    # negative, so that it never equals that of a uniform draw.
    key = tf.stack([cell_seed, -1 - step // num_ops])
    orders = tf.argsort(tf.random.stateless_uniform([layers, num_ops], key), axis=1)
    return tf.cast(tf.gather(orders, step % num_ops, axis=1), tf.int32)


def fair_paths(seed, step, block, cell, layers, num_ops):
    """Draws the paths of one strictly fair step: together they have every op of every layer once.

    They are the paths that `draw` gives with `"fair"` in the steps of one group.

    Args:
        seed, step, block, cell, layers, num_ops: as of `draw`.

    Returns:
        An int32 tensor `(num_ops, layers)`, a path in each row, in the host's memory.

    Source: FairNAS, Chu et al. 2019.
    """
    first = tf.cast(step, tf.int64) * num_ops
    paths = [draw("fair", seed, first + k, block, cell, layers, num_ops) for k in range(num_ops)]
    with tf.device("CPU:0"):
        return tf.stack(paths)
