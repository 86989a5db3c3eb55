"""Retraining: students learn the task from scratch, without the teacher, for several seeds."""

import dataclasses
import time

from dna_tf import (
    accuracy,
    architecture,
    classifier,
    data,
    determinism,
    distill,
    files,
    keras_files,
    progress,
    student,
)

KIND = "dna_tf.student"


def retrain(workdir, config, arch, seeds=None):
    """Trains a student of one architecture for each seed.

    Args:
        workdir: a `workdir.Workdir`.
        config: its config; the recipe is its `retrain` section.
        arch: an `architecture.Architecture` for the data's size and classes.
        seeds: which seeds; `None` takes 0 to `config.retrain.seeds - 1`.

    Returns:
        A list with the content of each `students/NAME/seedK/result.json`.

    Raises:
        ValueError: the architecture does not fit the data.
    """
    seeds = list(range(config.retrain.seeds)) if seeds is None else list(seeds)
    results = [_finished(workdir, arch, seed) for seed in seeds]
    there = [result is not None for result in results]
    if not all(there):
        determinism.enable(config.seed)
        images = data.load(config.data, config.seed, workdir.path)
        if (workdir.teacher / "result.json").exists():
            distill.check_same_data(images, workdir.teacher_result(), workdir)
        check_fits_data(arch, images)
        recipe = config.retrain
        model = student.build_student(arch, recipe.dropout, recipe.drop_connect)
        trainer = classifier.ClassifierTrainer(model, images, recipe)
        for index, seed in enumerate(seeds):
            if results[index] is None:
                results[index] = _train(workdir, config, arch, seed, images, trainer)
    for result, known in zip(results, there, strict=True):
        shown = accuracy.describe(result["test_correct"], result["test_images"])
        note = " (is there already)" if known else ""
        progress.say(f"Student {arch.name}, seed {result['seed']}{note}: accuracy {shown}")
    return results


def check_fits_data(arch, images):
    """Checks that an architecture takes the data's images and tells its classes apart.

    Raises:
        ValueError: it does not; the message has both sides.
    """
    wanted = (arch.image_size, arch.image_size, arch.channels, arch.num_classes)
    given = (*images.image_shape, images.num_classes)
    if wanted != given:
        raise ValueError(
            f"The architecture {arch.name!r} takes images of {'x'.join(map(str, wanted[:3]))} and "
            f"{wanted[3]} classes, and the data gives {'x'.join(map(str, given[:3]))} and "
            f"{given[3]} classes. Set config.data.image_size, or search on this data."
        )


def _finished(workdir, arch, seed):
    folder = workdir.student(arch.name, seed)
    if not (folder / "result.json").exists():
        return None
    trained = architecture.load(folder / "architecture.json")
    # Where it comes from may differ, not what it is: an image size is part of that.
    if dataclasses.replace(trained, name=arch.name, origin=arch.origin) != arch:
        raise ValueError(
            f"The student in {folder} has another architecture than the one to train, "
            f"{arch.name!r}. Move that folder away, or give the architecture another name."
        )
    return workdir.student_result(arch.name, seed)


def _train(workdir, config, arch, seed, images, trainer):
    started = time.monotonic()
    folder = workdir.student(arch.name, seed)
    run_seed = determinism.derive_seed("student", config.seed, seed)
    recipe, model = config.retrain, trainer.model
    start = student.build_student(arch, recipe.dropout, recipe.drop_connect, run_seed)
    with images.reading():
        trainer.train(run_seed, folder, f"student {arch.name} seed {seed}", start)
        correct, total = accuracy.count_correct(model, images.images("test", batch_size=100))
    costs = arch.costs()
    architecture.save(arch, folder / "architecture.json")
    keras_files.save_model(model, folder / "model.keras")
    result = {
        "kind": KIND,
        "architecture": arch.name,
        "seed": seed,
        "test_accuracy": correct / total,
        "test_correct": correct,
        "test_images": total,
        "params": costs["params"],
        "macs": costs["macs"],
        "seconds": round(time.monotonic() - started, 1),
        "data_fingerprint": images.fingerprint,
    }
    files.write_json(folder / "result.json", result)
    return result
