"""Images without labels: the model's answers stand for labels, in a list beside the run."""

import os

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, files, progress
from dna_tf.data import decoding, image_files, list_source, pipelines, source_base

KIND = "images"  # as in images:DIR
_BATCH = 64


def folder_of(source):
    """The folder of a source such as `"images:photos"`; `None` for other sources."""
    kind, _, folder = source.partition(":")
    return os.path.expanduser(folder) if kind == KIND and folder else None


def label(source, model, data, path):
    """Asks a model for the class of each image, and writes the list of the answers.

    Args:
        source: such as `"images:photos"`; folders below count too.
        model: a `keras.Model` from images in 0..255 to scores `(batch, classes)`.
        data: a config section `data`, with the size of the images.
        path: of the list.

    Returns:
        The source of the list, such as `"list:runs/my/answers.csv"`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it has no images, one cannot be decoded, or all answers are one class.
    """
    folder = folder_of(source)
    names = _images_below(folder)
    images = image_files.ImageFiles(source, folder, names, np.zeros(len(names), np.int64))
    images.check()

    def pixels(index, raw):
        return decoding.fit(
            images.decode(raw),
            data.image_size,
            data.channels,
            data.crop_fraction,
            data.interpolation,
        )

    batches = images.records().map(pixels, pipelines.parallel_calls(), deterministic=True)
    batches = pipelines.finished(batches.batch(_BATCH))
    run = tf.function(lambda batch: model(tf.cast(batch, tf.float32), training=False))
    answers = []
    with (
        source_base.naming_broken_images(images),
        progress.bar("the model's answers", len(names), "image") as bar,
    ):
        for batch in batches:
            answers += run(batch).numpy().argmax(-1).tolist()
            bar.update(len(batch))
    classes = sorted(set(answers))
    if len(classes) < 2:
        raise ValueError(
            f"The model answers class {classes[0]} for all {len(names)} images of {source}: they "
            "tell nothing. Give images of other classes too, or look at what the model "
            "expects (--preprocessing)."
        )
    where = os.path.abspath(folder) if "://" not in folder else folder
    list_source.write(path, [f"{where}/{name}" for name in names], answers)
    progress.say(
        f"The images have no labels: the model's answers, {len(classes)} of its classes, stand for "
        f"them ({path}). Accuracy then is the share of answers that are the model's own."
    )
    return f"list:{files.as_path(path)}"


def _images_below(folder):
    """Paths of all images of a folder and of those below, sorted; hidden ones are left out."""
    if not tf.io.gfile.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder!r}.")
    names = []
    for path, folders, entries in tf.io.gfile.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = path.rstrip("/").removeprefix(folder.rstrip("/")).strip("/")
        names += [
            f"{below}/{entry}".lstrip("/")
            for entry in entries
            if image_files.is_image(entry) and not entry.startswith(".")
        ]
    if not names:
        raise ValueError(
            f"The folder {folder} holds no images ({', '.join(image_files.ENDINGS)}). It holds: "
            f"{checks.some(sorted(tf.io.gfile.listdir(folder)))}"
        )
    return sorted(names)
