"""Files that survive a kill at any moment: atomic writes, checked JSON, arrays without pickle.

Every path may be local or remote (`gs://...`): all access goes through
`etils.epath`, which imports TensorFlow only when a remote path needs it.
"""

import hashlib
import io
import json
import os
import uuid
import zipfile
import zlib

import numpy as np
from etils import epath


def as_path(path):
    """Turns a string or path object into an `epath.Path`, local or remote."""
    return epath.Path(os.path.expanduser(os.fspath(path)))


def write_bytes(path, content):
    """Writes `content` to `path` atomically: readers see the old file or the new one.

    The bytes are written to a temporary file beside it first, which then replaces `path`.

    Args:
        path: the file; missing folders are created.
        content: `bytes`.
    """
    path = as_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
        ValueError: the file is not JSON (for example truncated) or of another kind.
    """
    path = as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. {hint}")
    try:
        value = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
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
            f"kind={value.get('kind')!r}. {hint}"
        )
    return value


def fingerprint(value):
    """Returns 16 hexadecimal digits that identify a JSON-able value or bytes."""
    if not isinstance(value, bytes):
        value = json.dumps(value, sort_keys=True, allow_nan=False).encode()
    return hashlib.sha256(value).hexdigest()[:16]


# NumPy raises different errors for a damaged archive, depending on which bytes are wrong.
_DAMAGE = (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


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
    try:
        # An archive reads its arrays lazily; dict() reads all of them here.
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except _DAMAGE as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ValueError(f"{reason.rstrip('.')}.") from error
