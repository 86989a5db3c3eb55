"""Writes event files for TensorBoard during a training: curves and images.

The files are written record by record, as `tf.compat.v1.Event`s. `tf.summary` would need
the tensorboard package, and cannot tell TensorBoard from which step on a resumed run repeats
an earlier one.
"""

import contextlib
import socket
import time

import numpy as np
import tensorflow as tf

from dna_tf.common import files


class Watcher:
    """Writes event files into a folder, which the program `tensorboard` shows.

    Every start of a program writes a new file. The file is created with the first event.

    Args:
        folder: of the files, local or remote.
        seconds: longest time between two figures of the training loop.
    """

    def __init__(self, folder, seconds=10.0):
        self.seconds = seconds
        self._folder = files.as_path(folder)
        # In a bucket each flush writes the whole file.
        self._flush_seconds = 120.0 if "://" in str(self._folder) else 0.0
        self._flushed_at = time.monotonic()
        self._first_step = 0
        self._writer = None

    def start(self, first_step):
        """Sets the first step of this program; later events go into a new file.

        TensorBoard then discards the events of killed programs from that step on. Otherwise
        the curves of a resumed run would jump back and forth. Its fast loader (the default,
        if installed) discards, for each curve, only events from the first new point on; older
        points that stay are of the same training and in order.

        Args:
            first_step: events from this step on are discarded.
        """
        self.close()
        self._first_step = first_step

    def scalars(self, step, figures):
        """Writes the figures of a step.

        Args:
            step: steps done so far, from 0.
            figures: dict of floats; names with a slash, such as `"loss/block1_cell1"`, are
                grouped by the part before the slash.
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
            name: images of the same name share a slider over steps.
            image: uint8 array `(height, width, 3)`, RGB.

        Raises:
            ValueError: the array has another type or shape.
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
        """Writes all events to the disk or the bucket.

        Raises:
            OSError: they cannot be written; the message names the folder.
        """
        if self._writer is not None:
            with self._naming_the_folder():
                self._writer.flush()
            self._flushed_at = time.monotonic()

    def close(self):
        """Writes all events and closes the file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with self._naming_the_folder():
                writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _write(self, step, values):
        with self._naming_the_folder():
            if self._writer is None:
                self._open()
            self._record(step, summary=tf.compat.v1.Summary(value=values))
        if time.monotonic() - self._flushed_at >= self._flush_seconds:
            self.flush()

    @contextlib.contextmanager
    def _naming_the_folder(self):
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise files.unwritable(self._folder / "events.out.tfevents", error) from error

    def _open(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}"
        self._writer = tf.io.TFRecordWriter(str(self._folder / name))
        self._record(0, file_version="brain.Event:2")
        log = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._record(self._first_step, session_log=log)

    def _record(self, step, **content):
        event = tf.compat.v1.Event(wall_time=time.time(), step=step, **content)
        self._writer.write(event.SerializeToString())
