"""Files that survive a kill at any moment: atomic writes, checked JSON, arrays without pickle.

Every path may be local or remote (`gs://...`): all access goes through
`etils.epath`, which imports TensorFlow only when a remote path needs it.
"""

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import re
import socket
import uuid
import zipfile
import zlib

import numpy as np
from etils import epath

from dna_tf.common import archives, checks, file_fields


def as_path(path):
    """Turns a string or path object into an `epath.Path`, local or remote."""
    return epath.Path(os.path.expanduser(os.fspath(path)))


def write_bytes(path, content):
    """Writes `content` to `path` atomically: readers see the old file or the new one.

    Args:
        path: the file; missing folders are created.
        content: `bytes`.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacing(path, suffix=".tmp"):
    """Context that gives a temporary path beside `path`; what is written there replaces `path`.

    On a local disk the file is on the disk before it gets its name, so that not even a power cut
    leaves a name without content. Temporary files that killed processes left are removed.

    Args:
        path: a file, or the name of a folder that does not exist yet; missing folders are created.
        suffix: the end of the temporary name, for writers that insist on one.

    Raises:
        OSError: it cannot be written, for example on a full disk; the message names the file. The
            old file stays.
    """
    path = as_path(path)
    temporary = path.parent / f".{path.name}.{_process()}-{uuid.uuid4().hex[:8]}{suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _writing.add(temporary.name)
        _remove_left(path)
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        finally:
            _writing.discard(temporary.name)
    except OSError as error:
        raise unwritable(path, error) from error
    # The new name itself. Some file systems cannot do this; the file is whole in any case.
    with contextlib.suppress(OSError):
        _sync(path.parent)


def unwritable(path, error):
    """Returns the error that says which file could not be written, and what to do.

    Args:
        path: the file.
        error: an `OSError`, whose class and `errno` are kept, or TensorFlow's.
    """
    kind = type(error) if isinstance(error, OSError) else OSError
    number = _TENSORFLOW.get(type(error).__name__, getattr(error, "errno", None))
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    reason = text.strip().splitlines()[0].rstrip(".")
    advice = "Run again; if it happens again, look at the disk."
    if number in (errno.ENOSPC, errno.EDQUOT):
        advice = "Make room on its disk and run again."
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "Allow writing into its folder, or take another folder."
    problem = kind(f"The file {path} could not be written: {reason}. {advice}")
    problem.errno = number
    return problem


# TensorFlow's errors of a full disk or quota, and of missing rights.
_TENSORFLOW = {"ResourceExhaustedError": errno.ENOSPC, "PermissionDeniedError": errno.EACCES}


def sync(path):
    """Forces a local file, or all files of a local folder, to the disk."""
    path = as_path(path)
    if "://" in str(path):
        return
    for folder, _, names in os.walk(path):
        for name in names:
            _sync(os.path.join(folder, name))
        _sync(folder)
    if not path.is_dir():
        _sync(path)


def _sync(path):
    if "://" in str(path):
        return
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# Temporary names of files that this process writes now.
_writing = set()


def _process():
    """Text that names this process on this machine."""
    return f"{fingerprint(socket.gethostname())[:6]}-{os.getpid()}"


def remove_left(folder, below=True):
    """Removes temporary files of `replacing` whose processes were killed, on this machine.

    Args:
        folder: a local folder; others, and those that do not exist, are left alone.
        below: whether the folders below it are gone through, too.
    """
    if "://" in str(folder):
        return
    for place, _, names in os.walk(folder):
        for name in names:
            _remove_if_left(place, name)
        if not below:
            return


def _remove_left(path):
    """Removes what killed processes left of one file."""
    if "://" not in str(path):
        for name in os.listdir(path.parent):
            if name.startswith(f".{path.name}."):
                _remove_if_left(path.parent, name)


_LEFT = re.compile(r"\..+\.([0-9a-f]{6})-(\d+)-[0-9a-f]{8}\.tmp(\.\w+)?")


def _remove_if_left(folder, name):
    match = _LEFT.fullmatch(name)
    is_ours = match and match[1] == _process().partition("-")[0]
    if is_ours and name not in _writing and not _runs_elsewhere(int(match[2])):
        with contextlib.suppress(OSError):
            os.remove(os.path.join(folder, name))


def _runs_elsewhere(number):
    """Whether a process of this number runs that is not this one."""
    if number == os.getpid():
        return False
    if os.name != "posix":
        return True
    try:
        os.kill(number, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_text(path, text):
    """Writes `text` as UTF-8 to `path`, atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path, value):
    """Writes `value` as indented JSON to `path`, atomically.

    Floats keep all their bits (`repr` form). NaN and infinity are refused, because JSON cannot
    express them for every reader.
    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path, kind, hint):
    """Reads a JSON object written by this project.

    Args:
        path: the file.
        kind: the value that its `"kind"` entry must have, such as
            `"dna_tf.architecture"`; `None` accepts any object.
        hint: what the user can do if the file is missing or broken, for the end of the
            error message.

    Returns:
        The object as a dict.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON (for example truncated), of another kind, or a field of
            it has a value that it cannot have. A field that is missing raises when it is used.
    """
    path = as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. {hint}")
    try:
        value = _parse(path.read_bytes(), lambda name: f"The file {path} has no {name!r}. {hint}")
    except _NotOfThisProject as error:
        raise ValueError(f"The file {path} cannot be used: {error}. {hint}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"The file {path} is not complete JSON: it is truncated or not a "
            f"file of this project ({error}). {hint}"
        ) from error
    if not isinstance(value, dict):
        raise ValueError(
            f"The file {path} was expected to have a JSON object, and has a "
            f"{type(value).__name__}. {hint}"
        )
    if kind is not None and value.get("kind") != kind:
        raise ValueError(
            f'The file {path} was expected to be of kind "{kind}". Received: '
            f"kind={checks.short_repr(value.get('kind'))}. {hint}"
        )
    check = file_fields.FIELDS.get(kind)
    if check is not None:
        try:
            check(value, "")
        except ValueError as error:
            raise ValueError(f"The file {path} cannot be used. {error} {hint}") from error
    return value


class _NotOfThisProject(ValueError):
    """The text is JSON for some readers, and this project does not write such."""


class _Object(dict):
    """A JSON object; a field that it does not have is an error with the name of the file."""

    def __init__(self, pairs, missing):
        super().__init__(pairs)
        self._missing = missing

    def __missing__(self, name):
        raise ValueError(self._missing(name))

    def __reduce__(self):  # copies are plain
        return dict, (dict(self),)


def _parse(content, missing):
    """The value of a JSON text, in which nothing is ambiguous or larger than a float.

    Args:
        content: bytes.
        missing: `missing(name)` is the error for a field that is not there.
    """
    text = content.decode("utf-8")

    def read_object(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            (name, *_) = [name for name in names if names.count(name) > 1]
            raise _NotOfThisProject(f"the field {checks.short_repr(name)} is there twice")
        return _Object(pairs, missing)

    value = json.loads(
        text, object_pairs_hook=read_object, parse_float=_finite, parse_constant=_finite
    )
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()  # halves of characters cannot be written
    return value


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise _NotOfThisProject(f"{checks.short_repr(text)} is not a number of JSON")
    return number


def fingerprint(value):
    """Returns 16 hexadecimal digits that identify a JSON-able value or bytes."""
    if not isinstance(value, bytes):
        value = json.dumps(value, sort_keys=True, allow_nan=False).encode()
    return hashlib.sha256(value).hexdigest()[:16]


# NumPy raises different errors for a damaged archive, depending on which bytes are wrong.
_DAMAGE = (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
_DAMAGE += (TypeError, MemoryError, SyntaxError, IndexError, OverflowError, AttributeError)


def write_arrays(path, arrays):
    """Writes named arrays, a dict, to a .npz file, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def read_arrays(path, hint):
    """Reads all arrays of a .npz file.

    Args:
        path: the file.
        hint: what the user can do if the file is damaged, for the end of the error message.

    Returns:
        A dict from name to array.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated or damaged, or contains Python objects.
    """
    path = as_path(path)
    try:
        return decode_arrays(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"The file {path} is truncated or damaged: {error} {hint}") from error


def decode_arrays(content):
    """Reads all arrays of the bytes of a .npz file.

    Returns:
        A dict from name to array.

    Raises:
        ValueError: they are not such a file, are damaged, or contain Python objects.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("it is not an .npz archive, or is truncated.")
    archives.check_size(io.BytesIO(content), len(content))
    try:
        # An archive reads its arrays lazily; dict() reads all of them here.
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except _DAMAGE as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ValueError(f"{reason.rstrip('.')}.") from error
