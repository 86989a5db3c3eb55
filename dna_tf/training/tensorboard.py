"""What TensorBoard shows of a training while it runs: curves and images.

The event files are written as the records of `tf.compat.v1.Event` that they are.
`tf.summary` would need the tensorboard package just to write, and has no way to tell
TensorBoard from which step on a resumed run repeats an earlier one.
"""

import socket
import time

import numpy as np
import tensorflow as tf

from dna_tf.common import files


class Watcher:
    """Writes TensorBoard event files; look at them with `tensorboard --logdir=FOLDER`.

    Every start of a program writes a file of its own. Nothing is written, not even a
    file, before there is something to show.

    Args:
        folder: where the files go, local or remote.
        seconds: how often the training loop gives figures, at least.
    """

    def __init__(self, folder, seconds=10.0):
        self.seconds = seconds
        self._folder = files.as_path(folder)
        # Each flush writes the file of a bucket as a whole.
        self._flush_seconds = 120.0 if "://" in str(self._folder) else 0.0
        self._flushed_at = time.monotonic()
        self._first_step = 0
        self._writer = None

    def start(self, first_step):
        """Says from which step on this program writes; what follows goes into a new file.

        TensorBoard then forgets what killed programs wrote for that step and later ones:
        without it the curves of a resumed run would jump back and forth. Its fast loader
        (the default, when installed) forgets for each curve only what is not before the
        first new point; older points that stay are of the same training, and in order.

        Args:
            first_step: what was written for this step or a later one is void.
        """
        self.close()
        self._first_step = first_step

    def scalars(self, step, figures):
        """Writes the figures of a step.

        Args:
            step: steps done so far, from 0.
            figures: dict of floats; names with a slash, such as `"loss/block1_cell1"`, are
                grouped by what stands before it.
        """
        values = [
            tf.compat.v1.Summary.Value(tag=name, simple_value=float(value))
            for name, value in figures.items()
        ]
        if values:
            self._write(step, values)

    def image(self, step, name, image):
        """Writes an image.

        Args:
            step: steps done so far, from 0.
            name: what it shows; images of one name lie on one slider over steps.
            image: uint8 array `(height, width, 3)`, RGB.

        Raises:
            ValueError: the array is none of that form.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f"The image {name!r} must be a uint8 array (height, width, 3). Received: "
                f"{image.dtype} {image.shape}. Round and clip to 0..255, and convert to RGB."
            )
        picture = tf.compat.v1.Summary.Image(
            height=image.shape[0],
            width=image.shape[1],
            colorspace=3,
            encoded_image_string=tf.io.encode_png(image).numpy(),
        )
        self._write(step, [tf.compat.v1.Summary.Value(tag=name, image=picture)])

    def flush(self):
        """Brings what was written to the disk or the bucket."""
        if self._writer is not None:
            self._writer.flush()
            self._flushed_at = time.monotonic()

    def close(self):
        """Brings all to its place and closes the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _write(self, step, values):
        if self._writer is None:
            self._open()
        self._record(step, summary=tf.compat.v1.Summary(value=values))
        if time.monotonic() - self._flushed_at >= self._flush_seconds:
            self.flush()

    def _open(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard takes the files of a folder in order of their names.
        name = f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}"
        self._writer = tf.io.TFRecordWriter(str(self._folder / name))
        self._record(0, file_version="brain.Event:2")
        log = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._record(self._first_step, session_log=log)

    def _record(self, step, **content):
        event = tf.compat.v1.Event(wall_time=time.time(), step=step, **content)
        self._writer.write(event.SerializeToString())
