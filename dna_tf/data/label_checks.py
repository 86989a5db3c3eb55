"""Labels of data: read once, and checked against the classes and against a trained model."""

import numpy as np

from dna_tf.common import files, progress, statistics
from dna_tf.data import source_base

KIND = "dna_tf.data"
# Labels count as shifted if the model is better by this share of the images with the shift.
_CLEARLY_BETTER = 0.2


def read_labels(opened, cache_dir, check=True):
    """Returns the labels of sources; a file keeps them, so that they are read only once.

    Args:
        opened: `source_base.Source`s.
        cache_dir: folder of the file, `data.json`, or `None`.
        check: whether sources that are not in the file check their images.

    Returns:
        A list of int64 arrays.
    """
    path = files.as_path(cache_dir) / "data.json" if cache_dir is not None else None
    cached = {}
    if path is not None and path.exists():
        cached = files.read_json(path, KIND, "Delete it: it is made again.")["labels"]
    labels = {}
    for source in opened:
        key = source_base.key_in(cached, source)
        if key not in cached and check:
            source.check()
        if key in cached:
            labels[key] = _checked(path, source, cached[key])
        else:
            labels[key] = source.labels().tolist()
    if path is not None and not labels.keys() <= cached.keys():
        try:
            files.write_json(path, {"kind": KIND, "labels": labels})
        except OSError as error:  # a workdir that can only be read
            progress.warn(f"The labels are not kept, and are read again each time: {error}")
    return [np.array(values, np.int64) for values in labels.values()]


def _checked(path, source, values):
    """Labels from the file, after checking that they are as many whole numbers as images."""
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):  # lists in lists
        array = np.zeros(0)
    # A source that has to read all its files to count its images is not read for this.
    count = len(array) if source.counts_by_reading and array.ndim else source.num_examples
    if array.shape != (count,) or array.dtype.kind != "i":
        raise ValueError(
            f"The file {path} does not have a whole number for each of the images of "
            f"{source.name}. Delete it: it is made again."
        )
    return values


def check_classes(source, labels, class_names, num_classes):
    """Checks the classes of the training data and the range of its labels.

    Args:
        source: its `source_base.Source`.
        labels: int64 array `(num_examples,)`.
        class_names: the names of the classes.
        num_classes: the setting `num_classes`; 0 if they were counted.

    Raises:
        ValueError: there are too few classes, or not `num_classes` of them, or labels are out
            of range or seem to start at 1.
    """
    if len(class_names) < 2:
        raise ValueError(f"Expected at least 2 classes in {source.name}. Found: {class_names}")
    if num_classes and len(class_names) != num_classes:
        raise ValueError(
            f"num_classes={num_classes}, and {source.name} has {len(class_names)} classes. "
            f"Set num_classes=0 to count them in the data."
        )
    check_range(source, labels, len(class_names))
    lowest = int(labels.min())
    if lowest and not num_classes and not source.class_names:
        offset = ""
        if source.label_offset is not None:
            offset = f"Set label_offset={source.label_offset + lowest}; or, if "
        raise ValueError(
            f"No image of {source.name} has the label 0: labels are {lowest}..{int(labels.max())}, "
            f"as if they started at {lowest}. {offset or 'If '}the first classes really have no "
            f"images, {'' if offset else 'set '}num_classes={len(class_names)}."
        )


def check_range(source, labels, num_classes):
    """Checks that all labels are in `0..num_classes - 1`.

    Raises:
        ValueError: one is not.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        offset = ""
        if lowest and source.label_offset is not None:
            offset = f"Set label_offset={source.label_offset + lowest} if they start at {lowest}, "
        raise ValueError(
            f"The labels of {source.name} must be in 0..{num_classes - 1} for {num_classes} "
            f"classes. Found: {lowest}..{highest}. "
            + (f"{offset}or " if offset else "Set ")
            + f"num_classes={highest - min(lowest, 0) + 1} if there are more classes."
        )


def shift_problem(labels, answers, num_classes, images):
    """Describes labels that fit a trained model's answers only after a shift by one.

    Args:
        labels: int array `(count,)`, the labels of images of all classes, mixed.
        answers: int array `(count,)`, the classes that the model chose.
        num_classes: outputs of the model.
        images: their source, with `name` and `label_offset` as of a `source_base.Source`.

    Returns:
        A sentence, or `None` if nothing is wrong with the labels.
    """
    shift_and_right = shift_of_labels(labels, answers, num_classes)
    if shift_and_right is None:
        return None
    shift, right = shift_and_right
    now, other = 100 * np.mean(labels == answers), 100 * right / len(labels)
    if images.label_offset is None:
        fix = (
            "Classes are numbered in the order of their sorted names: look for a missing or an "
            "extra class. (label_offset shifts the labels of TFRecord files only.)"
        )
    else:
        fix = f"Set label_offset={images.label_offset - shift}."
    return (
        f"The labels of {images.name} seem to be off by one: of the first {len(labels)} images the "
        f"model answers {now:.1f} % right, and {other:.1f} % if {abs(shift)} is "
        f"{'added to' if shift > 0 else 'subtracted from'} every label. {fix}"
    )


def shift_of_labels(labels, answers, num_classes):
    """Tests whether labels are one too low or too high for a model's answers.

    Args:
        labels: int array `(images,)`, the labels of images of all classes, mixed.
        answers: int array `(images,)`, the classes that the model chose.
        num_classes: outputs of the model.

    Returns:
        `(shift, right)`: `right` answers are correct if `shift`, 1 or -1, is added to every
        label. That is far more than by chance, and more than from a model that ignores its
        images (one that always answers with a large class); and without the shift the correct
        answers are no more than by chance, or clearly fewer. `None` if nothing is wrong with
        the labels.
    """
    total, chance = len(labels), 1 / num_classes
    now = int(np.sum(labels == answers))
    low, high = statistics.wilson(now, total)
    for shift in (1, -1):
        moved = labels + shift
        right = int(np.sum(moved == answers))
        # If neighbouring classes look alike, shifted labels too are right more than by chance.
        if low > chance and right - now < _CLEARLY_BETTER * total:
            continue
        size = max(num_classes, int(moved.max()) + 1)
        shares = [np.bincount(x[x >= 0], minlength=size) / total for x in (moved, answers)]
        if statistics.wilson(right, total)[0] > max(2 * chance, high, float(shares[0] @ shares[1])):
            return shift, right
    return None
