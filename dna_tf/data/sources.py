"""Raw labelled images: scikit-learn digits, folders of classes, TFRecord files, TFDS.

A source gives images and labels in one fixed order, so that an index means the
same image on every machine. Splits and batches are made of it in `data`. All
files are reached through `tf.io.gfile`: a path may be remote (`gs://...`).
"""

import os
import re

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn import datasets

from dna_tf.common import checks
from dna_tf.data import decoding, record_sources, source_base

KINDS = ("digits", "tfds:NAME[/VERSION]", "tfrecord:GLOB", "folder:DIR")
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
# Folders of up to so many images are decoded once before any work starts.
MOST_CHECKED_FILES = 20_000
# Names that a test split goes by; the first that exists is taken.
TEST_SPLITS = ("test", "validation", "val")


def open_source(config):
    """Opens the training images.

    Args:
        config: the data section, with `source` and the fields that describe it
            (`image_feature`, `label_feature`, `label_offset`, `tfds_data_dir`).

    Returns:
        A `source_base.Source`.

    Raises:
        ValueError: `source` is of no known kind, or what it names is not usable.
        FileNotFoundError: there is nothing where it points.
    """
    source = _open(config.source, config, ("train", ""))
    if source is None:
        raise ValueError(f"The source {config.source!r} has no split 'train' to train on.")
    return source


def open_test_source(config, train):
    """Opens the test images.

    Args:
        config: the data section; with an empty `test_source` the test split of
            `source` is looked for.
        train: the opened training source, with which the classes must agree.

    Returns:
        A `source_base.Source`, or `None` where the source has no test split: the
        test images are then held out of the training images.

    Raises:
        ValueError: as `open_source`, or the two sources differ in their
            classes or are the same images.
        FileNotFoundError: there is nothing where `test_source` points.
    """
    if config.test_source:
        test = _open(config.test_source, config, (*TEST_SPLITS, "train", ""))
        if test is None:
            raise ValueError(
                f"The test_source {config.test_source!r} has none of the splits "
                f"{', '.join(TEST_SPLITS)} and 'train'."
            )
    else:
        test = _open(config.source, config, TEST_SPLITS)
    if test is None:
        return None
    shared = sorted(train.files() & test.files())
    if shared or test.fingerprint() == train.fingerprint():
        places = f": {checks.some(shared)}" if shared else ""
        raise ValueError(
            f"test_source={config.test_source!r} holds images of the source {config.source!r} that "
            f"are trained on{places}. Leave test_source empty to hold out some."
        )
    names = test.class_names, f"the training images ({train.name})", train.class_names
    checks.check_same_classes(f"the test images ({test.name})", *names)
    return test


def open_to_evaluate(config):
    """Opens the images of `config.source` to measure a model on.

    Args:
        config: the data section.

    Returns:
        `(source, is_test_split)`: its test split, or where it has none all of its images.

    Raises:
        ValueError, FileNotFoundError: as `open_source`.
    """
    test = _open(config.source, config, TEST_SPLITS)
    return (test, True) if test is not None else (open_source(config), False)


class Digits(source_base.Source):
    """scikit-learn's 1,797 handwritten digits, 8x8 grey; 0..16 is scaled to 0..255."""

    random_access = True

    def __init__(self, name):
        super().__init__(name, [str(digit) for digit in range(10)])
        digits = datasets.load_digits()
        self._images = (digits.images[..., np.newaxis] * (255 / 16)).astype(np.float32)
        self._labels = digits.target.astype(np.int64)

    def labels(self):
        return self._labels

    def _identity(self):
        return self._images.tobytes() + self._labels.tobytes()

    def records(self, indices=None):
        indices = np.arange(len(self._labels)) if indices is None else indices
        return tf.data.Dataset.from_tensor_slices((indices, self._images[indices]))

    def decode(self, raw):
        return raw


class Folder(source_base.Source):
    """A folder with one folder of images per class; labels follow the sorted names.

    Args:
        name: the source as the user wrote it.
        folder: path of the folder that holds the class folders.
    """

    random_access = True

    def __init__(self, name, folder):
        class_names = _subfolders(folder)
        if not class_names:
            raise ValueError(
                f"The folder {folder} has no class folders. Expected one folder of images for "
                f"each class. It holds: {sorted(tf.io.gfile.listdir(folder))[:5]}"
            )
        super().__init__(name, class_names)
        self._folder = folder
        self._names, labels = [], []
        for label, class_name in enumerate(class_names):
            class_folder = os.path.join(folder, class_name)
            found = sorted(
                entry
                for entry in tf.io.gfile.listdir(class_folder)
                if entry.lower().endswith(IMAGE_ENDINGS) and not entry.startswith(".")
            )
            if not found:
                raise ValueError(
                    f"The class folder {class_folder} holds no images "
                    f"({', '.join(IMAGE_ENDINGS)}). Fill or remove it."
                )
            self._names += [f"{class_name}/{entry}" for entry in found]
            labels += [label] * len(found)
        self._labels = np.array(labels, np.int64)

    def labels(self):
        return self._labels

    def files(self):
        return frozenset([source_base.real_path(self._folder)])

    def _identity(self):
        content = self._names
        # Asking millions of remote files for their size would not be cheap.
        if len(content) <= MOST_CHECKED_FILES:
            content = [[name, tf.io.gfile.stat(self._path(name)).length] for name in content]
        return [self.name, content]

    def records(self, indices=None):
        names = np.array(self._names)
        indices = np.arange(len(names)) if indices is None else indices
        return tf.data.Dataset.from_tensor_slices((indices, names[indices]))

    def encoded(self, raw):
        return tf.io.read_file(tf.strings.join([self._folder, raw], "/"))

    def decode(self, raw):
        return decoding.decode(self.encoded(raw))

    def place(self, index):
        return self._path(self._names[index])

    def check(self):
        if len(self._names) > MOST_CHECKED_FILES:
            return
        bad = list(self.broken(f"checking {self.name}"))
        if bad:
            raise source_base.broken_image(checks.some(bad))

    def _path(self, name):
        return f"{self._folder}/{name}"


def _open(spec, config, splits):
    """Opens the first of `splits` that the source `spec` has; `""` means without splits.

    Returns:
        The source, or `None` where it has none of the splits.
    """
    kind, colon, where = str(spec).partition(":")
    known = [form.partition(":")[0] for form in KINDS]
    if kind not in known or (kind == "digits" and colon) or (kind != "digits" and not where):
        raise ValueError(
            f"A source is one of {', '.join(KINDS)}.{checks.near_names(kind, known)} "
            f"Received: {spec!r}"
        )
    if kind == "tfds":
        return _open_tfds(spec, where, config, splits)
    if kind == "folder":
        return _open_folder(spec, where, splits)
    if "" not in splits:
        return None
    if kind == "digits":
        return Digits(spec)
    return record_sources.TFRecords(spec, where, config)


def _open_folder(spec, where, splits):
    folder = os.path.expanduser(where).rstrip("/") or "/"
    if not tf.io.gfile.isdir(folder):
        parent, name = os.path.split(folder)
        parent = parent or "."
        near = _subfolders(parent) if tf.io.gfile.isdir(parent) else []
        raise FileNotFoundError(
            f"There is no folder {folder!r} (source {spec!r}).{checks.near_names(name, near)}"
        )

    def holds_classes(split):
        # A class may be called "train", too: its folder holds images, no folders.
        path = os.path.join(folder, split)
        return tf.io.gfile.isdir(path) and bool(_subfolders(path))

    if "" not in splits and not holds_classes("train"):
        return None
    for split in splits:
        if not split:
            return Folder(spec, folder)
        if holds_classes(split):
            return Folder(spec, os.path.join(folder, split))
    return None


def _subfolders(folder):
    """Returns the sorted names of the folders in `folder`, hidden ones left out."""
    names = (entry.rstrip("/") for entry in tf.io.gfile.listdir(folder))
    return sorted(
        name
        for name in names
        if not name.startswith(".")
        and not name.lower().endswith(IMAGE_ENDINGS)
        and tf.io.gfile.isdir(os.path.join(folder, name))
    )


def _open_tfds(spec, where, config, splits):
    # TFDS writes a version after a colon; after a slash it looks for a configuration.
    name = re.sub(r"/(\d+\.\d+\.\d+)$", r":\1", where)
    folder = os.path.expanduser(config.tfds_data_dir) or None
    try:
        builder = tfds.builder(name, data_dir=folder)
    except (ValueError, AssertionError) as error:
        known = tfds.list_builders(with_community_datasets=False)
        if folder and tf.io.gfile.isdir(folder):
            known += _subfolders(folder)
        raise ValueError(
            f"TFDS has no dataset {where!r} (tfds_data_dir={config.tfds_data_dir!r})."
            f"{checks.near_names(where, known)} ({source_base.first_line(error)})"
        ) from error
    if not builder.is_prepared():
        try:
            builder.download_and_prepare()
        except Exception as error:  # of TFDS, of the dataset's own code, or of a web server
            raise ValueError(
                f"TFDS cannot prepare {where!r}: {source_base.first_line(error)} Provide what it "
                "asks for, or set config.data.tfds_data_dir to where it lies prepared."
            ) from error
    for split in splits:
        if split in builder.info.splits:
            source = record_sources.Tfds(spec, builder, split)
            # Labels that were never published are -1 there, as in the test split of ImageNet.
            if split not in TEST_SPLITS or source.first_label() >= 0:
                return source
    return None
