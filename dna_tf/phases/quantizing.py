"""Quantisation-aware training of a student, down to the int8 file that is run."""

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, progress, seeding, statistics
from dna_tf.compression import fine_tuning, quantized_model
from dna_tf.export import agreement, conversion, export_images, metadata, prepare
from dna_tf.phases import compression_start

# Raised when the same settings would give another file than before.
VERSION = 2


def quantize(workdir, config, name, seed=0):
    """Trains a student with the rounding of an int8 file, and writes and runs that file.

    The ranges are those of the float student at first, so training starts near it. Batch
    norms are folded into convolutions with the statistics that the student has; dropout
    and drop-connect are off.

    Args:
        workdir: a `workdirs.Workdir` with the trained student.
        config: its config; the settings are its `quantize` section, and the test images
            and the least agreement those of `export`.
        name: the architecture's name.
        seed: which of its students.

    Returns:
        The content of `qat.json` in the folder of the student's exports.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a package is missing, a layer is not supported, there are too few
            images, or the file is of no use or does not agree with the model that was
            trained; file and result are kept then, marked as not good.
    """
    section, folder = config.quantize, workdir.exported(name, seed)
    start = compression_start.start(
        workdir, config, name, seed, "quantize", VERSION, test_images=config.export.test_images
    )
    model, result_path = start.model, folder / "qat.json"
    known = start.finished(result_path, workdirs.QAT_KIND, f"{name} is quantised")
    if known is not None:
        return _check_good(known, config.export.least_agreement)
    images = start.images()
    images.steps_per_epoch(section.batch_size)  # refuses a batch that is too large
    count = export_images.calibration_count(
        images, section.calibration_images, "quantize.calibration_images"
    )
    test_images, labels = export_images.first(images, "test", config.export.test_images)
    calibration = export_images.calibration(config, images, count)
    scores = {"float": _scores(model, test_images)}
    ptq = conversion.convert(model, "int8", calibration)
    ptq_scores = agreement.scores(ptq, test_images)
    ptq_row = agreement.compare(ptq, ptq_scores, scores["float"], labels)
    rounding = quantized_model.build(model)
    rounding.calibrate(calibration)
    scores["qat_before"] = _scores(rounding.model, test_images)
    _say(name, "int8 without training", ptq_row["accuracy"], ptq_row["agreement"])
    before = agreement.answers(scores["qat_before"], scores["float"], labels)
    _say(name, "rounding model before training", before["accuracy"], before["agreement"])
    training = folder / f"qat_{start.made_from}"
    run_seed = seeding.derive_seed("quantize", config.seed, seed)
    label = f"{name} seed {seed} with rounding"
    history = fine_tuning.fine_tune(label, training, rounding.model, images, section, run_seed)
    rounding.calibrate_weights()  # of the last step's weights
    scores["qat_after"] = _scores(rounding.model, test_images)
    after = agreement.answers(scores["qat_after"], scores["float"], labels)
    _say(name, "rounding model after training", after["accuracy"], after["agreement"])
    progress.say(f"Converting {name}: about half a minute")
    description = metadata.describe(
        name,
        prepare.Prepared(model, model),
        "int8, trained with its rounding",
        images.class_names,
        start.fingerprint,
        metadata.architecture_of(workdir.student(name, seed)),
    )
    content = metadata.write(rounding.to_tflite(), description)
    made = agreement.scores(content, test_images)
    problem = agreement.problem(made, scores["float"])
    row = agreement.compare(content, made, scores["qat_after"], labels)
    of_float = agreement.answers(made, scores["float"], labels)
    result = {
        "kind": workdirs.QAT_KIND,
        "architecture": name,
        "seed": seed,
        "student": start.fingerprint,
        "data_fingerprint": images.fingerprint,
        "made_from": start.made_from,
        "images": len(labels),
        "calibration_images": len(calibration),
        "epochs": section.epochs,
        "batch_size": section.batch_size,
        "learning_rate": section.learning_rate,
        "float_accuracy": float(np.mean(scores["float"].argmax(-1) == labels)),
        "int8_without_training": ptq_row,
        "before_training": before,
        "after_training": after,
        "file": "qat_int8.tflite",
        "file_accuracy": row["accuracy"],
        "file_bytes": row["bytes"],
        "agreement_with_trained": row["agreement"],
        "agreement_with_float": of_float["agreement"],
        "largest_difference": row["largest_difference"],
        "problem": problem,
        "good": problem is None and row["agreement"] >= config.export.least_agreement,
        "history": history,
    }
    files.write_bytes(folder / result["file"], content)
    files.write_json(result_path, result)
    training.rmtree()
    shown = statistics.describe_accuracy(round(row["accuracy"] * len(labels)), len(labels))
    progress.say(
        f"{name} int8 file after training: {len(content):,} bytes, accuracy {shown}, the same "
        f"answers as the model that was trained for {100 * row['agreement']:.1f} %, as the float "
        f"student for {100 * of_float['agreement']:.1f} %"
    )
    return _check_good(result, config.export.least_agreement)


def _scores(model, images):
    return np.asarray(model.predict(images, batch_size=100, verbose=0))


def _say(name, what, right, agreement):
    progress.say(
        f"{name} {what}: accuracy {100 * right:.1f} %, same answers as the float student "
        f"{100 * agreement:.1f} %"
    )


def _check_good(result, least):
    if result["problem"]:
        raise ValueError(
            f"The int8 file of {result['architecture']!r} {result['problem']} after training with "
            "rounding: it is of no use. Lower config.quantize.learning_rate; python -m "
            "tools.export_tflite makes an int8 file without training."
        )
    if result["agreement_with_trained"] < least:
        raise ValueError(
            f"The int8 file of {result['architecture']!r} gives the answers of the model that was "
            f"trained for {100 * result['agreement_with_trained']:.1f} % of the images; at least "
            f"{100 * least:.1f} % must be the same. Use more config.quantize.calibration_images or "
            "epochs; or lower config.export.least_agreement knowingly."
        )
    return result
