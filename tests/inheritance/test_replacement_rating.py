"""Ratings by replacing: the teacher with one block exchanged, put together the slow way."""

import numpy as np
import pytest

from dna_tf.inheritance import answers, realising, replacement_rating
from dna_tf.models import logits
from dna_tf.supernet import cell_rater
from tests.helpers import small_assemblies

SPACE = small_assemblies.SPACE
CALIBRATION = small_assemblies.pixels(16, seed=4)
BATCHES = [small_assemblies.pixels(6, seed=5), small_assemblies.pixels(6, seed=6)]


def _rated(cell, teacher, most=64, count=lambda: None):
    """The cell rated by replacing, and its local ratings."""

    def maps(pixels):
        return (pixels, *teacher.features(pixels, training=False))

    b, calibration = cell.block, [maps(CALIBRATION)[cell.block]]
    pairs = [(maps(pixels)[b], maps(pixels)[b + 1]) for pixels in BATCHES]
    expected = [logits.with_logits(teacher.model)(pixels, training=False) for pixels in BATCHES]
    rater = cell_rater.CellRater(cell.build(teacher.shapes), calibration, pairs)
    local = np.array([metrics[0][0] for metrics in rater.ratings()])
    rater = cell_rater.CellRater(cell.build(teacher.shapes), calibration, pairs)
    rest = replacement_rating.Rest(teacher)
    return local, replacement_rating.rate_cell(rater, b, local, rest, expected, most, count)


@pytest.mark.parametrize("number", [0, 2], ids=["first block", "last block"])
def test_a_rating_is_the_divergence_of_the_teacher_with_this_block_replaced(number):
    teacher, facts, cells = small_assemblies.all_of_it()
    cell, counted = cells[number], []
    _, replaced = _rated(cell, teacher, count=lambda: counted.append(1))
    paths = SPACE.paths(cell.block, cell.cell)
    assert len(counted) == len(replaced.kl) == len(paths)
    assert replaced.measured.all() and (replaced.batches, replaced.fit_error) == (2, 0.0)
    whole = logits.with_logits(teacher.model)
    for index in (0, 5, len(paths) - 1):
        choices = [None, None]
        choices[cell.block] = (cell.cell, paths[index])
        model = realising.realise(
            small_assemblies.assembly(choices, facts), teacher, cells, [CALIBRATION]
        )
        nats, agreed = [], []
        for pixels in BATCHES:
            expected, received = whole(pixels, training=False), model(pixels, training=False)
            nats.append(answers.divergence(expected, received).numpy().mean())
            agreed.append(np.mean(np.argmax(expected, -1) == np.argmax(received, -1)))
        assert replaced.kl[index] == pytest.approx(np.mean(nats), rel=2e-3, abs=1e-6)
        assert replaced.spread[index] == pytest.approx(np.std(nats, ddof=1), rel=1e-2, abs=1e-6)
        assert replaced.agreement[index] == pytest.approx(np.mean(agreed))
    assert (replaced.kl > 0).all() and np.ptp(replaced.kl) > 0.001


def test_the_teachers_own_block_has_no_divergence():
    teacher, _, _ = small_assemblies.all_of_it()
    rest, whole = replacement_rating.Rest(teacher), logits.with_logits(teacher.model)
    for pixels in BATCHES:
        maps = teacher.features(pixels, training=False)
        for block, own in enumerate(maps):
            nats = answers.divergence(whole(pixels, training=False), rest(block, own)).numpy()
            assert nats.max() < 1e-9


def test_a_sample_is_measured_and_the_rest_is_fitted():
    teacher, _, cells = small_assemblies.all_of_it()
    local, whole = _rated(cells[2], teacher)
    counted = []
    _, part = _rated(cells[2], teacher, most=6, count=lambda: counted.append(1))
    assert len(counted) == part.measured.sum() == 6
    np.testing.assert_allclose(part.kl[part.measured], whole.kl[part.measured], rtol=1e-6)
    assert np.isnan(part.spread[~part.measured]).all()
    # A monotone fit: a path with a higher local rating has no lower one.
    order = np.argsort(local[~part.measured])
    assert (np.diff(part.kl[~part.measured][order]) >= 0).all()
    assert part.fit_error > 0


def test_samples_are_spread_over_the_local_ratings():
    local = np.random.default_rng(0).permutation(1000) / 1000
    chosen = replacement_rating.sample(local, 32)
    assert len(set(chosen.tolist())) == 32 and (np.diff(chosen) > 0).all()
    ranks = np.sort(np.argsort(np.argsort(local))[chosen])
    assert (ranks[0], ranks[-1]) == (0, 999)
    assert (ranks < 250).sum() >= 16  # a search chooses among the best
    assert np.diff(ranks).max() < 100
    assert replacement_rating.sample(local[:20], 32).tolist() == list(range(20))
    assert len(replacement_rating.sample(np.zeros(40), 30)) == 30


def test_the_fit_is_the_nearest_monotone_line():
    local = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    kl = np.array([0.01, 0.03, np.nan, 0.02, 0.05, np.nan])
    filled, error = replacement_rating.fitted(local, kl)
    # 0.03 and 0.02 are pooled to 0.025; beyond the last measured path its value holds.
    np.testing.assert_allclose(filled, [0.01, 0.03, 0.025, 0.02, 0.05, 0.05])
    expected = np.array([0.01, 0.03, 0.02, 0.05])
    others = np.array(
        [
            0.025,  # below 0.2: the pooled 0.03, 0.02
            0.01 + (0.02 - 0.01) * (0.2 - 0.1) / (0.4 - 0.1),
            0.03 + (0.05 - 0.03) * (0.4 - 0.2) / (0.5 - 0.2),
            0.025,  # above 0.4
        ]
    )
    assert error == pytest.approx(np.sqrt(np.mean((others - expected) ** 2)))
    assert replacement_rating.fitted(local[:2], kl[:2]) == (pytest.approx(kl[:2]), 0.0)
