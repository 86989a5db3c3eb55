"""The kinds of sources, opened by name: digits, folders of classes, lists, TFRecord files, TFDS.

A source gives images and labels in one fixed order, so that an index means the
same image on every machine. All files are read through `tf.io.gfile`: a path may be
remote (`gs://...`).
"""

import os
import re

import numpy as np
import tensorflow as tf

from dna_tf.common import checks
from dna_tf.data import folder_source, list_source, record_sources, source_base

KINDS = ("digits", "tfds:NAME[/VERSION]", "tfrecord:GLOB", "folder:DIR", "list:FILE")
_WITHOUT_LABELS = "images"  # as in images:DIR
# Names of test splits; the first one that exists is taken.
TEST_SPLITS = ("test", "validation", "val")


def open_source(settings):
    """Opens the training images.

    Args:
        settings: a `data_settings.DataSettings`; `source` names the images, and
            `image_feature`, `label_feature`, `label_offset` and `tfds_data_dir` describe them.

    Returns:
        A `source_base.Source`.

    Raises:
        ValueError: the kind of `source` is unknown, or its images cannot be used.
        FileNotFoundError: it names a file or a folder that does not exist.
    """
    source = _open(settings.source, settings, ("train", ""))
    if source is None:
        raise ValueError(f"The source {settings.source!r} has no split 'train' to train on.")
    return source


def open_test_source(settings, train):
    """Opens the test images.

    Args:
        settings: a `data_settings.DataSettings`; with an empty `test_source`, `source` is
            searched for a test split.
        train: the opened training source, which must have the same classes.

    Returns:
        A `source_base.Source`, or `None` if the source has no test split: the
        test images are then held out of the training images.

    Raises:
        ValueError: as `open_source`, or the two sources have different classes or share
            images.
        FileNotFoundError: `test_source` names a file or a folder that does not exist.
    """
    if settings.test_source:
        test = _open(settings.test_source, settings, (*TEST_SPLITS, "train", ""))
        if test is None:
            raise ValueError(
                f"The test_source {settings.test_source!r} has none of the splits "
                f"{', '.join(TEST_SPLITS)} and 'train'."
            )
    else:
        test = _open(settings.source, settings, TEST_SPLITS)
    if test is None:
        return None
    names = test.class_names, f"the training images ({train.name})", train.class_names
    checks.check_same_classes(f"the test images ({test.name})", *names)
    shared = sorted(train.files() & test.files()) or test.copies_of(train)
    if shared or test.fingerprint() == train.fingerprint():
        places = f": {checks.some(shared)}" if shared else ""
        raise ValueError(
            f"The test images ({settings.test_source or settings.source!r}) hold images of the "
            f"source {settings.source!r} that are trained on{places}. Leave test_source empty to "
            "hold out some, or give other images."
        )
    return test


def open_to_evaluate(settings):
    """Opens the images of `source` to measure a model on.

    Args:
        settings: a `data_settings.DataSettings`.

    Returns:
        `(source, is_test_split)`: its test split, or all of its images if it has none.

    Raises:
        ValueError, FileNotFoundError: as `open_source`.
    """
    test = _open(settings.source, settings, TEST_SPLITS)
    return (test, True) if test is not None else (open_source(settings), False)


class Digits(source_base.Source):
    """scikit-learn's 1,797 handwritten digits, 8x8 grey; 0..16 is scaled to 0..255."""

    random_access = True

    def __init__(self, name):
        from sklearn import datasets  # needed for this source only

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


def _open(spec, settings, splits):
    """Opens the first of `splits` that the source `spec` has; `""` means without splits.

    Returns:
        The source, or `None` if it has none of the splits.
    """
    kind, colon, where = str(spec).partition(":")
    kinds = [form.partition(":")[0] for form in KINDS]
    if kind == _WITHOUT_LABELS and where:
        raise ValueError(
            f"The images of {spec!r} have no labels. Only a new run of tools.compress takes them: "
            "there the model's answers stand for labels. Expected one of " + ", ".join(KINDS)
        )
    if kind not in kinds or (kind == "digits" and colon) or (kind != "digits" and not where):
        raise ValueError(
            f"A source is one of {', '.join(KINDS)}.{checks.near_names(kind, kinds)} "
            f"Received: {spec!r}"
        )
    if kind == "tfds":
        return _open_tfds(spec, where, settings, splits)
    if kind == "folder":
        return folder_source.open_folder(spec, where, splits)
    if "" not in splits:
        return None
    if kind == "digits":
        return Digits(spec)
    if kind == "list":
        return list_source.ImageList(spec, where)
    return record_sources.TFRecords(spec, where, settings)


def _open_tfds(spec, where, settings, splits):
    import tensorflow_datasets as tfds  # needed for this source only

    # TFDS writes a version after a colon; after a slash it looks for a configuration.
    name = re.sub(r"/(\d+\.\d+\.\d+)$", r":\1", where)
    folder = os.path.expanduser(settings.tfds_data_dir) or None
    try:
        builder = tfds.builder(name, data_dir=folder)
    except (ValueError, AssertionError) as error:
        names = tfds.list_builders(with_community_datasets=False)
        if folder and tf.io.gfile.isdir(folder):
            names += folder_source.subfolders(folder)
        raise ValueError(
            f"TFDS has no dataset {where!r} (tfds_data_dir={settings.tfds_data_dir!r})."
            f"{checks.near_names(where, names)} ({source_base.first_line(error)})"
        ) from error
    record_sources.check_features(spec, builder.info.features)
    if not builder.is_prepared():
        try:
            builder.download_and_prepare()
        except Exception as error:  # from TFDS, the dataset's own code, or a web server
            raise ValueError(
                f"TFDS cannot prepare {where!r}: {source_base.first_line(error)} Provide what it "
                "asks for, or set tfds_data_dir to the folder of the prepared data."
            ) from error
    for split in splits:
        if split in builder.info.splits:
            source = record_sources.Tfds(spec, builder, split)
            # Labels that were not published are -1, as in the test split of ImageNet.
            if split not in TEST_SPLITS or source.first_label() >= 0:
                return source
    return None
