"""Warns if a trained teacher seems to get images in another range than in its training."""

import keras
import numpy as np

from dna_tf.common import statistics
from dna_tf.models import graph, preprocessing

# EfficientNet-Lite0 (0..255) on 64 images of ImageNet has a variance ratio of 0.82
# and a mean shift of 0.03, on CIFAR-10 0.51 and 0.03, on handwritten digits 0.49 and 0.28; on
# ImageNet fed in 0..1 or -1..1 it has 0.003 and 0.67, less the mean of "caffe" 0.83 and 0.73.
LOWEST_RATIO, HIGHEST_RATIO = 1 / 4, 4.0
HIGHEST_SHIFT = 0.5

_BATCH = 16  # images run at once
# Channels whose moving variance is this share of the largest or less are dead and ignored.
_DEAD = 1e-6


def check(model, images):
    """Compares the input of the first batch norm with the statistics of its training.

    Two numbers are measured, as medians over the channels: the ratio of the images'
    variance to the moving variance, and the distance of the images' mean from the
    moving mean in moving standard deviations. A wrong scale shows in the first, a wrong
    offset in the second; the order of the channels (RGB, BGR) shows in neither.

    Args:
        model: a trained functional `keras.Model`. An untrained model has no
            statistics to compare with and would trigger the warning.
        images: float32 array `(images, height, width, channels)` in 0..255, of which
            some 64 are enough.

    Returns:
        A warning, or `None` if nothing is wrong. It is also `None` for a model without batch
        norm: there accuracy is the only check.

    Raises:
        ValueError: the model is not functional or has several inputs or outputs.
    """
    model, images = graph.functional(model), np.asarray(images, np.float32)
    norm, tensor = _first_norm(model)
    if norm is None or not np.any(_alive(norm)):
        return None
    ratio, shift = _measure(keras.Model(model.input, tensor), norm, images)
    if _is_usual(ratio, shift):
        return None
    images_text = f"{np.min(images):.3g} to {np.max(images):.3g}"
    return (
        f"The teacher {model.name!r} seems to get images in another range than it was trained "
        f"with. At its first batch norm, {norm.name!r}, the variance of {len(images)} images is "
        f"{ratio:.3g} times what it was in training (expected {LOWEST_RATIO} to {HIGHEST_RATIO:g})"
        f", and their mean is {shift:.3g} standard deviations off (expected at most "
        f"{HIGHEST_SHIFT:g}); medians over channels. Images come in 0..255 (these are "
        f"{images_text}); set in config.teacher.preprocessing what the model "
        f"expects. {_advice(model, tensor, norm, images)}"
    )


def accuracy_warning(correct, total, num_classes):
    """Warns if a model that came trained is not better than guessing.

    Args:
        correct: right answers on test images.
        total: all answers, at least 1.
        num_classes: classes among which it chose.

    Returns:
        A warning if the 95 % interval of the accuracy is not above chance, otherwise
        `None`.

    Raises:
        ValueError: the counts are negative, or more answers are right than there are.
    """
    low, high = statistics.wilson(correct, total)
    chance = 1 / num_classes
    if low > chance:
        return None
    return (
        f"The teacher came trained, but its accuracy, {100 * correct / total:.2f} % of {total:,} "
        f"images (95 % interval {100 * low:.2f} to {100 * high:.2f} %), is not above chance, "
        f"{100 * chance:.2f} % for {num_classes} classes. Check that it takes images in the range "
        "that config.teacher.preprocessing says, and that its outputs are the classes of the data "
        "in the same order (config.data.label_offset)."
    )


def _first_norm(model):
    """The first batch norm that is called once, with the tensor it reads."""
    listed = graph.nodes(model)
    calls = graph.num_calls(listed)
    for node in listed:
        if isinstance(node.layer, keras.layers.BatchNormalization) and calls[node.name] == 1:
            read = listed[node.reads[0]].outputs
            if len(read) == 1:
                return node.layer, read[0]
    return None, None


def _alive(norm):
    variance = keras.ops.convert_to_numpy(norm.moving_variance)
    return variance > _DEAD * np.max(variance)


def _measure(front, norm, images):
    count, total, squares = 0, 0.0, 0.0
    for start in range(0, len(images), _BATCH):
        values = front(images[start : start + _BATCH], training=False)
        values = keras.ops.convert_to_numpy(values)
        values = np.moveaxis(values, norm.axis, -1).reshape(-1, values.shape[norm.axis])
        values = values.astype(np.float64)
        count, total = count + len(values), total + values.sum(0)
        squares = squares + (values**2).sum(0)
    alive = _alive(norm)
    mean = (total / count)[alive]
    variance = np.maximum((squares / count)[alive] - mean**2, 0.0)
    moving_mean = keras.ops.convert_to_numpy(norm.moving_mean)[alive]
    moving_variance = keras.ops.convert_to_numpy(norm.moving_variance)[alive]
    shift = np.abs(mean - moving_mean) / np.sqrt(moving_variance)
    return float(np.median(variance / moving_variance)), float(np.median(shift))


def _is_usual(ratio, shift):
    return LOWEST_RATIO <= ratio <= HIGHEST_RATIO and shift <= HIGHEST_SHIFT


def _advice(model, tensor, norm, images):
    """Tries every kind of preprocessing instead of the model's."""
    prepared = preprocessing.output(model)
    front = keras.Model(model.input if prepared is None else prepared, tensor)
    fitting = []
    for kind in preprocessing.KINDS:
        image = keras.Input(images.shape[1:])
        try:
            prepare = keras.Model(image, preprocessing.apply(kind, image))
        except ValueError:  # of three channels only
            continue
        pixels = keras.ops.convert_to_numpy(prepare(images))
        if _is_usual(*_measure(front, norm, pixels)):
            fitting.append(kind)
    if not fitting:
        return (
            f"None of {list(preprocessing.KINDS)} would fit: the images may be of a kind that the "
            "model was not trained on, or not in 0..255."
        )
    return f"Tried on these images, {' and '.join(map(repr, fitting))} would fit."
