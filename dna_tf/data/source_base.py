"""The base class of sources of labelled images, and how their broken images are named.

Broken images are searched for once, by decoding every image, so that splits and batches are
the same in all runs, and no long training meets one in its middle.
"""

import abc
import contextlib
import hashlib
import os
import re

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, files, progress
from dna_tf.data import pipelines


class Source(abc.ABC):
    """Labelled images in a fixed order; the kinds of sources derive from it.

    Attributes:
        name: the source as the user wrote it.
        class_names: list of str in the order of the labels, or `None`.
        label_offset: number that was subtracted from the labels; `None` for the kinds of
            sources without the setting `label_offset`.
        random_access: whether `records` gives the images in any order; other sources are read
            from front to back.
        as_before: whether image files are decoded as in runs that were begun before photos
            were turned by their EXIF tag; see `decoding.decode`.
    """

    label_offset = None
    random_access = False
    counts_by_reading = False  # whether `num_examples` reads files

    def __init__(self, name, class_names=None):
        self.name = name
        self.class_names = class_names
        self.as_before = False
        self._fingerprints = {}

    @property
    def num_examples(self):
        """The number of images."""
        return len(self.labels())

    @abc.abstractmethod
    def labels(self):
        """Returns the labels, np.int64 `(num_examples,)`, in the order of the source."""

    def fingerprint(self):
        """Returns 16 hexadecimal digits that change with the content, wherever it lies.

        They are drawn from names, sizes and checksums, and the bytes of a few images at most.
        """
        if "now" not in self._fingerprints:
            self._fingerprints["now"] = files.fingerprint(self._identity())
        return self._fingerprints["now"]

    def former_fingerprint(self):
        """Returns the fingerprint that earlier versions gave; their runs have saved it."""
        if "before" not in self._fingerprints:
            self._fingerprints["before"] = files.fingerprint(self._former_identity())
        return self._fingerprints["before"]

    def files(self):
        """Returns the real paths of the files or folders of the images, a frozenset.

        A real path does not depend on how the user wrote it. The set is empty if the
        fingerprint alone identifies the images.
        """
        return frozenset()

    def copies_of(self, other):
        """Returns the places of images that are copies of those of another source.

        Not every image is compared: a copied file or folder is found, a single image may not be.
        """
        return []

    @abc.abstractmethod
    def decode(self, raw):
        """Graph function from the second item of `records` to an image.

        Returns:
            uint8 or float tensor `(height, width, channels)` in 0..255, 1 or 3 channels.
        """

    def encoded(self, raw):
        """Graph function from the second item of `records` to the bytes of an image file.

        Returns:
            A string scalar, or `None` if the source has pixels.
        """
        return None

    def place(self, index):
        """Returns text that says where an image of the source is."""
        return f"image {index} (counted from 0) of {self.name}"

    def records(self, indices=None):
        """Returns a dataset of (int64 index, raw image not yet decoded).

        Args:
            indices: int64 array of the images to return; by default all. With
                `random_access` they come in this order, otherwise in the source's.
        """
        if indices is None:
            return self._raw().enumerate()
        selected = np.zeros(np.max(indices, initial=-1) + 1, bool)
        selected[indices] = True
        selected = on_cpu(selected)
        # Images after the last selected one are not even read.
        numbered = self._raw().enumerate().take(len(selected))
        return numbered.filter(lambda index, raw: selected[index])

    def images(self):
        """Returns a dataset of (image, int64 label) in the order of the source."""
        labels = tf.constant(self.labels())
        return self.records().map(
            lambda index, raw: (self.decode(raw), labels[index]),
            num_parallel_calls=pipelines.parallel_calls(),
            deterministic=True,
        )

    def check(self):  # noqa: B027 (nothing to do is the usual case)
        """Runs checks that take longer than opening; most kinds have none.

        Raises:
            ValueError: images cannot be decoded; the message names them.
        """

    def refused(self, label=""):
        """Yields the index of each image that cannot be decoded; arguments as of `broken`."""
        raws = self.records().map(lambda index, raw: raw)
        yield from refused(raws, self.decode, label, self.num_examples if label else 0)

    def broken(self, label=""):
        """Yields the name of each image that cannot be decoded.

        Args:
            label: text beside a progress bar; without it there is none.
        """
        yield from map(self.place, self.refused(label))

    def reason(self, index):
        """Returns the error of decoding an image, or `None`."""
        try:
            for _, raw in self.records(np.array([index])):
                self.decode(raw)
        except tf.errors.OpError as error:
            return error
        return None

    @abc.abstractmethod
    def _identity(self):
        """Returns bytes, or a value for JSON, that identify the images of the source."""

    def _former_identity(self):
        """Returns what earlier versions took for `_identity`."""
        return self._identity()

    def _raw(self):
        """Returns a dataset of all raw images, for sources without random access."""
        raise TypeError(f"{type(self).__name__} is read through its own records().")


def digest(content):
    """Returns hexadecimal digits that stand for the bytes of a file."""
    return hashlib.sha256(content).hexdigest()


def real_path(path):
    """Returns the absolute path of a file or folder without links; remote paths as they are."""
    return path if "://" in path else os.path.realpath(path)


def on_cpu(array):
    """Returns an array as a tensor in host memory, from which datasets read."""
    with tf.device("CPU:0"):
        return tf.constant(array)


def refused(raws, decode, label="", total=0):
    """Yields the positions in the dataset `raws` of the images that `decode` cannot decode.

    Args:
        raws: dataset of raw images.
        decode: graph function from a raw image to an image.
        label: text beside a progress bar; without it there is none.
        total: the number of raw images, for the bar.
    """
    # The size of the image is used, otherwise TensorFlow would skip the decoding.
    good = raws.enumerate().map(
        lambda position, raw: (position, tf.size(decode(raw))),
        num_parallel_calls=pipelines.parallel_calls(),
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
    """Context for loops over datasets of `sources`: names an image that cannot be decoded.

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
        f"Cannot decode {places}. Expected JPEG, PNG, WebP, BMP or GIF images. Replace or remove "
        f"the broken ones, or allow some with max_broken_images.{reason}"
    )


def first_line(error):
    """Returns the first line of an error's message, at most 300 characters."""
    # TensorFlow begins with the number of a function in the graph.
    text = re.sub(r"^\{\{[^}]*\}\} *", "", str(error).strip())
    return text.split("\n")[0][:300]


KIND = "dna_tf.broken_images"
FILE = "broken_images.json"


def leave_out(opened, allowed, cache_dir):
    """Finds the images that can be decoded, and lists those that cannot.

    Args:
        opened: `source_base.Source`s.
        allowed: number of broken images that are allowed, in all sources together.
        cache_dir: folder of the list, `broken_images.json`, from which the next call reads
            them; `None` keeps no list.

    Returns:
        For each source an int64 array of the indices of its good images.

    Raises:
        ValueError: there are more broken images than allowed; the message names some.
    """
    path = None if cache_dir is None else files.as_path(cache_dir) / FILE
    cached = {}
    if path is not None and path.exists():
        cached = files.read_json(path, KIND, "Delete it: it is made again.")["sources"]
    keys = [key_in(cached, source) for source in opened]
    lists = {
        key: cached.get(key) or _list_broken(source)
        for key, source in zip(keys, opened, strict=True)
    }
    if path is not None and not lists.keys() <= cached.keys():
        try:
            files.write_json(path, {"kind": KIND, "sources": {**cached, **lists}})
        except OSError as error:  # a workdir that can only be read
            progress.warn(f"The list of broken images is not kept: {error}")
            path = None
    places = [image["image"] for broken_list in lists.values() for image in broken_list["broken"]]
    where = "" if path is None else f" All are listed in {path}."
    if len(places) > allowed:
        first = next(
            source for source, key in zip(opened, keys, strict=True) if lists[key]["broken"]
        )
        reason = first.reason(lists[key_in(lists, first)]["broken"][0]["index"])
        raise ValueError(
            f"{len(places)} images cannot be decoded, but max_broken_images allows "
            f"{allowed}: {checks.some(places)}.{where} Replace or remove them, or "
            f"allow more. (The first: {first_line(reason)})"
        )
    if places:
        progress.warn(f"{len(places)} images cannot be decoded and are left out.{where}")
    return [_good(source, lists[key]) for key, source in zip(keys, opened, strict=True)]


def key_in(cached, source):
    """Returns the fingerprint of a source under which a dict has it, or may get it."""
    former = source.former_fingerprint()
    return former if former in cached else source.fingerprint()


def _list_broken(source):
    indices = source.refused(f"checking {source.name}")
    broken = [{"index": int(index), "image": source.place(int(index))} for index in indices]
    return {"name": source.name, "images": source.num_examples, "broken": broken}


def _good(source, broken_list):
    broken = [image["index"] for image in broken_list["broken"]]
    return np.setdiff1d(np.arange(source.num_examples), np.array(broken, np.int64))
