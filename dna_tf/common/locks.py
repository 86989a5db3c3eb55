"""Locks on parts of a run: two processes must not write the same files at the same time.

A lock is a hidden file beside what is written. It names its process, which has locked it with
`flock`. The operating system unlocks it when the process ends, also after a kill, so a lock that
was left behind blocks nobody. Remote paths and file systems without `flock` have no locks.
"""

import contextlib
import dataclasses
import errno
import json
import os
import socket
import threading
import time

from dna_tf.common import files

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_TRIES = 100  # of taking a lock whose file other processes remove
_BUSY_TRIES, _PAUSE = 5, 0.02  # `is_held` of another process has a lock for a moment, seconds
_MOST_BYTES = 4096  # of the text in a lock file
# The locks of this process: a thread may take a lock again that it has.
_own, _guard = {}, threading.Lock()


class InUse(OSError):
    """Another process is writing the same files."""


@contextlib.contextmanager
def hold(target, what, needed=True):
    """Context in which no other process writes the same files.

    Args:
        target: the file or folder that is written, local or remote. It need not exist.
        what: what is written, in words, such as `"The teacher in runs/digits/teacher"`.
        needed: `False` takes no lock: for workers that write nothing.

    Raises:
        InUse: another process, or another thread, has the lock; the message names it.
        OSError: the folder cannot be written.
    """
    path = _path(target)
    if not needed or fcntl is None or path is None:
        yield
        return
    key, thread = os.path.abspath(path), threading.get_ident()
    with _guard:
        is_again = _own.get(key) == thread
    if is_again:
        yield
        return
    folders = _make_parents(path, what)
    descriptor = None
    try:
        descriptor = _lock(path, what)
        with _guard:
            _own[key] = thread
        yield
    finally:
        with _guard:
            if descriptor is not None and _own.get(key) == thread:
                del _own[key]
        _release(path, descriptor, folders)


@contextlib.contextmanager
def hold_all(targets, what, needed=True):
    """Context with the locks of several targets, or of none of them.

    Args:
        targets: files or folders, as of `hold`.
        what: a function from a target to what is written, in words.
        needed: as of `hold`.
    """
    with contextlib.ExitStack() as stack:
        for target in targets:
            stack.enter_context(hold(target, what(target), needed))
        yield


def is_held(target):
    """Whether a process is writing a file or folder now, this one included."""
    path = _path(target)
    if fcntl is None or path is None or not os.path.exists(path):
        return False
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def remove_left(folder, below=True):
    """Removes the lock files of processes that were killed; locks that are held stay.

    Folders in which nothing else was go, too: `hold` made them.

    Args:
        folder: a local folder; others, and those that do not exist, are left alone.
        below: whether the folders below it are gone through, too.
    """
    if fcntl is None or "://" in str(folder):
        return
    folder = os.path.abspath(folder)
    for place, _, names in os.walk(folder):
        for name in filter(is_lock, names):
            with contextlib.suppress(OSError):  # it is held, of another user, or not alone
                _remove_unless_held(os.path.join(place, name))
                while below and os.path.commonpath([folder, place]) == folder:
                    os.rmdir(place)
                    place = os.path.dirname(place)
        if not below:
            return


def _remove_unless_held(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            os.unlink(path)
    finally:
        os.close(descriptor)


def is_lock(name):
    """Whether a file's name is that of a lock."""
    return name.startswith(".") and name.endswith(".lock")


@dataclasses.dataclass(frozen=True)
class _Owner:
    """The process that has a lock."""

    process: int
    host: str
    since: str

    def __str__(self):
        return f"process {self.process} on {self.host} since {self.since}"


def _path(target):
    target = files.as_path(target)
    remote = "://" in str(target)
    return None if remote else os.fspath(target.parent / f".{target.name}.lock")


def _make_parents(path, what):
    """Makes the folders of a lock, and returns those that were missing, deepest first."""
    missing, folder = [], os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise _not_writable(path, what, error) from error
    return missing


def _lock(path, what):
    """Takes a lock.

    Returns:
        A descriptor of its open file; `None` if the file system has no locks.
    """
    busy = 0
    for _ in range(_TRIES):
        try:
            descriptor = _open(path)
        except OSError as error:
            if error.errno == errno.ENOENT:  # its folder was removed by the last owner
                os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
                continue
            raise _not_writable(path, what, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(descriptor)
            os.close(descriptor)
            busy += 1
            if busy < _BUSY_TRIES:
                time.sleep(_PAUSE)
                continue
            raise InUse(
                f"{what} is being written by {owner}. Run this again when that process has "
                "ended; two at once would spoil each other's files."
            ) from None
        except OSError:  # a network file system without locks
            os.close(descriptor)
            return None
        if _is_at(descriptor, path):
            _sign(descriptor)
            return descriptor
        os.close(descriptor)  # its last owner removed the file meanwhile
    raise InUse(f"{what} is being written by other processes.")


def _open(path):
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        # The file of another user, who may have been killed: it can be locked all the same.
        if os.path.exists(path):
            return os.open(path, os.O_RDONLY)
        raise


def _is_at(descriptor, path):
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(descriptor):
    """Writes this process into its lock, for the messages of others."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    owner = _Owner(os.getpid(), socket.gethostname(), since)
    with contextlib.suppress(OSError):  # a full disk, or another user's file
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(dataclasses.asdict(owner)).encode())


def _owner(descriptor):
    """Who has a lock, in words."""
    try:
        content = json.loads(os.pread(descriptor, _MOST_BYTES, 0))
        return str(_Owner(**content))
    except (OSError, ValueError, TypeError):  # it is just being written
        return "another process"


def _release(path, descriptor, folders):
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.unlink(path)  # before it is unlocked, so that nobody locks a removed file
        os.close(descriptor)
    for folder in folders:  # as they were, if nothing was written
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _not_writable(path, what, error):
    folder = os.path.dirname(path) or "."
    return OSError(f"{what} cannot be written: {error.strerror or error} ({folder}).")
