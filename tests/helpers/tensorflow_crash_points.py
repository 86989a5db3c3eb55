"""TensorFlow's own operations on files, which Python does not see, for `crash_points`.

They are `tf.io.gfile`, the two ops that write a checkpoint, and TFRecord files.
"""

import functools
import os

import tensorflow as tf
from tensorflow.python.lib.io import _pywrap_file_io
from tensorflow.python.ops import gen_io_ops, io_ops

_OPERATIONS = {
    "CreateDir": "mkdir",
    "RecursivelyCreateDir": "mkdir",
    "RenameFile": "rename",
    "CopyFile": "copy",
    "DeleteFile": "remove",
    "DeleteRecursively": "remove",
}
_real_save, _real_merge = io_ops.save_v2, gen_io_ops.merge_v2_checkpoints
_RealWriter, _RealFile = tf.io.TFRecordWriter, _pywrap_file_io.WritableFile


def replacements(active):
    """What a watch replaces: a list of `(owner, name, function)`.

    Args:
        active: a function that returns the active `crash_points.Watch`.
    """
    replaced = [
        (_pywrap_file_io, name, functools.partial(_operation, active, name, kind))
        for name, kind in _OPERATIONS.items()
    ]
    return [
        *replaced,
        (_pywrap_file_io, "WritableFile", functools.partial(_GfileWriter, active)),
        (tf.io, "TFRecordWriter", functools.partial(_RecordWriter, active)),
        (io_ops, "save_v2", functools.partial(_save, active)),
        (gen_io_ops, "merge_v2_checkpoints", functools.partial(_merge, active)),
    ]


_REAL = {name: getattr(_pywrap_file_io, name) for name in _OPERATIONS}


def _operation(active, name, kind, *arguments):
    watch = active()
    paths = [path for path in arguments if isinstance(path, str | bytes)]
    exists = name == "RecursivelyCreateDir" and os.path.isdir(paths[0])
    if watch is not None and not exists:
        watch.see(f"tf {kind}", *paths[:2])
        if kind == "rename" and watch.covers(paths[0]):
            watch.renamed(*paths[:2])
        elif kind == "copy" and watch.covers(paths[1]):
            watch.written(paths[1])
    return _REAL[name](*arguments)


def _cut(path):
    """Keeps half of a file; returns what was in it."""
    with open(path, "rb") as file:
        content = file.read()
    os.truncate(path, len(content) // 2)
    return content


def _seen_in_half(watch, kind, path):
    """Lets a watch see a complete file as it was when half of it was written."""
    with watch.quiet():
        content = _cut(path)
    watch.see(kind, path)
    with watch.quiet():
        with open(path, "wb") as file:
            file.write(content)


class _GfileWriter:
    """A file that `tf.io.gfile` opened for writing."""

    def __init__(self, active, path, mode):
        self._watch, self._path = active(), os.fsdecode(path)
        if self._watch is not None:
            self._watch.see("tf open", self._path)
        self._file = _RealFile(path, mode)

    def append(self, content):
        if self._watch is not None and self._watch.covers(self._path):
            self._watch.see("tf write", self._path)
            self._watch.written(self._path)
            half = len(content) // 2
            self._file.append(content[:half])
            self._file.flush()
            self._watch.see("tf half", self._path)
            content = content[half:]
        self._file.append(content)

    def close(self):
        if self._watch is not None:
            self._watch.see("tf close", self._path)
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


class _RecordWriter:
    """A TFRecord file: opened, first record, half of it on the disk, closed."""

    def __init__(self, active, path, options=None):
        self._watch, self._path, self._wrote = active(), os.fspath(path), False
        if self._watch is not None:
            self._watch.see("tf open", self._path)
        self._writer = _RealWriter(path, options)

    def write(self, record):
        if self._watch is not None and not self._wrote:
            self._watch.see("tf write", self._path)
            if self._watch.covers(self._path):
                self._watch.written(self._path)
        self._wrote = True
        self._writer.write(record)

    def flush(self):
        if self._watch is not None:
            self._watch.see("tf flush", self._path)
        self._writer.flush()

    def close(self):
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        writer.close()
        if self._watch is not None and self._watch.covers(self._path):
            _seen_in_half(self._watch, "tf half", self._path)
            self._watch.see("tf close", self._path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _text(tensor):
    return tensor.numpy().decode() if hasattr(tensor, "numpy") else os.fsdecode(tensor)


def _save(active, prefix, *arguments, **named):
    """Writes the tensors of a checkpoint: a file of data and one of names."""
    watch = active()
    if watch is None or not tf.executing_eagerly() or not watch.covers(_text(prefix)):
        return _real_save(prefix, *arguments, **named)
    path = _text(prefix)
    watch.see("tf checkpoint", path)
    result = _real_save(prefix, *arguments, **named)
    data, index = f"{path}.data-00000-of-00001", f"{path}.index"
    watch.written(data)
    watch.written(index)
    with watch.quiet():
        with open(index, "rb") as file:
            content = file.read()
        os.remove(index)
    _seen_in_half(watch, "tf checkpoint half", data)
    watch.see("tf checkpoint names", index)
    with watch.quiet():
        with open(index, "wb") as file:
            file.write(content)
    return result


def _merge(active, prefixes, target, *arguments, **named):
    """Gives the files of a checkpoint their names, then writes its index, then cleans up."""
    watch = active()
    if watch is None or not tf.executing_eagerly() or not watch.covers(_text(target)):
        return _real_merge(prefixes, target, *arguments, **named)
    path, temporary = _text(target), os.path.dirname(_text(prefixes[0]))
    watch.see("tf merge", path)
    with watch.quiet():
        before = os.path.join(temporary, os.path.basename(_text(prefixes[0])) + ".index")
        with open(before, "rb") as file:
            content = file.read()
    result = _real_merge(prefixes, target, *arguments, **named)
    index = f"{path}.index"
    watch.written(f"{path}.data-00000-of-00001")
    watch.written(index)
    with watch.quiet():
        with open(index, "rb") as file:
            merged = file.read()
        os.makedirs(temporary)
        with open(before, "wb") as file:
            file.write(content)
        os.remove(index)
    watch.see("tf merge names", index)  # the data has its name, the index is missing
    with watch.quiet():
        with open(index, "wb") as file:
            file.write(merged)
    _seen_in_half(watch, "tf merge half", index)
    watch.see("tf merge remove", temporary)  # all is there, and what was temporary too
    with watch.quiet():
        os.remove(before)
        os.rmdir(temporary)
    return result
