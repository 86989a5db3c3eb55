"""Every crash point of every phase: an operation on a file fails, or the process dies there.

The same command then goes on: its end is that of a run that was not disturbed, to the bit,
nothing that was finished and saved is done again, nothing is left behind. An error is one clear
sentence. `python -m tests.runs.crash_points_table` prints the table of all points.
"""

import errno
import os
import random
import signal
import subprocess
import sys

import pytest

from tests.helpers import crash_net, crash_phases, crash_points
from tests.helpers.tool_runs import ROOT
from tests.runs import crash_points_table

QUICK = ("search of invented ratings", "front")


@pytest.fixture(scope="module")
def quick_nets(tmp_path_factory):
    """The nets of two phases that load no TensorFlow."""
    root = tmp_path_factory.mktemp("nets")
    phases = crash_phases.plain_phases()
    return {name: crash_net.recorded(name, phases, root) for name in QUICK}


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """The folder of the nets of all phases, and the phases."""
    return tmp_path_factory.mktemp("nets"), crash_phases.phases()


@pytest.mark.parametrize("name", QUICK)
def test_a_search_goes_on_from_a_sample_of_its_crash_points(quick_nets, name):
    net, draws = quick_nets[name], random.Random(16)
    assert net.unseen() == []
    for state in draws.sample(net.states(), 4):
        assert net.go_on(state) == "", state
    for number in draws.sample(range(len(net.points)), 5):
        code = draws.choice(crash_net.ERRORS)
        assert net.fail(number, code)[1] == "", (net.points[number], errno.errorcode[code])


def test_a_killed_process_leaves_the_state_that_was_recorded(quick_nets):
    """The states are copies of the folder: a SIGKILL at the point leaves the same one."""
    net = quick_nets["front"]
    number = [point.kind for point in net.points].index("half")
    words = [sys.executable, "-m", "tests.helpers.crash_net"]
    words += [str(net.end.parents[1]), "front", str(number)]
    process = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert net.keep(net.run, 0) == net.points[number].state


def test_the_watch_sees_operations_of_all_kinds(tmp_path):
    seen = []
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    with crash_points.Watch(tmp_path / "here", lambda operation: seen.append(operation.kind)):
        with open(tmp_path / "here/one", "wb") as file:
            file.write(b"content")
            os.fsync(file.fileno())
        os.replace(tmp_path / "here/one", tmp_path / "here/two")
        os.makedirs(tmp_path / "here/a/b")
        os.rmdir(tmp_path / "here/a/b")
        (tmp_path / "here/two").unlink()
        (tmp_path / "elsewhere/one").write_text("not seen")
        (tmp_path / "elsewhere/one").read_text()
    assert seen == (
        ["open", "write", "half", "sync", "close", "rename", "mkdir", "mkdir", "rmdir", "remove"]
    )


def test_the_net_sees_what_is_wrong(tmp_path):
    """A phase that writes badly: in place, over rubbish, and again from the start."""

    def run(folder):
        place = folder / "result.txt"
        if place.exists():
            return
        (folder / "left.tmp").write_text("left")
        with open(place, "w") as file:
            file.write("whole")
        (folder / "left.tmp").unlink()

    phase = crash_phases.Phase("bad", run)
    net = crash_net.recorded("bad", {"bad": phase}, tmp_path)
    problems = {net.go_on(state) for state in net.states()}
    assert any(problem.startswith("another end: result.txt") for problem in problems)
    assert "left behind: left.tmp" in problems
    (number,) = [n for n, point in enumerate(net.points) if point.path.endswith("result.txt")][1:2]
    assert "names no file" in net.fail(number, errno.ENOSPC)[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", crash_phases.NAMES)
def test_every_crash_point(nets, name):
    root, phases = nets
    net = crash_net.recorded(name, phases, root)
    assert net.unseen() == []
    verdicts = crash_points_table.judge(net)
    assert {key: problem for key, (_, problem) in verdicts.items() if problem} == {}
