"""Checkpoints of a training run: variables and position, saved as one, never half.

TensorFlow's own checkpoints are used: their tensors carry checksums, a save is
valid only once it is whole, and they work on remote paths.
"""
# MERGED: 'SIGTERM in a training: caught, so that a checkpoint comes before the end.'

import json
import re
import signal
import sys
import threading

import tensorflow as tf

from dna_tf.common import files, progress

# Errors that say nothing about the files: an older checkpoint would not help.
_NOT_THE_FILES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnauthenticatedError,
    tf.errors.UnavailableError,
)


class Checkpoint:
    """Saves and restores variables together with a small state.

    Args:
        folder: where the checkpoints lie; made when needed.
        variables: `tf.Variable`s, always in the same order.
        keep: how many checkpoints to keep.
    """

    def __init__(self, folder, variables, keep=2):
        self._state = tf.Variable("", dtype=tf.string, trainable=False)
        self._checkpoint = tf.train.Checkpoint(variables=list(variables), state=self._state)
        self._folder = files.as_path(folder)
        self._keep = keep
        self._damaged = set()

    def save(self, state):
        """Saves the variables and a JSON-able `state`; deletes checkpoints that are too old.

        Floats keep all their bits. The new checkpoint is the newest from then on, also
        after damaged ones.

        Raises:
            OSError: it cannot be written, such as on a full disk; those of before stay.
            ValueError: the state holds NaN or infinity.
        """
        self._state.assign(json.dumps(state, allow_nan=False))
        # Not one more than was restored: that may be the number of a damaged one.
        number = max(self._found(), default=0)
        self._checkpoint.save_counter.assign(number)
        try:
            self._checkpoint.save(str(self._folder / "ckpt"))  # cleans up after a failure
        except (tf.errors.OpError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            reason = re.sub(r"\{\{.*?\}\} | \[Op:.*?\]", "", reason)  # which op it was in
            raise OSError(
                f"The checkpoint {self._folder / f'ckpt-{number + 1}'} could not be written: "
                f"{reason} If the disk is full, make room; the same command goes on from the "
                "checkpoint before."
            ) from error
        self._delete_old()

    def restore(self):
        """Restores the newest checkpoint that is whole, with a warning for each newer one.

        Returns:
            The saved state, or `None` if there is no checkpoint.

        Raises:
            ValueError: there are checkpoints, and none can be read.
        """
        # The files themselves: TensorFlow's own list of them may be damaged or missing, and
        # training would start anew without a word.
        found = self._found()
        for number in sorted(found, reverse=True):
            path = self._folder / f"ckpt-{number}"
            try:
                if not _has_index(found[number]):
                    raise ValueError("its index is missing: deleted, or saving was cut off")
                self._checkpoint.restore(str(path)).assert_consumed()
                return json.loads(self._state.numpy())
            except _NOT_THE_FILES:
                raise
            except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
                self._damaged.add(number)
                reason = str(error).splitlines()[0]
                progress.warn(f"checkpoint {path} cannot be used: {reason}")
        if not found or (list(found) == [1] and not _has_index(found[1])):
            return None  # nothing, or a first save that was cut off: its index comes last
        raise ValueError(
            f"None of the {len(found)} checkpoints in {self._folder} can be read. "
            "Delete that folder to train from the start."
        )

    def _found(self):
        """The files of each checkpoint, by its number."""
        found = {}
        for path in self._folder.glob("ckpt-*"):
            number = re.fullmatch(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)", path.name)
            if number:
                found.setdefault(int(number[1]), []).append(path)
        return found

    def _delete_old(self):
        found = self._found()
        whole = sorted(found.keys() - self._damaged)
        for number in found.keys() - set(whole[-self._keep :]):
            # The index first: what is left without it is no checkpoint.
            for path in sorted(found[number], key=lambda path: path.suffix != ".index"):
                path.unlink()
        for path in self._folder.glob("ckpt-*_temp"):  # of saves that were cut off
            path.rmtree()


def _has_index(paths):
    return any(path.suffix == ".index" for path in paths)


class Sigterm:
    """Catches SIGTERM while it is entered, in the main thread; then ends the program.

    Args:
        says: whether it says so.

    Attributes:
        received: whether there was a SIGTERM.
    """

    def __init__(self, says):
        self.received = False
        self._says = says
        self._catches = threading.current_thread() is threading.main_thread()
        self._usual = signal.SIG_DFL

    def __enter__(self):
        if self._catches:
            self._usual = signal.signal(signal.SIGTERM, self._catch)
        return self

    def __exit__(self, kind, error, trace):
        if self._catches:
            # It is None if it was not Python that set it.
            usual = signal.SIG_DFL if self._usual is None else self._usual
            signal.signal(signal.SIGTERM, usual)
        if self.received and error is None:
            if self._says:
                text = "Stopped by SIGTERM after a checkpoint; the same command goes on."
                print(text, file=sys.stderr, flush=True)
            raise SystemExit(128 + signal.SIGTERM)

    def _catch(self, *_):
        self.received = True
