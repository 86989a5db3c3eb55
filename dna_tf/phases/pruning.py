"""DOC dna_tf.phases.pruning."""

from dna_tf import workdirs
from dna_tf.common import files, progress, seeding, statistics
from dna_tf.compression import fine_tuning, pruned_model
from dna_tf.export import export_images
from dna_tf.models import inference, keras_files
from dna_tf.phases import compression_start

VERSION = 1


def prune(workdir, config, name, seed=0):
    """Prunes a trained student and measures what that costs and saves.

    Args:
        workdir: a `workdirs.Workdir` with the trained student.
        config: its config; the settings are its `prune` section.
        name: the architecture's name.
        seed: which of its students.

    Returns:
        The content of `pruned.json` in the folder of the student's exports, beside which
        `pruned.keras` lies.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a package is missing, nothing can be pruned, or there are too few
            images.
    """
    section, folder = config.prune, workdir.exported(name, seed)
    start = compression_start.start(
        workdir, config, name, seed, "prune", VERSION,
        calibration_images=config.export.calibration_images,
    )  # fmt: skip
    model, result_path = start.model, folder / "pruned.json"
    known = start.finished(result_path, workdirs.PRUNED_KIND, f"{name} is pruned")
    if known is not None:
        return known
    images = start.images()
    count = export_images.calibration_count(images, config.export.calibration_images)
    steps = section.epochs * images.steps_per_epoch(section.batch_size)
    pruned = pruned_model.PrunedModel(model, section.sparsity, steps)
    training = folder / f"pruning_{start.made_from}"
    run_seed = seeding.derive_seed("prune", config.seed, seed)
    label = f"{name} seed {seed} pruned"
    history = fine_tuning.fine_tune(label, training, pruned.model, images, section, run_seed)
    made = pruned.strip()
    with images.reading():
        counts = [
            inference.count_correct(each, images.images("test", batch_size=100))
            for each in (model, made)
        ]
    (correct_before, total), (correct_after, _) = counts
    calibration = export_images.calibration(config, images, count)
    progress.say(f"Converting {name} before and after, to measure bytes")
    result = {
        "kind": workdirs.PRUNED_KIND,
        "architecture": name,
        "seed": seed,
        "student": start.fingerprint,
        "data_fingerprint": images.fingerprint,
        "made_from": start.made_from,
        "file": "pruned.keras",
        "fingerprint": keras_files.weights_fingerprint(made),
        "target_sparsity": section.sparsity,
        "epochs": section.epochs,
        "batch_size": section.batch_size,
        "learning_rate": section.learning_rate,
        "sparsity": pruned_model.layer_sparsity(made, pruned.names),
        "sparsity_of_all_weights": pruned_model.share_of_zeros(made.get_weights()),
        "test_images": total,
        "accuracy_before": correct_before / total,
        "accuracy_after": correct_after / total,
        "bytes_before": pruned_model.file_bytes(model, calibration),
        "bytes_after": pruned_model.file_bytes(made, calibration),
        "history": history,
    }
    keras_files.save_model(made, folder / result["file"])
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
