"""The words of the house: names that say the thing, no workdirs below `phases/`, ruff."""

import ast
import re
import subprocess
import sys

import pytest

from tests.project import rooms

ROOT = rooms.ROOT
# They name what the author did, not what the thing is.
VAGUE = {"made", "found", "known", "shown", "told", "given", "asked", "held"}
# Rooms of values: no workdir, no config object and no command line.
OF_VALUES = tuple(room for room in rooms.FOLDERS if room not in ("phases", "config"))
# It reads a run: what it takes is a workdir.
READS_A_RUN = ("run_data.py",)
_OF_OTHERS = ("_get_ops_details", "_get_function", "_exit")


def bound_names(tree):
    """Yields `(line, name)` for each variable and argument that a file binds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def trees(folder):
    """Yields `(path, tree)` for the Python files below a folder of the project."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path, ast.parse(path.read_text())


@pytest.mark.parametrize("folder", ["benchmarks", "configs", "dna_tf", "tests", "tools"])
def test_variables_are_called_by_what_they_are(folder):
    vague = [
        f"{path}:{line} {name}"
        for path, tree in trees(folder)
        for line, name in bound_names(tree)
        if name in VAGUE
    ]
    assert not vague, "\n".join(vague)


@pytest.mark.parametrize("room", OF_VALUES)
def test_below_phases_there_is_no_workdir_and_no_config(room):
    wrong = []
    for path, tree in trees(f"dna_tf/{room}"):
        if path.name in READS_A_RUN:
            continue
        for line, name in bound_names(tree):
            if name in ("workdir", "config"):
                wrong.append(f"{path}:{line} {name}")
    assert not wrong, "\n".join(wrong)


def flags_of_the_tools():
    """The names of all flags that `cli` and the tools define."""
    names = set()
    for path in [ROOT / "dna_tf/cli.py", *sorted((ROOT / "tools").glob("*.py"))]:
        names |= set(re.findall(r"DEFINE_\w+\(\s*\"(\w+)\"", path.read_text()))
    return names | {f"{side}_{cost}" for side in ("max", "min") for cost in ("macs", "params")}


@pytest.mark.parametrize("room", OF_VALUES)
def test_below_phases_there_is_no_command_line(room):
    flags = flags_of_the_tools()
    assert {"workdir", "arch", "max_macs"} <= flags
    wrong = []
    for path, tree in trees(f"dna_tf/{room}"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = set(re.findall(r"(?<![\w-])--([a-z]\w+)", node.value)) & flags
                # Bazel and benchmark_model on a phone have flags of their own.
                named -= {"config", "graph"} if path.name == "phones.py" else set()
                if named or re.search(r"python -m (dna_tf\.)?tools", node.value):
                    wrong.append(f"{path}:{node.lineno} {node.value[:80]!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["benchmarks", "configs", "dna_tf", "tests", "tools"])
def test_a_module_is_imported_by_its_name(folder):
    """An alias of a module of ours says that its name is a variable's."""
    aliases = []
    for path, tree in trees(folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(
                ("dna_tf.", "tests.")
            ):
                aliases += [
                    f"{path}:{node.lineno} {a.name}"
                    for a in node.names
                    if a.asname not in (None, a.name)
                ]
    assert not aliases, "\n".join(aliases)


@pytest.mark.parametrize("folder", ["benchmarks", "dna_tf", "tests", "tools"])
def test_no_variable_has_the_name_of_a_module_that_is_imported(folder):
    twice = []
    for path, tree in trees(folder):
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and f"{node.module}.".startswith(("dna_tf.", "tests."))
            for alias in node.names
            if alias.name.islower()
        }
        fields = {
            id(node.target)
            for definition in ast.walk(tree)
            if isinstance(definition, ast.ClassDef)
            for node in definition.body
            if isinstance(node, ast.AnnAssign)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.arg) and node.arg in imported:
                twice.append(f"{path}:{node.lineno} {node.arg}")
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                if node.id in imported and id(node) not in fields:
                    twice.append(f"{path}:{node.lineno} {node.id}")
    assert not twice, "\n".join(twice)


def test_tests_do_not_reach_into_private_names():
    """Neither by attribute nor by monkeypatch; those of TensorFlow and of Python are not ours."""
    private = []
    for path, tree in trees("tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and not ast.unparse(node.value).startswith("self"):
                name = node.attr
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "setattr":
                name = getattr(node.args[1], "value", "") if len(node.args) > 1 else ""
            else:
                continue
            if re.match(r"_[a-z]", str(name)) and name not in _OF_OTHERS:
                private.append(f"{path}:{node.lineno} {name}")
    assert not private, "\n".join(private)


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff(command):
    run = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stdout[-3000:]


def test_the_rules_see_what_they_forbid():
    tree = ast.parse(
        "def f(workdir):\n    made, (found, x) = 1, (2, 3)\n    for known in x: pass\n"
    )
    assert sorted(name for _, name in bound_names(tree)) == sorted(
        ["workdir", "made", "found", "x", "known"]
    )
