"""The weight of each block in the sum of ratings, fitted on networks that were trained (DONNA).

A rating of one block may tell more about a network than that of another. A few trained networks say
how much: their accuracy is regressed on the ratings of their blocks. The sum stays a sum, so the
search stays exact. What the abstract of DONNA (Moons et al., ICCV 2021) leaves open is our choice:
ridge regression, its strength by leaving one network out, and no weight below 0.
"""

import dataclasses

import numpy as np

from dna_tf.common import checks, rank_correlation

# For each weight and the intercept that is fitted, networks that must be trained.
NETWORKS_PER_TERM = 4
# Strengths that are tried, relative to terms of deviation 1.
RIDGES = tuple(10.0**power for power in np.arange(-3, 3.5, 0.5))


@dataclasses.dataclass(frozen=True)
class BlockWeights:
    """Fitted weights.

    Args:
        weights: of each block, at least 0; their mean is 1.
        intercept, slope: accuracy is about `intercept - slope * (weighted sum of ratings)`.
        ridge: the strength of the regularisation that was taken.
        left_out: np.float64 `(networks,)`, the prediction for each network of the fit without it.
        against: numbers of the blocks whose ratings rise with accuracy; their weight is 0.
        tau: Kendall's tau-b of `left_out` with the accuracies.
        tau_equal: of the sum with equal weights, on the same networks.
    """

    weights: tuple
    intercept: float
    slope: float
    ridge: float
    left_out: np.ndarray
    against: tuple
    tau: float
    tau_equal: float


def fit_block_weights(
    block_ratings: np.ndarray, accuracies: np.ndarray, ridge: float | None = None
) -> BlockWeights:
    """Fits the weight of each block on trained networks (DONNA).

    Example:

        import numpy as np

        import dna_tf

        rng = np.random.default_rng(0)
        ratings = rng.uniform(0.2, 0.6, (40, 3))  # of the three blocks of 40 networks
        accuracies = 80 - 20 * ratings[:, 0] - 5 * ratings[:, 1] + rng.normal(0, 0.3, 40)
        fit = dna_tf.fit_block_weights(ratings, accuracies)
        print([round(weight, 1) for weight in fit.weights])

    Args:
        block_ratings: `(networks, blocks)`, the rating of each network's path in each block; lower
            is better.
        accuracies: `(networks,)`, of the trained networks; higher is better.
        ridge: strength of the regularisation, on terms of deviation 1; `None` takes the one of
            `RIDGES` whose predictions of networks that are left out are best.

    Returns:
        A `BlockWeights`. Its `weights` go into `config.search.weights`.

    Raises:
        ValueError: shapes do not fit, a value is not finite, there are fewer than four networks
            for each fitted number, a block has one rating in all networks, all accuracies are
            equal, or no block's rating falls while accuracy rises.
    """
    ratings, truth = _checked(block_ratings, accuracies)
    if ridge is not None and not (checks.is_number(ridge) and ridge > 0):
        raise ValueError(f"ridge must be above 0. Received: {ridge!r}")
    scales = ratings.std(axis=0)
    terms = -ratings / scales  # higher is better, as of accuracies
    kept = list(range(terms.shape[1]))
    while True:
        strengths = RIDGES if ridge is None else (float(ridge),)
        fits = [(_ridge(terms[:, kept], truth, strength), strength) for strength in strengths]
        (factors, left_out), strength = min(fits, key=lambda fit: _error(fit[0][1], truth))
        negative = [block for block, factor in zip(kept, factors, strict=True) if factor <= 0]
        if not negative:
            break
        # The rest is fitted again without the blocks that point the wrong way.
        kept = [block for block in kept if block not in negative]
        if not kept:
            raise ValueError(
                "In no block does the rating fall while accuracy rises: these ratings cannot be "
                f"weighted ({len(truth)} networks, {terms.shape[1]} blocks). Look first at how "
                "well they rank these networks."
            )
    weights = np.zeros(terms.shape[1])
    weights[kept] = factors / scales[kept]
    slope = weights.mean()
    intercept = truth.mean() + (ratings @ weights).mean()
    return BlockWeights(
        tuple((weights / slope).tolist()),
        float(intercept),
        float(slope),
        strength,
        left_out,
        tuple(block for block in range(terms.shape[1]) if block not in kept),
        rank_correlation.kendall_tau(left_out, truth),
        rank_correlation.kendall_tau(-ratings.sum(axis=1), truth),
    )


def _checked(block_ratings, accuracies):
    ratings, truth = (np.asarray(values, np.float64) for values in (block_ratings, accuracies))
    if ratings.ndim != 2 or truth.shape != ratings.shape[:1]:
        raise ValueError(
            "Expected ratings (networks, blocks) and accuracies (networks,). Received the shapes "
            f"{ratings.shape} and {truth.shape}."
        )
    networks, blocks = ratings.shape
    least = NETWORKS_PER_TERM * (blocks + 1)
    if networks < least:
        raise ValueError(
            f"{blocks} weights and an intercept need at least {least} trained networks. Received: "
            f"{networks}. Train more, or keep equal weights."
        )
    if not (np.isfinite(ratings).all() and np.isfinite(truth).all()):
        raise ValueError("Ratings and accuracies must be finite numbers, and some are not.")
    equal = np.flatnonzero(np.ptp(ratings, axis=0) == 0)
    if equal.size:
        raise ValueError(
            f"Block {equal[0] + 1} has one rating in all networks, so that its weight cannot be "
            "fitted. Leave it out, or draw networks that differ in it."
        )
    if np.ptp(truth) == 0:
        raise ValueError("All networks have the same accuracy: there is nothing to fit.")
    return ratings, truth


def _ridge(terms, truth, strength):
    """Ridge regression with a free intercept.

    Returns:
        The factor of each term, and for each network the prediction of the fit without it.
    """
    centred = terms - terms.mean(axis=0)
    gram = centred.T @ centred + strength * np.eye(terms.shape[1])
    factors = np.linalg.solve(gram, centred.T @ (truth - truth.mean()))
    fitted = truth.mean() + centred @ factors
    # How far a network draws the fit towards itself.
    leverage = 1 / len(truth) + np.sum(centred * np.linalg.solve(gram, centred.T).T, axis=1)
    return factors, truth - (truth - fitted) / (1 - leverage)


def _error(predicted, truth):
    return float(np.mean((predicted - truth) ** 2))
