"""Prunes a trained student, or any model, and measures what that costs and saves."""

from dna_tf import workdirs
from dna_tf.common import files, locks, progress, seeding, statistics
from dna_tf.compression import fine_tuning, pruned_model
from dna_tf.export import export_images
from dna_tf.models import inference, keras_files
from dna_tf.phases import compression_start

# Raised when the same settings would give another result than before.
VERSION = 1


def prune(workdir, config, name, seed=0):
    """Prunes a trained student and measures what that costs and saves.

    Args:
        workdir: a `workdirs.Workdir` with the trained student.
        config: its config; the settings are its `prune` section.
        name: the architecture's name.
        seed: which of its students.

    Returns:
        The content of `pruned.json` in the folder of the student's exports, where
        `pruned.keras` is too.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a package is missing, nothing can be pruned, there are too few images,
            or these are not the images that the student was trained with.
    """
    # 1. Is the same result there already?
    start = compression_start.start(
        workdir, config, name, seed, "prune", VERSION,
        calibration_images=config.export.calibration_images,
    )  # fmt: skip
    return _result(start, config, workdir.exported(name, seed))


def prune_file(path, config, folder, workdir=None, source="", image_size=0):
    """As `prune`, for the model in a file of any Keras code.

    Args:
        path: a `.keras` file of a functional classifier from images in 0..255 to logits or
            probabilities. The pruned model gives logits.
        config: the config, with the settings and the images.
        folder: where `pruned.keras` and `pruned.json` go.
        workdir: the `workdirs.Workdir` of the config, or `None`.
        source: of other images, such as `"folder:images"`.
        image_size: height and width in pixels for a model that takes any size.

    Returns:
        The content of `pruned.json`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `prune`; or the model cannot be loaded or does not fit the images.
    """
    start, config = compression_start.start_of_file(
        path, config, "prune", VERSION, workdir, source, image_size,
        calibration_images=config.export.calibration_images,
    )  # fmt: skip
    return _result(start, config, files.as_path(folder))


def _result(start, config, folder):
    """The result that is there already, or a new one."""
    result_path, training = folder / "pruned.json", folder / f"pruning_{start.made_from}"
    finished = start.finished(
        result_path, workdirs.PRUNED_KIND, f"{start.name} is pruned", training
    )
    if finished is not None:
        return finished
    with locks.hold(result_path, f"The result {result_path}"):
        return _prune(start, config, result_path, training)


def _prune(start, config, result_path, training):
    """Prunes the model of a `compression_start.Start`, and writes file and result."""
    section, folder, name, seed = config.prune, result_path.parent, start.name, start.seed
    # 2. The images.
    images = start.images()
    calibration_count = export_images.calibration_count(
        images, config.export.calibration_images, "config.export.calibration_images"
    )
    # 3. Training, in which the smallest weights become zero.
    steps = section.epochs * images.steps_per_epoch(section.batch_size)
    pruning = pruned_model.PrunedModel(start.model, section.sparsity, steps)
    run_seed = seeding.derive_seed("prune", config.seed, seed)
    label = f"{name} seed {seed} pruned"
    history = fine_tuning.fine_tune(label, training, pruning.model, images, section, run_seed)
    pruned = pruning.strip()
    # 4. Accuracies and bytes, before and after.
    with images.reading():
        (correct_before, total), (correct_after, _) = (
            inference.count_correct(model, images.images("test", batch_size=100))
            for model in (start.model, pruned)
        )
    calibration = export_images.draw(images, calibration_count, config.seed)
    progress.say(f"Converting {name} before and after, to measure bytes")
    result = {
        **start.head(workdirs.PRUNED_KIND, images),
        "file": "pruned.keras",
        "fingerprint": keras_files.weights_fingerprint(pruned),
        "target_sparsity": section.sparsity,
        **compression_start.recipe(section),
        "sparsity": pruned_model.layer_sparsity(pruned, pruning.names),
        "sparsity_of_all_weights": pruned_model.share_of_zeros(pruned.get_weights()),
        "test_images": total,
        "accuracy_before": correct_before / total,
        "accuracy_after": correct_after / total,
        "bytes_before": pruned_model.file_bytes(start.model, calibration),
        "bytes_after": pruned_model.file_bytes(pruned, calibration),
        "history": history,
    }
    # 5. The files. An earlier result does not describe the new file.
    result_path.unlink(missing_ok=True)
    keras_files.save_model(pruned, folder / result["file"])
    files.write_json(result_path, result)
    training.rmtree()
    _say(result, correct_before, correct_after)
    return result


def _say(result, correct_before, correct_after):
    name, total = result["architecture"], result["test_images"]
    before, after = result["bytes_before"], result["bytes_after"]
    progress.say(f"{name} before: accuracy {statistics.describe_accuracy(correct_before, total)}")
    progress.say(
        f"{name} pruned: accuracy {statistics.describe_accuracy(correct_after, total)}, "
        f"{100 * result['sparsity_of_all_weights']:.1f} % of all weights are zero"
    )
    for form in ("float32", "int8", "sparse"):
        if before[form] and after[form]:
            progress.say(
                f"{name} {form} file: {before[form]['file']:,} -> {after[form]['file']:,} bytes, "
                f"gzipped {before[form]['gzip']:,} -> {after[form]['gzip']:,}"
            )
