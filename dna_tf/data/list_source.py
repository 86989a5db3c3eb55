"""Lists of images with labels: a CSV file with the path of each image and its label.

The first line names the columns: `path,label`, or `path,answer` where the labels are the answers
of a model. A path is relative to the folder of the list. A label is a whole number from 0, or the
name of a class. Paths of other folders are written whole.
"""

import collections
import csv
import io
import os

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, files
from dna_tf.data import image_files, source_base

COLUMNS = ("path", "label")
COLUMNS_OF_ANSWERS = ("path", "answer")


def write(path, names, answers):
    """Writes a list of a model's answers.

    Args:
        path: the file.
        names: paths of the images.
        answers: int array `(len(names),)`, the classes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS_OF_ANSWERS)
    writer.writerows(zip(names, map(int, answers), strict=True))
    files.write_text(path, text.getvalue())


def is_of_answers(source):
    """Whether a source, such as `"list:answers.csv"`, is a list of a model's answers."""
    kind, _, path = source.partition(":")
    if kind != "list" or not tf.io.gfile.exists(path := os.path.expanduser(path)):
        return False
    with tf.io.gfile.GFile(path) as file:
        return file.readline().strip() == ",".join(COLUMNS_OF_ANSWERS)


class ImageList(image_files.ImageFiles):
    """The images of a list.

    Args:
        name: the source as the user wrote it.
        path: of the list.

    Raises:
        FileNotFoundError: there is no such list, or an image of it is not there.
        ValueError: the list has other columns, no images, an image twice, or a label that is
            neither a whole number from 0 nor, in all lines, a name.
    """

    def __init__(self, name, path):
        path = os.path.expanduser(path)
        if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
            raise FileNotFoundError(f"There is no list of images {path!r} (source {name!r}).")
        names, labels = _read(path)
        folder = os.path.dirname(path) or "."
        if any(map(_is_whole, names)):
            names, folder = [os.path.join(folder, each) for each in names], ""
        class_names = None
        if not all(label.isdecimal() for label in labels):
            if mixed := [label for label in labels if label.lstrip("+-").isdecimal()]:
                raise ValueError(
                    f"The labels of {path} are names in some lines and numbers in others, such as "
                    f"{mixed[0]!r}. Expected whole numbers from 0, or names in all lines."
                )
            class_names = sorted(set(labels))
            labels = [class_names.index(label) for label in labels]
        super().__init__(name, folder, names, np.array(labels, np.int64), class_names)
        self._list = path
        if len(names) <= image_files.MOST_CHECKED:
            missing = [each for each in names if not tf.io.gfile.exists(self._path(each))]
            if missing:
                raise FileNotFoundError(
                    f"{len(missing)} of the {len(names)} images of {path} are not there: "
                    f"{checks.some(missing)}. Paths are relative to the folder of the list."
                )

    def files(self):
        return frozenset([source_base.real_path(self._list)])

    def _identity(self):
        return [*super()._identity(), self._labels.tolist()]

    def _former_identity(self):
        return self._identity()


def _is_whole(name):
    """Whether a path leads to an image from anywhere, not only from the folder of the list."""
    return os.path.isabs(name) or "://" in name


def _read(path):
    """Returns paths and labels of a list, both as texts."""
    with tf.io.gfile.GFile(path) as file:
        # Spreadsheets write a mark before the first column.
        lines = list(csv.reader(file.read().removeprefix("\ufeff").splitlines()))
    columns = tuple(lines[0]) if lines else ()
    if columns not in (COLUMNS, COLUMNS_OF_ANSWERS):
        raise ValueError(
            f"Expected a list of images with the first line {','.join(COLUMNS)!r}. Received: "
            f"{path} with {','.join(columns)!r}."
        )
    names, labels = [], []
    for number, line in enumerate(lines[1:], 2):
        if len(line) != 2 or not all(text.strip() for text in line):
            raise ValueError(
                f"Line {number} of {path} must have a path and a label with a comma between them. "
                f"Received: {','.join(line)!r}"
            )
        names.append(line[0].strip())
        labels.append(line[1].strip())
    if not names:
        raise ValueError(f"The list {path} has no images below its first line.")
    if len(set(names)) < len(names):
        twice = [name for name, count in collections.Counter(names).items() if count > 1]
        raise ValueError(f"The list {path} names images twice: {checks.some(twice)}.")
    return names, labels
