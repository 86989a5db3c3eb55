"""Killed runs go on to the same bits: SIGKILL in the middle of a phase, then again."""

import json
import random
import re
import shutil
import signal
import time

import pytest

from tests.helpers import run_files, tool_runs

LONG = "--config=tests/helpers/tiny_config.py:long"


def _finish(tool, folder, *arguments):
    """Runs a tool to its end; returns what it wrote to standard error."""
    done = tool_runs.run(tool, f"--workdir={folder}", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _checkpoints(folder, number):
    """Whether a phase has saved so many checkpoints; only the newest two are kept."""
    path = folder / "checkpoints" / "checkpoint"
    if not path.exists():
        return False
    saved = re.search(r'^model_checkpoint_path: "ckpt-(\d+)"', path.read_text(), re.M)
    return saved is not None and int(saved[1]) >= number


def _rated(folder):
    """How many paths of each cell are rated."""
    return {
        p.name: len(json.loads(p.read_text())["metrics"]["mse"]["mean"])
        for p in folder.glob("*.json")
    }


PATHS = {"block1_cell1.json": 3, "block1_cell2.json": 9, "block2_cell1.json": 243}


def _partly_rated(folder):
    return any(0 < count < PATHS[name] for name, count in _rated(folder).items())


def _went_on(errors, label):
    """The number of units that a resumed phase did not do again, from its first line."""
    first = re.search(rf"^{re.escape(label)}.*?: (\d+)/(\d+) ", errors, re.M)
    assert first is not None, errors
    return int(first[1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was never killed, up to its supernet: its folder."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    cases = [["train_teacher", f"--workdir={folder}", LONG]]
    cases.append(["train_supernet", f"--workdir={folder}"])
    for result in tool_runs.run_all(cases):
        assert result["returncode"] == 0, result["stderr"]
    return folder


@pytest.fixture(scope="module")
def reference(trained):
    """The same run with its ratings, and searched."""
    cases = [[tool, f"--workdir={trained}"] for tool in ("rate", "search")]
    for result in tool_runs.run_all(cases):
        assert result["returncode"] == 0, result["stderr"]
    assert _rated(trained / "ratings") == PATHS
    return trained


def _compare(reference, folder, *parts):
    """Asserts that parts of two runs are equal, and that nothing unfinished is left."""
    expected, received = run_files.results(reference), run_files.results(folder)
    if parts:
        expected = {k: v for k, v in expected.items() if k.partition("/")[0] in parts}
        received = {k: v for k, v in received.items() if k.partition("/")[0] in parts}
    assert expected and run_files.differing(expected, received) == []
    left = [p for p in folder.rglob("*") if ".tmp" in p.suffixes or p.name.startswith("unfinished")]
    assert left == []


def _with_teacher(reference, folder):
    """A run that has the reference's teacher only."""
    folder.mkdir()
    for name in ("config.json", "data.json"):
        shutil.copy(reference / name, folder)
    shutil.copytree(reference / "teacher", folder / "teacher")
    return folder


@pytest.mark.slow
def test_a_killed_supernet_and_a_killed_rating_go_on_to_the_same_bits(reference, tmp_path):
    run = _with_teacher(reference, tmp_path / "run")
    result = run / "supernet" / "block1_cell1.json"
    words = tool_runs.command("train_supernet", f"--workdir={run}")
    folder = run / "supernet" / "runs" / "all"
    tool_runs.kill_in_the_middle(words, lambda: _checkpoints(folder, 3), result.exists)
    errors = _finish("train_supernet", run)
    assert _went_on(errors, "supernet (3 cells)") > 0
    _compare(reference, run, "supernet")

    words = tool_runs.command("rate", f"--workdir={run}")
    tool_runs.kill_in_the_middle(
        words,
        lambda: _partly_rated(run / "ratings"),
        lambda: _rated(run / "ratings") == PATHS,
    )
    before = sum(_rated(run / "ratings").values())
    errors = _finish("rate", run)
    assert _went_on(errors, "rating") == before > 0
    _compare(reference, run, "ratings")

    _finish("search", run)
    _compare(reference, run)


def _newest(folder):
    """The number of the newest checkpoint of a phase, 0 without one, and its files."""
    names = [re.match(r"ckpt-(\d+)\.", p.name) for p in (folder / "checkpoints").glob("ckpt-*.*")]
    number = max((int(name[1]) for name in names if name), default=0)
    return number, sorted((folder / "checkpoints").glob(f"ckpt-{number}.*"))


@pytest.mark.slow
def test_a_supernet_ended_by_sigterm_leaves_a_checkpoint_and_goes_on(trained, tmp_path):
    run = _with_teacher(trained, tmp_path / "run")
    words = tool_runs.command("train_supernet", f"--workdir={run}")
    folder, result = run / "supernet" / "runs" / "all", run / "supernet" / "block1_cell1.json"
    before = 0

    def begun():
        nonlocal before
        before = _newest(folder)[0]
        return before >= 2

    errors = tool_runs.kill_in_the_middle(words, begun, result.exists, signal.SIGTERM)
    assert "Stopped by SIGTERM after a checkpoint; run again to resume." in errors
    assert _newest(folder)[0] > before
    assert _went_on(_finish("train_supernet", run), "supernet (3 cells)") > 0
    _compare(trained, run, "supernet")


@pytest.mark.slow
def test_a_supernet_killed_at_any_moment_and_a_damaged_checkpoint(trained, tmp_path):
    run = _with_teacher(trained, tmp_path / "run")
    words = tool_runs.command("train_supernet", f"--workdir={run}")
    folder, result = run / "supernet" / "runs" / "all", run / "supernet" / "block1_cell1.json"
    draws = random.Random(7)
    for _ in range(5):
        # While graphs are traced, too, and within a step or a save.
        wanted, delay = _newest(folder)[0] + draws.randint(0, 5), draws.uniform(0.0, 0.1)

        def begun(wanted=wanted, delay=delay):
            if not (run / "supernet").exists() or _newest(folder)[0] < wanted:
                return False
            time.sleep(delay)
            return True

        tool_runs.kill_in_the_middle(words, begun, result.exists)
    number, kept = _newest(folder)
    assert number > 2
    for path in kept:
        if ".data-" in path.name:
            content = bytearray(path.read_bytes())
            for at in range(len(content) // 4, len(content), len(content) // 4):
                content[at] ^= 0xFF
            path.write_bytes(content)
    errors = _finish("train_supernet", run)
    assert f"ckpt-{number} cannot be used" in errors
    assert _went_on(errors, "supernet (3 cells)") > 0
    _compare(trained, run, "supernet")


@pytest.fixture(scope="module")
def whole(reference):
    """The same run to its end: students and export, too."""
    for result in tool_runs.run_all([["quickstart", f"--workdir={reference}"]]):
        assert result["returncode"] == 0, result["stderr"]
    return reference


def _phases(run):
    """Each phase: tool, when it is far enough for a kill, when over, its label and folders."""
    students, export = run / "students", run / "exports" / "max_macs_22k"
    last = students / "max_macs_22k_control" / "seed1" / "result.json"

    def saved(folder):
        return lambda kill: lambda: _checkpoints(folder, 4 * kill)

    def more(before):
        return sum(_rated(run / "ratings").values()) > before

    def rated(kill):
        before = sum(_rated(run / "ratings").values())
        return lambda: _partly_rated(run / "ratings") and more(before)

    return (
        (
            "train_teacher",
            saved(run / "teacher"),
            (run / "teacher" / "result.json").exists,
            "teacher",
            ("teacher", "config.json", "data.json"),
        ),
        (
            "train_supernet",
            saved(run / "supernet" / "runs" / "all"),
            (run / "supernet" / "block1_cell1.json").exists,
            "supernet (3 cells)",
            ("supernet",),
        ),
        ("rate", rated, lambda: _rated(run / "ratings") == PATHS, "rating", ("ratings",)),
        ("search", None, None, "", ("architectures",)),
        (
            "retrain",
            saved(students / "max_macs_22k" / "seed1"),
            last.exists,
            "student max_macs_22k seed 1",
            ("students",),
        ),
        (
            "export_tflite",
            lambda kill: (export / "float32.tflite").exists,
            (export / "result.json").exists,
            "",
            ("exports",),
        ),
    )


@pytest.mark.slow
def test_every_tool_goes_on_to_the_same_bits_after_two_kills(whole, tmp_path):
    run = tmp_path / "run"
    for tool, begun, over, label, folders in _phases(run):
        config = [LONG] if tool == "train_teacher" else []
        words = tool_runs.command(tool, f"--workdir={run}", *config)
        if begun is not None:
            tool_runs.kill_in_the_middle(words, begun(1), over)
            tool_runs.kill_in_the_middle(words, begun(2), over)
        errors = _finish(tool, run, *config)
        if label:
            assert _went_on(errors, label) > 0
        _compare(whole, run, *folders)
    _compare(whole, run)


@pytest.mark.slow
def test_a_quickstart_killed_in_each_phase_ends_as_one_that_was_not(whole, tmp_path):
    run = tmp_path / "run"
    words = tool_runs.command("quickstart", f"--workdir={run}", LONG)
    for _, begun, over, _, _ in _phases(run):
        if begun is not None:
            tool_runs.kill_in_the_middle(words, begun(1), over)
    _finish("quickstart", run)
    _compare(whole, run)
    assert (run / "report.html").exists()
