"""Trains a student, or any model, with the rounding of an int8 file, and checks that file."""

import numpy as np

from dna_tf import workdirs
from dna_tf.common import commands, files, locks, progress, seeding, statistics
from dna_tf.compression import fine_tuning, quantized_model
from dna_tf.export import agreement, conversion, export_images, metadata, prepare
from dna_tf.phases import compression_start

# Raised when the same settings would give another file than before.
VERSION = 2


def quantize(workdir, config, name, seed=0):
    """Trains a student with the rounding of an int8 file, and writes and runs that file.

    The first ranges are those of the float student, so training starts near it. Batch norms
    are folded into convolutions with the statistics that the student has; dropout and
    drop-connect are off.

    Args:
        workdir: a `workdirs.Workdir` with the trained student.
        config: its config; the settings are its `quantize` section. The test images and the
            least agreement are those of `export`.
        name: the architecture's name.
        seed: which of its students.

    Returns:
        The content of `qat.json` in the folder of the student's exports.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a package is missing, a layer is not supported, there are too few
            images, these are not the images that the student was trained with, or the file
            is useless or does not agree with the trained model; file and result are then
            kept, marked as not good.
    """
    # 1. Is the same result there already?
    start = compression_start.start(
        workdir, config, name, seed, "quantize", VERSION, test_images=config.export.test_images
    )
    return _result(start, config, workdir.exported(name, seed))


def quantize_file(path, config, folder, workdir=None, source="", image_size=0):
    """As `quantize`, for the model in a file of any Keras code.

    Args:
        path: a `.keras` file of a functional classifier from images in 0..255 to logits or
            probabilities. The file of this training gives logits.
        config: the config, with the settings and the images.
        folder: where `qat_int8.tflite` and `qat.json` go.
        workdir: the `workdirs.Workdir` of the config, or `None`.
        source: of other images, such as `"folder:images"`.
        image_size: height and width in pixels for a model that takes any size.

    Returns:
        The content of `qat.json`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `quantize`; or the model cannot be loaded or does not fit the images.
    """
    start, config = compression_start.start_of_file(
        path, config, "quantize", VERSION, workdir, source, image_size,
        test_images=config.export.test_images,
    )  # fmt: skip
    return _result(start, config, files.as_path(folder))


def _result(start, config, folder):
    """The result that is there already, or a new one."""
    result_path, training = folder / "qat.json", folder / f"qat_{start.made_from}"
    what = f"{start.name} is quantised"
    finished = start.finished(result_path, workdirs.QAT_KIND, what, training)
    if finished is not None:
        return check_good(finished, config.export.least_agreement)
    with locks.hold(result_path, f"The result {result_path}"):
        return _quantize(start, config, result_path, training)


def _quantize(start, config, result_path, training):
    """Trains the model of a `compression_start.Start` with rounding, and writes its files."""
    section, folder, model = config.quantize, result_path.parent, start.model
    name, seed = start.name, start.seed
    # 2. The images.
    images = start.images()
    images.steps_per_epoch(section.batch_size)  # refuses a batch that is too large
    count = export_images.calibration_count(
        images, section.calibration_images, "config.quantize.calibration_images"
    )
    test_images, labels = export_images.first(images, "test", config.export.test_images)
    calibration = export_images.draw(images, count, config.seed)
    # 3. Without training: the int8 file of the float student, and the model with rounding.
    float_scores = _scores(model, test_images)
    content = conversion.convert(model, "int8", calibration)
    scores = agreement.file_scores(content, test_images)
    without = agreement.compare(content, scores, float_scores, labels)
    _say(name, "int8 without training", without)
    rounding = quantized_model.build(model)
    rounding.calibrate(calibration)
    before = agreement.answers(_scores(rounding.model, test_images), float_scores, labels)
    _say(name, "rounding model before training", before)
    # 4. Training with rounding.
    run_seed = seeding.derive_seed("quantize", config.seed, seed)
    label = f"{name} seed {seed} with rounding"
    history = fine_tuning.fine_tune(
        label, training, rounding.model, images, section, run_seed, quantized_model.DEVICE
    )
    rounding.calibrate_weights()  # of the last step's weights
    trained_scores = _scores(rounding.model, test_images)
    after = agreement.answers(trained_scores, float_scores, labels)
    _say(name, "rounding model after training", after)
    # 5. The int8 file, compared with the trained model and with the float student.
    progress.say(f"Converting {name}: about half a minute")
    description = metadata.describe(
        name,
        prepare.Prepared(model, model),
        "int8, trained with its rounding",
        images.class_names,
        start.fingerprint,
        start.architecture,
    )
    content = metadata.write(rounding.to_tflite(), description)
    scores = agreement.file_scores(content, test_images)
    problem = agreement.problem(scores, float_scores)
    row = agreement.compare(content, scores, trained_scores, labels)
    agreement_with_float = agreement.same_answers(scores, float_scores)
    result = {
        **start.head(workdirs.QAT_KIND, images),
        "images": len(labels),
        "calibration_images": len(calibration),
        **compression_start.recipe(section),
        "float_accuracy": float(np.mean(float_scores.argmax(-1) == labels)),
        "int8_without_training": without,
        "before_training": before,
        "after_training": after,
        "file": "qat_int8.tflite",
        "file_accuracy": row["accuracy"],
        "file_bytes": row["bytes"],
        "agreement_with_trained": row["agreement"],
        "agreement_with_float": agreement_with_float,
        "largest_difference": row["largest_difference"],
        "problem": problem,
        "good": problem is None and row["agreement"] >= config.export.least_agreement,
        "history": history,
    }
    # 6. The files, which are kept even if the file is not good. An earlier result does not
    # describe the new file: if the process is killed here, it must not be taken for it.
    result_path.unlink(missing_ok=True)
    files.write_bytes(folder / result["file"], content)
    files.write_json(result_path, result)
    training.rmtree()
    correct = round(row["accuracy"] * len(labels))
    progress.say(
        f"{name} int8 file after training: {len(content):,} bytes, accuracy "
        f"{statistics.describe_accuracy(correct, len(labels))}, the same answers as the model "
        f"that was trained for {100 * row['agreement']:.1f} %, as the float student for "
        f"{100 * agreement_with_float:.1f} %"
    )
    return check_good(result, config.export.least_agreement)


def check_good(result, least_agreement):
    """Returns the result of a training with rounding after checking that its file is good.

    Args:
        result: the content of `qat.json`.
        least_agreement: as in `config.export`.

    Raises:
        ValueError: the file is useless, or does not agree with the trained model.
    """
    if result["problem"]:
        raise ValueError(
            f"The int8 file of {result['architecture']!r} {result['problem']} after training with "
            "rounding: it is useless. Lower config.quantize.learning_rate, or export an int8 file "
            f"without this training: {commands.line('export_tflite')}"
        )
    if result["agreement_with_trained"] < least_agreement:
        raise ValueError(
            f"The int8 file of {result['architecture']!r} gives the answers of the model that was "
            f"trained for {100 * result['agreement_with_trained']:.1f} % of the images; at least "
            f"{100 * least_agreement:.1f} % must be the same. Use more "
            "config.quantize.calibration_images or more epochs. Or lower "
            "config.export.least_agreement, if such a file is good enough."
        )
    return result


def _scores(model, images):
    return np.asarray(model.predict(images, batch_size=100, verbose=0))


def _say(name, what, answers):
    progress.say(
        f"{name} {what}: accuracy {100 * answers['accuracy']:.1f} %, same answers as the float "
        f"student {100 * answers['agreement']:.1f} %"
    )
