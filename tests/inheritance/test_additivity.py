"""How ratings add up: draws, sums and orders against what is worked out another way."""

import contextlib

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from dna_tf.inheritance import additivity, answers, realising
from dna_tf.models import logits
from tests.helpers import small_assemblies

SPACE = small_assemblies.SPACE


def test_networks_are_drawn_at_random_and_differ():
    _, facts, _ = small_assemblies.all_of_it()
    networks = additivity.draw(SPACE, facts, 40, seed=1)
    described = [tuple((part.cell, part.path) for part in network.parts) for network in networks]
    assert len(set(described)) == len(networks) == 40
    assert ((None, None), (None, None)) not in described  # the teacher is no draw
    assert [network.name for network in networks[:2]] == ["random_1", "random_2"]
    assert {part.cell for network in networks for part in network.parts} == {None, 0, 1}
    again = additivity.draw(SPACE, facts, 40, seed=1)
    assert [network.parts for network in again] == [network.parts for network in networks]
    assert additivity.draw(SPACE, facts, 40, seed=2)[0].parts != networks[0].parts
    # 16 paths or own in block 1, 4 + 16 or own in block 2, without the teacher itself.
    assert len(additivity.draw(SPACE, facts, 1000, seed=1)) == 17 * 21 - 1


def test_sums_are_those_of_the_parts():
    _, facts, _ = small_assemblies.all_of_it()
    ratings = {
        (b, c): np.random.default_rng(b + 2 * c).random(SPACE.num_paths(b, c))
        for b, c, _ in SPACE.cells()
    }
    choices = [((0, (1, 3)), None), (None, (1, (0, 2))), ((0, (2, 0)), (0, (3,)))]
    networks = [small_assemblies.assembly(each, facts) for each in choices]
    expected = [
        ratings[0, 0][4 * 1 + 3],
        ratings[1, 1][4 * 0 + 2],
        ratings[0, 0][4 * 2] + ratings[1, 0][3],
    ]
    np.testing.assert_allclose(additivity.sums(networks, ratings), expected)


def test_orders_are_kendalls_tau_and_a_line_through_zero():
    _, facts, _ = small_assemblies.all_of_it()
    networks = additivity.draw(SPACE, facts, 30, seed=3)
    draws = np.random.default_rng(0)
    realised = draws.random(30)
    scores = {"kl": 0.5 * realised, "mse": draws.random(30)}
    kl, mse, macs, params = additivity.orders(networks, scores, realised)
    assert (kl.score, kl.tau, kl.low, kl.high) == ("kl", 1.0, 1.0, 1.0)
    assert kl.slope == pytest.approx(2.0)
    assert mse.tau == pytest.approx(scipy.stats.kendalltau(scores["mse"], realised).statistic)
    assert mse.low < mse.tau < mse.high and mse.slope is None
    for row in (macs, params):
        counts = [-network.costs()[row.score] for network in networks]
        assert row.tau == pytest.approx(scipy.stats.kendalltau(counts, realised).statistic)


class _Images:
    """Twenty rating images, with the methods of `labelled_images.Images`."""

    def images(self, split, batch_size):
        assert split == "rating"
        yield small_assemblies.pixels(20, seed=7), tf.zeros(20, tf.int32)

    def reading(self):
        return contextlib.nullcontext()


def test_networks_are_realised_and_measured():
    teacher, facts, cells = small_assemblies.all_of_it()
    networks = additivity.draw(SPACE, facts, 2, seed=5)
    calibration = [small_assemblies.pixels()]

    measured = additivity.measure(networks, teacher, cells, calibration, _Images())
    model = realising.realise(networks[1], teacher, cells, calibration)
    pixels = small_assemblies.pixels(20, seed=7)
    whole = logits.with_logits(teacher.model)
    nats = answers.divergence(whole(pixels, training=False), model(pixels, training=False))
    assert measured[1].kl == pytest.approx(float(np.mean(nats)), rel=1e-5)
