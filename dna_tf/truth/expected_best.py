"""The closed form of random search on a table: what its best of n draws has, expected."""

import math

import numpy as np

from dna_tf.common import checks


def expected_best(values, draws):
    """The expected best of `draws` different networks, all equally likely: exact, no search.

    Of N values the largest is among n draws with probability w_1 = n / N; the i-th largest is
    the best of them with w_(i+1) = w_i (N - n - i + 1) / (N - i). A random search has to agree
    with this within its noise, and a search that learns has to be above.

    Args:
        values: of all networks that may be drawn, higher is better; of any shape.
        draws: how many, from 1 to their number.

    Returns:
        A float.

    Raises:
        ValueError: a value is not finite, or there are fewer networks than draws.
    """
    values = _sorted(values)
    return float(best_weights(len(values), draws) @ values)


def best_weights(count, draws):
    """The probability of each network to be the best of the draws, best network first.

    Args:
        count: the number of networks.
        draws: how many different ones are drawn.

    Returns:
        float64 `(count,)`, which sums to 1.

    Raises:
        ValueError: as `expected_best`.
    """
    checks.check_whole("count", count, 1)
    checks.check_whole("draws", draws, 1)
    if draws > count:
        raise ValueError(
            f"There are {count:,} networks, and none is drawn twice: draws must be at most that. "
            f"Received: draws={draws:,}"
        )
    places = np.arange(1, count)
    steps = np.maximum(count - draws - places + 1, 0) / (count - places)
    return draws / count * np.concatenate([[1.0], np.cumprod(steps)])


def share_at_optimum(values, draws, within=0.0):
    """The probability that random search ends at the optimum.

    Args:
        values: as `expected_best`.
        draws: as `expected_best`.
        within: networks this much below the optimum count as it too. The noise of a training
            (`ChoiceTable.noise`) is a fair choice: such networks cannot be told from it.

    Returns:
        `(share, optima)`: the probability, and how many networks count as the optimum.

    Raises:
        ValueError: as `expected_best`, or `within` is below 0.
    """
    if not checks.is_number(within) or within < 0:
        raise ValueError(f"within must be a number of at least 0. Received: {within!r}")
    values = _sorted(values)
    optima = int((values >= values[0] - within).sum())
    return float(best_weights(len(values), draws)[:optima].sum()), optima


def _sorted(values):
    values = np.sort(np.asarray(values, np.float64).ravel())[::-1]
    if not len(values) or not all(map(math.isfinite, (values[0], values[-1], values.sum()))):
        raise ValueError(
            f"The best of draws needs finite values of at least one network. Received: "
            f"{checks.short_repr(values)}"
        )
    return values
