"""Weights of blocks, fitted on trained networks."""

import numpy as np
import pytest
import scipy.optimize

import dna_tf
from dna_tf.truth import block_weights


def _networks(count=40, slopes=(20.0, 5.0, 10.0), noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    ratings = rng.uniform(0.2, 0.6, (count, len(slopes)))
    return ratings, 80 - ratings @ np.array(slopes) + rng.normal(0, noise, count)


def test_without_noise_the_weights_are_those_that_made_the_accuracies():
    ratings, accuracies = _networks(noise=0.0)
    fit = dna_tf.fit_block_weights(ratings, accuracies, ridge=1e-9)
    np.testing.assert_allclose(fit.weights, np.array([20, 5, 10]) * 3 / 35, rtol=1e-6)
    assert fit.intercept == pytest.approx(80) and fit.slope == pytest.approx(35 / 3)
    np.testing.assert_allclose(fit.left_out, accuracies, rtol=1e-6)
    assert fit.tau == 1.0 and fit.tau_equal < 1.0 and fit.against == ()


def test_the_fit_minimises_squared_errors_and_the_ridge_on_terms_of_deviation_1():
    ratings, accuracies = _networks()
    fit = block_weights.fit_block_weights(ratings, accuracies, ridge=3.0)
    terms = ratings / ratings.std(axis=0)

    def loss(values):
        errors = values[0] - terms @ values[1:] - accuracies
        return errors @ errors + 3.0 * values[1:] @ values[1:]

    best = scipy.optimize.minimize(loss, np.zeros(4), tol=1e-12).x
    expected = best[1:] / ratings.std(axis=0)
    np.testing.assert_allclose(fit.slope * np.array(fit.weights), expected, rtol=1e-4)
    assert fit.intercept == pytest.approx(best[0], rel=1e-5)


def test_predictions_are_of_fits_without_the_network():
    ratings, accuracies = _networks(24)
    fit = block_weights.fit_block_weights(ratings, accuracies, ridge=0.5)
    scales = ratings.std(axis=0)
    for left in range(24):
        kept = np.arange(24) != left
        terms, truth = ratings[kept] / scales, accuracies[kept]
        centred = terms - terms.mean(axis=0)
        gram = centred.T @ centred + 0.5 * np.eye(3)
        factors = np.linalg.solve(gram, centred.T @ (truth - truth.mean()))
        expected = truth.mean() + (ratings[left] / scales - terms.mean(axis=0)) @ factors
        assert fit.left_out[left] == pytest.approx(expected, rel=1e-9)


def test_the_ridge_with_the_best_predictions_of_others_is_taken():
    ratings, accuracies = _networks(20, noise=3.0)
    fit = block_weights.fit_block_weights(ratings, accuracies)
    errors = {}
    for ridge in block_weights.RIDGES:
        try:
            other = block_weights.fit_block_weights(ratings, accuracies, ridge)
        except ValueError:
            continue
        if other.against == fit.against:
            errors[ridge] = np.mean((other.left_out - accuracies) ** 2)
    assert fit.ridge == min(errors, key=errors.get)


def test_a_block_that_points_the_wrong_way_has_no_weight_and_the_rest_is_fitted_again():
    ratings, accuracies = _networks(slopes=(20.0, -5.0, 10.0), noise=0.1)
    fit = block_weights.fit_block_weights(ratings, accuracies, ridge=1.0)
    assert fit.against == (1,) and fit.weights[1] == 0.0
    without = block_weights.fit_block_weights(ratings[:, [0, 2]], accuracies, ridge=1.0)
    kept = np.array(fit.weights)[[0, 2]]
    np.testing.assert_allclose(kept * 2 / 3, without.weights, rtol=1e-9)
    with pytest.raises(ValueError, match="In no block does the rating fall"):
        block_weights.fit_block_weights(-ratings[:, [0, 2]], accuracies)


def test_the_unit_of_a_rating_and_the_order_of_networks_do_not_matter():
    ratings, accuracies = _networks()
    fit = block_weights.fit_block_weights(ratings, accuracies)
    order = np.random.default_rng(1).permutation(40)
    other = block_weights.fit_block_weights(1000 * ratings[order], accuracies[order])
    np.testing.assert_allclose(other.weights, fit.weights, rtol=1e-9)
    np.testing.assert_allclose(other.left_out, fit.left_out[order], rtol=1e-9)


# Of 23 networks with 5 scores each, as of BossNAS's ImageNet table: 6 numbers need 24.
@pytest.mark.parametrize(
    ("shape", "change", "message"),
    [
        ((23, 5), None, r"5 weights .* need at least 24 trained networks\. Received: 23"),
        ((20, 3), "nan", r"must be finite"),
        ((20, 3), "equal rating", r"Block 2 has one rating"),
        ((20, 3), "equal truth", r"All networks have the same accuracy"),
        ((20, 3), "shape", r"Received the shapes \(20, 3\) and \(19,\)"),
        ((20, 3), "ridge", r"ridge must be above 0\. Received: 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(shape, change, message):
    rng = np.random.default_rng(0)
    ratings, accuracies = rng.uniform(size=shape), rng.uniform(size=shape[0])
    if change == "nan":
        ratings[3, 1] = np.nan
    if change == "equal rating":
        ratings[:, 1] = 0.5
    if change == "equal truth":
        accuracies[:] = 70.0
    if change == "shape":
        accuracies = accuracies[1:]
    with pytest.raises(ValueError, match=message):
        block_weights.fit_block_weights(ratings, accuracies, 0 if change == "ridge" else None)
