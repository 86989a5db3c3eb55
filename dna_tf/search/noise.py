"""Whether a runner-up of a search differs from the best by more than the noise of its ratings.

A rating is a mean over batches of images, and its file has the standard deviation between the
batches. Two architectures differ only in some blocks; the error of their difference comes from
the ratings there. Each has the variance `spread**2 / batches`, and they are added up as if they
were independent. All paths are rated on the same batches, so the error of a difference may be
smaller, or larger if blocks err together: only the differences batch by batch would say it, and
rating files have no batches.

A second supernet, trained with another seed, gives other ratings. Its spread adds to that of the
batches. Two paths of one cell were trained together: what moves all paths of the cell alike does
not count between them.
"""

import dataclasses
import math

import numpy as np

from dna_tf.common import statistics

_NORMAL_95 = 1.96  # the noise between supernets is pooled over the paths of a cell


@dataclasses.dataclass(frozen=True)
class Gap:
    """The difference between a runner-up and the best architecture.

    Args:
        value: what is minimised of the runner-up, minus that of the best; at least 0.
        error: half of the 95 % interval of this difference; `None` if the noise is unknown, as a
            rating is from a single batch.
    """

    value: float
    error: float | None

    @property
    def is_clear(self):
        """Whether the difference is larger than its error; `None` if that is unknown."""
        return None if self.error is None else self.value > self.error


@dataclasses.dataclass(frozen=True)
class SupernetNoise:
    """The variance of a path's rating from supernet to supernet, pooled over a cell's paths.

    Args:
        within: between paths of the cell, which move together in part.
        across: between a path of the cell and one of another cell.
    """

    within: float
    across: float


def of_supernets(values):
    """The noise of a cell's ratings between supernets.

    Args:
        values: `(supernets, paths)`, at least two supernets: the ratings of the cell's paths.

    Returns:
        A `SupernetNoise`.
    """
    values = np.asarray(values, np.float64)
    across = values.var(axis=0, ddof=1).mean()
    alone = values - values.mean(axis=1, keepdims=True)
    paths = values.shape[1]
    # The mean of few paths takes a share of their own noise with it.
    within = alone.var(axis=0, ddof=1).sum() / (paths - 1) if paths > 1 else across
    return SupernetNoise(float(within), float(across))


def gap(problem, best, other, spreads, batches, supernets=None):
    """Compares a runner-up with the best architecture.

    Args:
        problem: the `problems.SearchProblem`.
        best, other: a `problems.Choice` each.
        spreads: `spreads[block, cell]`, the standard deviation between batches of each path's
            rating, `(paths,)`.
        batches: `batches[block, cell]`, the number of batches; 0 if it is not known.
        supernets: `supernets[block, cell]`, a `SupernetNoise`; `None` without a second supernet.

    Returns:
        A `Gap`.
    """
    variance, from_supernets, least = 0.0, 0.0, math.inf
    for b, weight in enumerate(problem.weights):
        pair = [(c.cells[b], c.path_indices[b]) for c in (best, other)]
        if pair[0] == pair[1]:
            continue
        if supernets is not None:
            is_one_cell = pair[0][0] == pair[1][0]
            for cell, _ in pair:
                moved = supernets[b, cell]
                from_supernets += weight**2 * (moved.within if is_one_cell else moved.across)
        for cell, path in pair:
            count = batches[b, cell]
            least = min(least, count)
            if count > 1:
                variance += (weight * float(spreads[b, cell][path])) ** 2 / count
    value = other.value - best.value
    if least < 2:
        return Gap(value, None)
    if math.isinf(least):
        return Gap(value, 0.0)
    from_batches = statistics.t_quantile_95(least - 1) ** 2 * variance
    return Gap(value, math.sqrt(from_batches + _NORMAL_95**2 * from_supernets))
