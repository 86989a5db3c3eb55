"""The images of each split, drawn by hashing: the same on every machine and in every version.

Random generators of libraries may change between versions; SHA-256 does not. So the images
of a class are ordered by the hash of (seed, label, index), and a split takes the first ones
of that order. With few images a class, images are drawn whatever their class, by the hash of
(seed, index).
"""

import hashlib

import numpy as np

from dna_tf.common import checks

SPLITS = ("train", "rating", "test")


def draw_all(labels, test_labels, class_names, settings, seed):
    """Draws all splits of a source.

    Args:
        labels: int64 array `(num_examples,)`, the label of every image of the source.
        test_labels: the labels of the source of the test images, all of which become test
            images; `None` holds test images out of the training images.
        class_names: the name of each class.
        settings: with `test_fraction`, and with `rating_fraction` or `rating_per_class`.
        seed: int; another seed draws other images.

    Returns:
        A dict from `"train"`, `"rating"` and `"test"` to a sorted int64 array of indices.

    Raises:
        ValueError: a class or a split has too few images, or the fraction is not in [0, 1).
    """
    if settings.rating_fraction:
        fractions = settings.test_fraction, settings.rating_fraction
        return _draw_fractions(labels, test_labels, *fractions, seed)
    return _draw_per_class(labels, test_labels, class_names, settings, seed)


def _draw_per_class(labels, test_labels, class_names, settings, seed):
    indices = np.arange(len(labels))
    if test_labels is None:
        counts = fraction_counts(class_counts(labels, len(class_names)), settings.test_fraction)
        test, indices = draw(labels, indices, counts, seed)
    else:
        test = np.arange(len(test_labels))
    per_class = settings.rating_per_class
    after = " after test_fraction" if test_labels is None else ""
    reason = f"rating_per_class={per_class}{after}"
    _check_enough("training", labels[indices], class_names, per_class + 1, reason)
    tested = labels[test] if test_labels is None else test_labels
    _check_enough("test", tested, class_names, 1, "the test")
    rating, train = draw(labels, indices, [per_class] * len(class_names), seed)
    return {"train": train, "rating": rating, "test": test}


def _draw_fractions(labels, test_labels, test_fraction, rating_fraction, seed):
    if not 0.0 < rating_fraction < 1.0:
        raise ValueError(
            "rating_fraction must be above 0 and below 1, or 0 to draw rating_per_class"
            f" images of each class. Received: {rating_fraction!r}"
        )
    if test_labels is None:
        test, rest = draw_fraction(np.arange(len(labels)), test_fraction, seed)
    else:
        test, rest = np.arange(len(test_labels)), np.arange(len(labels))
    rating, train = draw_fraction(rest, rating_fraction, seed)
    drawn = {"train": train, "rating": rating, "test": test}
    empty = [name for name in SPLITS if not len(drawn[name])]
    if empty:
        raise ValueError(
            f"Every split needs at least 1 image, but of {len(labels)} images none is left for "
            f"{' and '.join(empty)} at rating_fraction={rating_fraction}"
            + (f" and test_fraction={test_fraction}" if test_labels is None else "")
            + ". Add images, or lower the fractions."
        )
    return drawn


def class_counts(labels, num_classes):
    """Returns how many `labels` each class has: an int64 array `(num_classes,)`."""
    return np.bincount(labels, minlength=num_classes)


def fraction_counts(counts, fraction):
    """Returns `fraction` of each class's count, rounded, and at least 1."""
    return np.array([max(1, round(int(count) * fraction)) for count in counts], np.int64)


def draw(labels, candidates, counts, seed):
    """Draws images of each class, by hash.

    Args:
        labels: int64 array `(num_examples,)`, the label of every image of the source.
        candidates: int64 array of the indices that may be drawn.
        counts: how many to draw of each class, `(num_classes,)`. A class with
            fewer candidates gives all it has.
        seed: int; another seed draws other images.

    Returns:
        Two sorted int64 arrays: the drawn indices and the candidates that remain.
    """
    candidates = np.asarray(candidates, np.int64)
    by_class = candidates[np.argsort(labels[candidates], kind="stable")]
    ends = np.cumsum(class_counts(labels[candidates], len(counts)))
    drawn = []
    for label, members in enumerate(np.split(by_class, ends[:-1])):
        drawn.append(_in_hash_order(members, seed, label)[: counts[label]])
    drawn = np.sort(np.concatenate(drawn)) if drawn else candidates[:0]
    return drawn, np.setdiff1d(candidates, drawn, assume_unique=True)


def draw_fraction(candidates, fraction, seed):
    """Draws a fraction of all images, whatever their class, by hash.

    Args:
        candidates: int64 array of the indices that may be drawn.
        fraction: share of them that is drawn, rounded to a number of at least 1.
        seed: int; another seed draws other images.

    Returns:
        Two sorted int64 arrays: the drawn indices and the candidates that remain.
    """
    candidates = np.asarray(candidates, np.int64)
    (count,) = fraction_counts([len(candidates)], fraction)
    drawn = np.sort(_in_hash_order(candidates, seed)[:count])
    return drawn, np.setdiff1d(candidates, drawn, assume_unique=True)


def _check_enough(what, labels, class_names, needed, reason):
    counts = class_counts(labels, len(class_names)).tolist()
    few = [
        f"{name!r} (label {label}) has {count}"
        for label, (name, count) in enumerate(zip(class_names, counts, strict=True))
        if count < needed
    ]
    if few:
        raise ValueError(
            f"Every class needs at least {needed} {what} images for {reason}, but class "
            f"{checks.some(few)}. Add images, lower rating_per_class, or set "
            "rating_fraction, which draws images whatever their class."
        )


def _in_hash_order(members, *parts):
    """Returns int64 members in the order of the SHA-256 of `"PARTS,MEMBER"`."""
    start = "".join(f"{part}," for part in parts).encode()
    # A million images are hashed when a tool starts: each step here is in C.
    digests = b"".join(
        [
            hashlib.sha256(b"%s%d" % (start, member), usedforsecurity=False).digest()
            for member in members.tolist()
        ]
    )
    words = np.frombuffer(bytearray(digests), ">u8").reshape(-1, 4)
    return members[np.lexsort(words.T[::-1])]
