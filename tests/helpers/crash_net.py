"""Runs a phase to every crash point and goes on from there: what is left, repeated, said.

A process that dies at a point leaves the folder as it is at this moment. So one run of a phase
gives all these states: the folder is copied before every operation, equal states once. After a
power cut, files that were not forced to the disk may be empty: a second state. From each state
the same command goes on, and its end is compared with that of the run that was not disturbed.

An operation that fails, on a full disk say, needs a run of its own. Its error must be one clear
sentence, and from what it leaves the command goes on as from the other states.
"""

import contextlib
import dataclasses
import errno
import io
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

from dna_tf.common import locks
from tests.helpers import crash_phases, crash_points, crash_states, crash_work

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
# Operations that a full disk does not stop.
_WITHOUT_ROOM = ("remove", "rmdir", "rename", "tf remove", "tf rename", "close", "tf close")


@dataclasses.dataclass
class Point:
    """A crash point: an operation, and the states of the folder before it.

    Args:
        kind, path, target: of the `crash_points.Operation`.
        state: name of the state that a death leaves.
        after_power_cut: name of the state that a power cut leaves.
        saved: units of work that were safe.
    """

    kind: str
    path: str
    target: str
    state: str
    after_power_cut: str
    saved: int


class Net:
    """All crash points of one phase.

    Args:
        phase: a `crash_phases.Phase`.
        root: a folder for everything; `root/start` has the state that the phase starts from.

    Attributes:
        points: the `Point`s, after `record`.
        work: units of work of the run that was not disturbed.
    """

    def __init__(self, phase, root):
        self.phase, self._root = phase, root
        self._place, self._states = root / "place", root / "states"
        self.run, self.start, self.end = self._place / "run", root / "start", root / "end"
        self.points, self.work, self._saved, self._verdicts = [], 0, {}, {}

    def record(self):
        """Runs the phase undisturbed and copies every state; keeps its end in `root/end`."""

        def before(operation):
            unsynced = watch.unsynced
            state = self.keep(self.run, counter["saved"])
            lost = self.keep(self.run, counter["saved"], unsynced)
            self.points.append(
                Point(
                    operation.kind,
                    operation.path,
                    operation.target,
                    state,
                    lost,
                    counter["saved"],
                )
            )

        self._states.mkdir()
        self.fresh(self.start)
        with (
            crash_work.counting(self.phase) as counter,
            crash_points.Watch(self._place, before) as watch,
        ):
            self._do()
        self.work = counter["done"]
        shutil.copytree(self.run, self.end)
        self._end = crash_states.results(self.start if self.phase.back else self.end)
        (self._root / "record.json").write_text(
            json.dumps(
                {
                    "points": [dataclasses.asdict(point) for point in self.points],
                    "work": self.work,
                    "saved": self._saved,
                }
            )
        )

    def load(self):
        """Reads what `record` kept; returns whether there is anything."""
        path = self._root / "record.json"
        if not path.exists():
            return False
        record = json.loads(path.read_text())
        self.points = [Point(**fields) for fields in record["points"]]
        self.work, self._saved = record["work"], record["saved"]
        self._end = crash_states.results(self.start if self.phase.back else self.end)
        return True

    def unseen(self):
        """Files that the phase wrote and no point names: they were written past the watch."""
        seen = tuple(f"{place}" for point in self.points for place in (point.path, point.target))
        before = {path.relative_to(self.start) for path in self.start.rglob("*")}
        written = [path.relative_to(self.end) for path in self.end.rglob("*") if path.is_file()]
        return [
            str(path)
            for path in sorted(written)
            if path not in before and not f"run/{path}".startswith(seen)
        ]

    def states(self):
        """The names of all different states, in the order in which they come up."""
        names = [name for point in self.points for name in (point.state, point.after_power_cut)]
        return list(dict.fromkeys(names))

    def trust(self, state):
        """Notes that the command went on rightly from a state, in an earlier process."""
        self._verdicts[state] = ""

    def go_on(self, state):
        """Starts the phase from a state.

        Returns:
            `""`, or what is wrong: an error, another end, rubbish, or work that was done again.
        """
        if state in self._verdicts:
            return self._verdicts[state]
        self._restore(state)
        problem = ""
        with crash_work.counting(self.phase) as counter:
            try:
                self._do(self.phase.back or self.phase.run)
            except Exception as error:  # whatever it is, a user sees it
                problem = f"the next start fails: {type(error).__name__}: {error}"
        saved = 0 if self.phase.back else self._saved[state]
        self._verdicts[state] = problem or self._compare(counter["done"], saved)
        return self._verdicts[state]

    def fail(self, number, code):
        """Lets an operation fail, and goes on without the failure.

        Args:
            number: of the point.
            code: of `errno`. A full disk stays full, a place without rights stays so, a defect
                occurs once.

        Returns:
            `(outcome, problem)`: `"went on"`, `"clear error"` or `"no such point"`, and what is
            wrong, or `""`.
        """
        failed = []

        def before(operation):
            repeats = failed and _fails_again(failed[0], operation, code)
            if operation.number == number or repeats:
                failed.append(operation)
                raise crash_points.error_of(operation, code, self._place)

        self.fresh(self.start)
        problem, outcome = "", "went on"
        with (
            crash_work.counting(self.phase) as counter,
            crash_points.Watch(self._place, before),
        ):
            try:
                self._do()
            except Exception as error:
                outcome, problem = "clear error", _unclear(error, self._place)
        if not failed:
            return "no such point", ""
        # A lock that cannot be removed holds nobody up, and goes at the next start.
        is_lock = any(locks.is_lock(pathlib.Path(each.path).name) for each in failed)
        if outcome == "went on" and not self.phase.back and not is_lock:
            problem = self._compare(counter["done"], 0)
            return outcome, problem
        state = self.keep(self.run, counter["saved"])
        return outcome, problem or self.go_on(state)

    def fresh(self, source):
        """Copies a folder to where the phase runs; with `None` that place is empty."""
        shutil.rmtree(self._place, ignore_errors=True)
        (self._place / "tmp").mkdir(parents=True)
        if source is None:
            self.run.mkdir()
        else:
            shutil.copytree(source, self.run)

    def _do(self, run=None):
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            _temporary_folder(self._place / "tmp"),
            crash_phases.in_seconds(),
        ):
            _forget_models()
            (run or self.phase.run)(self.run)

    def keep(self, folder, saved, emptied=()):
        """Keeps a copy of a state unless there is an equal one; returns its name."""
        empty = {path for path in emptied if path.startswith(f"{folder}/")}
        state = crash_states.name_of(folder, empty)
        # What is safe in one of two equal states is safe in the other.
        self._saved[state] = max(self._saved.get(state, 0), saved)
        path = self._states / f"{state}.json"
        if not path.exists():
            path.write_text(json.dumps(self._store(folder, empty)))
        return state

    def _store(self, folder, empty):
        """Copies the files of a folder that are new; returns a dict from name to copy."""
        names = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            names[name] = None
            if not path.is_dir():
                names[name] = "" if str(path) in empty else crash_states.digest(path)
                copy = self._states / (names[name] or "empty")
                if not copy.exists():
                    copy.write_bytes(path.read_bytes() if names[name] else b"")
        return names

    def _restore(self, state):
        self.fresh(None)
        names = json.loads((self._states / f"{state}.json").read_text())
        for name, copy in names.items():
            target = self.run / name
            if copy is None:
                target.mkdir()
            else:
                shutil.copyfile(self._states / (copy or "empty"), target)

    def _compare(self, done, saved):
        """What is wrong with the end of a run, in words."""
        received = crash_states.results(self.run)
        names = {*self._end, *received}
        differing = sorted(n for n in names if self._end.get(n) != received.get(n))
        differing = [name for name in differing if not re.search(self.phase.may_leave, name)]
        if differing:
            return f"another end: {', '.join(differing[:4])}"
        rubbish = [
            str(path.relative_to(self.run))
            for path in sorted(self.run.rglob("*"))
            if crash_states.TEMPORARY.search(f"/{path.relative_to(self.run)}")
        ]
        if rubbish:
            return f"left behind: {', '.join(rubbish[:4])}"
        if done > self.work - saved:
            return f"work done again: {done} units, {saved} of {self.work} were safe"
        return ""


def recorded(name, phases, root):
    """The net of a phase, recorded now unless it was before.

    Args:
        name: of the phase.
        phases: the dict of `crash_phases.phases()` or of some of them.
        root: the folder of all nets. The phases before this one are run in it, too.
    """
    phase, folder = phases[name], root / name.replace(" ", "_")
    net = Net(phase, folder)
    if net.load():
        return net
    shutil.rmtree(folder, ignore_errors=True)
    net.run.mkdir(parents=True)
    if phase.after:
        shutil.copytree(recorded(phase.after, phases, root).end, net.start)
    else:
        phase.prepare(net.run)
        shutil.copytree(net.run, net.start)
    net.record()
    return net


def _fails_again(first, operation, code):
    """Whether an operation fails as an earlier one did."""
    if code == errno.ENOSPC:
        return operation.kind not in _WITHOUT_ROOM
    if code == errno.EACCES:
        return operation.path.rpartition("/")[0] == first.path.rpartition("/")[0]
    return False


def _unclear(error, place):
    """What is unclear about an error, in words, or `""`."""
    text = str(error)
    if not isinstance(error, ValueError | OSError):
        return f"a traceback: {type(error).__name__}: {text[:300]}"
    if "\n" in text or not text or len(text) > 600:
        return f"an error of {len(text.splitlines())} lines: {type(error).__name__}: {text[:300]}"
    if str(place) not in text:
        return f"an error that names no file: {type(error).__name__}: {text}"
    return ""


def die(root, name, number):
    """Runs a plain phase from its start, and ends the process at a point as a kill does."""

    def before(operation):
        if operation.number == number:
            os.kill(os.getpid(), signal.SIGKILL)

    net = recorded(name, crash_phases.plain_phases(), pathlib.Path(root))
    net.fresh(net.start)
    with crash_points.Watch(net.run.parent, before):
        net.phase.run(net.run)


@contextlib.contextmanager
def _temporary_folder(path):
    before, tempfile.tempdir = tempfile.tempdir, str(path)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _forget_models():
    if "keras" in sys.modules:  # a new process counts the names of layers anew
        sys.modules["keras"].backend.clear_session()


if __name__ == "__main__":
    die(sys.argv[1], sys.argv[2], int(sys.argv[3]))
