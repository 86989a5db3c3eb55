"""Statistics of few numbers: intervals of accuracies and of their differences."""

import dataclasses
import math

import numpy as np

_Z_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference of two means with its 95 % interval.

    Args:
        value: mean of the first minus mean of the second.
        low: lower end of the interval; `None` if it is unknown.
        high: upper end; `None` if it is unknown.
        degrees: degrees of freedom; `None` if the interval is unknown.
    """

    value: float
    low: float | None = None
    high: float | None = None
    degrees: float | None = None


def mean_and_std(values):
    """Mean and sample standard deviation (n - 1) of a few numbers.

    Args:
        values: one number or more.

    Returns:
        `(mean, std)`; `std` is `None` for a single number.
    """
    values = np.asarray(values, np.float64)
    std = float(values.std(ddof=1)) if len(values) > 1 else None
    return float(values.mean()), std


def wilson(correct, total):
    """The 95 % interval of the accuracy, from a sample of `total` answers.

    Args:
        correct: right answers, from 0 to `total`.
        total: all answers, at least 1.

    Returns:
        `(low, high)` in [0, 1].

    Raises:
        ValueError: a count is out of range.

    Source: Wilson, 1927.
    """
    if not 0 <= correct <= total or total < 1:
        raise ValueError(
            f"Expected at least one answer, and correct in 0..total. Received: "
            f"correct={correct!r}, total={total!r}"
        )
    share, z2 = correct / total, _Z_95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z_95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def t_quantile_95(degrees):
    """The two-sided 95 % quantile of Student's t distribution (2.776 for 4 degrees).

    With t = sqrt(degrees) * tan(angle) the probability within +-t is an integral of
    cos(angle) ** (degrees - 1) over a finite range, which a Gauss-Legendre rule gives
    to ten digits; the quantile is then bisected.

    Args:
        degrees: degrees of freedom, at least 1; need not be whole.

    Raises:
        ValueError: `degrees` is below 1.
    """
    if not degrees >= 1:
        raise ValueError(f"degrees must be at least 1. Received: degrees={degrees!r}")
    nodes, weights = np.polynomial.legendre.leggauss(64)
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    scale *= 2 / math.sqrt(math.pi)

    def within(t):
        angle = math.atan(t / math.sqrt(degrees))
        values = np.cos(angle * (nodes + 1) / 2) ** (degrees - 1)
        return scale * angle / 2 * float(np.sum(weights * values))

    low, high = 1.9, 13.0  # from infinite degrees to 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return (low + high) / 2


def welch(first, second):
    """The difference of two means and its 95 % interval, without assuming equal spread.

    Args:
        first: numbers, such as the accuracies of one student over seeds.
        second: numbers of the other student, not paired with the first.

    Returns:
        A `Difference`. Its interval is unknown if a side has a single number, or if neither
        side has any spread: few equal numbers do not show the noise.

    Source: Welch, 1947; degrees of freedom after Satterthwaite.
    """
    (mean_1, std_1), (mean_2, std_2) = mean_and_std(first), mean_and_std(second)
    value = mean_1 - mean_2
    if std_1 is None or std_2 is None or std_1 == std_2 == 0:
        return Difference(value)
    part_1, part_2 = std_1**2 / len(first), std_2**2 / len(second)
    degrees = (part_1 + part_2) ** 2 / (
        part_1**2 / (len(first) - 1) + part_2**2 / (len(second) - 1)
    )
    half = t_quantile_95(max(1.0, degrees)) * math.sqrt(part_1 + part_2)
    return Difference(value, value - half, value + half, degrees)


def describe_accuracy(correct, total):
    """An accuracy for people: `"97.5 % (95 % interval 95.3-98.7, 351 of 360)"`."""
    low, high = wilson(correct, total)
    return (
        f"{100 * correct / total:.1f} % (95 % interval {100 * low:.1f}-{100 * high:.1f}, "
        f"{correct} of {total})"
    )
