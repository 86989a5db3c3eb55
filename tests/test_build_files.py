"""Holds the BUILD files, the layers of the imports and setup.py against the real modules."""

import ast
import os
import pathlib
import re
import runpy
import subprocess
import sys

import pytest
import setuptools

from tests import build_files

ROOT = build_files.ROOT
MODULES = build_files.modules()
RULES = ("py_binary", "py_library", "py_test")
REGENERATE = "Run: python -m tests.build_files --write"

# Tools that only handle tables start at once because these import no TensorFlow.
PLAIN_DATA = (
    "architecture",
    "architecture_files",
    "array_files",
    "budget_search",
    "checks",
    "config",
    "control",
    "cost",
    "cut_fit",
    "files",
    "intervals",
    "limits",
    "mbconv_spec",
    "progress",
    "ratings",
    "scaling",
    "search",
    "search_space",
    "space_presets",
    "space_table",
    "teacher_config",
    "teacher_table",
    "workdir",
    "zoo",
)

# A small project (file names less their .py), and by hand what each target depends on.
SAMPLE = {
    "dna_tf/__init__": (
        "import importlib\n_LAZY = ('low',)\n\ndef __getattr__(name):\n    return importlib\n"
    ),
    "dna_tf/low": "import os.path\nimport numpy as np\nfrom sklearn.svm import SVC\n",
    "dna_tf/high": (
        "from dna_tf import low, __version__\n\ndef f():\n    from tensorflow import keras\n"
    ),
    "dna_tf/near": "from . import low\nfrom .high import f\nimport dna_tf.high.f\n",
    "tools/show": (
        "from absl import app\nfrom dna_tf.configs import sample\nNEXT = 'tools.plot'\n"
        "if __name__ == '__main__':\n    app.run(print)\n"
    ),
    "tools/plot": "import show\nTEXT = 'see tools.show for more'\n",
    "configs/sample": "import ml_collections\n",
    "tests/helper": "",
    "tests/test_low": "import helper\nfrom google.protobuf import text_format\n",
    "tests/test_high": (
        "import pytest\nfrom dna_tf import high\n\n@pytest.mark.slow\ndef f():\n    pass\n"
    ),
    "tests/test_near": "from dna_tf import near\nPATH = 'configs/sample.py'\n",
}
SAMPLE_DEPS = {
    "//dna_tf:dna_tf": "//dna_tf:low",
    "//dna_tf:low": "@pypi//numpy @pypi//scikit_learn",
    "//dna_tf:high": "//dna_tf:dna_tf //dna_tf:low @pypi//tensorflow",
    "//dna_tf:near": "//dna_tf:high //dna_tf:low",
    "//tools:show": "//configs:sample //tools:plot @pypi//absl_py",
    "//tools:plot": "//tools:show",
    "//configs:sample": "@pypi//ml_collections",
    "//tests:helper": "",
    "//tests:test_low": "//tests:conftest //tests:helper @pypi//protobuf @pypi//pytest",
    "//tests:test_high": "//dna_tf:high //tests:conftest @pypi//pytest",
    "//tests:test_near": "//configs:sample //dna_tf:near //tests:conftest @pypi//pytest",
}


def committed_rules(root=ROOT):
    """Yields `(folder, rule, arguments)` for each py_* rule of the BUILD files under `root`."""
    for folder in sorted({str(pathlib.PurePosixPath(p).parent) for p in MODULES.values()}):
        tree = ast.parse((root / folder / "BUILD").read_text())
        loaded = set()
        for statement in tree.body:
            rule = statement.value.func.id
            if rule == "load":
                loaded = {argument.value for argument in statement.value.args[1:]}
            elif rule in RULES:
                assert rule in loaded, f"{folder}/BUILD uses {rule} and does not load it."
                arguments = {k.arg: ast.literal_eval(k.value) for k in statement.value.keywords}
                yield folder, rule, arguments


def full_label(folder, label):
    """Returns `label` as `"//folder:name"`, or as it is when it is another repository's."""
    if label.startswith(":"):
        return f"//{folder}{label}"
    if label.startswith("//") and ":" not in label:
        return f"{label}:{label.rpartition('/')[2]}"
    return label


def setup_arguments():
    """Returns the arguments that setup.py gives to `setuptools.setup`, installing nothing."""
    taken = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", taken.update)
        runpy.run_path(str(ROOT / "setup.py"))
    return taken


def console_commands():
    """Returns a dict from console command to the path of its tool in the checkout."""
    commands = {}
    for line in setup_arguments()["entry_points"]["console_scripts"]:
        command, module, function = re.fullmatch(r"(\S+) = (\S+):(\w+)", line).groups()
        assert function == "run"
        package, _, name = module.rpartition(".")
        commands[command] = f"{setup_arguments()['package_dir'][package]}/{name}.py"
    return commands


def test_dependencies_of_a_sample_project_are_those_written_by_hand(tmp_path):
    for name, text in SAMPLE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    made = {target.label: target for target in build_files.targets(tmp_path)}
    assert {label: " ".join(sorted(t.deps)) for label, t in made.items()} == SAMPLE_DEPS
    sizes = {target.label: target.size for target in made.values() if target.rule == "py_test"}
    assert sizes == {
        "//tests:test_low": "small",
        "//tests:test_high": "large",
        "//tests:test_near": "medium",
    }
    assert [t.label for t in made.values() if t.rule == "py_binary"] == ["//tools:show"]


def test_every_python_file_has_exactly_one_target_and_every_target_its_file():
    sources = []
    for folder, rule, arguments in committed_rules():
        own = [name for name in arguments["srcs"] if name != build_files.TEST_MAIN]
        assert len(own) == 1, f"{folder}:{arguments['name']} should have one file of its own."
        sources.append(f"{folder}/{own[0]}")
        assert full_label(folder, f":{arguments['name']}") == build_files.label_of(sources[-1])
        is_test = sources[-1].startswith("tests/test_")
        assert (rule == "py_test") == is_test, sources[-1]
    assert len(sources) == len(set(sources)), "A file has two targets."
    expected = [path for path in MODULES.values() if not path.endswith(build_files.TEST_MAIN)]
    assert sorted(sources) == sorted(expected), REGENERATE


def test_deps_are_the_real_imports():
    wrong = []
    for folder, rule, arguments in committed_rules():
        path = f"{folder}/{arguments['srcs'][-1]}"
        written = [full_label(folder, label) for label in arguments.get("deps", [])]
        imported = build_files.dependencies(path, MODULES)
        if rule == "py_test":
            imported |= build_files.TEST_DEPS
        if sorted(written) != sorted(imported):
            missing, idle = sorted(imported - set(written)), sorted(set(written) - imported)
            wrong.append(f"{path}: lacks {missing}, has without need {idle}")
    assert not wrong, "\n".join([*wrong, REGENERATE])


def test_build_files_are_what_the_tool_writes():
    for path, text in build_files.build_files().items():
        assert (ROOT / path).read_text() == text, f"{path} is out of date. {REGENERATE}"


def test_a_test_that_bazel_runs_goes_through_pytest(tmp_path):
    for _, rule, arguments in committed_rules():
        if rule == "py_test":
            assert arguments["main"] == build_files.TEST_MAIN
            assert arguments["args"] == [f"$(rootpath {arguments['srcs'][-1]})"]
    failing = tmp_path / "test_failing.py"
    failing.write_text("def test_it():\n    assert False\n")
    run = subprocess.run(
        [sys.executable, ROOT / "tests" / build_files.TEST_MAIN, failing],
        capture_output=True,
        cwd=tmp_path,
    )
    assert run.returncode == 1 and b"1 failed" in run.stdout


def test_imports_run_one_way():
    graph = {
        build_files.label_of(path): sorted(build_files.dependencies(path, MODULES))
        for path in MODULES.values()
    }
    finished = set()

    def visit(label, trail):
        assert label not in trail, "Import cycle: " + " -> ".join([*trail, label])
        if label in graph and label not in finished:
            for other in graph[label]:
                visit(other, [*trail, label])
            finished.add(label)

    for label in graph:
        visit(label, [])
    for label, deps in graph.items():
        if label.startswith("//dna_tf:"):
            upward = [dep for dep in deps if dep.startswith("//") and "//dna_tf" not in dep]
            assert not upward, f"{label} imports what should import it: {upward}"


def test_plain_data_modules_import_no_tensorflow():
    present = [f"dna_tf.{name}" for name in PLAIN_DATA if f"dna_tf.{name}" in MODULES]
    assert present
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)\n"
        "    if heavy:\n"
        "        sys.exit(f'{name} imports {sorted(heavy)}')\n"
        "print('plain')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *present],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *sys.path]))},
    )
    assert (run.returncode, run.stdout) == (0, "plain\n"), run.stderr


def test_console_commands_are_tools_with_a_run_function():
    for command, path in console_commands().items():
        assert (ROOT / path).exists(), f"{command} of setup.py needs {path}."
        body = ast.parse((ROOT / path).read_text()).body
        functions = [node for node in body if getattr(node, "name", "") == "run"]
        assert len(functions) == 1, f"{command} of setup.py needs {path} to define run()."
        arguments = functions[0].args
        required = len(arguments.args) - len(arguments.defaults)
        assert required == 0, f"{command} calls run() of {path} without arguments."
    binaries = {f"{f}/{a['srcs'][0]}" for f, rule, a in committed_rules() if rule == "py_binary"}
    missing = set(console_commands().values()) - binaries
    assert not missing, f"No `if __name__ == '__main__'` in {sorted(missing)}."


def test_setup_installs_every_package_and_requires_every_import():
    arguments = setup_arguments()
    folders = {str(pathlib.PurePosixPath(path).parent) for path in MODULES.values()}
    installed = set(arguments["package_dir"].values())
    assert installed == folders - {"benchmarks", "tests"}
    assert sorted(arguments["package_dir"]) == sorted(arguments["packages"])
    for folder in installed:
        # An editable install finds no package inside dna_tf that lacks this file.
        assert (ROOT / folder / "__init__.py").exists()

    def labels(requirements):
        names = {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}
        return {f"@pypi//{re.sub('[-_.]+', '_', name)}" for name in names}

    required = labels(arguments["install_requires"])
    for_tests = required | labels(arguments["extras_require"]["test"])
    for path in MODULES.values():
        deps = build_files.dependencies(path, MODULES)
        third_party = {dep for dep in deps if dep.startswith("@")}
        lacking = third_party - (for_tests if path.startswith("tests/") else required)
        assert not lacking, f"{path} imports what setup.py does not require: {sorted(lacking)}"


def test_ci_runs_the_test_command_of_the_readme():
    command = (ROOT / ".ci/run").read_text().splitlines()[-1]
    assert "pytest" in command
    assert command in (ROOT / "README.md").read_text().splitlines()
