"""The public face: every name loads late, is annotated, and its Example runs."""

import ast
import doctest
import inspect
import os
import runpy
import subprocess
import sys

import pytest

import dna_tf
from tests.project import api_page, rooms

NAMES = [name for name in dna_tf.__all__ if name != "recipes"]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_documented_and_annotated(name):
    value = getattr(dna_tf, name)
    doc = inspect.getdoc(value)
    assert doc and api_page.example_of(value), f"{name} needs a docstring with an Example."
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        bare = [
            parameter.name
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty
        ]
        assert not bare and signature.return_annotation is not signature.empty
        for parameter in signature.parameters.values():
            assert f"{parameter.name}" in doc, f"{name}: {parameter.name} is not described."


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = api_page.example_of(getattr(dna_tf, name))
    if ">>>" in example:
        test = doctest.DocTestParser().get_doctest(example, {}, name, None, 0)
        assert doctest.DocTestRunner().run(test).failed == 0
    else:
        exec(compile(example, f"Example of {name}", "exec"), {})


def test_import_loads_no_tensorflow():
    program = (
        "import sys, dna_tf; print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    program += "; dir(dna_tf); dna_tf.Limits, dna_tf.SearchSpace, dna_tf.recipes"
    program += "; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=rooms.ROOT,
        env={**os.environ, "PYTHONPATH": str(rooms.ROOT)},
    )
    assert (run.returncode, run.stdout) == (0, "[]\n[]\n"), run.stderr


def test_type_checkers_see_what_is_loaded():
    tree = ast.parse((rooms.ROOT / "dna_tf/__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen.pop("recipes") == "dna_tf.config"
    assert seen == {name: f"dna_tf.{module}" for name, module in dna_tf._MODULES.items()}
    assert (rooms.ROOT / "dna_tf/py.typed").exists()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'find_bset'"):
        dna_tf.find_bset  # noqa: B018


def test_the_page_is_what_the_tool_writes():
    assert api_page.PAGE.read_text() == api_page.page(), (
        "Run: python -m tests.project.api_page --write"
    )


def test_a_config_file_of_before_the_rooms_loads(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from dna_tf import config as configs\nfrom dna_tf import recipes\n\n\n"
        "def get_config():\n    config = configs.default_config()\n"
        "    recipes.small(config, epochs=3)\n    return config\n"
    )
    config = runpy.run_path(str(path))["get_config"]()
    expected = dna_tf.default_config()
    dna_tf.recipes.small(expected, epochs=3)
    assert config.to_dict() == expected.to_dict() and config.retrain.epochs == 3
