"""Measures the accuracy of any classifier on labelled images."""

import dataclasses
import os
import time

import keras

from dna_tf.common import checks, progress, statistics
from dna_tf.data import label_checks, labelled_images
from dna_tf.evaluation import confusion, evaluation_images, model_checks
from dna_tf.models import inference, preprocessing

_LEAST_FOR_CHANCE = 20  # images; with fewer a low accuracy may be chance


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The answers of a model on labelled images.

    As text it is its accuracy: `98.6 % (95 % interval 96.8-99.4, 354 of 359)`.

    Args:
        correct: images with the right top-1 answer.
        total: all images.
        top5_correct: images whose class is among the five highest scores; `None` with five
            classes or fewer.
        num_classes: the number of classes.
        per_class: as `confusion.Tally.per_class` gives it.
        confusion: as `confusion.Tally.matrix` gives it.
        warnings: texts, such as that labels seem to be off by one.
        seconds: how long it took.
        images_per_second: the speed after the first batch, in which the model is compiled.
    """

    correct: int
    total: int
    top5_correct: int | None
    num_classes: int
    per_class: dict[str, list[int]]
    confusion: dict[str, dict[str, int]]
    warnings: tuple[str, ...]
    seconds: float
    images_per_second: float

    @property
    def accuracy(self) -> float:
        """The share of right top-1 answers, in [0, 1]."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, `(low, high)`."""
        return statistics.wilson(self.correct, self.total)

    def __str__(self) -> str:
        return statistics.describe_accuracy(self.correct, self.total)


def evaluate(
    model: keras.Model | str | os.PathLike,
    images: labelled_images.Images,
    *,
    split: str = "test",
    batch_size: int = 100,
) -> Evaluation:
    """Measures the accuracy of a classifier on one split of labelled images.

    Args:
        model: a `keras.Model` from images in 0..255 `(batch, height, width, channels)` to
            scores `(batch, classes)`, or the path of a `.keras` file, a `.tflite` file or
            the folder of a SavedModel. The graph of a SavedModel is code that is run as it
            is: evaluate only those of people you trust.
        images: images of the size that the model takes.
        split: `"train"`, `"rating"` or `"test"`.
        batch_size: images at once; TFLite files run one by one.

    Returns:
        An `Evaluation`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an argument is wrong, the file cannot be loaded, the model does not fit
            the images, an image cannot be decoded, or a score is NaN or infinite.

    Example:

        import dna_tf
        import keras

        images = dna_tf.load_images("digits", image_size=16)
        layers = [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
        result = dna_tf.evaluate(keras.Sequential(layers), images)
        print(result)  # such as 10.3 % (95 % interval 7.6-13.9, 37 of 359)
    """
    checks.check_whole("batch_size", batch_size, 1)
    model_checks.check_images(images)
    if isinstance(model, keras.Model):
        predictor, name = inference.KerasPredictor(model), model.name
    elif isinstance(model, str | os.PathLike):
        predictor, name = inference.open_model(model), model
    else:
        raise ValueError(
            f"Expected a keras.Model or the path of a model to evaluate. Received: {model!r}"
        )
    chosen = evaluation_images.of_split(images, split)
    model_checks.check_shapes(predictor, chosen, name)
    return measure(predictor, chosen, batch_size=batch_size)


def measure(predictor, images, *, batch_size=100, input_range="none", first_class=0):
    """Runs a model over all images and counts its answers.

    Args:
        predictor: a predictor of `inference`.
        images: an `evaluation_images.EvaluationImages` that the model fits.
        batch_size: images at once.
        input_range: what the model expects instead of 0..255, of `preprocessing.KINDS`.
        first_class: the score that stands for class 0; 1 leaves out a background class.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: an image cannot be decoded, or a score is NaN or infinite.
    """
    num_classes = predictor.num_outputs - first_class
    tally, warnings = confusion.Tally(num_classes), []
    if images.seen_in_training:
        _warn(warnings, f"{images.name} holds images that the run was trained on.")
    prepare = _preparation(input_range, images.image_shape)
    shift_is_checked, first_s, first_images, before = False, None, 0, None
    started = time.perf_counter()

    def count(scores, labels):
        tally.add(inference.as_array(scores)[:, first_class:], labels.numpy())
        bar.update(len(labels))

    with images.reading(), progress.bar("evaluate", images.count, "image") as bar:
        for batch, labels in images.dataset(batch_size):
            answers = predictor.scores(prepare(batch)), labels
            # One batch behind: an accelerator computes the next one while this is counted.
            if before is not None:
                count(*before)
            before = answers
            if first_s is None:
                inference.as_array(answers[0])  # waits until the model is compiled
                first_s, first_images = time.perf_counter() - started, len(labels)
            if not shift_is_checked and tally.total >= model_checks.FIRST_IMAGES:
                shift_is_checked, shift = True, _shift(tally, images)
                _warn(warnings, shift)
        count(*before)
    seconds = time.perf_counter() - started
    if not shift_is_checked:
        shift = _shift(tally, images)
        _warn(warnings, shift)
    if shift is None and tally.total >= _LEAST_FOR_CHANCE:
        _warn(warnings, model_checks.chance_warning(tally.correct(), tally.total, num_classes))
    rest = tally.total - first_images
    speed = rest / (seconds - first_s) if rest else first_images / first_s
    return Evaluation(
        correct=tally.correct(),
        total=tally.total,
        top5_correct=tally.correct(confusion.TOP) if num_classes > confusion.TOP else None,
        num_classes=num_classes,
        per_class=tally.per_class(),
        confusion=tally.matrix(),
        warnings=tuple(warnings),
        seconds=round(seconds, 2),
        images_per_second=round(speed, 1),
    )


def _shift(tally, images):
    return label_checks.shift_problem(tally.labels, tally.answers, tally.num_classes, images)


def _warn(warnings, text):
    if text:
        warnings.append(text)
        progress.warn(text)


def _preparation(kind, image_shape):
    """A function that applies a kind of preprocessing to a batch of images."""
    if kind == "none":
        return lambda batch: batch
    image = keras.Input(image_shape)
    model = keras.Model(image, preprocessing.apply(kind, image))
    return lambda batch: model(batch, training=False)
