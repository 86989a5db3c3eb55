"""The rules of the house: imports run one way, plain rooms stay plain, and what each room holds."""

import ast
import os
import re
import subprocess
import sys

import pytest

from tests.project import rooms

ROOT = rooms.ROOT
# Below these no workdir, no config object and no command line.
ABOVE = ("phases", "cli", "workdirs")
BELOW = tuple(room for room in rooms.FOLDERS if room not in (*ABOVE, "config"))


def modules():
    """A dict from dotted name to path of all modules of `dna_tf`."""
    paths = sorted((ROOT / "dna_tf").rglob("*.py"))
    names = (path.relative_to(ROOT).with_suffix("").parts for path in paths)
    names = (parts[:-1] if parts[-1] == "__init__" else parts for parts in names)
    return dict(zip(map(".".join, names), paths, strict=True))


MODULES = modules()


@pytest.mark.parametrize("room", list(rooms.LEVEL))
def test_a_room_imports_only_from_rooms_below(room):
    upward = []
    for path in rooms.files_of(room):
        for line, module in rooms.imports(path):
            other = rooms.room_of(module) if module.startswith("dna_tf.") else ""
            if other and other != room and rooms.LEVEL[other] >= rooms.LEVEL[room]:
                upward.append(f"{path}:{line} imports {module}")
            top = module.partition(".")[0]
            if top in ("tools", "configs", "tests", "benchmarks"):
                upward.append(f"{path}:{line} imports {module}")
    assert not upward, "\n".join(upward)


def test_modules_do_not_import_in_circles():
    graph = {}
    for name, path in MODULES.items():
        imported = {module for _, module in rooms.imports(path)}
        graph[name] = {
            m
            for m in MODULES
            if m in imported or f"{m}." in {f"{i.rpartition('.')[0]}." for i in imported}
        } - {name}
        graph[name] = {m for m in graph[name] if MODULES[m].name != "__init__.py"}
    finished = set()

    def visit(name, trail):
        assert name not in trail, "Import circle: " + " -> ".join([*trail, name])
        if name not in finished:
            for other in graph[name]:
                visit(other, [*trail, name])
            finished.add(name)

    for name in graph:
        visit(name, [])


@pytest.mark.parametrize("room", rooms.PLAIN)
def test_a_plain_room_loads_with_tensorflow_blocked(room):
    names = [name for name in MODULES if f"{name}.".startswith(f"dna_tf.{room}.")]
    program = (
        "import importlib, sys\n"
        "for name in 'tensorflow keras sklearn tensorflow_datasets ai_edge_litert tf_keras'"
        ".split():\n"
        "    sys.modules[name] = None\n"  # any import of it raises
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "print('plain')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *names],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *sys.path]))},
    )
    assert (run.returncode, run.stdout) == (0, "plain\n"), run.stderr


@pytest.mark.parametrize("room", rooms.FOLDERS)
def test_a_room_says_what_it_is_and_in_which_order_to_read_it(room):
    text = (ROOT / "dna_tf" / room / "__init__.py").read_text()
    doc = ast.get_docstring(ast.parse(text))
    first, _, order = doc.partition("\n")
    assert first.endswith(".") and len(first) <= 110
    listed = re.findall(r"^ *(\w+)\.py ", order, flags=re.M)
    present = [path.stem for path in rooms.files_of(room) if path.stem != "__init__"]
    assert sorted(listed) == present, "Name each file once: `    file.py  what it is`."


@pytest.mark.parametrize("name", list(MODULES))
def test_a_module_is_of_readable_size(name):
    assert len(MODULES[name].read_text().splitlines()) <= 400
    assert "utils" not in name


def test_no_module_has_the_name_of_a_room():
    twice = [name for name in MODULES if name.count(".") == 2 and name.split(".")[2] in rooms.LEVEL]
    assert not twice
