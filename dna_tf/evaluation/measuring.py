"""Evaluation of any model on any images: Keras and TFLite files, SavedModels, a workdir's own."""

import dataclasses
import time

import keras

from dna_tf.common import progress
from dna_tf.data import label_checks
from dna_tf.evaluation import confusion, model_checks
from dna_tf.models import inference, preprocessing

_LEAST_FOR_CHANCE = 20  # images; fewer say nothing


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to measure; the defaults are those of the run.

    Args:
        data: a source instead of the config's test images: its test split, or the whole.
        image_size: height and width in pixels; `None` takes the config's, and for `data`
            without a run the model's own.
        crop_fraction: central part of the resized image that is kept; `None` likewise.
        interpolation: of the resize, of `evaluation_images.INTERPOLATIONS`; for `data`.
        preprocessing: what the model expects instead of 0..255, of `preprocessing.KINDS`.
        batch_size: images at once; TFLite files run one by one.
        limit: measure only so many images, of all classes mixed; 0 takes all.
        first_class: the score that stands for class 0; 1 leaves out a background class.
        class_names: a file with the name of one class a line; `""` takes the data's.
    """

    data: str = ""
    image_size: int | None = None
    crop_fraction: float | None = None
    interpolation: str = "bilinear"
    preprocessing: str = "none"
    batch_size: int = 100
    limit: int = 0
    first_class: int = 0
    class_names: str = ""


def measure(predict, images, settings):
    """Runs a model over all images and counts its answers.

    Args:
        predict: of `inference.open_model`.
        images: an `evaluation_images.EvaluationImages`.
        settings: `Settings`.

    Returns:
        `(tally, seconds, warnings)`: a `confusion.Tally`; a dict of `seconds` and
        `images_per_second`, of which the latter leaves out the first batch, in which
        the model is compiled; a list of text.

    Raises:
        ValueError: an image cannot be decoded, or a score is no number.
    """
    num_classes = predict.num_outputs - settings.first_class
    tally, warnings = confusion.Tally(num_classes), []
    if images.seen_in_training:
        _warn(warnings, f"{images.name} holds images that the run was trained on.")
    prepare = _preparation(settings.preprocessing, images.image_shape)
    checked, first_s, first_images, before = False, None, 0, None
    started = time.perf_counter()

    def take(scores, labels):
        tally.add(inference.as_array(scores)[:, settings.first_class :], labels.numpy())
        shown.update(len(labels))

    with images.reading(), progress.bar("evaluate", images.count, "image") as shown:
        for batch, labels in images.dataset(settings.batch_size):
            made = predict.scores(prepare(batch)), labels
            # One batch behind: an accelerator works on the next one while this is counted.
            if before is not None:
                take(*before)
            before = made
            if first_s is None:
                inference.as_array(made[0])  # waits for what is compiled once
                first_s, first_images = time.perf_counter() - started, len(labels)
            if not checked and tally.total >= model_checks.FIRST_IMAGES:
                checked, shift = True, _shift(tally, images)
                _warn(warnings, shift)
        take(*before)
    all_s = time.perf_counter() - started
    if not checked:
        shift = _shift(tally, images)
        _warn(warnings, shift)
    if shift is None and tally.total >= _LEAST_FOR_CHANCE:
        chance = model_checks.chance_warning(tally.correct(), tally.total, num_classes)
        _warn(warnings, chance)
    rest = tally.total - first_images
    rate = rest / (all_s - first_s) if rest else first_images / first_s
    seconds = {"seconds": round(all_s, 2), "images_per_second": round(rate, 1)}
    return tally, seconds, warnings


def _shift(tally, images):
    return label_checks.shift_problem(tally.labels, tally.answers, tally.num_classes, images)


def _warn(warnings, text):
    if text:
        warnings.append(text)
        progress.warn(text)


def _preparation(kind, image_shape):
    if kind == "none":
        return lambda batch: batch
    image = keras.Input(image_shape)
    model = keras.Model(image, preprocessing.apply(kind, image))
    return lambda batch: model(batch, training=False)


def check_settings(settings):
    for name, lowest in (("batch_size", 1), ("limit", 0), ("first_class", 0)):
        value = getattr(settings, name)
        if not isinstance(value, int) or value < lowest:
            raise ValueError(f"{name} must be a whole number of at least {lowest}. Got: {value!r}")
    if settings.image_size is not None and settings.image_size < 8:
        raise ValueError(f"image_size must be at least 8. Received: {settings.image_size}")
    if settings.crop_fraction is not None and not 0.1 <= settings.crop_fraction <= 1:
        raise ValueError(
            "The crop fraction, image size over shorter side, must be in [0.1, 1]. Received: "
            f"{settings.crop_fraction}"
        )
