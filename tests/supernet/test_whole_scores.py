"""Scores that were rated once, in memory and in a file; a killed search goes on with them."""

import itertools
import json

import numpy as np
import pytest

from dna_tf.search import evolution, finding, trial_search
from dna_tf.supernet import whole_network, whole_rater, whole_scores
from tests.helpers.small_whole import SPACE, TASK

PATHS = list(itertools.product(range(3), repeat=3))


class Killed(Exception):
    """Stands for a kill."""


def _rate(path):
    """Made-up scores with ties in the accuracy."""
    draws = np.random.default_rng(path)
    return whole_rater.Score(int(draws.integers(0, 4)), 5, float(draws.uniform(0, 3)))


def _killed_after(count):
    calls = iter(range(count))

    def rate(path):
        if next(calls, None) is None:
            raise Killed
        return _rate(path)

    return rate


def _problem():
    zeros = {(b, 0): np.zeros(SPACE.num_paths(b, 0)) for b in range(2)}
    return finding.search_problem(SPACE, zeros, TASK)


def test_a_search_finds_the_best_by_errors_and_then_by_cross_entropy():
    scores = whole_scores.WholeScores(SPACE, _rate, "x")
    outcome = trial_search.random_search(_problem(), budget=100, objective=scores.objective)
    best = max(PATHS, key=lambda path: (_rate(path).correct, -_rate(path).cross_entropy))
    assert whole_network.path_of(SPACE, outcome.best.path_indices) == best
    assert outcome.exhausted and len(scores) == scores.rated == 27
    assert dict(scores.networks())[outcome.best.path_indices] == _rate(best)


def test_a_killed_evolution_ends_with_the_same_result_to_the_bit(tmp_path):
    def search(scores):
        return evolution.spos(
            _problem(), budget=20, seed=4, objective=scores.objective, population=6, parents=3
        )

    path = tmp_path / "scores.json"
    whole = whole_scores.WholeScores(SPACE, _rate, "x", path)
    expected = search(whole)
    whole.save()
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(Killed):
        search(whole_scores.WholeScores(SPACE, _killed_after(11), "x", path, seconds=0))
    assert len(json.loads(path.read_text())["scores"]) == 11
    resumed = whole_scores.WholeScores(SPACE, _rate, "x", path)
    assert search(resumed) == expected
    assert resumed.rated == 9
    resumed.save()
    assert path.read_bytes() == content


def test_scores_of_another_training_do_not_count_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "scores.json"
    scores = whole_scores.WholeScores(SPACE, _rate, "x", path)
    scores.save()
    assert not path.exists()  # nothing was rated
    scores.score((4, 2))
    scores.save()
    assert len(whole_scores.WholeScores(SPACE, _rate, "x", path)) == 1
    assert len(whole_scores.WholeScores(SPACE, _rate, "y", path)) == 0
    content = json.loads(path.read_text())
    for broken in ({"1,2": [1, 0.5]}, {"0,1,7": [1, 0.5]}, {"0,1,2": [9, 0.5]}, {"a": [1, 0.5]}):
        path.write_text(json.dumps({**content, "scores": broken}))
        with pytest.raises(ValueError, match="cannot be used.*search again"):
            whole_scores.WholeScores(SPACE, _rate, "x", path)
