"""DOC dna_tf.phases.evaluating."""

import dataclasses
import re

from dna_tf import workdirs
from dna_tf.common import checks, files, progress, statistics
from dna_tf.data import sources
from dna_tf.evaluation import confusion, evaluation_images, measuring, model_checks, page
from dna_tf.models import inference, preprocessing
from dna_tf.training import determinism


def evaluate(workdir, config, model_path, settings=None, folder=None):
    """Measures a model's top-1 and top-5 accuracy, in all and by class.

    Images go in as everywhere in this project: 0..255, resized and cropped as the
    config or the settings say; the model does its own rescaling. A result that is there
    already, of the same weights, images and settings, is kept.

    Args:
        workdir: a `workdirs.Workdir`; `None` without one.
        config: its config, or any.
        model_path: as `inference.open_model` takes it.
        settings: `Settings`; `None` is those of the run.
        folder: where `NAME.json` and `NAME.html` go; `None` is the workdir's
            `evaluations/`, and without a workdir the present folder's.

    Returns:
        The content of the result file.

    Raises:
        FileNotFoundError: there is no such file or data.
        ValueError: the file cannot be loaded, or does not fit the data.
    """
    settings, path = settings or measuring.Settings(), files.as_path(model_path)
    measuring.check_settings(settings)
    preprocessing.check_kind(settings.preprocessing)
    if folder is None:
        folder = files.as_path("evaluations") if workdir is None else workdir.evaluations
    predict = inference.open_model(path, settings.image_size, tuple(config.teacher.modules))
    determinism.enable(config.seed)
    images = _images(workdir, config, settings, predict)
    model_checks.check_shapes(predict, images, path, settings.first_class)
    num_classes = predict.num_outputs - settings.first_class
    model_checks.check_labels(images, num_classes)
    names = model_checks.class_names(images, num_classes, settings.class_names)
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
    tally, seconds, warnings = measuring.measure(predict, images, settings)
    result = head | _summary(tally, names, predict) | {"warnings": warnings} | seconds
    files.write_text(folder / f"{name}.html", page.page_html(result))
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


def _head(workdir, path, predict, images, settings):
    """What says which measurement it is."""
    model = str(path)
    if workdir is not None and path.is_relative_to(workdir.path):
        model = str(path.relative_to(workdir.path))
    return {
        "kind": workdirs.EVALUATION_KIND,
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
    special = dataclasses.replace(settings, batch_size=0) != measuring.Settings(batch_size=0)
    there = folder / f"{name}.json"
    if not special and there.exists():  # of another model with the same last folders?
        model = files.read_json(
            there, workdirs.EVALUATION_KIND, "Delete it and evaluate again."
        ).get("model")
        special = model not in (head["model"], str(path))
    if not special:
        return name
    told = files.fingerprint([head["model"], head["settings"], head["data_fingerprint"]])[:8]
    return f"{name}_{head['settings']['image_size']}px_{told}"


def _known(path, head):
    if not path.exists():
        return None
    there = files.read_json(path, workdirs.EVALUATION_KIND, "Delete it and evaluate again.")
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
    return statistics.describe_accuracy(result[key], result["test_images"])
