"""Exports any Keras classifier to TFLite files, and compares each file with the Keras model."""

import dataclasses
import os
from collections.abc import Sequence

import keras
import numpy as np

from dna_tf.common import checks, files, progress
from dna_tf.config import export_sections
from dna_tf.data import labelled_images
from dna_tf.evaluation import model_checks
from dna_tf.export import agreement, conversion, export_images, metadata, operators, prepare
from dna_tf.models import keras_files


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """A TFLite file, and how it compares with the Keras model on test images.

    Args:
        path: the file.
        precision: such as `"int8"`.
        bytes: its size.
        accuracy: share of right answers, in [0, 1].
        agreement: share of images with the same top-1 answer as the Keras model.
        largest_difference: the largest difference of any score from the Keras model's.
        operators: dict from the name of an operator to how often the file has it.
        commonly_refused: operators that accelerators commonly refuse, a list of dicts as
            `operators.inspect` gives it.
    """

    path: os.PathLike
    precision: str
    bytes: int
    accuracy: float
    agreement: float
    largest_difference: float
    operators: dict[str, int]
    commonly_refused: list[dict]


def export_tflite(
    model: keras.Model,
    images: labelled_images.Images,
    folder: str | os.PathLike,
    precisions: Sequence[str] = ("float32", "int8"),
    *,
    name: str | None = None,
    int8_io: str = "int8",
    preprocessing: str = "inside",
    per_channel: bool = True,
    float_layers: Sequence[str] = (),
    split_large_kernels: bool = True,
    calibration_images: int = 200,
    test_images: int = 1000,
    least_agreement: float = 0.95,
    seed: int = 0,
) -> list[ExportedFile]:
    """Exports a classifier to one TFLite file for each precision, and runs each file.

    The files have batch 1. They hold the class names, TFLite's metadata and a description
    (see `metadata`). Files of the same names in the folder are replaced.

    Args:
        model: a functional `keras.Model` from images in 0..255 `(batch, height, width,
            channels)` to scores `(batch, classes)`.
        images: images of the model's own size. Training images give the ranges of int8
            and int16 files; all files are compared with the model on test images.
        folder: where the files go: `float32.tflite`, `int8.tflite` and so on.
        precisions: of `"float32"`, `"float16"` (weights), `"dynamic"` (8-bit weights),
            `"int8"` (8-bit weights and activations) and `"int16"` (8-bit weights, 16-bit
            activations).
        name: the name in the files and in messages; `None` takes the model's.
        int8_io: what int8 files take and give: `"int8"`, `"uint8"` or `"float32"`. With
            `"float32"` int16 files do so too.
        preprocessing: `"inside"`: files take pixels in 0..255. `"outside"`: the rescaling
            layers at the model's start are left out; the metadata has the mean and the
            deviation to apply instead.
        per_channel: whether each channel of a weight has its own scale, or all share one.
        float_layers: names of Keras layers that int8 files compute in float32.
        split_large_kernels: whether depthwise kernels of more than 25 taps are computed
            in parts, which CPUs run several times faster.
        calibration_images: training images for the ranges, at least 10.
        test_images: test images for the comparison, at most.
        least_agreement: the least share of answers equal to the model's, in [0, 1].
        seed: draws the training images for the ranges.

    Returns:
        An `ExportedFile` for each precision, in their order.

    Raises:
        ValueError: an argument is wrong, the model does not fit the images, it cannot be
            converted (the message names the layer), or a file does not agree with the
            model; its files are then kept in the folder.

    Example:

        import dna_tf
        import keras

        images = dna_tf.load_images("digits", image_size=16)
        layers = [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
        model = keras.Sequential(layers)
        (file,) = dna_tf.export_tflite(model, images, "phone", ["float32"], test_images=50)
        print(file.agreement)  # 1.0
    """
    folder = files.as_path(folder)
    _check_arguments(model, precisions, int8_io, preprocessing, calibration_images, test_images)
    model_checks.check_images(images)
    if not 0.0 <= least_agreement <= 1.0:  # refuses NaN too
        raise ValueError(f"least_agreement must be in [0, 1]. Received: {least_agreement!r}")
    if (folder / "result.json").exists():
        raise ValueError(
            f"The folder {folder} has the export of a run, described by its result.json. Give "
            "another folder."
        )
    name = name or model.name
    prepared = prepare.prepare(
        model, 0, preprocessing, split_large_kernels, open_size=images.image_shape[0]
    )
    conversion.check_float_layers(prepared.model, float_layers)
    model_checks.check_shapes(prepared, images, name)
    calibration = export_images.calibration(images, precisions, calibration_images, seed)
    exported, problems = write_files(
        prepared,
        precisions,
        folder,
        reference(prepared, images, test_images),
        prepared.images(calibration),
        name=name,
        class_names=images.class_names,
        weights=keras_files.weights_fingerprint(model),
        int8_io=int8_io,
        per_channel=per_channel,
        float_layers=float_layers,
    )
    rows = {file.precision: {"agreement": file.agreement} for file in exported}
    check_good(name, rows, problems, least_agreement)
    return exported


def _check_arguments(model, precisions, int8_io, preprocessing, calibration_images, test_images):
    if not isinstance(model, keras.Model):
        raise ValueError(f"Expected a keras.Model to export. Received: {model!r}")
    if isinstance(precisions, str) or not len(precisions):
        raise ValueError(
            "precisions must be a list or tuple of at least one of "
            f"{list(export_sections.PRECISIONS)}. Received: {precisions!r}"
        )
    for name, value, choices in (
        *(("precisions", value, export_sections.PRECISIONS) for value in precisions),
        ("int8_io", int8_io, export_sections.IO),
        ("preprocessing", preprocessing, export_sections.PREPROCESSING),
    ):
        if value not in choices:
            raise ValueError(
                f"{name} must be one of {list(choices)}. Received: {value!r}."
                f"{checks.near_names(value, choices)}"
            )
    checks.check_whole("calibration_images", calibration_images, 1)
    checks.check_whole("test_images", test_images, 1)


@dataclasses.dataclass(frozen=True)
class Reference:
    """Test images with the scores of the Keras model, with which files are compared.

    Args:
        images: uint8 `(images, height, width, channels)`.
        labels: int array `(images,)`.
        scores: of the Keras model, `(images, classes)`.
    """

    images: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    @property
    def accuracy(self):
        """The Keras model's share of right answers."""
        return float(np.mean(self.scores.argmax(-1) == self.labels))


def reference(prepared, images, count):
    """Runs the Keras model on test images.

    Args:
        prepared: a `prepare.Prepared`.
        images: a `labelled_images.Images` of its image size.
        count: how many test images at most.

    Returns:
        A `Reference`.
    """
    pixels, labels = export_images.first(images, "test", count)
    scores = np.asarray(prepared.whole.predict(pixels, batch_size=100, verbose=0))
    return Reference(pixels, labels, scores)


def write_files(
    prepared,
    precisions,
    folder,
    reference,
    calibration,
    *,
    name,
    class_names,
    weights,
    architecture=None,
    int8_io="int8",
    per_channel=True,
    float_layers=(),
):
    """Converts a model to each precision, writes the files and compares them.

    Args:
        prepared: a `prepare.Prepared`.
        precisions, folder, int8_io, per_channel, float_layers: as for `export_tflite`.
        reference: a `Reference`.
        calibration: images for the ranges, as `prepared.model` takes them.
        name: the name in the files and in messages.
        class_names: one for each score.
        weights: the fingerprint of the weights, for the description in the files.
        architecture: the fingerprint of the architecture, likewise; `None` if unknown.

    Returns:
        `(exported, problems)`: a list of `ExportedFile`, and a dict from precision to the
        text that says why the file's scores are useless. A precision is in one of them.

    Raises:
        ValueError: the model cannot be converted.
    """
    exported, problems, explained = [], {}, set()
    for precision in precisions:
        path = folder / f"{precision}.tflite"
        content = conversion.convert(
            prepared.model, precision, calibration, int8_io, per_channel, tuple(float_layers)
        )
        in_float = float_layers if precision == "int8" else ()
        description = metadata.describe(
            name, prepared, precision, class_names, weights, architecture, in_float
        )
        content = metadata.write(content, description)
        files.write_bytes(path, content)
        scores = agreement.file_scores(content, reference.images, prepared.images)
        problem = agreement.problem(scores, reference.scores)
        if problem:
            problems[precision] = problem
            continue
        row = agreement.compare(content, scores, reference.scores, reference.labels)
        inspected = operators.inspect(content)
        file = ExportedFile(path, precision, **row, **inspected)
        exported.append(file)
        progress.say(
            f"{name} {precision}: {file.bytes:,} bytes, accuracy {100 * file.accuracy:.1f} % "
            f"(Keras {100 * reference.accuracy:.1f} %), top-1 agreement with Keras "
            f"{100 * file.agreement:.1f} %, largest difference {file.largest_difference:.3g}"
        )
        for line in operators.lines(inspected, explained):
            progress.say(f"  {line}")
        explained |= {entry["reason"] for entry in file.commonly_refused}
    return exported, problems


def check_good(name, rows, problems, least_agreement):
    """Checks that exported files are of use.

    Args:
        name: the name of the model.
        rows: dict from the name of a file to a row with its `agreement`.
        problems: dict from the name of a file to the text that says why it is useless.
        least_agreement: the least share of answers equal to the Keras model's.

    Raises:
        ValueError: a file is useless, or does not agree with the Keras model.
    """
    if problems:
        listed = "; ".join(f"{file} {problem}" for file, problem in problems.items())
        raise ValueError(
            f"The exported {name!r} is useless: {listed}. Look at the weights and evaluate the "
            "Keras model. If only int8 fails, use calibration_images that show the range of the "
            "data, or int16."
        )
    low = agreement.too_low(rows, least_agreement)
    if low:
        raise ValueError(
            f"The exported {name!r} does not agree with Keras: {low}. Use more calibration_images, "
            "another precision, or a space with activation='relu6' and se_ratio=0. With int8 and "
            "kernels of 7x7, leave these whole by split_large_kernels=False (slower, but rounded "
            "once). Or lower least_agreement, if such a file is good enough."
        )
