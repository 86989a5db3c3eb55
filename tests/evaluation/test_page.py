"""The page of an evaluation: numbers, a plot by class or by groups of classes, no times."""

import numpy as np

from dna_tf.evaluation import confusion, page


def _result(num_classes, class_names=None, warnings=()):
    """The result of a model that answers one image of each class with the class after it."""
    labels = np.repeat(np.arange(num_classes), 4)
    answers = np.where(np.arange(len(labels)) % 4, labels, (labels + 1) % num_classes)
    tally = confusion.Tally(num_classes)
    tally.add(np.eye(num_classes, dtype=np.float32)[answers], labels)
    return {
        "model": "students/tiny/seed0/model.keras",
        "model_fingerprint": "0123",
        "data": "digits",
        "data_fingerprint": "4567",
        "settings": {"image_size": 16, "class_names": ""},
        "test_correct": tally.correct(),
        "test_images": tally.total,
        "top5_correct": None,
        "num_classes": num_classes,
        "class_names": class_names,
        "per_class": tally.per_class(),
        "confusion": tally.matrix(),
        "warnings": list(warnings),
        "seconds": 98765.4,
    }


def test_it_has_the_numbers_the_names_and_the_warnings():
    names = ["cat", "<dog>", "owl"]
    text = page.page_html(_result(3, names, ["Labels seem to be off by one."]))
    assert "75.00 % (95 % interval 46.77 to 91.11 %)" in text
    assert "&lt;dog&gt; taken for owl: 1 of 4" in text and "<dog>" not in text
    assert "Labels seem to be off by one." in text and "98765" not in text
    # A cell for each pair that occurs, and the frame.
    assert text.count("<rect") == 2 * 3 + 1


def test_many_classes_are_drawn_in_groups_of_neighbours():
    text = page.page_html(_result(250))
    assert "a group of 3 neighbouring classes" in text
    # 84 groups: answers in the group itself, and in the next one.
    assert text.count("<rect") == 2 * 84 + 1
    assert "class 0 to class 2 taken for class 0 to class 2: 11 of 12" in text
    assert "class 249 taken for class 0 to class 2: 1 of 4" in text


def test_without_a_mistake_there_is_nothing_to_list():
    result = _result(2)
    result["per_class"]["top1_correct"] = result["per_class"]["images"]
    result["confusion"] = {"0": {"0": 4}, "1": {"1": 4}}
    text = page.page_html(result)
    assert "Every answer is right." in text and "No class has a mistake." in text
