"""Which images a split holds: drawn per class by hashing, the same everywhere.

Library random generators may change between versions; SHA-256 does not. So the
images of a class are ordered by the hash of (seed, label, index), and a split
takes the first ones of that order.
"""

import hashlib

import numpy as np


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

    Source: our choice.
    """
    candidates = np.asarray(candidates, np.int64)
    by_class = candidates[np.argsort(labels[candidates], kind="stable")]
    ends = np.cumsum(class_counts(labels[candidates], len(counts)))
    drawn = []
    for label, members in enumerate(np.split(by_class, ends[:-1])):
        drawn.extend(sorted(members.tolist(), key=_hash_order(seed, label))[: counts[label]])
    drawn = np.array(sorted(drawn), np.int64)
    return drawn, np.setdiff1d(candidates, drawn, assume_unique=True)


def _hash_order(seed, label):
    def key(index):
        return hashlib.sha256(f"{seed},{label},{index}".encode()).digest()

    return key
