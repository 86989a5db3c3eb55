"""Whether a runner-up of a search differs from the best by more than the noise of its ratings.

A rating is a mean over batches of images, and its file has the standard deviation between the
batches. Two architectures differ only in some blocks; the error of their difference comes from
the ratings there. Each has the variance `spread**2 / batches`, and they are added up as if they
were independent. All paths are rated on the same batches, so the error of a difference may be
smaller, or larger if blocks err together: only the differences batch by batch would say it, and
rating files have no batches.
"""

import dataclasses
import math

from dna_tf.common import statistics


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


def gap(problem, best, other, spreads, batches):
    """Compares a runner-up with the best architecture.

    Args:
        problem: the `problems.SearchProblem`.
        best, other: a `problems.Choice` each.
        spreads: `spreads[block, cell]`, the standard deviation between batches of each path's
            rating, `(paths,)`.
        batches: `batches[block, cell]`, the number of batches; 0 if it is not known.

    Returns:
        A `Gap`.
    """
    variance, least = 0.0, math.inf
    for b, weight in enumerate(problem.weights):
        pair = [(c.cells[b], c.path_indices[b]) for c in (best, other)]
        if pair[0] == pair[1]:
            continue
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
    return Gap(value, statistics.t_quantile_95(least - 1) * math.sqrt(variance))
