"""Retraining: students learn the task, from scratch or from a trained one, for several seeds."""

import dataclasses

import tensorflow as tf

from dna_tf import workdirs
from dna_tf.common import files, locks, progress, seeding, statistics
from dna_tf.models import keras_files, logits, students
from dna_tf.phases import model_files, runs
from dna_tf.space import architectures
from dna_tf.training import (
    strategies,
    student_checks,
    student_training,
    tensorboard,
)


def retrain(workdir, config, arch, seeds=None, strategy=None):
    """Trains a student of one architecture for each seed.

    `model.keras` of a student has the weights of the last epoch, or with `retrain.take` of
    the best one; the other one of the two is beside it. They are moving averages if
    `retrain.ema_decay` is above 0. The best epoch is the one with the highest accuracy on the
    rating images, which are used neither for training nor for testing; the test images are
    seen once, at the end.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config; the recipe is its `retrain` section.
        arch: an `architectures.Architecture` for the data's size and classes. With
            `retrain.start_from` it may be for others: it is adapted to the data.
        seeds: which seeds; `None` takes 0 to `config.retrain.seeds - 1` (for a control
            `retrain.control_seeds`, if it is set).
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Returns:
        A list with the content of each `students/NAME/seedK/result.json`.

    Raises:
        FileNotFoundError: the file `retrain.start_from` does not exist.
        ValueError: architecture, data, recipe, the file to start from and the teacher to
            distil do not fit together.
    """
    recipe = config.retrain
    seeds = list(seeds_of(config, arch) if seeds is None else seeds)
    opened = runs.open_run(workdir, config)
    if recipe.start_from:
        arch = student_checks.fit_to_data(arch, opened.images)
    results = [finished(workdir, arch, seed) for seed in seeds]
    are_finished = [result is not None for result in results]
    if not all(are_finished):
        strategy = strategy or tf.distribute.get_strategy()
        missing = [s for s, is_finished in zip(seeds, are_finished, strict=True) if not is_finished]
        with locks.hold_all(
            [workdir.student(arch.name, seed) for seed in missing],
            lambda folder: f"The student in {folder}",
            strategies.is_chief(strategy),
        ):
            results = _train_missing(opened, arch, seeds, results, strategy)
    for result, is_finished in zip(results, are_finished, strict=True):
        accuracy = statistics.describe_accuracy(result["test_correct"], result["test_images"])
        note = " (is there already)" if is_finished else ""
        progress.say(f"Student {arch.name}, seed {result['seed']}{note}: accuracy {accuracy}")
    return results


def seeds_of(config, arch):
    """The seeds with which a run trains an `architectures.Architecture`, a `range`."""
    is_control = arch.origin.get("by") == "control"
    return range((is_control and config.retrain.control_seeds) or config.retrain.seeds)


def _train_missing(opened, arch, seeds, results, strategy):
    """Trains the students without a result, `None`, and returns the results of all seeds."""
    workdir, config, images = opened.workdir, opened.config, opened.images
    student_checks.check_fits_data(arch, images)
    _check_same_data(images, arch, results)
    trainer, is_chief = (
        _trainer(workdir, config, arch, images, strategy),
        strategies.is_chief(strategy),
    )
    return [
        _train(workdir, config, arch, images, trainer, seed, is_chief) if result is None else result
        for seed, result in zip(seeds, results, strict=True)
    ]


def _trainer(workdir, config, arch, images, strategy):
    """Makes the trainer of all seeds, with the teachers that are distilled."""
    distilled, teachers = None, []
    if config.retrain.distill_weight:
        with strategy.scope():
            teachers = _teachers(workdir, config, images)
        distilled = student_training.of_recipe(config.retrain, *teachers)
    model = _build(config, arch, 0)  # refuses a wrong start_from before any training
    return student_training.StudentTrainer(model, images, config.retrain, distilled, strategy)


def _train(workdir, config, arch, images, trainer, seed, is_chief):
    """Trains one student, tests it and writes its files."""
    recipe, folder = config.retrain, workdir.student(arch.name, seed)
    run_seed = seeding.derive_seed("student", config.seed, seed)
    watcher = None
    if is_chief and recipe.tensorboard:
        watcher = tensorboard.Watcher(workdir.tensorboard / "students" / arch.name / f"{seed}")
    label = f"student {arch.name} seed {seed}"
    start = _build(config, arch, run_seed)
    student = trainer.train(run_seed, folder, start, label, watcher)
    costs = arch.costs()
    result = {
        "kind": workdirs.STUDENT_KIND,
        "architecture": arch.name,
        "seed": seed,
        "test_accuracy": student.test_accuracy,
        "test_correct": student.test_correct,
        "test_images": student.test_images,
        "params": costs["params"],
        "macs": costs["macs"],
        "seconds": round(student.seconds, 1),
        "data_fingerprint": images.fingerprint,
        "weights": "averaged" if recipe.ema_decay else "trained",
        "taken": recipe.take,
    }
    if student.best_epoch is not None:
        result["best_epoch"] = student.best_epoch
        result["best_rating_accuracy"] = student.best_rating_accuracy
    if is_chief:
        architectures.save(arch, folder / "architecture.json")
        keras_files.save_model(trainer.model, folder / "model.keras")
        other = trainer.take_other(folder)
        if other is not None:
            keras_files.save_model(trainer.model, folder / f"{other}.keras")
        files.write_json(folder / "result.json", result)
    return result


def _build(config, arch, seed):
    """Builds a student with its first weights: drawn by a seed, or those of `start_from`."""
    recipe = config.retrain
    model = students.build_student(arch, recipe.dropout, recipe.drop_connect, seed)
    if recipe.start_from:
        student_checks.copy_weights(recipe.start_from, model)
    return model


def _teachers(workdir, config, images):
    """Loads the teachers of the recipe, or the workdir's, and checks that they fit the data."""
    paths = tuple(config.retrain.teachers)
    if not paths:
        return [_teacher(workdir, config, images)]
    teachers = []
    for path in paths:
        model = model_files.load(path, config, workdir)
        if model.output_shape[-1] != images.num_classes:
            raise ValueError(
                f"The teacher {path} of config.retrain.teachers has {model.output_shape[-1]} "
                f"outputs, and the data has {images.num_classes} classes."
            )
        model = logits.with_logits(model)
        model.trainable = False
        student_checks.check_teacher(model, images)
        teachers.append(model)
    return teachers


def _teacher(workdir, config, images):
    """Loads the workdir's teacher and checks that it has the data's classes."""
    result = workdir.teacher_result()
    modules = workdirs.modules(workdir, config)
    model = keras_files.load_model(workdir.teacher / "model.keras", modules)
    classes, image_shape = model.output_shape[-1], tuple(result["image_shape"])
    if classes != images.num_classes or image_shape != images.image_shape:
        raise ValueError(
            f"config.retrain.distill_weight={config.retrain.distill_weight} needs a teacher that "
            f"knows the data's {images.num_classes} classes at {images.image_shape}. The one in "
            f"{workdir.teacher} has {classes} outputs at {image_shape}. "
            "Set distill_weight=0, or train a teacher on this data."
        )
    model.trainable = False
    student_checks.check_teacher(model, images)
    return model


def _check_same_data(images, arch, results):
    """Checks that the other seeds of a student saw the same data; `None` is not trained yet."""
    for result in results:
        if result is not None and not images.take_up(result["data_fingerprint"]):
            raise ValueError(
                f"The data has changed since the student {arch.name!r} was trained with seed "
                f"{result['seed']}: fingerprint {images.fingerprint} now, "
                f"{result['data_fingerprint']} then. Seeds of one student are compared: bring the "
                "data back, or start in a new workdir."
            )


def finished(workdir, arch, seed):
    """Returns the result of a finished student, or `None`."""
    folder = workdir.student(arch.name, seed)
    if not (folder / "result.json").exists():
        return None
    trained = architectures.load(folder / "architecture.json")
    # Its origin may differ, but nothing else: the image size is part of an architecture.
    if dataclasses.replace(trained, name=arch.name, origin=arch.origin) != arch:
        raise ValueError(
            f"The student in {folder} has another architecture than the one to train, "
            f"{arch.name!r}. Move that folder away, or give the architecture another name."
        )
    return workdir.student_result(arch.name, seed)
