"""The metrics of a rating in float64 NumPy."""

import numpy as np


def twin_metric(target, imitated):
    """Relative L1 in float64."""
    target = np.asarray(target, np.float64)
    return np.abs(target - imitated).mean() / np.std(target, ddof=1)


def twin_metrics(target, imitated):
    """All metrics of one batch, in the order of `ratings.METRICS`."""
    target = np.asarray(target, np.float64)
    squared = (target - imitated) ** 2
    per_channel = [squared[..., c].mean() / target[..., c].var() for c in range(target.shape[-1])]
    return twin_metric(target, imitated), squared.mean(), np.mean(per_channel)
