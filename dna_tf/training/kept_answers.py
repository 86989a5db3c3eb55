"""The teacher's answers to the images of a training, kept on disk for the next trainings.

The seed of a training decides the order and the augmentation of its images. So students that are
trained with one seed and recipe see the same images, and the teacher answers once for all of them.
"""

import numpy as np
import tensorflow as tf

from dna_tf.common import files, progress
from dna_tf.data import augmentation
from dna_tf.models import keras_files

_HINT = "Delete the file: the answers are computed again."


class KeptAnswers:
    """The answers of one teacher, a file for each epoch of each order of images.

    Args:
        folder: of the files; trainings of different seeds and recipes may share it.
        teacher: a `keras.Model` from images in 0..255 to logits.
    """

    def __init__(self, folder, teacher):
        self._folder, self._fingerprint = files.as_path(folder), None
        self._teacher = teacher
        self._answer = tf.function(lambda images: teacher(images, training=False))

    def of_epoch(self, images, recipe, epoch, seed):
        """The answers to all training images of an epoch, computed if no file has them.

        Args:
            images: a `labelled_images.Images`.
            recipe: a config section with `batch_size`, `accumulate` and the augmentation.
            epoch: int, which epoch it is.
            seed: of `images.epoch`.

        Returns:
            float32 `(batches, images of a batch, classes)`, in the order of `images.epoch`; a
            batch is one of the parts of an update.
        """
        size = recipe.batch_size // recipe.accumulate
        steps = images.steps_per_epoch(size)
        changes = augmentation.of_recipe(recipe, images.num_classes)
        path = self._path(images, changes, size, epoch, seed)
        if path.exists():
            answers = files.read_arrays(path, _HINT).get("answers")
            if answers is None or answers.shape[:2] != (steps, size):
                raise ValueError(
                    f"The file {path} does not hold the answers to {steps} batches of {size} "
                    f"images. {_HINT}"
                )
            return answers
        batches, answers = images.epoch(size, epoch, seed, True, augmentation=changes), []
        with images.reading(), progress.bar("teacher's answers", steps * size, "image") as bar:
            for pixels, _ in batches:
                answers.append(self._answer(pixels).numpy().astype(np.float32))
                bar.update(size)
        answers = np.stack(answers)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_arrays(path, {"answers": answers})
        return answers

    def _path(self, images, changes, size, epoch, seed):
        """The file of an epoch; its name stands for all that the answers depend on."""
        if self._fingerprint is None:
            self._fingerprint = keras_files.weights_fingerprint(self._teacher)
        facts = [self._fingerprint, images.fingerprint, vars(changes) if changes else {}, size]
        return self._folder / f"{files.fingerprint([*facts, epoch, seed])}.npz"
