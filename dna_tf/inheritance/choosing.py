"""Lets the best assemblies of a search settle by what they really do."""

import dataclasses

import keras

from dna_tf.common import progress
from dna_tf.inheritance import answers, realising
from dna_tf.models import logits
from dna_tf.space import assemblies


@dataclasses.dataclass(frozen=True)
class Realised:
    """An assembly as a model, and how it answers before any training.

    Args:
        assembly: the `assemblies.Assembly`.
        model: its `keras.Model`.
        answers: an `answers.Answers` on the rating images.
    """

    assembly: assemblies.Assembly
    model: keras.Model
    answers: answers.Answers


def settle(candidates, teacher, cells, calibration, images):
    """Realises assemblies and takes the one whose answers are nearest to the teacher's.

    Ratings of one block add up only nearly; the rating images show what a network really does.

    Args:
        candidates: a list of `assemblies.Assembly`.
        teacher: the `cutting.Teacher`.
        cells: the trained cells.
        calibration: batches of training images, as `realising.realise` takes them.
        images: a `labelled_images.Images`; the rating split is used.

    Returns:
        A list of `Realised`, the nearest first.
    """
    realised, whole = [], logits.with_logits(teacher.model)
    with images.reading(), progress.bar("realising", len(candidates), "network") as bar:
        for assembly in candidates:
            model = realising.realise(assembly, teacher, cells, calibration)
            compared = answers.compare(model, whole, images)
            realised.append(Realised(assembly, model, compared))
            bar.update(1)
    return sorted(realised, key=lambda each: each.answers.kl)
