"""Named arrays in .npz files: written atomically, read whole, no pickle."""

import io
import zipfile
import zlib

import numpy as np

from dna_tf import files

# What NumPy raises for a damaged archive depends on which of its bytes are wrong.
_DAMAGE = (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


def write(path, arrays):
    """Writes named arrays, a dict, to a .npz file, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    files.write_bytes(path, buffer.getvalue())


def read(path, hint):
    """Reads all arrays of a .npz file.

    Args:
        path: the file.
        hint: what the user can do if the file is damaged; it ends the error message.

    Returns:
        A dict from name to array.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated or damaged, or holds Python objects.
    """
    path = files.as_path(path)
    try:
        return decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"The file {path} is truncated or damaged: {error} {hint}") from error


def decode(content):
    """Reads all arrays of the bytes of a .npz file.

    Returns:
        A dict from name to array.

    Raises:
        ValueError: it is no such file, damaged, or holds Python objects; a sentence that
            says why.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("it is no .npz archive, or is cut off.")
    try:
        # Arrays are read from the archive when they are asked for: all of them here.
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except _DAMAGE as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ValueError(f"{reason.rstrip('.')}.") from error
