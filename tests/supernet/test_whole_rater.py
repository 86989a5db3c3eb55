"""The rating of whole networks against a Keras student with the same weights and statistics."""

import dataclasses
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.supernet import whole_network, whole_rater
from tests.helpers.small_whole import SPACE, TASK, batch, shaken, student

PATHS = list(itertools.product(range(3), repeat=3))
CALIBRATION = [batch(20, 5)[0], batch(21, 7)[0]]
BATCHES = [batch(30, 9), batch(31, 9)]


def _rater(calibration=CALIBRATION, **options):
    network = shaken(whole_network.WholeNetwork(SPACE, TASK))
    return whole_rater.WholeRater(network, calibration, BATCHES, **options)


def _calibrated(model, images):
    """Puts the statistics of images into each batch norm of a Keras model, one after another."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            maps = keras.Model(model.input, layer.input)(images, training=False).numpy()
            maps = maps.astype(np.float64)
            layer.moving_mean.assign(maps.mean(axis=(0, 1, 2)))
            layer.moving_variance.assign(maps.var(axis=(0, 1, 2)))
    return model


@pytest.mark.parametrize("path", [(0, 1, 2), (2, 0, 1)])
def test_a_score_is_that_of_the_calibrated_student(path):
    rater = _rater()
    model = _calibrated(student(rater.network, path), np.concatenate(CALIBRATION))
    images, labels = (np.concatenate(arrays) for arrays in zip(*BATCHES, strict=True))
    logits = model(images, training=False).numpy().astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    score = rater.rate(path)
    np.testing.assert_allclose(np.concatenate(rater.logits(path)), logits, rtol=1e-3, atol=1e-4)
    assert (score.correct, score.images) == (int((logits.argmax(1) == labels).sum()), 18)
    assert score.cross_entropy == pytest.approx(-logs[np.arange(18), labels].mean(), rel=1e-4)


def test_maps_of_the_path_before_change_no_bit_and_save_work():
    rater, alone = _rater(), {}
    for path in PATHS[:6]:
        alone[path] = _rater().rate(path)
    scores = {path: rater.rate(path) for path in PATHS[:6]}
    assert scores == alone and len(set(scores.values())) == 6
    units = len(rater.network.units)
    # Behind the stem: the second layer changes twice, the last one (and the head) always.
    fixed = rater.network.fixed_units
    assert rater.op_runs == 2 * (fixed + 1 + 2 + 6 + 6)
    rater.rate(PATHS[5])
    assert rater.op_runs == 2 * (fixed + 15)
    forgets = _rater(most_bytes=0)
    assert [forgets.rate(path) for path in PATHS[:2]] == [alone[path] for path in PATHS[:2]]
    assert forgets.op_runs == 2 * 2 * units


def test_values_order_by_errors_and_then_by_cross_entropy():
    scores = [(50, 0.1), (50, 3.0), (49, 0.01), (49, 900.0), (0, 5.0), (0, 5.0000001)]
    values = [whole_rater.Score(correct, 50, entropy).value for correct, entropy in scores]
    assert values == sorted(values) and len(set(values)) == 6
    assert whole_rater.Score(3, 4, 1.0).accuracy == 0.75


def test_a_diverged_supernet_and_a_path_of_another_length_are_refused():
    rater = _rater()
    with pytest.raises(ValueError, match=r"has 3 op indices. Received: \(0, 1\)"):
        rater.rate((0, 1))
    rater.network.rows[-1].assign(np.full(rater.network.rows[-1].shape, math.nan))
    with pytest.raises(ValueError, match=r"\(0, 1, 2\) is nan: the supernet diverged"):
        rater.rate((0, 1, 2))


def test_one_calibration_batch_gives_the_statistics_of_training():
    """With the same images, rating is what a step of training sees."""
    images, labels = batch(30, 9)
    network = shaken(whole_network.WholeNetwork(SPACE, TASK))
    rater = whole_rater.WholeRater(network, [images], [(images, labels)])
    expected = network(images, tf.constant((1, 2, 0))).numpy()
    (logits,) = rater.logits((1, 2, 0))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert dataclasses.astuple(rater.rate((1, 2, 0)))[1] == 9
