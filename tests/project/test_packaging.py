"""setup.py and .ci/run against the code: packages, requirements and console commands."""

import ast
import re
import runpy

import pytest
import setuptools

from tests.project import build_files, rooms

ROOT = rooms.ROOT


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


def test_console_commands_are_tools_with_a_run_function():
    for command, path in console_commands().items():
        assert (ROOT / path).exists(), f"{command} of setup.py needs {path}."
        body = ast.parse((ROOT / path).read_text()).body
        functions = [node for node in body if getattr(node, "name", "") == "run"]
        assert len(functions) == 1, f"{command} of setup.py needs {path} to define run()."
        arguments = functions[0].args
        required = len(arguments.args) - len(arguments.defaults)
        assert required == 0, f"{command} calls run() of {path} without arguments."
        text = (ROOT / path).read_text()
        assert '__name__ == "__main__"' in text, f"`python -m` runs nothing of {path}."


def test_setup_installs_every_package():
    arguments = setup_arguments()
    folders = {path.parent for path in (ROOT / "dna_tf").rglob("*.py")}
    expected = {str(folder.relative_to(ROOT)) for folder in folders} | {"configs", "tools"}
    assert set(arguments["package_dir"].values()) == expected
    assert sorted(arguments["package_dir"]) == sorted(arguments["packages"])
    for folder in expected:
        # An editable install does not find a package inside dna_tf without this file.
        assert (ROOT / folder / "__init__.py").exists()


def test_setup_requires_every_import():
    arguments = setup_arguments()

    def labels(requirements):
        names = {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}
        return {f"@pypi//{re.sub('[-_.]+', '_', name)}" for name in names}

    required = labels(arguments["install_requires"])
    for_tests = required | labels(arguments["extras_require"]["test"])
    for folder in ("benchmarks", "configs", "dna_tf", "tests", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            imported = build_files.dependencies([path], None)
            third_party = {label for label in imported if label.startswith("@")}
            missing = third_party - (for_tests if folder == "tests" else required)
            assert not missing, f"{path} imports what setup.py does not require: {missing}"


def test_ci_runs_the_test_command_of_the_readme():
    command = (ROOT / ".ci/run").read_text().splitlines()[-1]
    assert "pytest" in command
    assert command in (ROOT / "README.md").read_text().splitlines()
