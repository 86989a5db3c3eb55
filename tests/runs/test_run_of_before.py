"""A run that commit d16d873 left, from before the rooms: every phase takes it up and repeats it.

data/run_of_d16d873.zip is the workdir of tests/helpers/tiny_config.py with one budget and a
trained teacher of 882 parameters, without checkpoints and TFLite files. Made by
`tools.train_teacher`, `train_supernet`, `rate`, `search`, `retrain` and `export_tflite` at that
commit (two AMD EPYC cores, 2026-11-27).
"""

import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest

from dna_tf.models import keras_files
from tests.helpers import rated_runs, tool_runs

STORED = pathlib.Path(__file__).parent / "data/run_of_d16d873.zip"
NAME = "max_macs_15k"
CELLS = ("block1_cell1", "block1_cell2", "block2_cell1")
PHASES = ("train_teacher", "train_supernet", "rate", "search", "retrain")


def unpack(folder):
    """Writes the stored run into a folder and returns it."""
    with zipfile.ZipFile(STORED) as stored:
        stored.extractall(folder)
    return folder


def read(path):
    """The content of a JSON file."""
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The stored run, as it is after all phases, and one from which results were deleted."""
    stored = unpack(tmp_path_factory.mktemp("stored"))
    complete = unpack(tmp_path_factory.mktemp("complete"))
    before = rated_runs.snapshot(complete)
    again = unpack(tmp_path_factory.mktemp("again"))
    for folder in ("ratings", "architectures", "exports"):
        shutil.rmtree(again / folder)
    (again / f"students/{NAME}").rename(again / "kept")
    cases = [[phase, f"--workdir={complete}"] for phase in PHASES]
    cases += [[phase, f"--workdir={again}"] for phase in ("rate", "search", "retrain")]
    results = tool_runs.run_all(cases)
    # The student of before is exported, not the one that was just trained.
    shutil.rmtree(again / f"students/{NAME}/seed0")
    shutil.copytree(again / "kept/seed0", again / f"students/{NAME}/seed0")
    results += tool_runs.run_all([["export_tflite", f"--workdir={again}"]])
    for case, result in zip([*cases, ["export_tflite"]], results, strict=True):
        assert result["returncode"] == 0, (case, result["stderr"])
    return {"stored": stored, "complete": complete, "again": again, "before": before}


def test_no_phase_writes_anything_that_is_there(runs):
    after = rated_runs.snapshot(runs["complete"])
    changed = [name for name, file in runs["before"].items() if after.get(name) != file]
    assert not changed
    assert set(after) == set(runs["before"])


@pytest.mark.parametrize("cell", CELLS)
def test_ratings_are_the_same(runs, cell):
    """The same but for rounding: another processor, or another library of kernels."""
    old, new = (read(runs[name] / f"ratings/{cell}.json") for name in ("stored", "again"))
    assert old.keys() == new.keys()
    for key in old:
        if isinstance(old[key], dict):
            assert new[key].keys() == old[key].keys()
        if key == "metrics":
            for metric, values in old[key].items():
                for name in values:
                    np.testing.assert_allclose(
                        new[key][metric][name], values[name], rtol=1e-4, atol=1e-6
                    )
        else:
            assert new[key] == old[key], key


def test_the_search_finds_the_same_architecture(runs):
    for name in (NAME, "front"):
        old, new = (read(runs[run] / f"architectures/{name}.json") for run in ("stored", "again"))
        ratings = [_pop_ratings(content) for content in (new, old)]
        assert new == old
        np.testing.assert_allclose(*ratings, rtol=1e-5)


def _pop_ratings(content):
    """Takes all ratings out of a file's content; returns them in a list."""
    values = []

    def visit(node):
        if isinstance(node, dict):
            for key in [key for key in node if "rating" in key]:
                value = node.pop(key)
                values.extend([value] if isinstance(value, float) else [])
            for child in node.values():
                visit(child)
        elif isinstance(node, list):
            for child in node:
                visit(child)

    visit(content)
    return values


def test_a_student_is_trained_to_the_same_weights(runs):
    old, new = (
        keras_files.load_model(place / "seed0/model.keras")
        for place in (runs["stored"] / f"students/{NAME}", runs["again"] / "students" / NAME)
    )
    assert [w.path for w in old.weights] == [w.path for w in new.weights]
    results = [
        read(runs[name] / f"students/{NAME}/seed0/result.json") for name in ("stored", "again")
    ]
    for result in results:
        result.pop("seconds")
    assert results[0] == results[1]


def test_the_stored_student_is_exported_as_before(runs):
    old, new = (read(runs[name] / f"exports/{NAME}/result.json") for name in ("stored", "again"))
    assert old.keys() == new.keys()
    for key in ("kind", "architecture", "seed", "student", "asked", "keras_accuracy"):
        assert new[key] == old[key], key
    assert list(new["files"]) == list(old["files"])
