"""What every source of labelled images can do, and how broken images get their names."""
# MERGED: 'Images that cannot be decoded: found before any work, count

import abc
import contextlib
import os

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, files, progress


class Source(abc.ABC):
    """Labelled images in a fixed order; the kinds of sources derive from it.

    Attributes:
        name: the source as the user wrote it.
        class_names: list of str in the order of the labels, or `None`.
        label_offset: what was subtracted from the labels as the user may say it; `None` for
            kinds that read no `config.data.label_offset`.
        random_access: whether `records` gives the images in any order asked for;
            other sources are read from front to back.
    """

    label_offset = None
    random_access = False

    def __init__(self, name, class_names=None):
        self.name = name
        self.class_names = class_names
        self._fingerprint = None

    @property
    def num_examples(self):
        """The number of images."""
        return len(self.labels())

    @abc.abstractmethod
    def labels(self):
        """Returns the labels, np.int64 `(num_examples,)`, in the order of the source."""

    def fingerprint(self):
        """Returns 16 hexadecimal digits that change with the content; reads no images."""
        if self._fingerprint is None:
            self._fingerprint = files.fingerprint(self._identity())
        return self._fingerprint

    def files(self):
        """Returns the real paths of the files or folders that hold the images, a frozenset.

        The same ones have the same path, however the user wrote it. It is empty where the
        fingerprint knows the source by its content alone.
        """
        return frozenset()

    @abc.abstractmethod
    def decode(self, raw):
        """Graph function from the second item of `records` to an image.

        Returns:
            uint8 or float tensor `(height, width, channels)` in 0..255, 1 or 3 channels.
        """

    def encoded(self, raw):
        """Graph function from the second item of `records` to the bytes of an image file.

        Returns:
            A string scalar, or `None` where the source holds pixels.
        """
        return None

    def place(self, index):
        """Where an image of the source lies, for people."""
        return f"image {index} (counted from 0) of {self.name}"

    def records(self, indices=None):
        """Returns a dataset of (int64 index, raw image not yet decoded).

        Args:
            indices: int64 array, the images wanted; by default all. With
                `random_access` they come in this order, else in the source's.
        """
        if indices is None:
            return self._raw().enumerate()
        wanted = np.zeros(np.max(indices, initial=-1) + 1, bool)
        wanted[indices] = True
        wanted = on_cpu(wanted)
        # What comes after the last one wanted is not even read.
        numbered = self._raw().enumerate().take(len(wanted))
        return numbered.filter(lambda index, raw: wanted[index])

    def images(self):
        """Returns a dataset of (image, int64 label) in the order of the source."""
        labels = tf.constant(self.labels())
        return self.records().map(
            lambda index, raw: (self.decode(raw), labels[index]),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def check(self):  # noqa: B027 (nothing to do is the usual case)
        """Checks what takes longer than opening; nothing for most kinds.

        Raises:
            ValueError: images cannot be decoded; the message names them.
        """

    def refused(self, label=""):
        """Yields the index of each image that cannot be decoded; arguments as of `broken`."""
        raws = self.records().map(lambda index, raw: raw)
        yield from refused(raws, self.decode, label, self.num_examples if label else 0)

    def broken(self, label=""):
        """Yields text that names each image that cannot be decoded, one after another.

        Args:
            label: text beside a progress bar; without it there is none.
        """
        yield from map(self.place, self.refused(label))

    @abc.abstractmethod
    def _identity(self):
        """Returns what tells the source from others: bytes, or what JSON can hold."""

    def _raw(self):
        """Returns a dataset of all raw images; sources without random access have it."""
        raise TypeError(f"{type(self).__name__} is read through its own records().")


def real_path(path):
    """Returns the one absolute path of a file or folder; that of a remote one as it is."""
    return path if "://" in path else os.path.realpath(path)


def on_cpu(array):
    """Returns a tensor in host memory, where datasets read it."""
    with tf.device("CPU:0"):
        return tf.constant(array)


def refused(raws, decode, label="", total=0):
    """Yields the positions in the dataset `raws` of what `decode` cannot decode.

    Args:
        raws: dataset of raw images.
        decode: graph function from a raw image to an image.
        label: text beside a progress bar; without it there is none.
        total: the number of raw images, for the bar.
    """
    # The size of the image is used, or TensorFlow would leave the decoding out.
    good = raws.enumerate().map(
        lambda position, raw: (position, tf.size(decode(raw))),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    good = good.ignore_errors().as_numpy_iterator()
    expected = 0
    for position, _ in progress.track(good, label, "image", total) if label else good:
        yield from range(expected, position)
        expected = int(position) + 1
    for _ in raws.skip(expected):
        yield expected
        expected += 1


@contextlib.contextmanager
def naming_broken_images(*sources):
    """Context in which iterating datasets of `sources` names what cannot be read or decoded.

    TensorFlow's own error does not say which image it was; the sources are then
    read again up to the first broken one.

    Raises:
        ValueError: names the path, or the file and the number of the record.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        for source in sources:
            for place in source.broken():
                raise broken_image(place, error) from error
        raise


def broken_image(places, error=None):
    """Returns the `ValueError` that names broken images."""
    reason = f" ({first_line(error)})" if error else ""
    return ValueError(
        f"Cannot decode {places}. Expected JPEG, PNG, BMP or GIF images. Replace or remove what is "
        f"broken, or allow some with config.data.max_broken_images.{reason}"
    )


def first_line(error):
    """Returns the first line of an error's message, at most 200 characters."""
    return str(error).strip().split("\n")[0][:200]


KIND = "dna_tf.broken_images"
FILE = "broken_images.json"


def leave_out(opened, allowed, cache_dir):
    """Finds the images that can be decoded.

    Args:
        opened: `source_base.Source`s.
        allowed: `config.data.max_broken_images`, for all sources together.
        cache_dir: folder of the list, `broken_images.json`, which is also read again; `None`
            keeps none.

    Returns:
        A list with an int64 array of the good indices for each source.

    Raises:
        ValueError: there are more broken images than allowed; the message names some.
    """
    path = None if cache_dir is None else files.as_path(cache_dir) / FILE
    known = {}
    if path is not None and path.exists():
        known = files.read_json(path, KIND, "Delete it: it is made again.")["sources"]
    found = {
        source.fingerprint(): known.get(source.fingerprint()) or _find(source) for source in opened
    }
    if path is not None and not found.keys() <= known.keys():
        files.write_json(path, {"kind": KIND, "sources": {**known, **found}})
    places = [image["image"] for listed in found.values() for image in listed["broken"]]
    listing = "" if path is None else f" All are listed in {path}."
    if len(places) > allowed:
        raise ValueError(
            f"{len(places)} images cannot be decoded, and config.data.max_broken_images allows "
            f"{allowed}: {checks.some(places)}.{listing} Replace or remove them, or "
            "allow more."
        )
    if places:
        progress.warn(f"{len(places)} images cannot be decoded and are left out.{listing}")
    return [_good(source, found[source.fingerprint()]) for source in opened]


def _find(source):
    indices = source.refused(f"checking {source.name}")
    broken = [{"index": int(index), "image": source.place(int(index))} for index in indices]
    return {"name": source.name, "images": source.num_examples, "broken": broken}


def _good(source, listed):
    broken = [image["index"] for image in listed["broken"]]
    return np.setdiff1d(np.arange(source.num_examples), np.array(broken, np.int64))
