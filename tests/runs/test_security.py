"""What SECURITY.md promises: what is received writes to no other place and runs no code."""

import json
import subprocess
import sys

import pytest

from dna_tf import workdirs
from dna_tf.phases import evaluating, exporting, runs, search_question, teacher_training
from dna_tf.space import architectures, cost_limits
from tests.helpers import student_runs, tiny_config
from tests.project import rooms

# Names that would lead out of a folder, hide a file, or end a line of a command.
LEADING_OUT = (
    "../../up",
    "/etc/up",
    "a/b",
    "a\\b",
    "..",
    ".",
    "",
    ".hidden",
    "-x",
    "a\n",
    "a b",
    "x" * 300,
)


@pytest.mark.parametrize("name", [*LEADING_OUT, 7, None, ["a"]])
def test_a_name_from_a_file_cannot_lead_out_of_the_workdir(tmp_path, name):
    content = student_runs.tiny_architecture(num_classes=3).to_dict() | {"name": name}
    path = tmp_path / "received.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="received.json cannot be used.* names files. Received"):
        architectures.load(path)
    if isinstance(name, str):
        workdir = workdirs.Workdir(tmp_path / "run")
        places = (workdir.architecture, lambda n: workdir.student(n, 0), workdir.exported)
        ask = lambda n: search_question.Question(n, cost_limits.Limits("max_macs=1M"))  # noqa: E731
        for place in (*places, ask):
            with pytest.raises(ValueError, match="names files"):
                place(name)


def test_the_file_that_a_result_names_lies_beside_it(tmp_path):
    path = tmp_path / "pruned.json"
    path.write_text(json.dumps({"kind": "dna_tf.pruned", "file": "/etc/hostname"}))
    with pytest.raises(ValueError, match="names files. Received: '/etc/hostname'"):
        runs.existing_result(path, "dna_tf.pruned")


CALLS = {
    "teacher": lambda workdir, config: teacher_training.train_teacher(workdir, config),
    "evaluation": lambda workdir, config: evaluating.evaluate(workdir, config, "m.keras"),
    "export": lambda workdir, config: exporting.export_file("m.keras", config, "out", workdir),
    "layers": lambda workdir, config: exporting.report("m.keras", config, "out", workdir),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_received_workdir_does_not_decide_what_is_imported(tmp_path, monkeypatch, call):
    """A module in the current folder, as a received workdir in a checkout is."""
    (tmp_path / "payload_of_a_test.py").write_text("raise SystemExit('code ran')")
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny_config.get_config()
    config.teacher.modules = ("payload_of_a_test",)
    config.teacher.model = str(tmp_path / "m.keras")
    workdirs.open_workdir(tmp_path / "run", config)
    received, config = workdirs.open_workdir(tmp_path / "run")
    expected = "name them again: --config.teacher.modules=payload_of_a_test"
    with pytest.raises(ValueError, match=expected):
        CALLS[call](received, config)
    assert "payload_of_a_test" not in sys.modules


def test_modules_are_asked_for_again_on_the_command_line_or_in_a_config_file(tmp_path):
    config = tiny_config.get_config()
    config.teacher.modules = ("json", "this_one")
    workdirs.open_workdir(tmp_path / "run", config)
    file = tmp_path / "config.py"
    file.write_text(
        "from tests.helpers import tiny_config\n\n\ndef get_config():\n"
        "    config = tiny_config.get_config()\n"
        "    config.teacher.modules = ('json', 'this_one')\n    return config\n"
    )
    program = (
        "import sys\nfrom dna_tf import cli, workdirs\ncli.define_run_flags()\n"
        "cli.FLAGS(sys.argv)\nworkdir, config = cli.open_run(False)\n"
        "print(workdirs.modules(workdir, config))\ncli.next_command('rate', workdir)"
    )

    def run(*flags):
        words = [sys.executable, "-c", program, f"--workdir={tmp_path}/run", *flags]
        return subprocess.run(words, capture_output=True, text=True, cwd=rooms.ROOT)

    again = "--config.teacher.modules=json --config.teacher.modules=this_one"
    assert again in run().stderr
    assert again in run("--config.data.max_broken_images=3").stderr
    for flags in (again.split(), [f"--config={file}"]):
        lines = run(*flags).stdout.splitlines()
        assert lines[0] == "('json', 'this_one')" and lines[1].endswith(again)


def test_only_one_place_decides_which_modules_are_imported():
    """All other code takes the names from there, so the test above stands for all of it."""
    reads = []
    for path in rooms.files_of("phases"):
        reads += [path.name for line in path.read_text().splitlines() if "teacher.modules" in line]
    assert reads == ["teacher_config.py"]  # a line of a config file that it writes
