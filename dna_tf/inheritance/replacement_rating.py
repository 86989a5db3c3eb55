"""Rates paths by what the network loses: the teacher with this one block replaced by the path.

The rating is the divergence of the teacher's answers from those of the teacher with the block
replaced, in nats: one unit in all blocks, so that ratings of different blocks can be added. The
walk over the paths of a cell is that of the local rating; what is added is one pass of the rest
of the teacher for each path. Where a cell has many paths, a sample that is spread over the local
ratings is measured, and the others get the value of a monotone fit on their local rating.

Source: Puzzle (Bercovich et al., 2024) replaces one block and measures the divergence; LANA
(Molchanov et al., 2022) adds up such scores.
"""

import keras
import numpy as np
import tensorflow as tf
from sklearn import isotonic

from dna_tf.inheritance import answers
from dna_tf.models import logits
from dna_tf.space import replaced_cells


class Rest:
    """The rest of a teacher after each block, as compiled functions from a map to logits.

    Args:
        teacher: a `cutting.Teacher`.
    """

    def __init__(self, teacher):
        blocks, head = teacher.blocks, logits.with_logits(teacher.head)
        self._functions = [_chain([*blocks[b + 1 :], head]) for b in range(len(blocks))]

    def __call__(self, block, maps):
        """The logits after a block; `block` is counted from 0, `maps` are its output."""
        return self._functions[block](maps)


def _chain(models):
    start = keras.Input(models[0].input.shape[1:])
    x = start
    for model in models:
        x = model(x)
    whole = keras.Model(start, x)
    return tf.function(lambda maps: whole(maps, training=False), reduce_retracing=True)


def sample(local, most):
    """Chooses paths whose local ratings are spread over all of them.

    Args:
        local: `(paths,)`, lower is better.
        most: how many to choose.

    Returns:
        Ascending indices, an int array; all of them if there are not more than `most`. The best
        and the worst are among them, and half are of the best tenth.
    """
    count = len(local)
    if count <= most:
        return np.arange(count)
    order = np.argsort(local, kind="stable")
    # A search chooses among the best ones: they are sampled more densely.
    ranks = np.linspace(0.0, 1.0, most) ** 2 * (count - 1)
    ranks = np.unique(np.round(ranks).astype(int))
    missing = [rank for rank in range(count) if rank not in set(ranks.tolist())]
    ranks = np.concatenate([ranks, missing[: most - len(ranks)]])
    return np.sort(order[ranks.astype(int)])


def rate_cell(rater, block, local, rest, teacher_logits, most=64, count=lambda: None):
    """Rates the paths of one cell by replacing.

    Args:
        rater: the `cell_rater.CellRater` of the cell.
        block: block index from 0.
        local: the local ratings of all paths, `(paths,)`.
        rest: the `Rest` of the teacher.
        teacher_logits: the teacher's answers on each rating batch, a list.
        most: how many paths to measure.
        count: called after each measured path.

    Returns:
        A `replaced_cells.ReplacedCell`.
    """
    local = np.asarray(local, np.float64)
    kl, spread, agreement = (np.full(len(local), np.nan) for _ in range(3))
    for index, outputs in rater.walk(sample(local, most)):
        nats, same = [], []
        for expected, maps in zip(teacher_logits, outputs, strict=True):
            received = rest(block, maps)
            nats.append(float(tf.reduce_mean(answers.divergence(expected, received))))
            equal = np.argmax(received.numpy(), -1) == np.argmax(expected.numpy(), -1)
            same.append(equal.mean())
        kl[index], agreement[index] = np.mean(nats), np.mean(same)
        spread[index] = np.std(nats, ddof=1) if len(nats) > 1 else 0.0
        count()
    kl, error = fitted(local, kl)
    return replaced_cells.ReplacedCell(kl, spread, agreement, len(teacher_logits), error)


def fitted(local, kl):
    """Fills in ratings that were not measured by a monotone fit on the local ratings.

    Args:
        local: `(paths,)`, all measured.
        kl: `(paths,)`, NaN where it was not measured.

    Returns:
        `(kl, error)`: all paths, and the root mean squared error of the fit, in which each
        measured path is predicted from the others; 0 if nothing was to be filled in.
    """
    measured = ~np.isnan(kl)
    if measured.all():
        return kl, 0.0
    x, y = local[measured], kl[measured]
    predicted = [_fit(np.delete(x, i), np.delete(y, i), x[i : i + 1])[0] for i in range(len(x))]
    filled = np.where(measured, kl, 0.0)
    filled[~measured] = _fit(x, y, local[~measured])
    return filled, float(np.sqrt(np.mean((np.array(predicted) - y) ** 2)))


def _fit(x, y, wanted):
    regression = isotonic.IsotonicRegression(out_of_bounds="clip", y_min=0.0)
    return regression.fit(x, y).predict(wanted)
