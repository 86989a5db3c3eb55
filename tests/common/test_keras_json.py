"""What in keras.json ends the import of Keras: against the conditions in Keras' own source."""

import inspect
import json
import re

import keras
import pytest

from dna_tf.common import keras_json

GOOD = {"floatx": "float64", "epsilon": 1e-3, "image_data_format": "channels_first"}


def _problem(monkeypatch, folder, text):
    (folder / "keras.json").write_text(text)
    monkeypatch.setenv("KERAS_HOME", str(folder))
    assert keras_json.path() == f"{folder}/keras.json"
    return keras_json.problem()


@pytest.mark.parametrize("text", ["{}", json.dumps(GOOD), '{"backend": 3}', "{", "\x00", ""])
def test_what_keras_takes_is_no_problem(monkeypatch, tmp_path, text):
    assert _problem(monkeypatch, tmp_path, text) == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"floatx": "float8"}, r"Expected floatx to be one of .*float16.* Received: \"float8\""),
        ({**GOOD, "floatx": ["float32"]}, r"Received: \[\"float32\"\]"),
        ({**GOOD, "epsilon": 1}, r"epsilon to be a number with a point.* Received: 1\."),
        ({"image_data_format": None}, "image_data_format to be one of .* Received: null"),
        ([1], r"Expected an object. Received: \[1\]"),
    ],
)
def test_what_keras_refuses_is_named_with_the_file(monkeypatch, tmp_path, fields, expected):
    problem = _problem(monkeypatch, tmp_path, json.dumps(fields))
    assert re.search(expected, problem) and str(tmp_path / "keras.json") in problem
    assert problem.endswith("Correct or delete that file.")


def test_no_file_is_no_problem(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "none"))
    assert keras_json.problem() == ""


def test_the_values_are_those_of_the_installed_keras():
    source = inspect.getsource(inspect.getmodule(keras.config.floatx))
    assert 'floatx not in {"float16", "float32", "float64"}:' in source
    assert "epsilon, float):" in source
    assert 'image_data_format not in {"channels_last", "channels_first"}:' in source


def test_an_error_from_elsewhere_is_not_put_down_to_the_file(monkeypatch, tmp_path):
    assert _problem(monkeypatch, tmp_path, '{"epsilon": 1}')
    for of_keras, function in ((True, lambda: keras.config.set_floatx("float8")), (False, int)):
        with pytest.raises((ValueError, TypeError)) as error:
            function() if of_keras else function("x")
        assert bool(keras_json.problem_behind(error.value)) == of_keras
