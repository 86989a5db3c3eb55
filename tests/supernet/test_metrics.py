"""The metrics of a rating against NumPy and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.space import ratings
from dna_tf.supernet import metrics
from tests.helpers import map_distances


def test_constant_channels_carry_no_signal():
    rng = np.random.default_rng(2)
    target = rng.normal(0, 1, (3, 2, 2, 4)).astype(np.float32)
    target[..., 1] = 7.0
    imitated = target + rng.normal(0, 1, target.shape).astype(np.float32)
    target, imitated = tf.constant(target), tf.constant(imitated)
    distances = metrics.distances(target, imitated, metrics.target_statistics(target))
    keep = [0, 2, 3]
    expected = map_distances.twin_metrics(target.numpy()[..., keep], imitated.numpy()[..., keep])[2]
    assert float(distances[ratings.METRICS.index("noise_to_signal")]) == pytest.approx(expected)
    zeros = tf.zeros_like(target)
    none = metrics.distances(zeros, imitated, metrics.target_statistics(zeros))
    assert float(none[2]) == 0.0 and np.isfinite(none.numpy()).all()


def test_channels_of_little_variance_carry_a_signal():
    """Only those below a millionth of the mean variance are left out."""
    rng = np.random.default_rng(3)
    deviations = np.array([10.0, 0.1, 1.0, 3.0, 1e-4])
    target = (rng.normal(0, 1, (3, 4, 4, 5)) * deviations).astype(np.float32)
    imitated = (target + rng.normal(0, 1, target.shape) * deviations / 3).astype(np.float32)
    distances = metrics.distances(target, imitated, metrics.target_statistics(target))
    expected = map_distances.twin_metrics(target[..., :4], imitated[..., :4])[2]
    assert float(distances[ratings.METRICS.index("noise_to_signal")]) == pytest.approx(
        expected, rel=1e-4
    )


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 1, 1, 2), (2, 7, 3, 1)])
def test_relative_l1_is_the_authors(shape):
    rng = np.random.default_rng(shape[0])
    target = rng.normal(3, 2, shape).astype(np.float32)
    imitated = (target + rng.normal(0.2, 1, shape)).astype(np.float32)
    got = float(metrics.relative_l1(tf.constant(target), tf.constant(imitated)))
    assert got == pytest.approx(
        map_distances.twin_metric(target, imitated.astype(np.float64)), rel=1e-5
    )


def test_relative_l1_by_hand():
    # Deviations 1, 1, 1, 1 over four elements: the unbiased variance is 4/3.
    target = tf.constant([0.0, 2.0, 0.0, 2.0], shape=(1, 2, 2, 1))
    imitated = tf.constant([0.5, 2.0, -0.5, 4.0], shape=(1, 2, 2, 1))
    assert float(metrics.relative_l1(target, imitated)) == pytest.approx(0.75 / (4 / 3) ** 0.5)
    assert float(metrics.relative_l1(target, target)) == 0.0
    scaled = metrics.relative_l1(target * 10.0, imitated * 10.0)
    assert float(scaled) == pytest.approx(0.75 / (4 / 3) ** 0.5)
    flat = tf.ones((1, 2, 2, 1))  # a teacher's map without variance: not infinite
    assert float(metrics.relative_l1(flat, flat * 0.0)) == pytest.approx(1e9, rel=1e-5)
