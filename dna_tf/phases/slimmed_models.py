"""Any Keras model in several widths: trained together, tested, and written as a file each."""

from dna_tf import workdirs
from dna_tf.common import checks, files, formatting, locks, progress, statistics
from dna_tf.config import run_config
from dna_tf.models import keras_files, model_costs
from dna_tf.phases import model_files, runs
from dna_tf.slimming import sliced_model, width_training

# Raised when the same settings would give other files than before.
VERSION = 1


def slim_file(
    path, config, folder, widths, keep_whole=False, workdir=None, source="", image_size=0
):  # fmt: skip
    """Trains the model of a file in several widths, and writes a model file for each.

    Args:
        path: a `.keras` file of a functional classifier from images in 0..255 to logits or
            probabilities. The files of the widths give logits.
        config: the config; the training is its section `retrain`, and its data are the images.
        folder: where `width_050.keras` and so on, and `result.json` go.
        widths: shares of the channels, as of `sliced_model.SlicedModel`.
        keep_whole: as of `width_training.train_widths`.
        workdir: the `workdirs.Workdir` of the config, or `None`.
        source: of other images, such as `"folder:images"`.
        image_size: height and width in pixels for a model that takes any size.

    Returns:
        The content of `result.json`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model cannot be loaded or made narrower, does not fit the images, the
            recipe cannot be taken, or the folder has the widths of something else.
    """
    # 1. The model; what cannot be made narrower is named before images are read.
    path, folder = files.as_path(path), files.as_path(folder)
    model, config = model_files.classifier(path, config, workdir, source, image_size)
    fingerprint = keras_files.weights_fingerprint(model)
    sliced = sliced_model.SlicedModel(model, widths)
    # 2. The images, and whether the same result is there already.
    images = model_files.images_for(model, path, config, workdir)
    identity = [VERSION, fingerprint, images.fingerprint, list(sliced.widths), bool(keep_whole)]
    settings = run_config.result_fingerprint(config, ["seed", "retrain"])
    made_from = files.fingerprint([*identity, settings])
    result_path = folder / "result.json"
    result = runs.existing_result(result_path, workdirs.SLIMMED_KIND)
    if result is not None:
        return _finished(result, made_from, folder)
    with locks.hold(result_path, f"The result {result_path}"):
        # 3. Training, and the files.
        training = folder / f"training_{made_from}"
        width_training.train_widths(
            sliced,
            images,
            dict(config.retrain),
            seed=config.seed,
            folder=training,
            keep_whole=keep_whole,
        )
        correct = width_training.count_correct(sliced, images, "test")
        rows = [_write(sliced, width, folder, *correct[width]) for width in sliced.widths]
        result = {
            "kind": workdirs.SLIMMED_KIND,
            "model": path.stem,
            "made_from": made_from,
            "data_fingerprint": images.fingerprint,
            "widths": rows,
            "can_teach": _can_teach(rows, images.num_classes),
        }
        files.write_json(result_path, result)
        training.rmtree()
    _print(result)
    return result


def file_name(width):
    """The name of the file of a width, such as `"width_050.keras"`."""
    return f"width_{round(100 * width):03d}.keras"


def _write(sliced, width, folder, correct, total):
    model, path = sliced.export(width), folder / file_name(width)
    keras_files.save_model(model, path)
    return {
        "width": width,
        "file": path.name,
        "params": sliced.num_params(width),
        "macs": model_costs.count_macs(model),
        "bytes": len(path.read_bytes()),
        "correct": correct,
        "images": total,
    }


def _can_teach(rows, num_classes):
    """Why the widths cannot teach in stages; `""` if they can."""
    accuracies = {row["width"]: row["correct"] / row["images"] for row in rows}
    try:
        width_training.check_teachers(accuracies, num_classes)
    except ValueError as error:
        return str(error)
    return ""


def _finished(result, made_from, folder):
    names = [checks.check_file_name(f"a file in {folder}", row["file"]) for row in result["widths"]]
    missing = [name for name in names if not (folder / name).exists()]
    if result["made_from"] != made_from or missing:
        what = f"lost {checks.some(missing)}" if missing else "has the widths of another training"
        raise ValueError(
            f"The folder {folder} {what}: another model, other images, widths or settings. Give "
            "another --output, or delete it if it is of no use."
        )
    progress.say(f"{result['model']} is there in all widths already: {folder}")
    _print(result)
    return result


def _print(result):
    texts = [["width", "accuracy on test images", "params", "MACs", "file"]]
    for row in result["widths"]:
        macs = "not counted" if row["macs"] is None else formatting.format_count(row["macs"])
        accuracy = statistics.describe_accuracy(row["correct"], row["images"])
        params = formatting.format_count(row["params"])
        texts.append([f"{row['width']:g}", accuracy, params, macs, row["file"]])
    for line in formatting.aligned(texts, right=(0, 2, 3)):
        progress.say(f"  {line}")
    if result["can_teach"]:
        progress.warn(result["can_teach"])
