"""Remote folders: whether they can be reached, in words, before any work."""

import threading

from dna_tf.common import checks, progress

_WORD_AFTER = 15.0  # seconds; clients of storage try again for minutes


def reached(path):
    """Returns a path after checking that its place can be reached, if it is remote.

    Args:
        path: an `epath.Path`.

    Raises:
        OSError: it cannot; the message has the reason, and what is needed.
    """
    if "://" not in str(path):
        return path
    words = f"still trying to reach {path}; if there is no network, press Ctrl-C"
    timer = threading.Timer(_WORD_AFTER, progress.warn, [words])
    timer.daemon = True
    timer.start()
    try:
        path.exists()
    except Exception as error:  # of TensorFlow, fsspec or a client of the storage: all their own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise OSError(
            f"The remote folder {path} cannot be reached: {checks.cut(lines[0], 300).rstrip('.')}. "
            "Check its name, the network and your credentials. gs:// needs no further package; "
            "other places need the fsspec package of their kind, such as s3fs for s3://."
        ) from error
    finally:
        timer.cancel()
    return path
