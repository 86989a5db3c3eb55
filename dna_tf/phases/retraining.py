"""Retraining: students learn the task, from scratch or from a trained one, for several seeds."""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from dna_tf.common import files, progress, seeding, statistics
from dna_tf.data import label_checks, loading
from dna_tf.models import inference, keras_files, students
from dna_tf.phases import teacher_training
from dna_tf.space import architectures
from dna_tf.training import (
    classifier,
    determinism,
    kept_weights,
    strategies,
    student_training,
    tensorboard,
)

KIND = "dna_tf.student"


def retrain(workdir, config, arch, seeds=None, strategy=None):
    """Trains a student of one architecture for each seed.

    `model.keras` of a student has the weights of the last epoch, or with `retrain.take` of
    the best one; the other one of the two lies beside it. They are moving averages where
    `retrain.ema_decay` is above 0. The best epoch is the one with the highest accuracy on the
    rating images, which are neither trained nor tested on; the test images are seen once, at
    the end.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config; the recipe is its `retrain` section.
        arch: an `architectures.Architecture` for the data's size and classes. With
            `retrain.start_from` it may be for others: it is taken for the data's.
        seeds: which seeds; `None` takes 0 to `config.retrain.seeds - 1` (for a control
            `retrain.control_seeds`, where it is set).
        strategy: a `tf.distribute.Strategy`; the present one by default.

    Returns:
        A list with the content of each `students/NAME/seedK/result.json`.

    Raises:
        FileNotFoundError: there is no file `retrain.start_from`.
        ValueError: architecture, data, recipe, the file to start from and the teacher to
            distil do not fit together.
    """
    recipe = config.retrain
    if seeds is None:
        is_control = arch.origin.get("by") == "control"
        seeds = range((is_control and recipe.control_seeds) or recipe.seeds)
    seeds = list(seeds)
    images = None
    if recipe.start_from:
        images = loading.load(config.data, config.seed, workdir.path)
        arch = student_training.fit_to_data(arch, images)
    results = [_finished(workdir, arch, seed) for seed in seeds]
    there = [result is not None for result in results]
    if not all(there):
        determinism.enable(config.seed)
        images = images or loading.load(config.data, config.seed, workdir.path)
        if (workdir.teacher / "result.json").exists():
            teacher_training.check_same_data(images, workdir.teacher_result(), workdir)
        student_training.check_fits_data(arch, images)
        _check_same_data(images, arch, results)
        run = _Run(workdir, config, arch, images, strategy or tf.distribute.get_strategy())
        for index, seed in enumerate(seeds):
            if results[index] is None:
                results[index] = run.train(seed)
    for result, known in zip(results, there, strict=True):
        shown = statistics.describe_accuracy(result["test_correct"], result["test_images"])
        note = " (is there already)" if known else ""
        progress.say(f"Student {arch.name}, seed {result['seed']}{note}: accuracy {shown}")
    return results


class _Run:
    """Data, models and the compiled step with which students of one architecture train."""

    def __init__(self, workdir, config, arch, images, strategy):
        self.workdir, self.config, self.arch, self.images = workdir, config, arch, images
        recipe = self.recipe = config.retrain
        self.chief = strategies.is_chief(strategy)
        evaluated = self._build(0) if classifier.needs_second_model(recipe, strategy) else None
        with strategy.scope():
            teacher = self._teacher() if recipe.distill_weight else None
            with classifier.computing_in(recipe.precision):
                model = students.build_student(arch, recipe.dropout, recipe.drop_connect)
            self.trainer = classifier.ClassifierTrainer(
                model, images, recipe, evaluated, teacher, strategy
            )
        if recipe.start_from:
            student_training.copy_weights(
                recipe.start_from, self._build(0)
            )  # refuses before any training

    def train(self, seed):
        """Trains one student, tests it and writes its files."""
        started = time.monotonic()
        recipe, trainer, arch = self.recipe, self.trainer, self.arch
        folder = self.workdir.student(arch.name, seed)
        run_seed = seeding.derive_seed("student", self.config.seed, seed)
        start = self._build(run_seed)
        if recipe.start_from:
            student_training.copy_weights(recipe.start_from, start)
        watcher = None
        if self.chief and recipe.tensorboard:
            watcher = tensorboard.Watcher(
                self.workdir.tensorboard / "students" / arch.name / f"{seed}"
            )
        label = f"student {arch.name} seed {seed}"
        with self.images.reading():
            history = trainer.train(run_seed, folder, label, start, watcher, self.chief)
            tested = self.images.images("test", batch_size=100)
            correct, total = inference.count_correct(trainer.evaluated, tested)
        costs = arch.costs()
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
            "data_fingerprint": self.images.fingerprint,
            "weights": "averaged" if recipe.ema_decay else "trained",
            "taken": recipe.take,
            **_rated(history),
        }
        if self.chief:
            architectures.save(arch, folder / "architecture.json")
            keras_files.save_model(trainer.evaluated, folder / "model.keras")
            self._save_other(folder)
            files.write_json(folder / "result.json", result)
        return result

    def _save_other(self, folder):
        """Saves the best epoch beside the last one, or the last one beside the best."""
        if not self.recipe.rating_every:
            return
        if self.recipe.take == "best":
            self.trainer.evaluate_last()
            keras_files.save_model(self.trainer.evaluated, folder / "last.keras")
        else:
            kept_weights.BestWeights(folder, self.trainer.evaluated).load()
            keras_files.save_model(self.trainer.evaluated, folder / "best.keras")

    def _build(self, seed):
        recipe = self.recipe
        return students.build_student(self.arch, recipe.dropout, recipe.drop_connect, seed)

    def _teacher(self):
        """The workdir's teacher, checked to know the data's classes."""
        result = self.workdir.teacher_result()
        model = keras_files.load_model(
            self.workdir.teacher / "model.keras", tuple(self.config.teacher.modules)
        )
        classes, wanted = model.output_shape[-1], self.images.num_classes
        if classes != wanted or tuple(result["image_shape"]) != self.images.image_shape:
            raise ValueError(
                f"config.retrain.distill_weight={self.recipe.distill_weight} needs a teacher that "
                f"knows the data's {wanted} classes at {self.images.image_shape}. The one in "
                f"{self.workdir.teacher} has {classes} outputs at {tuple(result['image_shape'])}. "
                "Set distill_weight=0, or train a teacher on this data."
            )
        model.trainable = False
        with self.images.reading():
            shown, labels = next(iter(self.images.images("rating", batch_size=200, mixed=True)))
        answers = np.argmax(model.predict_on_batch(shown.numpy()), axis=-1)
        source = self.images.source("rating")
        problem = label_checks.shift_problem(labels.numpy(), answers, classes, source)
        if problem:
            raise ValueError(f"The teacher to distil does not fit the labels. {problem}")
        return model


def _check_same_data(images, arch, results):
    """Checks that the other seeds of a student saw the same data; `None` is not trained yet."""
    for result in results:
        if result is not None and result["data_fingerprint"] != images.fingerprint:
            raise ValueError(
                f"The data has changed since the student {arch.name!r} was trained with seed "
                f"{result['seed']}: fingerprint {images.fingerprint} now, "
                f"{result['data_fingerprint']} then. Seeds of one student are compared: bring the "
                "data back, or start in a new workdir."
            )


def _rated(history):
    """What the rating images said of the epochs, if they were asked."""
    rated = [
        (epoch["rating_accuracy"], -n)
        for n, epoch in enumerate(history, 1)
        if "rating_accuracy" in epoch
    ]
    if not rated:
        return {}
    best, number = max(rated)
    return {"best_epoch": -number, "best_rating_accuracy": best}


def _finished(workdir, arch, seed):
    folder = workdir.student(arch.name, seed)
    if not (folder / "result.json").exists():
        return None
    trained = architectures.load(folder / "architecture.json")
    # Where it comes from may differ, not what it is: an image size is part of that.
    if dataclasses.replace(trained, name=arch.name, origin=arch.origin) != arch:
        raise ValueError(
            f"The student in {folder} has another architecture than the one to train, "
            f"{arch.name!r}. Move that folder away, or give the architecture another name."
        )
    return workdir.student_result(arch.name, seed)
