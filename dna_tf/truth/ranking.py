"""How well a score ranks trained networks, beside what their costs alone rank.

A score is worth what it tells beyond size. So every tau stands with its interval and beside the
taus of the controls (MACs, parameters, an untrained score), and there are three answers to
whether a score adds to a control: how far its tau is ahead; its tau with the control taken out
(partial tau); and its tau among pairs of networks that cost nearly the same.
"""

import dataclasses
import math

import numpy as np

from dna_tf.common import checks, formatting, rank_correlation
from dna_tf.common.rank_correlation import Interval
from dna_tf.space import cost_tables

LEAST = 3  # networks: two are ordered right or wrong, and have no interval


@dataclasses.dataclass(frozen=True)
class Band:
    """The order of networks of nearly the same cost.

    Args:
        tau: Kendall's tau-b over pairs within the band.
        right: how many pairs with different truth the score has in the right order.
        pairs: how many there are.
    """

    tau: Interval
    right: int
    pairs: int


@dataclasses.dataclass(frozen=True)
class Row:
    """What a score, or a control, has.

    Args:
        tau: Kendall's tau-b with the truth.
        spearman: Spearman's correlation.
        pearson: Pearson's correlation.
        ahead: by control, tau less the control's own.
        partial: by control, tau with the control taken out; `nan` where both order alike.
        bands: by cost, a `Band`.
    """

    tau: Interval
    spearman: Interval
    pearson: Interval
    ahead: dict
    partial: dict
    bands: dict


@dataclasses.dataclass(frozen=True)
class Ceiling:
    """What a score can reach at most, as the truth is noisy too.

    Args:
        trainings: the number of trainings of each network.
        between: mean tau between two of them.
        with_others: mean tau of one with the mean of the others; as `between` if there are two.
        perfect: estimate of the tau that a score without error has with the mean of all.
    """

    trainings: int
    between: Interval
    with_others: Interval
    perfect: float


@dataclasses.dataclass(frozen=True)
class Ranking:
    """How a score ranks networks; as text a table.

    Args:
        name: of the score.
        networks: their number.
        score: the `Row` of the score.
        controls: the `Row` of each control, by name.
        band: the width of the bands of equal cost, such as 0.03.
        ceiling: a `Ceiling`; `None` if the trainings are not given.
    """

    name: str
    networks: int
    score: Row
    controls: dict
    band: float
    ceiling: Ceiling | None

    def __str__(self):
        return "\n".join(lines(self))


def rank_score(
    truth: np.ndarray,
    score: np.ndarray,
    controls: dict,
    seed: int = 0,
    *,
    name: str = "score",
    lower_is_better: bool = False,
    trainings: np.ndarray | None = None,
    band: float = 0.03,
    resamples: int = rank_correlation.RESAMPLES,
) -> Ranking:
    """Says how well a score ranks networks whose truth is known, beside MACs and parameters.

    Example:

        >>> import dna_tf
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> macs = rng.uniform(1e6, 2e6, 50)
        >>> truth = macs / 1e6 + 0.2 * rng.standard_normal(50)
        >>> score = truth + 0.2 * rng.standard_normal(50)
        >>> controls = {"macs": macs, "params": rng.uniform(1e5, 2e5, 50)}
        >>> ranking = dna_tf.rank_score(truth, score, controls, seed=0)
        >>> ranking.score.tau.text(), ranking.controls["macs"].tau.text()
        ('+0.68 (+0.57 to +0.77)', '+0.65 (+0.55 to +0.74)')
        >>> text = str(ranking)  # the table with all of it

    Args:
        truth: of each network, higher is better, such as its accuracy.
        score: of each network.
        controls: a dict from name to numbers of each network, more of which is taken to be
            better: `"macs"` and `"params"`, and such as the score of an untrained supernet.
        seed: of the bootstrap.
        name: of the score, for the table.
        lower_is_better: whether a low score says that a network is good, as with ratings.
        trainings: the truth by seed, `(networks, seeds)`, for the ceiling.
        band: networks whose MACs (or parameters) differ by at most this share cost the same.
        resamples: of the bootstrap. Of more than 10,000 networks 500 are enough and faster.

    Returns:
        A `Ranking`; `str` of it is a table.

    Raises:
        ValueError: there are fewer than three networks, a number is not finite, all truths,
            scores or numbers of a control are equal, or lengths differ.
    """
    columns = {"truth": truth, name: score, **controls}
    if not controls or len(columns) != 2 + len(controls):
        raise ValueError(
            "A score is ranked beside controls of other names than 'truth' and its own: at least "
            f"macs and params. Received: name={name!r}, controls={list(controls)}"
        )
    columns = {key: _column(key, values, columns["truth"]) for key, values in columns.items()}
    if lower_is_better:
        columns[name] = -columns[name]
    if not checks.is_number(band) or not 0 <= band:
        raise ValueError(f"band must be a share of at least 0, such as 0.03. Received: {band!r}")
    checks.check_whole("seed", seed, 0)
    checks.check_whole("resamples", resamples, 1)
    truth = columns.pop("truth")
    bootstrap = rank_correlation.Bootstrap(len(truth), seed, resamples)
    pairs = _Taus(bootstrap, truth, columns)
    costs = {cost: columns[cost] for cost in cost_tables.COSTS if cost in controls}
    for cost, values in costs.items():
        if values.min() <= 0:
            raise ValueError(f"{cost} must be above 0. Received: {values.min():g}")
    rows = {key: _row(key, bootstrap, pairs, truth, columns, costs, band) for key in columns}
    ceiling = None if trainings is None else _ceiling(trainings, bootstrap)
    return Ranking(name, len(truth), rows.pop(name), rows, float(band), ceiling)


def partial_tau(with_truth, with_control, control_with_truth):
    """Tau of a score and the truth with a control taken out, from their three taus.

    Args:
        with_truth: tau of score and truth, a float or an array.
        with_control: tau of score and control.
        control_with_truth: tau of control and truth.

    Returns:
        An array or a float; `nan` where score or truth order as the control does.

    Source: Kendall, 1942 ("Partial rank correlation").
    """
    left = (1 - np.square(with_control)) * (1 - np.square(control_with_truth))
    top = with_truth - with_control * control_with_truth
    return np.where(left > 1e-12, top / np.sqrt(np.where(left > 1e-12, left, 1.0)), np.nan)


def perfect_tau(between, trainings):
    """Estimate of the tau that a score without error has with the mean of several trainings.

    With normal errors, two trainings of tau t correlate with r = sin(pi t / 2); the mean of k
    has the reliability k r / (1 + (k - 1) r), and its root is the correlation with the truth.

    Args:
        between: mean tau between two trainings.
        trainings: how many there are.

    Returns:
        A float; `nan` if `between` is not above 0.

    Source: Greiner's relation, and the formula of Spearman and Brown.
    """
    if not between > 0:
        return float("nan")
    single = math.sin(math.pi * between / 2)
    reliability = trainings * single / (1 + (trainings - 1) * single)
    return 2 / math.pi * math.asin(math.sqrt(reliability))


def lines(ranking):
    """A `Ranking` as lines of text: every tau with its interval, beside those of the controls."""
    rows = {ranking.name: ranking.score, **ranking.controls}
    texts = [["", "tau-b", "Spearman", "Pearson"]]
    for name, row in rows.items():
        texts.append([name, *(each.text() for each in (row.tau, row.spearman, row.pearson))])
    head = f"{ranking.networks:,} networks: correlation with the truth, 95 % bootstrap intervals"
    text = [head, *(f"  {line}" for line in formatting.aligned(texts))]
    missing = [cost for cost in ("macs", "params") if cost not in ranking.controls]
    if missing:
        text.append(f"  Not compared with {' and '.join(missing)}, which were not given.")
    texts = [["", "against", "tau ahead", "with it taken out", "at equal cost", "pairs right"]]
    for name, row in rows.items():
        for control in ranking.controls:
            others = ["", ""]
            if control != name:
                others = [row.ahead[control].text(), row.partial[control].text()]
            same = ["", ""]
            if control in row.bands:
                band = row.bands[control]
                same = [band.tau.text(), f"{band.right:,} of {band.pairs:,}"]
            if any([*others, *same]):
                texts.append([name, control, *others, *same])
    text.append(f"Against each control; equal cost is within {100 * ranking.band:g} %")
    text += [f"  {line}" for line in formatting.aligned(texts, right=(5,))]
    if ranking.ceiling is not None:
        ceiling = ranking.ceiling
        text.append(
            f"{ceiling.trainings} trainings of each: tau of one with another "
            f"{ceiling.between.text()}, with the mean of the others {ceiling.with_others.text()}; "
            f"a score without error would have about {ceiling.perfect:+.2f} (estimate)"
        )
    return text


class _Taus:
    """Taus of all pairs of columns, each computed once."""

    def __init__(self, bootstrap, truth, columns):
        self._bootstrap, self._columns = bootstrap, {None: truth, **columns}
        self._pairs = {}

    def __call__(self, one, other=None):
        """`(value, draws)` of two columns; `None` is the truth."""
        key = frozenset((one, other))
        if key not in self._pairs:
            values = self._columns[one], self._columns[other]
            self._pairs[key] = self._bootstrap.tau(*values)
        return self._pairs[key]


def _row(name, bootstrap, taus, truth, columns, costs, band):
    value, draws = taus(name)
    ahead, partial, bands = {}, {}, {}
    for control in list(columns)[1:]:
        if control != name:
            control_value, control_draws = taus(control)
            ahead[control] = bootstrap.interval(value - control_value, draws - control_draws)
            both_value, both_draws = taus(name, control)
            partial[control] = bootstrap.interval(
                float(partial_tau(value, both_value, control_value)),
                partial_tau(draws, both_draws, control_draws),
            )
    for cost, of_networks in costs.items():
        *both, right, pairs = bootstrap.tau_in_band(columns[name], truth, of_networks, band)
        bands[cost] = Band(bootstrap.interval(*both), right, pairs)
    spearman = bootstrap.interval(*bootstrap.spearman(columns[name], truth))
    pearson = bootstrap.interval(*bootstrap.pearson(columns[name], truth))
    return Row(bootstrap.interval(value, draws), spearman, pearson, ahead, partial, bands)


def _ceiling(trainings, bootstrap):
    trainings = np.asarray(trainings, np.float64)
    if trainings.ndim != 2 or trainings.shape[0] != bootstrap.count or trainings.shape[1] < 2:
        raise ValueError(
            f"trainings must have the shape ({bootstrap.count}, 2 or more): the truth of each "
            f"network by seed. Received: the shape {trainings.shape}"
        )
    count = trainings.shape[1]
    columns = [_column(f"training {n}", t, trainings[:, 0]) for n, t in enumerate(trainings.T, 1)]
    pairs = [
        bootstrap.tau(columns[a], columns[b]) for a in range(count) for b in range(a + 1, count)
    ]
    others = [
        bootstrap.tau(column, np.delete(trainings, n, axis=1).mean(axis=1))
        for n, column in enumerate(columns)
    ]
    between, with_others = (
        bootstrap.interval(float(np.mean(values)), np.mean(draws, axis=0))
        for values, draws in (zip(*each, strict=True) for each in (pairs, others))
    )
    return Ceiling(count, between, with_others, perfect_tau(between.value, count))


def _column(name, values, truth):
    """The numbers of one column, checked."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiub" or values.ndim != 1 or len(values) != len(truth):
        raise ValueError(
            f"{name!r} must be a number for each of the {len(truth)} networks. Received: the "
            f"shape {values.shape} of {values.dtype}"
        )
    values = values.astype(np.float64)
    if len(values) < LEAST:
        raise ValueError(
            f"At least {LEAST} networks can be ranked: the order of fewer has no interval. "
            f"Received: {len(values)}"
        )
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).argmax())
        raise ValueError(
            f"{name!r} must be finite for every network. Received: {values[bad]} at {bad}. Leave "
            "such networks out of all columns, and say how many they are."
        )
    if (values == values[0]).all():
        raise ValueError(
            f"All numbers of {name!r} are equal ({values[0]:g}): they order nothing. A score may "
            "be of an untrained supernet; leave a control out."
        )
    return values
