"""Rating files, one JSON file per cell with the rating of every path, and summaries of them."""

import dataclasses

import numpy as np

from dna_tf.common import checks, files, rank_correlation, records
from dna_tf.space import spaces

KIND = "dna_tf.ratings"
VERSION = 2
# Distances between the outputs of a path and of the teacher: lower is better. The first is the
# default. Source: DNA eq. 8.
METRICS = ("relative_l1", "mse", "noise_to_signal")
_MOST_RATING = 1e100  # of what is no mistake
_HINT = "Rate the cells again."


@dataclasses.dataclass(frozen=True)
class RatedCell:
    """The ratings of one cell.

    Args:
        metrics: a dict from metric to a float64 array `(2, paths)`: for each path, in the
            order of `SearchSpace.paths`, the mean over the rating batches and the standard
            deviation between them.
        batches: the number of rating batches; 0 if not known.
    """

    metrics: dict
    batches: int

    def __len__(self):
        """The number of rated paths."""
        return next(iter(self.metrics.values())).shape[1]


class StaleRatings(ValueError):
    """Ratings were made from something else than they are wanted of."""


def save(path, space, block, cell, rated, made_from):
    """Writes the ratings of one cell, atomically.

    Args:
        path: the file.
        space: the `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        rated: a `RatedCell`; it may have the first paths only, while rating goes on.
        made_from: fingerprint of supernet, data and rating settings.

    Raises:
        ValueError: a rating is not finite; nothing is written.
    """
    check_finite(rated, spaces.cell_name(block, cell))
    files.write_json(
        path,
        {
            "kind": KIND,
            "version": VERSION,
            "cell": spaces.cell_name(block, cell),
            "space": space.to_dict(),
            "made_from": made_from,
            "num_paths": space.num_paths(block, cell),
            "batches": rated.batches,
            "metrics": {
                name: {"mean": means.tolist(), "spread": spreads.tolist()}
                for name, (means, spreads) in rated.metrics.items()
            },
        },
    )


def check_finite(rated, cell):
    """Checks that all ratings of a `RatedCell` are finite; `cell` is its name."""
    for name, values in rated.metrics.items():
        if not np.isfinite(values).all():
            raise ValueError(
                f"{cell} has ratings ({name}) that are not finite: its training diverged. Train it "
                "with a lower learning rate."
            )


def load_cell(path, space, block, cell, made_from=None):
    """Reads the ratings of one cell in all metrics.

    Args:
        path: the file.
        space: the `spaces.SearchSpace` that they must belong to.
        block: block index from 0.
        cell: cell index from 0.
        made_from: the fingerprint that they must have, or a tuple of those of which they must
            have one; `None` accepts any.

    Returns:
        A `RatedCell`; it has fewer paths than the cell if rating was interrupted.

    Raises:
        FileNotFoundError: the cell was not rated.
        ValueError: the file is broken, of another cell or space, or stale.
    """
    data = files.read_json(path, KIND, _HINT)
    name = spaces.cell_name(block, cell)
    if data.get("version") != VERSION or data.get("cell") != name:
        raise ValueError(
            f"The file {path} was expected to hold ratings of {name}, version {VERSION}. Received: "
            f"cell={data.get('cell')!r}, version={data.get('version')!r}. {_HINT}"
        )
    if data.get("space") != space.to_dict():
        raise ValueError(f"The ratings in {path} belong to another search space. {_HINT}")
    accepted = (made_from,) if isinstance(made_from, str) else made_from
    if accepted is not None and data.get("made_from") not in accepted:
        raise StaleRatings(
            f"The ratings in {path} are stale: they were made from another supernet, other data or "
            "rating settings. Delete the folder of ratings and rate again."
        )
    metrics, pairs = data.get("metrics"), {}
    for metric, columns in metrics.items() if isinstance(metrics, dict) else ():
        pair = [columns.get(p) for p in ("mean", "spread")] if isinstance(columns, dict) else [0]
        if not all(isinstance(values, list) and _are_numbers(values) for values in pair):
            raise ValueError(f"The ratings in {path} are not lists of numbers. {_HINT}")
        pairs[metric] = pair
    lengths = {len(values) for pair in pairs.values() for values in pair}
    if len(lengths) != 1:
        raise ValueError(f"The ratings in {path} are not lists of one length. {_HINT}")
    if max(lengths) > space.num_paths(block, cell):
        raise ValueError(
            f"The file {path} has {max(lengths)} ratings, and {name} of the space has "
            f"{space.num_paths(block, cell)} paths. {_HINT}"
        )
    arrays = {metric: np.array(pair, np.float64) for metric, pair in pairs.items()}
    batches = data.get("batches", 0)
    checks.check_whole(f"The field 'batches' in {path}", batches, 0, records.MOST)
    return RatedCell(arrays, batches)


def _are_numbers(values):
    """Whether all values are finite numbers of which sums are finite, too."""
    return all(type(v) in (int, float) and abs(v) < _MOST_RATING for v in values)


def load(path, space, block, cell, made_from=None, metric=METRICS[0]):
    """Reads the ratings of one cell in one metric.

    Args:
        path, space, block, cell, made_from: as for `load_cell`.
        metric: one of `METRICS`.

    Returns:
        A float64 array with one rating per path; fewer if rating was interrupted.

    Raises:
        FileNotFoundError: the cell was not rated.
        ValueError: as for `load_cell`, or the file has no such metric.
    """
    metrics = load_cell(path, space, block, cell, made_from).metrics
    if metric not in metrics:
        raise ValueError(
            f"The ratings in {path} have no metric {metric!r}."
            f"{checks.near_names(metric, metrics)} They have {list(metrics)}."
        )
    return metrics[metric][0]


def load_all(folder, space, metric=METRICS[0]):
    """Reads the ratings of all cells of a space.

    Args:
        folder: the folder with one file per cell.
        space: the `spaces.SearchSpace`.
        metric: one of `METRICS`.

    Returns:
        A dict from `(block, cell)` to a float64 array with one rating per path.

    Raises:
        FileNotFoundError: a cell was not rated.
        ValueError: a file is broken, or its rating was interrupted.
    """
    ratings = {}
    for b, c, _ in space.cells():
        path = files.as_path(folder) / f"{spaces.cell_name(b, c)}.json"
        values = load(path, space, b, c, metric=metric)
        if len(values) < space.num_paths(b, c):
            raise ValueError(
                f"{spaces.cell_name(b, c)} has {len(values)} of {space.num_paths(b, c)} paths "
                "rated: rating was interrupted. Rate again to go on."
            )
        ratings[b, c] = values
    return ratings


@dataclasses.dataclass(frozen=True)
class Summary:
    """A summary of the ratings of one cell.

    Args:
        best: index of the best path, in the order of `SearchSpace.paths`.
        worst: index of the worst path.
        mean: mean rating of all paths.
        deviation: standard deviation of the ratings between paths.
        noise: median of the standard error of a rating: its standard deviation between the
            rating batches over the square root of their number. `nan` if not known.
        effects: array `(layers, ops)` of marginal effects: mean rating of the paths with this
            op at this layer, minus the mean of all; below 0 is better.
        rank_correlations: a dict from cost name to Kendall's tau-b of rating and cost; -1
            if a larger path is always rated better.
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
        spreads: `(paths,)`, their standard deviations between the rating batches.
        batches: the number of rating batches; 0 if not known.
        num_ops: number of ops of the space.
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
    has_noise = batches > 1
    return Summary(
        best=int(np.argmin(means)),
        worst=int(np.argmax(means)),
        mean=float(means.mean()),
        deviation=float(means.std()),
        noise=float(np.median(spreads) / np.sqrt(batches)) if has_noise else float("nan"),
        effects=effects,
        rank_correlations={
            name: rank_correlation.kendall_tau(means, path_costs)
            for name, path_costs in costs.items()
        },
    )


def lines(name, summary, space, block, cell):
    """A `Summary` as lines of text."""
    text = [
        f"{name}: {space.num_paths(block, cell):,} paths, mean {summary.mean:.4f}, deviation "
        f"{summary.deviation:.4f} (standard error of one rating {summary.noise:.4f})"
    ]
    taus = ", ".join(f"{k} {v:+.2f}" for k, v in summary.rank_correlations.items())
    text.append(f"  rank correlation (Kendall's tau-b) of the rating with {taus}")
    for layer, effects in enumerate(summary.effects):
        order = np.argsort(effects, kind="stable")
        by_op = "  ".join(f"{space.ops[op].name} {effects[op]:+.4f}" for op in order)
        text.append(f"  layer {layer + 1}, effect of each op: {by_op}")
    for word, index in (("best: ", summary.best), ("worst:", summary.worst)):
        text.append(f"  {word} {spaces.text(space, block, cell, index)}")
    return text
