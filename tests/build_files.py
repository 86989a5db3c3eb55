"""Writes the BUILD files from the real imports of the modules.

    python -m tests.build_files           # lists the BUILD files that are out of date
    python -m tests.build_files --write   # writes them

There is one target for each Python file. Its deps are what the file imports, at
the top or inside a function, and the modules of this project that it names in a
string of just that name (`"tools.rate"`, `"configs/digits.py"`): that is how
modules are loaded by name.
"""

import argparse
import ast
import dataclasses
import pathlib
import sys

ROOT = pathlib.Path(__file__).absolute().parent.parent
FOLDERS = ("benchmarks", "configs", "dna_tf", "tests", "tools")
LOADED_FROM = "@rules_python//python:defs.bzl"

# Names under which installed modules are known; see PACKAGES in setup.py.
INSTALLED = {"dna_tf.configs": "configs", "dna_tf.tools": "tools"}

# Import name -> name on PyPI as a Bazel label writes it, where the two differ.
PYPI = {
    "PIL": "pillow",
    "absl": "absl_py",
    "google.protobuf": "protobuf",
    "sklearn": "scikit_learn",
    "yaml": "pyyaml",
}

# Every test runs through this file: a test module that is merely executed defines
# its functions, runs none of them, and passes.
TEST_MAIN = "bazel_main.py"
TEST_DEPS = {"//tests:conftest", "@pypi//pytest"}

# A test that reaches one of these waits seconds for the import alone.
HEAVY = {"@pypi//keras", "@pypi//keras_cv", "@pypi//tensorflow", "@pypi//tensorflow_datasets"}

# Files that a test reads and does not import, by the test's label. The hyphen keeps
# the names of these filegroups apart from those of modules.
READ_BY = {
    "//tests:test_build_files": [*(f"//{f}:source-files" for f in FOLDERS), "//:source-files"],
    "//tests:test_cli_help": ["//tools:source-files"],
    "//tests:test_configs": ["//configs:source-files", "//tools:source-files", "//:source-files"],
    "//tests:test_documents": ["//configs:source-files", "//tools:source-files", "//:source-files"],
    "//tests:test_workdir": ["//:source-files"],
}
ROOT_FILES = (".ci/run", "BUILD", "LICENSE", "README.md", "pyproject.toml", "setup.py")

HEADER = """\
# Written by `python -m tests.build_files --write` from the imports of the modules;
# tests/test_build_files.py holds it against them.
"""
PACKAGE_NOTE = """\
#
# `:{name}` is the package's own __init__.py with all that it imports or offers lazily.
# The other targets do not depend on it, or each of them would drag in the whole
# package: they depend on the modules they import and on nothing else.
"""
SOURCE_FILES = """\
filegroup(
    name = "source-files",
    srcs = ["BUILD"] + glob(["*.py"]),
)
"""


@dataclasses.dataclass(frozen=True)
class Target:
    """One rule of a BUILD file; `deps` and `data` are full labels (`"//dna_tf:files"`)."""

    rule: str
    label: str
    srcs: tuple
    deps: frozenset
    size: str = ""
    args: tuple = ()
    data: tuple = ()
    main: str = ""


def modules(root=ROOT):
    """Returns a dict from dotted module name to path relative to `root`, in order."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    found = {}
    for path in paths:
        path = path.relative_to(root)
        parts = path.parent.parts if path.stem == "__init__" else path.with_suffix("").parts
        found[".".join(parts)] = path.as_posix()
    return found


def label_of(path):
    """Returns the Bazel label of a Python file: `"dna_tf/files.py"` is `"//dna_tf:files"`."""
    path = pathlib.PurePosixPath(path)
    name = path.parent.name if path.stem == "__init__" else path.stem
    return f"//{path.parent}:{name}"


def dependencies(path, known, root=ROOT):
    """Returns the labels of all that the file at `path` imports or loads by name.

    Args:
        path: the file, relative to `root`.
        known: all modules of the project, as `modules` gives them.
        root: the repository's root.

    Returns:
        A frozenset of labels, this project's and `"@pypi//..."`; the standard
        library and the file itself are left out.
    """
    tree = ast.parse((root / path).read_text(), filename=path)
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(_installed_name(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _installed_name(_origin(node, path))
            for alias in node.names:
                member = _installed_name(f"{origin}.{alias.name}")
                names.add(member if member in known else origin)
    names.update(_named_in_strings(tree, path, known))
    labels = {_resolve(name, path, known) for name in names}
    return frozenset(labels - {None, label_of(path)})


def targets(root=ROOT):
    """Returns the `Target` of every Python file, in order of label."""
    known = modules(root)
    deps = {label_of(path): dependencies(path, known, root) for path in known.values()}
    made = [_target(path, deps, root) for path in known.values() if not path.endswith(TEST_MAIN)]
    return sorted(made, key=lambda target: target.label)


def build_files(root=ROOT):
    """Returns a dict from the path of each BUILD file, relative to `root`, to its text."""
    made = targets(root)
    folders = set(FOLDERS) | {target.label[2:].split(":")[0] for target in made}
    files = {
        f"{folder}/BUILD": _package_file(
            folder, [target for target in made if target.label.startswith(f"//{folder}:")]
        )
        for folder in sorted(folders)
    }
    files["BUILD"] = _root_file(root)
    return files


def _installed_name(name):
    for installed, folder in INSTALLED.items():
        if name == installed or name.startswith(f"{installed}."):
            return folder + name[len(installed) :]
    return name


def _origin(node, path):
    """Returns the absolute name of the module that a `from ... import` reads."""
    if not node.level:
        return node.module
    folder = pathlib.PurePosixPath(path).parent.parts
    above = folder[: len(folder) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


def _named_in_strings(tree, path, known):
    """Returns the modules that are named in strings, by dotted name or by path.

    A package that offers its modules lazily (it defines `__getattr__`) may name
    them without the package.
    """
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    lazy = path.endswith("__init__.py") and "__getattr__" in defined
    package = path.rpartition("/")[0].replace("/", ".")
    names = {file: name for name, file in known.items()}
    names.update({name: name for name in known if "." in name})
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = _installed_name(node.value)
            if text in names:
                yield names[text]
            elif lazy and f"{package}.{text.lstrip('.')}" in known:
                yield f"{package}.{text.lstrip('.')}"


def _resolve(name, path, known):
    """Returns the label that provides module `name` to the file at `path`, or `None`."""
    top = name.partition(".")[0]
    if top in FOLDERS:
        while name and name not in known:
            name = name.rpartition(".")[0]
        # A folder without an __init__.py has no target of its own.
        return label_of(known[name]) if name else None
    if top in sys.stdlib_module_names:
        return None
    beside = f"{path.rpartition('/')[0].replace('/', '.')}.{name}"
    if beside in known:
        return label_of(known[beside])
    for imported, published in PYPI.items():
        if f"{name}.".startswith(f"{imported}."):
            return f"@pypi//{published}"
    return f"@pypi//{top}"


def _target(path, deps, root):
    label, file_name = label_of(path), path.rpartition("/")[2]
    tree = ast.parse((root / path).read_text())
    if path.startswith("tests/") and file_name.startswith("test_"):
        if any(isinstance(node, ast.Attribute) and node.attr == "slow" for node in ast.walk(tree)):
            size = "large"
        else:
            size = "medium" if HEAVY & _closure(label, deps) else "small"
        return Target(
            rule="py_test",
            label=label,
            size=size,
            srcs=(TEST_MAIN, file_name),
            args=(f"$(rootpath {file_name})",),
            data=tuple(READ_BY.get(label, ())),
            main=TEST_MAIN,
            deps=deps[label] | TEST_DEPS,
        )
    runs = path.startswith(("benchmarks/", "tools/")) and any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        for node in tree.body
    )
    return Target("py_binary" if runs else "py_library", label, (file_name,), deps[label])


def _closure(label, deps):
    reached, waiting = set(), [label]
    while waiting:
        label = waiting.pop()
        if label not in reached:
            reached.add(label)
            waiting.extend(deps.get(label, ()))
    return reached


def _package_file(folder, made):
    rules = sorted({target.rule for target in made})
    parts = [HEADER]
    if any(target.srcs == ("__init__.py",) for target in made):
        parts[0] += PACKAGE_NOTE.format(name=folder.rpartition("/")[2])
    if rules:
        parts.append(f"load({', '.join(map(_quote, [LOADED_FROM, *rules]))})\n")
    parts.append(_call("package", default_visibility=["//visibility:public"]))
    parts.append(SOURCE_FILES)
    for target in made:
        local = f"//{folder}:"
        parts.append(
            _call(
                target.rule,
                name=target.label.removeprefix(local),
                size=target.size,
                srcs=target.srcs,
                args=target.args,
                data=sorted((_local(label, local) for label in target.data), key=_label_order),
                main=target.main,
                deps=sorted((_local(label, local) for label in target.deps), key=_label_order),
            )
        )
    return "\n".join(parts)


def _root_file(root):
    files = [name for name in ROOT_FILES if (root / name).exists() or name == "BUILD"]
    files += [f"docs/{path.name}" for path in root.glob("docs/*.md")]
    files.sort()
    parts = [
        HEADER,
        _call("package", default_visibility=["//visibility:public"]),
        _call("licenses", ["notice"]).rstrip() + "  # Apache-2.0\n",
        _call("exports_files", [name for name in files if name != "BUILD"]),
        _call("filegroup", name="source-files", srcs=files),
        _call("alias", name="dna_tf", actual="//dna_tf"),
    ]
    return "\n".join(parts)


def _local(label, prefix):
    """Shortens a label as buildifier does: `":files"`, and `"//dna_tf"` for its own name."""
    if label.startswith(prefix):
        return f":{label.removeprefix(prefix)}"
    folder, _, name = label.partition(":")
    return folder if folder.endswith(f"/{name}") else label


def _label_order(label):
    """Orders labels as buildifier does: `:local`, then `//this`, then `@other`."""
    return [":/@".index(label[0]), label.split(":")]


def _call(rule, *values, **arguments):
    """Writes one call the way buildifier would; empty arguments are left out."""
    if values:
        return f"{rule}({_value(values[0], '')})\n"
    lines = [f"{name} = {_value(value, '    ')}" for name, value in arguments.items() if value]
    if len(lines) == 1:
        return f"{rule}({lines[0]})\n"
    return f"{rule}(\n" + "".join(f"    {line},\n" for line in lines) + ")\n"


def _value(value, indent):
    if isinstance(value, str):
        return _quote(value)
    if len(value) == 1:
        return f"[{_quote(value[0])}]"
    return "[\n" + "".join(f"{indent}    {_quote(item)},\n" for item in value) + f"{indent}]"


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
            (ROOT / path).write_text(text)
    sys.exit(1 if stale and not write else 0)


if __name__ == "__main__":
    main()
