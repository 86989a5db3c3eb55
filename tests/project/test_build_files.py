"""Holds the BUILD files against what the generator writes from the imports."""

import ast
import subprocess
import sys

import pytest

from tests.project import build_files, rooms

ROOT = build_files.ROOT
REGENERATE = "Run: python -m tests.project.build_files --write"
FILES = build_files.build_files()
HEAVY = {
    f"@pypi//{name}"
    for name in ("ai_edge_litert", "keras", "scikit_learn", "tensorflow", "tensorflow_datasets")
}


def rules(path):
    """Yields `(rule, arguments)` for the py_library rules of a BUILD file."""
    for statement in ast.parse((ROOT / path).read_text()).body:
        call = statement.value
        if isinstance(call, ast.Call) and call.func.id == "py_library":
            yield {k.arg: k.value for k in call.keywords}


@pytest.mark.parametrize("path", sorted(FILES))
def test_build_file_is_what_the_tool_writes(path):
    assert (ROOT / path).read_text() == FILES[path], REGENERATE


def test_no_other_build_file_is_there():
    present = {str(path.relative_to(ROOT)) for path in ROOT.rglob("BUILD") if path.is_file()}
    present = {path for path in present if not path.startswith((".", "build/"))}
    assert present == set(FILES)


def test_they_are_short():
    assert sum(len((ROOT / path).read_text().splitlines()) for path in FILES) <= 1000


@pytest.mark.parametrize("room", [room for room in rooms.PLAIN if room in rooms.FOLDERS])
def test_plain_rooms_depend_on_nothing_heavy(room):
    waiting, reached = [f"//dna_tf/{room}"], set()
    while waiting:
        label = waiting.pop()
        if label in reached or not label.startswith("//dna_tf"):
            reached.add(label)
            continue
        reached.add(label)
        folder, _, name = label[2:].partition(":")
        for arguments in rules(f"{folder}/BUILD"):
            if arguments["name"].value == (name or folder.rpartition("/")[2]):
                waiting += ast.literal_eval(arguments.get("deps", ast.List([])))
    assert not reached & HEAVY


@pytest.mark.parametrize(
    "module,label",
    [
        ("dna_tf.space.limits.Limits", "//dna_tf/space"),
        ("dna_tf.workdirs.Workdir", "//dna_tf:workdirs"),
        ("dna_tf.__version__", "//dna_tf:dna_tf"),
        ("tests.helpers.tiny_config", "//tests/helpers"),
        ("configs.digits", "//configs"),
        ("google.protobuf.message", "@pypi//protobuf"),
        ("sklearn.datasets", "@pypi//scikit_learn"),
        ("os.path", None),
    ],
)
def test_label_of_a_module(module, label):
    assert build_files.label_of(module) == label


def test_dependencies_are_those_written_by_hand(tmp_path):
    text = "import os\nfrom dna_tf.space import zoo\n\ndef f():\n    from sklearn import svm\n"
    path = tmp_path / "sample.py"
    path.write_text(text + "    from dna_tf.configs import digits\n")
    expected = ["//configs", "//dna_tf/space", "@pypi//scikit_learn"]
    assert build_files.dependencies([path], None) == expected
    assert build_files.dependencies([path], "//dna_tf/space") == [expected[0], expected[2]]


def test_a_test_that_bazel_runs_goes_through_pytest(tmp_path):
    macro = (ROOT / "tests/defs.bzl").read_text()
    assert 'main = "//tests:bazel_main.py"' in macro and '"$(rootpath %s)" % file' in macro
    failing = tmp_path / "test_failing.py"
    failing.write_text("def test_it():\n    assert False\n")
    run = subprocess.run(
        [sys.executable, ROOT / "tests/bazel_main.py", failing], capture_output=True, cwd=tmp_path
    )
    assert run.returncode == 1 and b"1 failed" in run.stdout
