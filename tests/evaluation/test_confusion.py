"""Tallies of answers: against scikit-learn and a loop in plain Python."""

import numpy as np
import pytest
from sklearn import metrics

from dna_tf.data import label_checks
from dna_tf.evaluation import confusion

CLASSES = 9


@pytest.fixture(scope="module")
def answers():
    """Scores with ties, and labels: `(scores, labels)`."""
    rng = np.random.RandomState(0)
    scores = rng.randint(0, 12, (400, CLASSES)).astype(np.float32)
    return scores, rng.randint(0, CLASSES - 1, 400)  # the last class has no image


def _tally(scores, labels, batch_size=37):
    tally = confusion.Tally(CLASSES)
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        tally.add(scores[part], labels[part])
    return tally


def test_top_one_and_five_are_those_of_a_sort(answers):
    scores, labels = answers
    tally = _tally(*answers)
    best = [sorted(range(CLASSES), key=lambda c: (-row[c], c)) for row in scores.tolist()]
    for top in (1, 5):
        assert tally.correct(top) == sum(y in b[:top] for y, b in zip(labels, best, strict=True))
    assert tally.correct(1) == np.sum(scores.argmax(1) == labels)
    assert tally.total == 400 and 0 < tally.correct(1) < tally.correct(5) < 400
    per_class = tally.per_class()
    for c in range(CLASSES):
        own = [b for y, b in zip(labels, best, strict=True) if y == c]
        assert per_class["images"][c] == len(own)
        assert per_class["top1_correct"][c] == sum(b[0] == c for b in own)
        assert per_class["top5_correct"][c] == sum(c in b[:5] for b in own)


def test_the_matrix_is_that_of_scikit_learn(answers):
    scores, labels = answers
    full = np.zeros((CLASSES, CLASSES), int)
    for label, row in _tally(*answers).matrix().items():
        for answer, count in row.items():
            full[int(label), int(answer)] = count
            assert count > 0
    expected = metrics.confusion_matrix(labels, scores.argmax(1), labels=range(CLASSES))
    np.testing.assert_array_equal(full, expected)


def test_worst_classes_and_pairs_are_in_order():
    per_class = {"images": [4, 8, 2, 0, 5], "top1_correct": [2, 4, 1, 0, 5]}
    assert confusion.worst_classes(per_class) == [(1, 4, 8), (0, 2, 4), (2, 1, 2)]
    assert confusion.worst_classes(per_class, 1) == [(1, 4, 8)]
    matrix = {"0": {"0": 5, "2": 3}, "1": {"0": 3}, "2": {"1": 1, "2": 9}}
    expected = [(1, 0, 3, 3), (0, 2, 3, 8), (2, 1, 1, 10)]
    assert confusion.confused_pairs(matrix) == expected


def test_scores_that_are_no_numbers_are_refused(answers):
    scores, labels = answers
    tally = _tally(scores[:50], labels[:50])
    bad = scores[:3].copy()
    bad[1, 4] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite, first for image 51 in the order"):
        tally.add(bad, labels[:3])


@pytest.mark.parametrize("shift", [1, -1])
def test_labels_that_are_off_by_one_are_found(shift):
    rng = np.random.RandomState(0)
    answers = rng.randint(0, 100, 256)
    right = rng.rand(256) < 0.6
    labels = np.where(right, answers - shift, rng.randint(0, 100, 256))
    result = label_checks.shift_of_labels(labels, answers, 100)
    assert result == (shift, np.sum(labels + shift == answers)) and result[1] > 140
    # A model that works, one that guesses, and one that answers with one class: nothing.
    assert label_checks.shift_of_labels(np.where(right, answers, labels), answers, 100) is None
    assert label_checks.shift_of_labels(rng.randint(0, 100, 256), answers, 100) is None
    assert label_checks.shift_of_labels(answers, np.full(256, 3), 100) is None
    # Classes beside one another are alike: shifted labels are right more often than by chance.
    alike = np.where(rng.rand(256) < 0.1, answers, labels)
    assert label_checks.shift_of_labels(alike, answers, 100)[0] == shift


def test_a_model_that_always_answers_with_the_largest_class_does_not_shift_labels():
    labels = np.where(np.arange(64) % 10 < 7, 0, 1)
    assert label_checks.shift_of_labels(labels, np.ones(64, int), 2) is None
    many = np.where(np.arange(200) % 10 < 7, 3, np.arange(200) % 10)
    for answer in (2, 4):
        assert label_checks.shift_of_labels(many, np.full(200, answer), 10) is None
