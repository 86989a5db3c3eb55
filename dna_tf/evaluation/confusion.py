"""Counts the answers of a classifier: top-1 and top-5, by class, and the confusion matrix."""

import numpy as np

TOP = 5
_MOST_LISTED = 10  # worst classes and confused pairs


class Tally:
    """Counts the answers of a classifier batch by batch.

    Args:
        num_classes: the number of scores of an image.
    """

    def __init__(self, num_classes):
        self.num_classes = num_classes
        self._labels, self._answers, self._ranks = [], [], []

    def add(self, scores, labels):
        """Adds a batch.

        Args:
            scores: float array `(batch, num_classes)`.
            labels: int array `(batch,)` in 0..num_classes - 1.

        Raises:
            ValueError: a score is NaN or infinite.
        """
        if not np.all(np.isfinite(scores)):
            bad = int(np.flatnonzero(~np.isfinite(scores).all(1))[0]) + self.total
            raise ValueError(
                f"The model gives scores that are NaN or infinite, first for image {bad} in the "
                "order of evaluation. Its weights or its range of inputs are broken: export or "
                "convert it again."
            )
        labels = np.asarray(labels, np.int64)
        score_of_label = np.take_along_axis(scores, labels[:, None], axis=1)
        # Among equal scores the first class wins, as for argmax.
        before = np.arange(self.num_classes)[None] < labels[:, None]
        is_ahead = (scores > score_of_label) | ((scores == score_of_label) & before)
        self._ranks.append(is_ahead.sum(1))
        self._answers.append(scores.argmax(1))
        self._labels.append(labels)

    @property
    def total(self):
        """The number of images so far."""
        return sum(map(len, self._labels))

    @property
    def labels(self):
        """The labels so far, int64 `(images,)`."""
        return np.concatenate([np.zeros(0, np.int64), *self._labels])

    @property
    def answers(self):
        """The class of the highest score for each image so far, int64 `(images,)`."""
        return np.concatenate([np.zeros(0, np.int64), *self._answers])

    def correct(self, top=1):
        """The number of images whose class is among the `top` highest scores."""
        return int(sum(np.sum(ranks < top) for ranks in self._ranks))

    def per_class(self):
        """Counts images and right answers of each class.

        Returns:
            A dict of lists with one int for each class: `images`, `top1_correct` and
            `top5_correct`, the images whose class is among the five highest scores.
        """
        labels, ranks = self.labels, np.concatenate([np.zeros(0, np.int64), *self._ranks])
        return {
            name: np.bincount(labels[ranks < top], minlength=self.num_classes).tolist()
            for name, top in (
                ("images", self.num_classes),
                ("top1_correct", 1),
                ("top5_correct", TOP),
            )
        }

    def matrix(self):
        """The confusion matrix without its zeros.

        Returns:
            A dict from label to a dict from answer to the number of images. Label and
            answer are text, for JSON.
        """
        matrix = {}
        pairs, counts = np.unique(self.labels * self.num_classes + self.answers, return_counts=True)
        for pair, count in zip(pairs, counts, strict=True):
            label, answer = divmod(int(pair), self.num_classes)
            matrix.setdefault(str(label), {})[str(answer)] = int(count)
        return matrix


def class_label(result, index):
    """The name of a class in the result of an evaluation, or its number if it has no names."""
    names = result["class_names"]
    return f"class {index}" if names is None else names[index]


def worst_classes(per_class, most=_MOST_LISTED):
    """The classes with the lowest accuracy; of equal ones those with more images first.

    Args:
        per_class: as `Tally.per_class` returns it.
        most: how many, at most.

    Returns:
        A list of `(class, right answers, images)`; classes without a mistake are left out.
    """
    rows = [
        (label, right, count)
        for label, (right, count) in enumerate(
            zip(per_class["top1_correct"], per_class["images"], strict=True)
        )
        if right < count
    ]
    return sorted(rows, key=lambda row: (row[1] / row[2], -row[2], row[0]))[:most]


def confused_pairs(matrix, most=_MOST_LISTED):
    """The most frequent mistakes.

    Args:
        matrix: as `Tally.matrix` returns it.
        most: how many, at most.

    Returns:
        A list of `(class, answer, images, images of the class)`.
    """
    rows = [
        (int(label), int(answer), count, sum(row.values()))
        for label, row in matrix.items()
        for answer, count in row.items()
        if label != answer
    ]
    return sorted(rows, key=lambda row: (-row[2], -row[2] / row[3], row[0], row[1]))[:most]
