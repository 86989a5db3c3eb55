"""Checkpoints of a training run: variables and position, saved as one, never half.

TensorFlow's own checkpoints are used: their tensors carry checksums, a save is
valid only once it is whole, and they work on remote paths.
"""

import json
import sys

import tensorflow as tf

from dna_tf import files


class Checkpoint:
    """Saves and restores variables together with a small state.

    Args:
        folder: where the checkpoints lie; made when needed.
        variables: `tf.Variable`s, always in the same order.
        keep: how many checkpoints to keep.

    Raises:
        ValueError: TensorFlow's list of the checkpoints in the folder is damaged.
    """

    def __init__(self, folder, variables, keep=2):
        self._state = tf.Variable("", dtype=tf.string, trainable=False)
        self._checkpoint = tf.train.Checkpoint(variables=list(variables), state=self._state)
        self._folder = files.as_path(folder)
        try:
            self._manager = tf.train.CheckpointManager(
                self._checkpoint, str(self._folder), max_to_keep=keep
            )
        except ValueError as error:
            raise ValueError(
                f"The file {self._folder / 'checkpoint'} is damaged: {error}. Delete that one "
                "file; the checkpoints beside it are found without it."
            ) from error

    def save(self, state):
        """Saves the variables and a JSON-able `state`.

        Floats keep all their bits.
        """
        self._state.assign(json.dumps(state))
        self._manager.save()

    def restore(self):
        """Restores the newest checkpoint that is whole.

        Returns:
            The saved state, or `None` if there is no checkpoint.

        Raises:
            ValueError: there are checkpoints, and none can be read.
        """
        # The files themselves: TensorFlow's own list of them may be damaged or missing, and
        # training would start anew without a word.
        saved = [str(path)[: -len(".index")] for path in self._folder.glob("ckpt-*.index")]
        saved.sort(key=lambda name: int(name.rpartition("-")[2]), reverse=True)
        for path in saved:
            try:
                self._checkpoint.restore(path).assert_consumed()
                return json.loads(self._state.numpy())
            except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
                reason = str(error).splitlines()[0]
                print(f"warning: checkpoint {path} cannot be used: {reason}", file=sys.stderr)
        if saved:
            raise ValueError(
                f"None of the {len(saved)} checkpoints in {self._folder} can be read. "
                "Delete that folder to train from the start."
            )
        return None
