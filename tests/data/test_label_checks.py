"""Labels: read once, in range, and not off by one."""

import json
import types

import numpy as np
import pytest

from dna_tf.data import (
    label_checks,
    loading,
    record_sources,
)
from tests.helpers.data_files import data_config, example, picture, png, write_records, write_small


def test_labels_are_read_once(tmp_path, monkeypatch):
    config = write_small(tmp_path, "tfrecord")
    cache = tmp_path / "cache"
    first = loading.load(config, seed=0, cache_dir=cache)
    assert json.loads((cache / "data.json").read_text())["kind"] == "dna_tf.data"

    def never(self):
        raise AssertionError("the labels were read again")

    monkeypatch.setattr(record_sources.TFRecords, "labels", never)
    again = loading.load(config, seed=0, cache_dir=cache)
    np.testing.assert_array_equal(again.arrays("train")[1], first.arrays("train")[1])
    config.label_offset = 0
    with pytest.raises(AssertionError, match="read again"):
        loading.load(config, seed=0, cache_dir=cache)
    (cache / "data.json").write_text("{")
    with pytest.raises(ValueError, match="not complete JSON.*Delete it"):
        loading.load(config, seed=0, cache_dir=cache)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_offset": 0, "num_classes": 3}, r"in 0..2 for 3 classes. Found: 1..3. Set label"),
        ({"label_offset": 2}, r"Found: -1..1. Set label_offset=1 if they start at -1, or"),
        ({"label_offset": 0}, r"has the label 0: labels are 1..3, as if .* Set label_offset=1"),
        (
            {"rating_per_class": 9},
            r"at least 10 .*=9 after test_fraction, but class '0' \(label 0\) has 9, '1'",
        ),
        ({"source": "digits", "num_classes": 12}, "num_classes=12, and digits has 10 classes"),
    ],
)
def test_bad_labels_and_counts(tmp_path, changes, message):
    config = write_small(tmp_path, "tfrecord")
    config.update(changes)
    with pytest.raises(ValueError, match=message):
        loading.load(config, seed=0)


def test_labels_that_start_at_one_are_refused(tmp_path):
    records = [example(image=png(picture(i)), label=i % 3 + 1) for i in range(36)]
    write_records(tmp_path / "records", records)
    config = data_config(source=f"tfrecord:{tmp_path}/records", rating_fraction=0.2, image_size=8)
    with pytest.raises(ValueError, match="has the label 0: labels are 1..3, .*label_offset=1; or"):
        loading.load(config, 0)
    config.num_classes = 4  # the first class really has none
    assert loading.load(config, 0).num_classes == 4
    config.num_classes, config.label_offset = 0, 1
    assert loading.load(config, 0).num_classes == 3


def test_a_model_tells_that_labels_are_off_by_one():
    rng = np.random.RandomState(0)
    labels = rng.randint(0, 9, 200)
    answers = np.where(rng.uniform(size=200) < 0.7, labels, rng.randint(0, 9, 200))

    def problem(answers, offset):
        images = types.SimpleNamespace(name="some data", label_offset=offset)
        return label_checks.shift_problem(labels, answers, 10, images)

    assert problem(answers, 3) is None and problem(rng.randint(0, 9, 200), 3) is None
    assert "if 1 is added to every label. Set label_offset=2" in problem(answers + 1, 3)
    assert "is subtracted from every label. Set label_offset=4" in (problem(answers - 1, 3))
    assert "some data seem to be off by one" in problem(answers + 1, None)
    assert "look for a missing or an extra class" in problem(answers + 1, None)
