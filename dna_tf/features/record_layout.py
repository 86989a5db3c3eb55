"""The record of one image in a cache of features: its pixels and the teacher's maps, as bytes.

A record is the image as uint8, then the map of each block in the cache's dtype, each
flattened, little-endian, with nothing between them. All records of a cache have the same
size, and reading one is a cast: a `tf.train.Example` takes more than twice as long.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.common import checks

DTYPES = {"float16": tf.float16, "bfloat16": tf.bfloat16, "float32": tf.float32}
# Bytes that a TFRecord file adds to a record: its length and two checksums.
FRAME_BYTES = 16


@dataclasses.dataclass(frozen=True)
class Layout:
    """The positions of image and maps in a record.

    Args:
        shapes: `(height, width, channels)` of the image and of each block's map.
        dtype: of the maps, a key of `DTYPES`.
    """

    shapes: tuple[tuple[int, int, int], ...]
    dtype: str

    @property
    def record_bytes(self):
        """The size of a record in bytes."""
        map_values = sum(int(np.prod(shape)) for shape in self.shapes[1:])
        return int(np.prod(self.shapes[0])) + DTYPES[self.dtype].size * map_values

    @property
    def frame_bytes(self):
        """The bytes of a record in a TFRecord file."""
        return self.record_bytes + FRAME_BYTES

    def encode(self, images, maps):
        """Graph function from a batch to its records.

        Args:
            images: whole numbers in 0..255, `(batch, height, width, channels)`.
            maps: the map of each block, `(batch, height, width, channels)`.

        Returns:
            uint8 tensor `(batch, record_bytes)`, and for each map two bool scalars:
            whether all values are finite before the cast, and in the cache's dtype.
        """
        dtype = DTYPES[self.dtype]
        batch = tf.shape(images)[0]
        parts = [tf.reshape(tf.cast(images, tf.uint8), (batch, -1))]
        finite = []
        for values in maps:
            stored = tf.cast(values, dtype)
            parts.append(tf.reshape(tf.bitcast(stored, tf.uint8), (batch, -1)))
            finite.append([_all_finite(values), _all_finite(stored)])
        return tf.concat(parts, axis=1), tf.convert_to_tensor(finite)

    def decode(self, records):
        """Graph function from records to float32 images and maps.

        Args:
            records: string tensor `(batch,)`.

        Returns:
            A tuple of float32 tensors `(batch, height, width, channels)`: images in
            0..255, then the map of each block.
        """
        return tuple(tf.cast(part, tf.float32) for part in self.parse(records))

    def parse(self, records):
        """Graph function from records to images and maps as they are stored.

        Args:
            records: string tensor `(batch,)`.

        Returns:
            A tuple of tensors `(batch, height, width, channels)`: uint8 images, then the
            map of each block in the cache's dtype.
        """
        # Static sizes give static shapes, and refuse records of another size.
        values = tf.io.decode_raw(records, tf.uint8)
        values = tf.ensure_shape(values, (records.shape[0], self.record_bytes))
        batch, dtype = tf.shape(records)[0], DTYPES[self.dtype]
        batch = records.shape[0] if records.shape[0] is not None else batch
        parsed, start = [], 0
        for number, shape in enumerate(self.shapes):
            size = int(np.prod(shape)) * (dtype.size if number else 1)
            part = values[:, start : start + size]
            if number:
                part = tf.bitcast(tf.reshape(part, (batch, *shape, dtype.size)), dtype)
            parsed.append(tf.reshape(part, (batch, *shape)))
            start += size
        return tuple(parsed)


def check_dtype(dtype):
    """Raises a `ValueError` unless a cache can have this dtype."""
    if dtype not in DTYPES:
        raise ValueError(
            f"A cache of features holds maps as one of {', '.join(DTYPES)}."
            f"{checks.near_names(dtype, DTYPES)} Received: cache_dtype={dtype!r}"
        )


def _all_finite(values):
    # Not every device has a kernel for bfloat16 and float16.
    return tf.reduce_all(tf.math.is_finite(tf.cast(values, tf.float32)))
