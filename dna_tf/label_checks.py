"""Labels of data: read once, and checked against the classes and against a trained model."""

import numpy as np

from dna_tf import files

KIND = ".".join(("dna_tf", "data"))  # in one piece it would name the module above this one
# A model that knows labels moved by one so much better, by share of the images, was made
# for them. Source: our choice.
_CLEARLY_BETTER = 0.2


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
        raise ValueError(
            f"No image of {source.name} has the label 0: labels are {lowest}..{int(labels.max())}, "
            f"as if they started at {lowest}. Set label_offset={lowest}; or, if the first classes "
            f"really have no images, num_classes={len(class_names)}."
        )


def check_range(source, labels, num_classes):
    """Checks that all labels are in `0..num_classes - 1`.

    Raises:
        ValueError: one is not.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        raise ValueError(
            f"The labels of {source.name} must be in 0..{num_classes - 1} for {num_classes} "
            f"classes. Found: {lowest}..{highest}. "
            + (f"Set label_offset={lowest} if they start at {lowest}, or " if lowest else "Set ")
            + f"num_classes={highest - min(lowest, 0) + 1} if there are more classes."
        )


def shift_problem(answers, labels):
    """Says if a trained model's answers fit the labels moved by one better than as they are.

    Args:
        answers: int array `(count,)`, the classes that the model gives first images.
        labels: int array `(count,)`, their labels.

    Returns:
        A sentence, or `None` if labels seem to be those that the model was trained on.
    """
    right = {shift: float(np.mean(answers == labels + shift)) for shift in (-1, 0, 1)}
    best = max(right, key=right.get)
    if not best or right[best] < right[0] + _CLEARLY_BETTER:
        return None
    return (
        f"The model gives the labels of the data plus {best} for {100 * right[best]:.0f} % of "
        f"{len(labels)} images, and the labels themselves for {100 * right[0]:.0f} %: they are off "
        f"by one. Set config.data.label_offset {-best:+d} from what it is, or check the order of "
        "the classes."
    )
