"""What the ratings of a cell say: best and worst paths, and what each op does at each layer."""

import dataclasses

import numpy as np

from dna_tf import space_paths


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the ratings of one cell say.

    Args:
        best: index of the best path, in the order of `SearchSpace.paths`.
        worst: index of the worst.
        mean: mean rating of all paths.
        deviation: standard deviation of the ratings over the paths.
        noise: median, over paths, of the standard error of a rating: its spread over the
            rating batches over the square root of their number. `nan` if not known.
        effects: `(layers, ops)`: mean rating of the paths with this op at this layer,
            less the mean of all: the marginal effect; below 0 is better.
        rank_correlations: of the rating with each cost, Kendall's tau-b; -1 says that
            larger paths are rated better without exception.
    """

    best: int
    worst: int
    mean: float
    deviation: float
    noise: float
    effects: np.ndarray
    rank_correlations: dict


def summarize(means, spreads, batches, num_ops, costs):
    """Summarizes the ratings of one cell.

    Args:
        means: `(paths,)`, in the order of `SearchSpace.paths`.
        spreads: `(paths,)`, their standard deviation over the rating batches.
        batches: how many rating batches there were; 0 if not known.
        num_ops: ops of the space.
        costs: a dict from cost name to an array `(paths,)`.

    Returns:
        A `Summary`.
    """
    means = np.asarray(means, np.float64)
    layers = round(np.log(len(means)) / np.log(num_ops)) if num_ops > 1 else 1
    grid = means.reshape([num_ops] * layers) if num_ops > 1 else means.reshape([1])
    effects = np.stack(
        [
            grid.mean(axis=tuple(a for a in range(layers) if a != layer)) - means.mean()
            for layer in range(layers)
        ]
    )
    known = batches > 1
    return Summary(
        best=int(np.argmin(means)),
        worst=int(np.argmax(means)),
        mean=float(means.mean()),
        deviation=float(means.std()),
        noise=float(np.median(spreads) / np.sqrt(batches)) if known else float("nan"),
        effects=effects,
        rank_correlations={name: kendall_tau(means, of_paths) for name, of_paths in costs.items()},
    )


def kendall_tau(one, other):
    """Kendall's tau-b of two arrays of numbers, ties accounted for; `nan` if one is constant.

    Source: Kendall, 1945. Counted pair by pair in rows, so that memory is linear.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    agreement = pairs_one = pairs_other = 0
    for i in range(len(one) - 1):
        first, second = np.sign(one[i + 1 :] - one[i]), np.sign(other[i + 1 :] - other[i])
        agreement += int(first @ second)
        pairs_one += int(np.abs(first).sum())
        pairs_other += int(np.abs(second).sum())
    if not pairs_one or not pairs_other:
        return float("nan")
    return agreement / np.sqrt(float(pairs_one) * pairs_other)


def lines(name, summary, space, block, cell):
    """The summary as lines of text."""
    found = [
        f"{name}: {space.num_paths(block, cell):,} paths, mean {summary.mean:.4f}, deviation "
        f"{summary.deviation:.4f} (standard error of one rating {summary.noise:.4f})"
    ]
    shown = ", ".join(f"{k} {v:+.2f}" for k, v in summary.rank_correlations.items())
    found.append(f"  rank correlation (Kendall's tau-b) of the rating with {shown}")
    for layer, effects in enumerate(summary.effects):
        order = np.argsort(effects, kind="stable")
        shown = "  ".join(f"{space.ops[op].name} {effects[op]:+.4f}" for op in order)
        found.append(f"  layer {layer + 1}, effect of each op: {shown}")
    for word, index in (("best: ", summary.best), ("worst:", summary.worst)):
        found.append(f"  {word} {space_paths.text(space, block, cell, index)}")
    return found
