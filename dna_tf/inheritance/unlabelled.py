"""Images without labels: the teacher's answers stand for them, and nothing learns from them."""

import numpy as np

from dna_tf.data import loading
from dna_tf.models import inference

_SHARE = 0.15  # of the images that are rated on, and of those that are tested on
_BATCH = 100


def images_of(pixels, model, seed=0):
    """Splits images without labels.

    Args:
        pixels: uint8, or float32 in 0..255, `(count, height, width, channels)`.
        model: the teacher, a `keras.Model` from these images to scores.
        seed: decides the splits.

    Returns:
        A `labelled_images.Images` whose labels are the teacher's answers: the accuracy of a
        model on them is its agreement with the teacher.

    Raises:
        ValueError: as `loading.images_from_arrays`.
    """
    predictor = inference.KerasPredictor(model)
    scores = [
        inference.as_array(predictor.scores(np.asarray(pixels[start : start + _BATCH], np.float32)))
        for start in range(0, len(pixels), _BATCH)
    ]
    answers = np.argmax(np.concatenate(scores), axis=-1)
    names = [str(n) for n in range(predictor.num_outputs)]
    return loading.images_from_arrays(
        (np.asarray(pixels), answers),
        class_names=names,
        rating_fraction=_SHARE,
        test_fraction=_SHARE,
        seed=seed,
    )


def recipe_without_labels(recipe):
    """A recipe for images without labels: it learns from answers and maps only.

    Args:
        recipe: fields of the section `fine_tune`, or `None`.

    Raises:
        ValueError: it learns from labels.
    """
    recipe = {"labels": 0.0, "answers": 1.0, **(recipe or {})}
    if recipe["labels"]:
        raise ValueError(
            "Images without labels leave answers and maps to learn from. Expected labels=0 in the "
            f"recipe. Received: labels={recipe['labels']!r}"
        )
    return recipe
