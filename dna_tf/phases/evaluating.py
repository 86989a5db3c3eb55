"""Evaluates any model on the test images of a run or on another source, and writes the result."""

import dataclasses
import re

from dna_tf import workdirs
from dna_tf.common import checks, files, progress, statistics
from dna_tf.data import loading, sources
from dna_tf.evaluation import confusion, evaluation_images, measuring, model_checks, page
from dna_tf.models import inference, preprocessing
from dna_tf.training import determinism


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to evaluate; the defaults are those of the run.

    Args:
        data: a source instead of the config's test images: its test split or, without one,
            the whole source.
        image_size: height and width in pixels; `None` takes the config's, or for `data`
            without a run the model's own.
        crop_fraction: central part of the resized image that is kept; `None` takes the
            config's.
        interpolation: of the resize, of `evaluation_images.INTERPOLATIONS`; `None` takes the
            config's.
        preprocessing: what the model expects instead of 0..255, of `preprocessing.KINDS`.
        batch_size: images at once; TFLite files run one by one.
        limit: take only this many images, with all classes mixed; 0 takes all.
        first_class: the score that stands for class 0; 1 leaves out a background class.
        class_names: a file with the name of one class a line; `""` takes the data's names.
    """

    data: str = ""
    image_size: int | None = None
    crop_fraction: float | None = None
    interpolation: str | None = None
    preprocessing: str = "none"
    batch_size: int = 100
    limit: int = 0
    first_class: int = 0
    class_names: str = ""


def evaluate(workdir, config, model_path, settings=None, folder=None):
    """Measures a model's top-1 and top-5 accuracy, in all and by class.

    Images are 0..255, resized and cropped as the config or the settings say; the model does
    its own rescaling. A result of the same weights, images and settings is kept.

    Args:
        workdir: a `workdirs.Workdir`, or `None`.
        config: its config, or any.
        model_path: as `inference.open_model` takes it.
        settings: `Settings`; `None` is those of the run.
        folder: where `NAME.json` and `NAME.html` go; `None` is the workdir's
            `evaluations/`, and without a workdir that of the current folder.

    Returns:
        The content of the result file.

    Raises:
        FileNotFoundError: there is no such file or data.
        ValueError: the file cannot be loaded, or does not fit the data.
    """
    # 1. The model and the images, and whether they belong together.
    settings, path = settings or Settings(), files.as_path(model_path)
    _check(settings)
    if folder is None:
        folder = files.as_path("evaluations") if workdir is None else workdir.evaluations
    modules = workdirs.modules(workdir, config)
    predictor = inference.open_model(path, settings.image_size, modules)
    determinism.enable(config.seed)
    images = _images(workdir, config, settings, predictor)
    model_checks.check_shapes(predictor, images, path, settings.first_class)
    num_classes = predictor.num_outputs - settings.first_class
    model_checks.check_labels(images, num_classes)
    class_names = model_checks.class_names(images, num_classes, settings.class_names)
    if settings.class_names == "" and settings.data and workdir is not None:
        names_of_run = sources.open_source(config.data).class_names
        checks.check_same_classes(
            images.name, images.class_names, f"the run {workdir}", names_of_run
        )
    # 2. Is the same evaluation there already?
    identity = _identity(workdir, path, predictor, images, settings)
    name = _name(path, settings, folder, identity)
    finished = _finished(folder / f"{name}.json", identity)
    if finished is not None:
        progress.say(f"{path} is evaluated already: {folder / name}.json")
        if not (folder / f"{name}.html").exists():  # the process was killed before it wrote it
            files.write_text(folder / f"{name}.html", page.page_html(finished))
        _say(path, finished)
        return finished
    # 3. The evaluation, its page and its result.
    evaluation = measuring.measure(
        predictor,
        images,
        batch_size=settings.batch_size,
        input_range=settings.preprocessing,
        first_class=settings.first_class,
    )
    result = identity | _result(evaluation, predictor, class_names)
    _say(path, result)  # before it is written, which may fail after hours of work
    try:
        (folder / f"{name}.html").unlink(missing_ok=True)  # the page of an earlier result
        files.write_json(folder / f"{name}.json", result)
        files.write_text(folder / f"{name}.html", page.page_html(result))
    except OSError as error:
        raise OSError(
            f"The result above was not saved in {folder}: {error.strerror or error} To save it, "
            "take another folder (--output) and evaluate again."
        ) from error
    progress.say(f"Written: {folder / name}.json and .html")
    return result


def _check(settings):
    for name, lowest in (("batch_size", 1), ("limit", 0), ("first_class", 0)):
        checks.check_whole(name, getattr(settings, name), lowest)
    if settings.image_size is not None and settings.image_size < 8:
        raise ValueError(f"image_size must be at least 8. Received: {settings.image_size}")
    if settings.crop_fraction is not None and not 0.1 <= settings.crop_fraction <= 1:
        raise ValueError(
            "The crop fraction, image size over shorter side, must be in [0.1, 1]. Received: "
            f"{settings.crop_fraction}"
        )
    preprocessing.check_kind(settings.preprocessing)


def _images(workdir, config, settings, predictor):
    """The images of the run's test split, or of the settings' source."""
    section = config.data.copy_and_resolve_references()
    with section.unlocked():
        if settings.crop_fraction is not None:
            section.crop_fraction = settings.crop_fraction
        section.interpolation = settings.interpolation or section.interpolation
        section.image_size = settings.image_size or section.image_size
        if settings.data:
            section.source = settings.data
        if settings.data and workdir is None:
            shape = predictor.input_shape
            height, _, channels = shape if len(shape) == 3 else (None, None, None)
            section.image_size = settings.image_size or height or section.image_size
            section.channels = channels or section.channels
            section.num_classes = 0
    if settings.data:
        trained_on = "" if workdir is None else config.data.source
        return evaluation_images.of_source(section, settings.limit, trained_on)
    images = loading.load(section, config.seed, None if workdir is None else workdir.path)
    if workdir is not None and (workdir.teacher / "result.json").exists():
        # A run of an earlier version keeps its pixels. Other sizes and crops are other data.
        images.take_up(workdir.teacher_result().get("data_fingerprint"))
    source = section.test_source or section.source
    return evaluation_images.of_split(images, "test", source, section.crop_fraction, settings.limit)


def _identity(workdir, path, predictor, images, settings):
    """The fields that identify an evaluation."""
    model = str(path)
    if workdir is not None and path.is_relative_to(workdir.path):
        model = str(path.relative_to(workdir.path))
    return {
        "kind": workdirs.EVALUATION_KIND,
        "model": model,
        "model_fingerprint": predictor.fingerprint,
        "data": images.name,
        "data_fingerprint": images.fingerprint,
        "settings": {
            "image_size": images.image_shape[0],
            "channels": images.image_shape[2],
            "crop_fraction": images.crop_fraction,
            "interpolation": images.interpolation,
            "preprocessing": settings.preprocessing,
            "limit": settings.limit,
            "first_class": settings.first_class,
            "class_names": settings.class_names,
        },
    }


def _result(evaluation, predictor, class_names):
    """The fields of a result that were measured."""
    return {
        "test_accuracy": evaluation.accuracy,
        "test_correct": evaluation.correct,
        "test_images": evaluation.total,
        "top5_correct": evaluation.top5_correct,
        "num_classes": evaluation.num_classes,
        "params": getattr(predictor, "params", None),
        "macs": getattr(predictor, "macs", None),
        "class_names": class_names,
        "per_class": evaluation.per_class,
        "confusion": evaluation.confusion,
        "warnings": list(evaluation.warnings),
        "seconds": evaluation.seconds,
        "images_per_second": evaluation.images_per_second,
    }


def _name(path, settings, folder, identity):
    """The name of the result: of the file, and of the settings if they are not the run's."""
    name = "_".join([*path.with_suffix("").parts[-3:]]).strip("/") + path.suffix.replace(".", "_")
    name = re.sub(r"[^\w.-]", "_", name)
    is_special = dataclasses.replace(settings, batch_size=0) != Settings(batch_size=0)
    existing = folder / f"{name}.json"
    if not is_special and existing.exists():  # of another model with the same last folders?
        model = files.read_json(
            existing, workdirs.EVALUATION_KIND, "Delete it and evaluate again."
        ).get("model")
        is_special = model not in (identity["model"], str(path))
    if not is_special:
        return name
    fields = ("model", "settings", "data_fingerprint")
    fingerprint = files.fingerprint([identity[field] for field in fields])[:8]
    return f"{name}_{identity['settings']['image_size']}px_{fingerprint}"


def _finished(path, identity):
    """The result in a file if it has the same identity, otherwise `None`."""
    if not path.exists():
        return None
    result = files.read_json(path, workdirs.EVALUATION_KIND, "Delete it and evaluate again.")
    same = all(result.get(field) == value for field, value in identity.items())
    return result if same else None


def _say(path, result):
    total = result["test_images"]
    accuracy = statistics.describe_accuracy(result["test_correct"], total)
    progress.say(f"{path}: accuracy {accuracy}")
    if result["top5_correct"] is not None:
        progress.say(f"top-5: {statistics.describe_accuracy(result['top5_correct'], total)}")
    worst = confusion.worst_classes(result["per_class"], 5)
    if worst:
        classes = [
            f"{confusion.class_label(result, label)} {right}/{count}"
            for label, right, count in worst
        ]
        progress.say(f"Worst classes: {', '.join(classes)}")
        pairs = [
            f"{confusion.class_label(result, label)} taken for "
            f"{confusion.class_label(result, answer)} {count}x"
            for label, answer, count, _ in confusion.confused_pairs(result["confusion"], 5)
        ]
        progress.say(f"Most confused: {', '.join(pairs)}")
    progress.say(f"{result['images_per_second']:,.1f} images/s")
