"""Locks: one writer at a time, nobody blocked by a process that is gone, and no traces."""

import errno
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from dna_tf.common import locks

ROOT = pathlib.Path(__file__).resolve().parents[2]
OTHER = """
import sys, time
from dna_tf.common import locks
with locks.hold(sys.argv[1], "it"):
    print("has it", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that has the lock of `tmp_path / "run/teacher"`."""
    words = [sys.executable, "-c", OTHER, str(tmp_path / "run/teacher")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout.readline() == "has it\n"
    yield process
    process.kill()
    process.communicate()


def take(path):
    """Takes and releases a lock."""
    with locks.hold(path, "The teacher"):
        pass


def in_a_thread(function, *arguments):
    """The error that a function raises in another thread, or `None`."""
    errors = []

    def run():
        try:
            function(*arguments)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def test_the_second_process_is_answered_in_one_sentence(other, tmp_path):
    path = tmp_path / "run/teacher"
    with pytest.raises(locks.InUse) as error:
        take(path)
    year = time.strftime("%Y-")
    start = f"The teacher is being written by process {other.pid} on {socket.gethostname()} since "
    assert str(error.value).startswith(start + year) and "Run this again" in str(error.value)
    assert locks.is_held(path)
    take(tmp_path / "run/supernet")  # another part of the run
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "run/.teacher.lock").exists() and not locks.is_held(path)
    take(path)  # what a killed process leaves blocks nobody
    assert list((tmp_path / "run").iterdir()) == []


def test_locks_of_killed_processes_are_removed_and_those_that_are_held_stay(other, tmp_path):
    lock = tmp_path / "run/.teacher.lock"
    files_of_others = [tmp_path / "run/.hidden", tmp_path / "run/flock.lock", tmp_path / "a/b.txt"]
    (tmp_path / "a").mkdir()
    for path in files_of_others:
        path.write_text("x")
    locks.remove_left(tmp_path)
    assert lock.exists()
    other.kill()
    other.wait()
    locks.remove_left(tmp_path, below=False)
    assert lock.exists()
    with locks.hold(tmp_path / "a/mine", "it"):
        locks.remove_left(tmp_path)
        assert not lock.exists() and (tmp_path / "a/.mine.lock").exists()
    assert all(path.exists() for path in files_of_others)
    locks.remove_left(tmp_path / "none")


def test_a_lock_leaves_no_file_and_no_folder(tmp_path):
    path = tmp_path / "a/b/result.json"
    with pytest.raises(KeyError), locks.hold(path, "it"):
        assert [p.name for p in path.parent.iterdir()] == [".result.json.lock"]
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with locks.hold(path, "it"):
        path.write_text("kept")
    assert [p.name for p in path.parent.iterdir()] == ["result.json"]


def test_a_thread_takes_its_lock_again_and_another_thread_does_not(tmp_path):
    path = tmp_path / "teacher"
    with locks.hold(path, "it"):
        take(path)
        assert locks.is_held(path)
        assert str(os.getpid()) in str(in_a_thread(take, path))
    assert in_a_thread(take, path) is None


def test_several_locks_are_taken_together_or_not_at_all(tmp_path):
    with locks.hold(tmp_path / "b", "it"):
        error = in_a_thread(
            lambda: locks.hold_all([tmp_path / "a", tmp_path / "b"], str).__enter__()
        )
        assert str(error).startswith(f"{tmp_path / 'b'} is being written by process {os.getpid()}")
        assert not locks.is_held(tmp_path / "a")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_system_without_locks_blocks_nobody(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    take(tmp_path / "teacher")
    assert not locks.is_held(tmp_path / "teacher")
    take("gs://no-such-bucket-of-a-test/run/teacher")
    assert not locks.is_held("gs://no-such-bucket-of-a-test/run/teacher")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="The teacher cannot be written: Not a directory.*file"):
        take(tmp_path / "file/run/teacher")

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(locks.os, "open", refuse)
    with pytest.raises(OSError, match="The teacher cannot be written: Read-only file system"):
        take(tmp_path / "teacher")


def test_never_two_at_once_while_lock_files_come_and_go(tmp_path):
    inside, counts = [], []

    def work():
        for _ in range(20):
            while True:
                try:
                    with locks.hold(tmp_path / "run/x", "it"):
                        inside.append(1)
                        counts.append(len(inside))
                        time.sleep(0.0005)
                        inside.pop()
                    break
                except locks.InUse:
                    pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1] * 80 and not [p for p in tmp_path.rglob("*") if p.is_file()]
