"""Zip archives from elsewhere, such as `.npz` and `.keras` files: how much they may unfold to."""

import zipfile

# A small archive can unfold to gigabytes. Weights hardly compress; masks of zeros do.
_MOST_RATIO = 200
_FREE_BYTES = 64 * 2**20


def check_size(file, length):
    """Checks that an archive unfolds to a size that fits its own.

    Args:
        file: the open file, or its path as text.
        length: its length in bytes.

    Raises:
        ValueError: it is not an archive, or unfolds to too much.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            unfolded = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is not a zip archive, or is truncated ({error}).") from error
    if unfolded > max(_FREE_BYTES, _MOST_RATIO * length):
        raise ValueError(
            f"it has {length:,} bytes and would unfold to {unfolded:,}: that is not a file of "
            "weights."
        )
