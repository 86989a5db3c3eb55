"""Checkpoints of a training: its variables and position, saved together or not at all.

TensorFlow's own checkpoints are used: their tensors have checksums, a save is valid only
once it is complete, and they work on remote paths. SIGTERM is caught, so that a program that
is asked to end saves a checkpoint first.
"""

import json
import re
import signal
import sys
import threading

import tensorflow as tf

from dna_tf.common import checks, files, progress, records

# Errors that do not come from the files: an older checkpoint would not help.
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
        folder: of the checkpoints; created by the first save.
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
        """Saves the variables and a `state` for JSON; deletes the checkpoints that are too old.

        Floats keep all their bits. The new checkpoint becomes the newest, also if there are
        damaged ones.

        Raises:
            OSError: it cannot be written, for example on a full disk; earlier ones stay.
            ValueError: the state has NaN or infinity.
        """
        self._state.assign(json.dumps(state, allow_nan=False))
        # Count on from the highest number on disk, not from the restored one: a damaged
        # checkpoint may have a higher number.
        number = max(_files_of(self._folder), default=0)
        self._checkpoint.save_counter.assign(number)
        try:
            self._checkpoint.save(str(self._folder / "ckpt"))  # cleans up after a failure
            for path in _files_of(self._folder).get(number + 1, ()):
                files.sync(path)  # before older ones are deleted
        except (tf.errors.OpError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            reason = re.sub(r"\{\{.*?\}\} | \[Op:.*?\]", "", reason)  # names of TensorFlow's ops
            raise OSError(
                f"The checkpoint {self._folder / f'ckpt-{number + 1}'} could not be written: "
                f"{reason} If the disk is full, make room, then run again: it resumes from the "
                "checkpoint before."
            ) from error
        self._delete_old()

    def restore(self):
        """Restores the newest checkpoint that can be read, with a warning for each newer one.

        Returns:
            The saved state, or `None` if there is no checkpoint.

        Raises:
            ValueError: there are checkpoints, but none can be read.
        """
        # The files are listed, as TensorFlow's own list of them may be damaged or missing:
        # training would then start from the beginning without a warning.
        self._delete_cut_off()
        paths = _files_of(self._folder)
        for number in sorted(paths, reverse=True):
            path = self._folder / f"ckpt-{number}"
            try:
                if not _has_index(paths[number]):
                    raise ValueError("its index is missing: deleted, or saving was cut off")
                self._checkpoint.restore(str(path)).assert_consumed()
                return json.loads(self._state.numpy())
            except _NOT_THE_FILES:
                raise
            except (
                tf.errors.OpError,
                AssertionError,
                ValueError,
                IndexError,
                RecursionError,
            ) as error:
                self._damaged.add(number)
                reason = str(error).splitlines()[0]
                progress.warn(f"checkpoint {path} cannot be used: {reason}")
        if not paths or (list(paths) == [1] and self._was_cut_off(1, paths[1])):
            return None  # no file, or a first save that was cut off
        raise ValueError(
            f"None of the {len(paths)} checkpoints in {self._folder} can be read. "
            "Delete that folder to train from the start."
        )

    def _was_cut_off(self, number, paths):
        """Whether a save did not end: the index comes last; a power cut leaves files empty."""
        if not _has_index(paths) or any(path.stat().length == 0 for path in paths):
            return True
        try:
            tf.train.load_checkpoint(str(self._folder / f"ckpt-{number}"))
        except (tf.errors.OpError, ValueError):
            return True
        return False

    def _delete_old(self):
        paths = _files_of(self._folder)
        readable = sorted(paths.keys() - self._damaged)
        for number in paths.keys() - set(readable[-self._keep :]):
            # The index first: without it the rest is not taken for a checkpoint.
            for path in sorted(paths[number], key=lambda path: path.suffix != ".index"):
                path.unlink()
        self._delete_cut_off()

    def _delete_cut_off(self):
        """Deletes what saves that were cut off left, also TensorFlow's list of checkpoints."""
        newest = max(_files_of(self._folder), default=0)
        for path in self._folder.glob("ckpt-*_temp"):
            number = re.fullmatch(r"ckpt-(\d+)_temp", path.name)
            # Where no lock keeps others out, a later one belongs to a process that is saving.
            is_late = number is None or int(number[1]) > newest
            if not (is_late and "://" in str(self._folder)):
                path.rmtree()
        for path in self._folder.glob("checkpoint.tmp*"):
            path.unlink(missing_ok=True)


def saved_state(folder):
    """Reads the state of the newest checkpoint whose state can be read, and no variables.

    Args:
        folder: of the checkpoints.

    Returns:
        The saved state, or `None` if there is no such checkpoint.
    """
    folder = files.as_path(folder)
    paths = _files_of(folder)
    for number in sorted(paths, reverse=True):
        try:
            reader = tf.train.load_checkpoint(str(folder / f"ckpt-{number}"))
            return json.loads(reader.get_tensor("state/.ATTRIBUTES/VARIABLE_VALUE"))
        except _NOT_THE_FILES:
            raise
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError):
            continue  # restoring it warns
    return None


def _files_of(folder):
    """The paths of the files of each checkpoint in a folder, by its number."""
    paths = {}
    for path in folder.glob("ckpt-*"):
        number = re.fullmatch(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)", path.name)
        if number:
            paths.setdefault(int(number[1]), []).append(path)
    return paths


def _has_index(paths):
    return any(path.suffix == ".index" for path in paths)


_POSITION = records.table(
    {
        "epoch": records.whole(),
        "step": records.whole(),
        "sums": records.mapping_of(records.number()),
        "history": records.list_of(records.mapping_of(records.number())),
    }
)


def check_position(folder, state, steps_per_epoch):
    """Checks the state of a training, which may come from a broken file or another training.

    Args:
        folder: of the checkpoints.
        state: as `Checkpoint.restore` returns it.
        steps_per_epoch: steps of each epoch.

    Raises:
        ValueError: it is not the state of such a training.
    """
    try:
        if not isinstance(state, dict) or not state.keys() >= {"epoch", "step", "sums", "history"}:
            raise ValueError(f"Received: {checks.short_repr(state)}")
        _POSITION(state, "")
        epoch, step = state["epoch"], state["step"]
        if step > steps_per_epoch or len(state["history"]) != epoch:
            raise ValueError(
                f"It is at epoch {epoch}, step {step}, after {len(state['history'])} epochs of "
                f"{steps_per_epoch} steps each."
            )
    except ValueError as error:
        raise ValueError(
            f"The checkpoint in {folder} is not of this training. {error} Delete that folder to "
            "train from the start."
        ) from error


class Sigterm:
    """Context that catches SIGTERM in the main thread, and ends the program when it is left.

    Args:
        prints: whether it prints why the program ends.

    Attributes:
        received: whether there was a SIGTERM.
    """

    def __init__(self, prints):
        self.received = False
        self._prints = prints
        self._catches = threading.current_thread() is threading.main_thread()
        self._usual = signal.SIG_DFL

    def __enter__(self):
        if self._catches:
            self._usual = signal.signal(signal.SIGTERM, self._catch)
        return self

    def __exit__(self, kind, error, trace):
        if self._catches:
            # It is None if it was not set by Python.
            usual = signal.SIG_DFL if self._usual is None else self._usual
            signal.signal(signal.SIGTERM, usual)
        if self.received and error is None:
            if self._prints:
                text = "Stopped by SIGTERM after a checkpoint; run again to resume."
                print(text, file=sys.stderr, flush=True)
            raise SystemExit(128 + signal.SIGTERM)

    def _catch(self, *_):
        self.received = True
