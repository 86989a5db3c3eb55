"""Folders of images: one folder for each class, alone or in the folders of the splits.

Files are read through `tf.io.gfile`, so a folder may be remote (`gs://...`).
"""

import collections
import functools
import os
import re

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, progress
from dna_tf.data import image_files, source_base

# The folder of a split may have one of these names, in upper or lower case.
_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation",),
    "val": ("val", "valid"),
}
_LIKE_SPLITS = re.compile(
    r"(train|training|test|testing|val|valid|validation|eval|evaluation|dev|holdout)"
    r"[\W_]*(set|data|images?|split|\d*)"
)


def open_folder(spec, where, splits):
    """Opens the first of `splits` that a folder has; `""` means without splits.

    Args:
        spec: the source as the user wrote it.
        where: path of the folder.
        splits: names such as `"train"`.

    Returns:
        A `Folder`, or `None` if it has none of the splits.

    Raises:
        FileNotFoundError: there is no such folder; near names are given.
        ValueError: it has no class folders, or a class has no images.
    """
    folder = os.path.expanduser(where).rstrip("/") or "/"
    if not tf.io.gfile.isdir(folder):
        parent, name = os.path.split(folder)
        parent = parent or "."
        near = subfolders(parent) if tf.io.gfile.isdir(parent) else []
        raise FileNotFoundError(
            f"There is no folder {folder!r} (source {spec!r}).{checks.near_names(name, near)}"
        )
    names = [entry.rstrip("/") for entry in tf.io.gfile.listdir(folder)]
    if "" not in splits and not _folder_of_split(folder, names, "train"):
        return None
    for split in splits:
        if not split:
            return Folder(spec, folder)
        path = _folder_of_split(folder, names, split)
        if path:
            return Folder(spec, path)
    return None


def _folder_of_split(folder, names, split):
    """Returns the path of a split in a folder with these entries, or `None`."""
    # A class may be called "train" too: its folder has images and no folders.
    fitting = [
        path
        for name in names
        if name.lower() in _SPLITS[split]
        and tf.io.gfile.isdir(path := os.path.join(folder, name))
        and subfolders(path)
    ]
    exact = os.path.join(folder, split)
    if len(fitting) > 1 and exact not in fitting:
        raise ValueError(
            f"The folder {folder} has several folders for the split {split!r}: "
            f"{sorted(map(os.path.basename, fitting))}. Rename the right one to {split!r}."
        )
    return exact if exact in fitting else next(iter(fitting), None)


def subfolders(folder):
    """Returns the sorted names of the folders in `folder`, hidden ones left out."""
    names = (entry.rstrip("/") for entry in tf.io.gfile.listdir(folder))
    return sorted(
        name
        for name in names
        if not name.startswith(".")
        and not image_files.is_image(name)
        and tf.io.gfile.isdir(os.path.join(folder, name))
    )


class Folder(image_files.ImageFiles):
    """A folder with one folder of images per class; labels follow the sorted names.

    Images in folders below a class folder belong to the class.

    Args:
        name: the source as the user wrote it.
        folder: path of the folder of the class folders.
    """

    def __init__(self, name, folder):
        class_names = subfolders(folder)
        if not class_names:
            raise ValueError(
                f"The folder {folder} has no class folders. Expected one folder of images for "
                f"each class. It holds: {sorted(tf.io.gfile.listdir(folder))[:5]}"
            )
        names, labels, left_out = [], [], []
        for label, class_name in enumerate(class_names):
            images, others = _files_of(folder, class_name)
            if not images:
                raise ValueError(
                    f"The class folder {folder}/{class_name} holds no images "
                    f"({', '.join(image_files.ENDINGS)}). Fill or remove it.{_counted(others)}"
                )
            names += images
            labels += [label] * len(images)
            left_out += others
        super().__init__(name, folder, names, np.array(labels, np.int64), class_names)
        beside = [entry for entry in tf.io.gfile.listdir(folder) if image_files.is_image(entry)]
        _say_left_out(name, left_out, beside)


def _files_of(folder, class_name):
    """Returns the images of a class and its other files: two sorted lists of `"class/..."`."""
    images, others, seen = [], [], set()
    waiting = [class_name]
    while waiting:
        below = waiting.pop()
        path = os.path.join(folder, below)
        # A link to a folder above would never end.
        if source_base.real_path(path) in seen:
            continue
        seen.add(source_base.real_path(path))
        for entry in tf.io.gfile.listdir(path):
            name = f"{below}/{entry.rstrip('/')}"
            if entry.startswith("."):
                continue
            if image_files.is_image(entry):
                images.append(name)
            elif tf.io.gfile.isdir(f"{folder}/{name}"):
                waiting.append(name)
            else:
                others.append(name)
    if len(seen) > 1 and _LIKE_SPLITS.fullmatch(class_name.lower()):
        if not any(name.count("/") == 1 for name in images):
            raise ValueError(
                f"The folder {folder}/{class_name} looks like a split and not like a class: it has "
                f"folders and no images of its own. Expected folders 'train' and 'test' (or 'val') "
                "with a folder for each class in both, or give source and test_source."
            )
    return sorted(images), sorted(others)


def _counted(names):
    """Returns text such as `" Not read: 24 .tif, 2 .txt."`, or `""` without names."""
    endings = (os.path.splitext(name)[1].lower() or "without an ending" for name in names)
    counts = sorted(collections.Counter(endings).items(), key=lambda pair: (-pair[1], pair[0]))
    listed = checks.some([f"{count} {ending}" for ending, count in counts], 8)
    return f" Not read: {listed}." if names else ""


def _say_left_out(name, others, beside):
    """Says in one line which files of a folder are not read."""
    texts = []
    if others:
        texts.append(
            f"{len(others)} files do not end in one of {', '.join(image_files.ENDINGS)}."
            f"{_counted(others)} Convert those that are images."
        )
    if beside:
        texts.append(f"Not read: {len(beside)} images beside the folders of the classes.")
    if texts:
        _warn_once(f"{name}: {' '.join(texts)}")


@functools.cache
def _warn_once(text):
    # A run opens its source several times.
    progress.warn(text)
