"""Writes the BUILD files from the imports of the modules: one library a folder.

python -m tests.project.build_files           # lists the BUILD files that are out of date
python -m tests.project.build_files --write   # writes them
"""

import argparse
import pathlib
import sys

from tests.project import rooms

ROOT = rooms.ROOT
RULES = "@rules_python//python:defs.bzl"
HEADER = "# Written by `python -m tests.project.build_files --write` from the imports.\n"
PACKAGE = 'package(default_visibility = ["//visibility:public"])\n'

# Import name -> name on PyPI as a Bazel label writes it, where the two differ.
PYPI = {
    "PIL": "pillow",
    "absl": "absl_py",
    "google": "protobuf",
    "sklearn": "scikit_learn",
    "xdist": "pytest_xdist",
    "yaml": "pyyaml",
}
# Files at the root that tests of the project read.
ROOT_FILES = (".ci/run", "BUILD", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE")
ROOT_FILES += ("README.md", "SECURITY.md", "pyproject.toml", "setup.py")
_SOURCES = """\
filegroup(
    name = "files",
    srcs = glob(["**"], exclude = ["**/__pycache__/**"]),
)
"""


def label_of(module):
    """Returns the label that provides a module, or `None` for the standard library.

    Args:
        module: a dotted name, as `rooms.imports` gives it.
    """
    top, _, rest = module.partition(".")
    if top == "dna_tf":
        room = rooms.room_of(module)
        return f"//dna_tf/{room}" if room in rooms.FOLDERS else f"//dna_tf:{room or 'dna_tf'}"
    if top == "tests":
        folder = rest.partition(".")[0]
        return f"//tests/{folder}" if (ROOT / "tests" / folder).is_dir() else "//tests:conftest"
    if top in ("benchmarks", "configs", "tools"):
        return f"//{top}"
    if top in sys.stdlib_module_names:
        return None
    return f"@pypi//{PYPI.get(top, top)}"


def dependencies(paths, own):
    """Returns the sorted labels of what files import, less the standard library and `own`."""
    labels = {label_of(module) for path in paths for _, module in rooms.imports(path)}
    return sorted(labels - {None, own}, key=lambda label: (label[0] == "@", label))


def build_files():
    """Returns a dict from the path of each BUILD file, relative to the root, to its text."""
    files = {"BUILD": _root(), "dna_tf/BUILD": _package()}
    for room in rooms.FOLDERS:
        files[f"dna_tf/{room}/BUILD"] = _library(f"dna_tf/{room}")
    for folder in ("benchmarks", "configs", "tools"):
        files[f"{folder}/BUILD"] = _library(folder, binaries=folder != "configs")
    files["tests/BUILD"] = _tests()
    for folder in sorted(path for path in (ROOT / "tests").iterdir() if path.is_dir()):
        if list(folder.glob("*.py")):
            files[f"tests/{folder.name}/BUILD"] = _room_tests(folder)
    return files


def _root():
    text = 'licenses(["notice"])  # Apache-2.0\n'
    present = [name for name in ROOT_FILES if (ROOT / name).exists() or name == "BUILD"]
    files = _call("filegroup", name="files", srcs=present).replace(
        "\n    ],", '\n    ] + glob(["docs/**"]),'
    )
    return "\n".join(
        [HEADER, PACKAGE, text, files, _call("alias", name="dna_tf", actual="//dna_tf")]
    )


def _package():
    rooms_of_all = [f"//dna_tf/{room}" for room in rooms.FOLDERS]
    libraries = [
        _call("py_library", name="dna_tf", srcs=["__init__.py"], deps=sorted(rooms_of_all))
    ]
    for name in ("cli", "workdirs"):
        deps = dependencies(rooms.files_of(name), f"//dna_tf:{name}")
        libraries.append(_call("py_library", name=name, srcs=[f"{name}.py"], deps=deps))
    return "\n".join([HEADER, _load("py_library"), PACKAGE, _SOURCES, *libraries])


def _library(folder, binaries=False):
    paths = sorted((ROOT / folder).glob("*.py"))
    name = folder.rpartition("/")[2]
    own = f"//{folder}"
    loads = ["py_binary", "py_library"] if binaries else ["py_library"]
    parts = [HEADER, _load(*loads), PACKAGE]
    if "/" not in folder:
        parts.append(_SOURCES)
    parts.append(_glob_library(name, dependencies(paths, own)))
    if binaries:
        runs = [path.stem for path in paths if '__name__ == "__main__"' in path.read_text()]
        items = "".join(f"    {_quote(run)},\n" for run in runs)
        parts.append(
            "[py_binary(\n    name = name,\n"
            f'    srcs = [name + ".py"],\n    deps = [":{name}"],\n) for name in [\n{items}]]\n'
        )
    return "\n".join(parts)


def _tests():
    """The BUILD of tests/: what all tests need, in one target, and the tests beside it."""
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    deps = [label for label in dependencies(tests, None) if label != "//tests:conftest"]
    conftest = dependencies([ROOT / "tests/conftest.py"], None)
    return "\n".join(
        [
            HEADER,
            _load("py_library") + 'load(":defs.bzl", "room_tests")\n',
            PACKAGE,
            'exports_files(["bazel_main.py"])\n',
            _SOURCES,
            _call(
                "py_library", name="conftest", srcs=["__init__.py", "conftest.py"], deps=conftest
            ),
            _call("py_library", name="needed", deps=[":conftest", *deps]),
            "room_tests()\n",
        ]
    )


def _room_tests(folder):
    paths = sorted(folder.glob("*.py"))
    tests = [path for path in paths if path.stem.startswith("test_")]
    library = [path for path in paths if path not in tests and path.stem != "__init__"]
    parts = [HEADER, "", PACKAGE]
    if library:
        parts[1] += _load("py_library")
        deps = dependencies(library, f"//tests/{folder.name}")
        parts.append(_glob_library(folder.name, deps, exclude=bool(tests)))
    if tests:
        parts[1] += 'load("//tests:defs.bzl", "room_tests")\n'
        slow = [path.name for path in tests if "mark.slow" in path.read_text()]
        parts.append(_call("room_tests", slow=slow) if slow else "room_tests()\n")
    return "\n".join(parts)


def _glob_library(name, deps, exclude=False):
    pattern = 'glob(["*.py"], exclude = ["test_*.py"])' if exclude else 'glob(["*.py"])'
    text = _call("py_library", name=name, srcs="SOURCES", deps=deps)
    return text.replace('"SOURCES"', pattern)


def _load(*rules):
    return f"load({', '.join(map(_quote, [RULES, *rules]))})\n"


def _call(rule, **arguments):
    """Writes one call as buildifier would; empty arguments are left out."""
    lines = [f"    {name} = {_value(value)},\n" for name, value in arguments.items() if value]
    return f"{rule}(\n" + "".join(lines) + ")\n"


def _value(value):
    if isinstance(value, str):
        return _quote(value)
    if len(value) == 1:
        return f"[{_quote(value[0])}]"
    return "[\n" + "".join(f"        {_quote(item)},\n" for item in value) + "    ]"


def _quote(text):
    return f'"{text}"'


def main():
    """Writes the BUILD files, or says which are out of date."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the files")
    write = parser.parse_args().write
    stale = {
        path: text
        for path, text in build_files().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    }
    for path, text in stale.items():
        print(f"{'written' if write else 'out of date'}: {path}")
        if write:
            pathlib.Path(ROOT / path).write_text(text)
    sys.exit(1 if stale and not write else 0)


if __name__ == "__main__":
    main()
