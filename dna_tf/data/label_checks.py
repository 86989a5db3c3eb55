"""Labels of data: read once, and checked against the classes and against a trained model."""

import numpy as np

from dna_tf.common import files, statistics

KIND = ".".join(("dna_tf", "data"))  # in one piece it would name the module above this one


def read_labels(opened, cache_dir, check=True):
    """Checks sources and returns the labels of each; kept in the cache between runs.

    Args:
        opened: `source_base.Source`s.
        cache_dir: folder in which labels are kept as `data.json`, or `None`.
        check: whether sources check their images when they are new.

    Returns:
        A list of int64 arrays.
    """
    path = files.as_path(cache_dir) / "data.json" if cache_dir is not None else None
    known = {}
    if path is not None and path.exists():
        known = files.read_json(path, KIND, "Delete it: it is made again.")["labels"]
    found = {}
    for source in opened:
        key = source.fingerprint()
        if key not in known and check:
            source.check()
        found[key] = known[key] if key in known else source.labels().tolist()
    if path is not None and not found.keys() <= known.keys():
        files.write_json(path, {"kind": KIND, "labels": found})
    return [np.array(labels, np.int64) for labels in found.values()]


def check_classes(source, labels, class_names, num_classes):
    """Checks the classes of the training data, and that its labels are of them.

    Args:
        source: its `source_base.Source`.
        labels: int64 array, a label for each image.
        class_names: the names of the classes.
        num_classes: `config.data.num_classes`; 0 counted them.

    Raises:
        ValueError: there are too few classes, another number than the config says, or
            labels are out of range or look as if they started at 1.
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
    """Says if a trained model's answers fit the labels moved by one and not as they are.

    Args:
        labels: int array `(count,)`, the labels of images of all classes mixed.
        answers: int array `(count,)`, the classes that the model gives them.
        num_classes: among which it chose.
        images: what the labels are of, with `name` and `label_offset` as of a
            `source_base.Source`.

    Returns:
        A sentence, or `None` if nothing is wrong with the labels.
    """
    found = shift_of_labels(labels, answers, num_classes)
    if found is None:
        return None
    shift, right = found
    now, other = 100 * np.mean(labels == answers), 100 * right / len(labels)
    if images.label_offset is None:
        fix = (
            "Classes are numbered in the order of their sorted names: look for one that is missing "
            "or too many. (config.data.label_offset shifts the labels of TFRecord files only.)"
        )
    else:
        fix = f"Set config.data.label_offset={images.label_offset - shift}."
    return (
        f"The labels of {images.name} seem to be off by one: of the first {len(labels)} images the "
        f"model answers {now:.1f} % right, and {other:.1f} % if {abs(shift)} is "
        f"{'added to' if shift > 0 else 'subtracted from'} every label. {fix}"
    )


# A model that knows labels moved by one so much better, by share of the images, was made
# for them. Source: our choice.
_CLEARLY_BETTER = 0.2


def shift_of_labels(labels, answers, num_classes):
    """Whether labels look one too low or too high for a model's answers.

    Args:
        labels: int array `(images,)`, images of all classes mixed.
        answers: int array `(images,)`.
        num_classes: among which it chose.

    Returns:
        `(shift, right answers)`: with 1 or -1 added to the labels so many answers are
        right. That is far more than chance, and more than answers that have nothing to do
        with the image give (a model that always answers with a large class); and without
        it they are no more than chance, or clearly fewer. `None` where nothing is wrong
        with the labels.

    Source: our choice.
    """
    total, chance = len(labels), 1 / num_classes
    now = int(np.sum(labels == answers))
    low, high = statistics.wilson(now, total)
    for shift in (1, -1):
        moved = labels + shift
        right = int(np.sum(moved == answers))
        # Where classes beside one another are alike, shifted labels are more than chance.
        if low > chance and right - now < _CLEARLY_BETTER * total:
            continue
        size = max(num_classes, int(moved.max()) + 1)
        shares = [np.bincount(x[x >= 0], minlength=size) / total for x in (moved, answers)]
        if statistics.wilson(right, total)[0] > max(2 * chance, high, float(shares[0] @ shares[1])):
            return shift, right
    return None
