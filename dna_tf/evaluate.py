"""Evaluation of any model on any images: Keras and TFLite files, SavedModels, a workdir's own."""

import dataclasses
import re
import time

import keras

from dna_tf import (
    accuracy,
    checks,
    confusion,
    determinism,
    evaluation_checks,
    evaluation_images,
    evaluation_page,
    files,
    label_checks,
    predictors,
    preprocessing,
    progress,
    sources,
)

KIND = "dna_tf.evaluation"
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


def evaluate(workdir, config, model_path, settings=None, folder=None):
    """Measures a model's top-1 and top-5 accuracy, in all and by class.

    Images go in as everywhere in this project: 0..255, resized and cropped as the
    config or the settings say; the model does its own rescaling. A result that is there
    already, of the same weights, images and settings, is kept.

    Args:
        workdir: a `workdir.Workdir`; `None` without one.
        config: its config, or any.
        model_path: as `predictors.open_model` takes it.
        settings: `Settings`; `None` is those of the run.
        folder: where `NAME.json` and `NAME.html` go; `None` is the workdir's
            `evaluations/`, and without a workdir the present folder's.

    Returns:
        The content of the result file.

    Raises:
        FileNotFoundError: there is no such file or data.
        ValueError: the file cannot be loaded, or does not fit the data.
    """
    settings, path = settings or Settings(), files.as_path(model_path)
    _check_settings(settings)
    preprocessing.check_kind(settings.preprocessing)
    if folder is None:
        folder = files.as_path("evaluations") if workdir is None else workdir.evaluations
    predict = predictors.open_model(path, settings.image_size, tuple(config.teacher.modules))
    determinism.enable(config.seed)
    images = _images(workdir, config, settings, predict)
    evaluation_checks.check_shapes(predict, images, path, settings.first_class)
    num_classes = predict.num_outputs - settings.first_class
    evaluation_checks.check_labels(images, num_classes)
    names = evaluation_checks.class_names(images, num_classes, settings.class_names)
    if settings.class_names == "" and settings.data and workdir is not None:
        known = sources.open_source(config.data).class_names
        names_of_run = f"the run {workdir}", known
        checks.check_same_classes(images.name, images.class_names, *names_of_run)
    head = _head(workdir, path, predict, images, settings)
    name = _name(path, settings, folder, head)
    known = _known(folder / f"{name}.json", head)
    if known is not None:
        progress.say(f"{path} is evaluated already: {folder / name}.json")
        _say(path, known)
        return known
    tally, seconds, warnings = measure(predict, images, settings)
    result = head | _summary(tally, names, predict) | {"warnings": warnings} | seconds
    files.write_text(folder / f"{name}.html", evaluation_page.page_html(result))
    files.write_json(folder / f"{name}.json", result)
    _say(path, result)
    progress.say(f"Written: {folder / name}.json and .html")
    return result


def _images(workdir, config, settings, predict):
    """The images of the run's test split, or of the settings' source."""
    section, size = config.data.copy_and_resolve_references(), settings.image_size
    with section.unlocked():
        if settings.crop_fraction is not None:
            section.crop_fraction = settings.crop_fraction
        if not settings.data:
            section.image_size = size or section.image_size
            cache = None if workdir is None else workdir.path
            if settings.interpolation != "bilinear":
                raise ValueError(
                    "The run's own images are resized as in its training, bilinear. Give --data "
                    f"with --interpolation. Received: {settings.interpolation!r}"
                )
            return evaluation_images.of_run(section, config.seed, cache, settings.limit)
        section.source = settings.data
        own = predict.input_shape if len(predict.input_shape) == 3 else (None, None, None)
        if workdir is None:
            section.image_size = size or own[0] or section.image_size
            section.channels = own[2] or section.channels
            section.num_classes = 0
        else:
            section.image_size = size or section.image_size
    trained_on = "" if workdir is None else config.data.source
    return evaluation_images.of_source(section, settings.interpolation, settings.limit, trained_on)


def measure(predict, images, settings):
    """Runs a model over all images and counts its answers.

    Args:
        predict: of `predictors.open_model`.
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
        tally.add(predictors.as_array(scores)[:, settings.first_class :], labels.numpy())
        shown.update(len(labels))

    with images.reading(), progress.bar("evaluate", images.count, "image") as shown:
        for batch, labels in images.dataset(settings.batch_size):
            made = predict.scores(prepare(batch)), labels
            # One batch behind: an accelerator works on the next one while this is counted.
            if before is not None:
                take(*before)
            before = made
            if first_s is None:
                predictors.as_array(made[0])  # waits for what is compiled once
                first_s, first_images = time.perf_counter() - started, len(labels)
            if not checked and tally.total >= evaluation_checks.FIRST_IMAGES:
                checked, shift = True, _shift(tally, images)
                _warn(warnings, shift)
        take(*before)
    all_s = time.perf_counter() - started
    if not checked:
        shift = _shift(tally, images)
        _warn(warnings, shift)
    if shift is None and tally.total >= _LEAST_FOR_CHANCE:
        chance = evaluation_checks.chance_warning(tally.correct(), tally.total, num_classes)
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


def _head(workdir, path, predict, images, settings):
    """What says which measurement it is."""
    model = str(path)
    if workdir is not None and path.is_relative_to(workdir.path):
        model = str(path.relative_to(workdir.path))
    return {
        "kind": KIND,
        "model": model,
        "model_fingerprint": predict.fingerprint,
        "data": images.name,
        "data_fingerprint": images.fingerprint,
        "settings": {
            "image_size": images.image_shape[0],
            "channels": images.image_shape[2],
            "crop_fraction": images.crop_fraction,
            "interpolation": settings.interpolation,
            "preprocessing": settings.preprocessing,
            "limit": settings.limit,
            "first_class": settings.first_class,
            "class_names": settings.class_names,
        },
    }


def _summary(tally, names, predict):
    per_class = tally.per_class()
    return {
        "test_accuracy": tally.correct() / tally.total,
        "test_correct": tally.correct(),
        "test_images": tally.total,
        "top5_correct": tally.correct(confusion.TOP) if tally.num_classes > confusion.TOP else None,
        "num_classes": tally.num_classes,
        "params": getattr(predict, "params", None),
        "macs": getattr(predict, "macs", None),
        "class_names": names,
        "per_class": per_class,
        "confusion": tally.matrix(),
    }


def _name(path, settings, folder, head):
    """The name of the result: of the file, and of the settings where they are not the run's."""
    name = "_".join([*path.with_suffix("").parts[-3:]]).strip("/") + path.suffix.replace(".", "_")
    name = re.sub(r"[^\w.-]", "_", name)
    special = dataclasses.replace(settings, batch_size=0) != Settings(batch_size=0)
    there = folder / f"{name}.json"
    if not special and there.exists():  # of another model with the same last folders?
        model = files.read_json(there, KIND, "Delete it and evaluate again.").get("model")
        special = model not in (head["model"], str(path))
    if not special:
        return name
    told = files.fingerprint([head["model"], head["settings"], head["data_fingerprint"]])[:8]
    return f"{name}_{head['settings']['image_size']}px_{told}"


def _known(path, head):
    if not path.exists():
        return None
    there = files.read_json(path, KIND, "Delete it and evaluate again.")
    return there if all(there.get(key) == value for key, value in head.items()) else None


def _say(path, result):
    progress.say(f"{path}: accuracy {_share(result, 'test_correct')}")
    if result["top5_correct"] is not None:
        progress.say(f"top-5: {_share(result, 'top5_correct')}")
    worst = confusion.worst_classes(result["per_class"], 5)
    if worst:
        shown = [
            f"{confusion.class_label(result, label)} {right}/{count}"
            for label, right, count in worst
        ]
        progress.say(f"Worst classes: {', '.join(shown)}")
        pairs = confusion.confused_pairs(result["confusion"], 5)
        shown = [
            f"{confusion.class_label(result, a)} taken for {confusion.class_label(result, b)} {n}x"
            for a, b, n, _ in pairs
        ]
        progress.say(f"Most confused: {', '.join(shown)}")
    progress.say(f"{result['images_per_second']:,.1f} images/s")


def _share(result, key):
    return accuracy.describe(result[key], result["test_images"])


def _check_settings(settings):
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
