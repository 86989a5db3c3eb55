"""Sees every operation that changes files below a folder, and lets any of them fail.

A `Watch` calls a function before each operation: of Python itself (an audit hook sees those of
all libraries: opening for writing, rename, mkdir, remove), writes, syncs and closes of the files
that Python opened, and TensorFlow's own: `tf.io.gfile`, checkpoints and TFRecord files. A write
has two points, before it and in its middle. The function may copy the folder, which is what a
process that died at this point would have left, or raise an error.
"""

import builtins
import contextlib
import dataclasses
import errno
import io
import os
import sys
import threading
from unittest import mock

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_active, _is_installed = None, False
_real_open, _real_sync = builtins.open, os.fsync


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation on a file.

    Args:
        number: its place in the order of operations, from 0.
        kind: such as `"rename"`, or `"tf rename"` for an operation of TensorFlow.
        path: of the file, relative to the watched folder.
        target: the new path of a rename or a copy, likewise.
    """

    number: int
    kind: str
    path: str
    target: str = ""


class Watch:
    """Counts the operations below a folder while its context is entered.

    Args:
        folder: an existing folder; operations elsewhere are not seen.
        before: called with each `Operation` before it is done; what it does itself is not seen.

    Attributes:
        unsynced: files that were written since they were last forced to the disk: after a power
            cut they may be empty.
    """

    def __init__(self, folder, before):
        self.folder, self._before = os.path.realpath(folder), before
        self._count, self._lock, self._own = 0, threading.RLock(), threading.local()
        self.unsynced = set()

    def __enter__(self):
        global _active
        _install()
        self._patches = contextlib.ExitStack()
        for owner, name, function in _replacements():
            self._patches.enter_context(mock.patch.object(owner, name, function))
        _active = self
        return self

    def __exit__(self, *_):
        global _active
        _active = None
        self._patches.close()

    def see(self, kind, path, other=None):
        """Counts an operation on a path if it lies below the folder."""
        if getattr(self._own, "busy", False):
            return
        inside = [name for name in map(self._inside, (path, other)) if name is not None]
        if not inside:
            return
        with self._lock, self.quiet():
            operation = Operation(self._count, kind, inside[0], inside[-1])
            self._count += 1
            self._before(operation)

    @contextlib.contextmanager
    def quiet(self):
        """Context in which this thread's operations are not seen."""
        before, self._own.busy = getattr(self._own, "busy", False), True
        try:
            yield
        finally:
            self._own.busy = before

    def covers(self, path):
        """Whether a path lies below the folder."""
        return not getattr(self._own, "busy", False) and self._inside(path) is not None

    def written(self, path):
        """Notes that a file was written and is not on the disk yet."""
        self.unsynced.add(os.path.realpath(os.fsdecode(path)))

    def synced(self, path):
        """Notes that a file was forced to the disk."""
        self.unsynced.discard(os.path.realpath(path))

    def renamed(self, old, new):
        """Notes that a file, or all files of a folder, have another name."""
        old, new = (os.path.realpath(os.fsdecode(path)) for path in (old, new))
        self.unsynced = {
            new + path[len(old) :] if f"{path}/".startswith(f"{old}/") else path
            for path in self.unsynced
            if not f"{path}/".startswith(f"{new}/")
        }

    def _inside(self, path):
        if path is None or isinstance(path, int):
            return None
        path = os.path.abspath(os.fsdecode(path))
        # TensorFlow writes the code of a function once, and does without if it cannot.
        if os.path.basename(path).startswith("__autograph_generated_file"):
            return None
        parent = os.path.realpath(os.path.dirname(path))
        path = os.path.join(parent, os.path.basename(path))
        if not path.startswith(self.folder + os.sep):
            return None
        return os.path.relpath(path, self.folder)


def error_of(operation, number, folder):
    """The error that an operation raises in reality.

    Args:
        operation: an `Operation`.
        number: of `errno`: `ENOSPC`, `EIO` or `EACCES`.
        folder: that is watched.
    """
    path = os.path.join(folder, operation.path)
    if not operation.kind.startswith("tf "):
        is_open = operation.kind in ("write", "half", "sync", "close")
        return OSError(number, os.strerror(number), *([] if is_open else [path]))
    import tensorflow as tf

    kinds = {
        errno.ENOSPC: tf.errors.ResourceExhaustedError,
        errno.EACCES: tf.errors.PermissionDeniedError,
        errno.EIO: tf.errors.UnknownError,
    }
    return kinds[number](None, None, f"{path}; {os.strerror(number)}")


# What Python does: an audit hook cannot be removed, so one is added once.


def _install():
    global _is_installed
    if not _is_installed:
        _is_installed = True
        sys.addaudithook(_audit)


def _audit(event, arguments):
    watch = _active
    if watch is None:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = flags & _WRITES if mode is None else set(mode) & set("wax+")
        if writes and not isinstance(path, int) and not _is_temporary_file(path):
            watch.see("open", path)
    elif event == "os.rename":
        source, target, source_folder, target_folder = arguments
        watch.see("rename", _at(source, source_folder), _at(target, target_folder))
        if watch.covers(source):
            watch.renamed(source, target)
    elif event in ("os.mkdir", "os.remove", "os.rmdir"):
        path = _at(arguments[0], arguments[-1])
        if os.path.lexists(path) != (event == "os.mkdir"):  # otherwise it changes nothing
            watch.see(event.partition(".")[2], path)
    elif event in ("os.link", "os.symlink"):
        watch.see(event.partition(".")[2], arguments[1])
    elif event == "os.truncate":
        watch.see("truncate", arguments[0])


def _is_temporary_file(path):
    return os.path.isdir(path)  # a file without a name, which O_TMPFILE opens


def _at(path, folder):
    if isinstance(folder, int) and folder >= 0:
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
    return path


def _replacements():
    """What is replaced while a watch is active: `(owner, name, function)`."""
    replaced = [(builtins, "open", _open), (io, "open", _open), (os, "fsync", _sync)]
    if "tensorflow" in sys.modules:
        from tests.helpers import tensorflow_crash_points

        replaced += tensorflow_crash_points.replacements(lambda: _active)
    return replaced


def _open(file, mode="r", *arguments, **named):
    watch = _active
    opened = _real_open(file, mode, *arguments, **named)
    if watch is None or not set(mode) & set("wax+") or not _is_path(file):
        return opened
    if os.path.isdir(file) or not watch.covers(file):
        return opened
    watch.written(file)
    return WrittenFile(opened, watch, os.path.abspath(file))


def _is_path(file):
    return isinstance(file, str | bytes | os.PathLike)


def _sync(number):
    watch = _active
    number = number if isinstance(number, int) else number.fileno()
    path = os.readlink(f"/proc/self/fd/{number}")
    if watch is not None and watch.covers(path):
        watch.see("sync", path)
        watch.synced(path)
    # The test does not pull the plug: nothing needs to reach the disk.


class WrittenFile:
    """A file that Python opened for writing, whose writes are seen."""

    def __init__(self, file, watch, path):
        self.__dict__.update(_file=file, _watch=watch, _path=path)

    def write(self, data):
        """Writes in two halves."""
        count = len(data)
        if not isinstance(data, str | bytes):
            data = memoryview(data).cast("B")
            count = data.nbytes
        self._watch.see("write", self._path)
        self._file.write(data[: count // 2])
        self._file.flush()
        self._watch.see("half", self._path)
        self._file.write(data[count // 2 :])
        self._watch.written(self._path)
        return count

    def writelines(self, lines):
        """Writes each line."""
        for line in lines:
            self.write(line)

    def close(self):
        """Closes the file."""
        if not self._file.closed:
            try:
                self._watch.see("close", self._path)
            finally:
                self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return iter(self._file)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __setattr__(self, name, value):
        setattr(self._file, name, value)
