"""Images in files of their own, one in each: the base of folders of classes and of lists."""

import functools

import numpy as np
import tensorflow as tf

from dna_tf.common import checks
from dna_tf.data import decoding, source_base

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif")
# Up to this number of images are decoded once before any work starts.
MOST_CHECKED = 20_000
# Images whose bytes are in the fingerprint, and images that are looked for in another source.
_READ_FOR_FINGERPRINT, _COMPARED = 8, 32


def is_image(name):
    """Whether a file is an image, by its ending."""
    return name.lower().endswith(ENDINGS)


class ImageFiles(source_base.Source):
    """Images in files below one folder.

    Args:
        name: the source as the user wrote it.
        folder: path of the folder; "" if the names are whole paths.
        names: paths of the images in the folder, in the order of the source.
        labels: np.int64 `(len(names),)`.
        class_names: list of str, or `None`.
    """

    random_access = True

    def __init__(self, name, folder, names, labels, class_names=None):
        super().__init__(name, class_names)
        self._folder, self._names, self._labels = folder, names, labels

    def labels(self):
        return self._labels

    def files(self):
        return frozenset([source_base.real_path(self._folder)])

    def copies_of(self, other):
        if not isinstance(other, ImageFiles):
            return []
        names = set(other._names)
        places = _evenly([name for name in self._names if name in names], _COMPARED)
        return [self._path(name) for name in places if self._bytes(name) == other._bytes(name)]

    def _identity(self):
        digests = [
            source_base.digest(self._bytes(n)) for n in _evenly(self._names, _READ_FOR_FINGERPRINT)
        ]
        return ["folder", self._content, digests]

    def _former_identity(self):
        return [self.name, self._content]

    @functools.cached_property
    def _content(self):
        # The sizes of millions of remote files would take long.
        if len(self._names) > MOST_CHECKED:
            return self._names
        return [[name, tf.io.gfile.stat(self._path(name)).length] for name in self._names]

    def records(self, indices=None):
        names = np.array(self._names)
        indices = np.arange(len(names)) if indices is None else indices
        return tf.data.Dataset.from_tensor_slices((indices, names[indices]))

    def encoded(self, raw):
        return tf.io.read_file(tf.strings.join([self._path(""), raw]))

    def decode(self, raw):
        return decoding.decode(self.encoded(raw), self.as_before)

    def place(self, index):
        return self._path(self._names[index])

    def check(self):
        if len(self._names) > MOST_CHECKED:
            return
        bad = list(self.refused(f"checking {self.name}"))
        if bad:
            raise source_base.broken_image(
                checks.some([*map(self.place, bad)]), self.reason(bad[0])
            )

    def _path(self, name):
        return f"{self._folder}/{name}" if self._folder else name

    def _bytes(self, name):
        with tf.io.gfile.GFile(self._path(name), "rb") as file:
            return file.read()


def _evenly(values, count):
    """Returns at most `count` of the values, evenly spaced."""
    return values[:: max(1, -(-len(values) // count))]
