"""The first phase of a run: a trained, checked and cut teacher in the workdir."""

import numpy as np
import tensorflow as tf

from dna_tf import workdirs
from dna_tf.common import files, progress, statistics
from dna_tf.data import label_checks
from dna_tf.models import inference, keras_files, model_costs
from dna_tf.phases import runs
from dna_tf.space import fit, presets
from dna_tf.teachers import building, cutting, input_range
from dna_tf.training import classifier, strategies, tensorboard


def train_teacher(workdir, config, strategy=None):
    """Trains the config's teacher, or takes a trained one, and writes its result.

    Everything that could fail later is checked first: data, cut, and whether the
    search space fits the teacher.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
        strategy: a `tf.distribute.Strategy`; the present one by default.

    Returns:
        The content of `teacher/result.json`.

    Raises:
        ValueError: data, teacher, cut and space do not fit together.
    """
    if (workdir.teacher / "result.json").exists():
        progress.say(f"The teacher is there already: {workdir.teacher}")
        return workdir.teacher_result()
    images = runs.open_run(workdir, config).images
    section = config.teacher
    model = _build(config, images)
    space = presets.get_space(config.space)
    cuts = section.cuts or building.default_cuts(section.model, model, images.image_shape, space)
    cut = cutting.cut_model(model, cuts, images.image_shape)
    fit.check_fit(space, cut.shapes, cut.cuts)
    strategy = strategy or tf.distribute.get_strategy()
    if building.needs_training(section.model, section.weights):
        model = _train(workdir, config, model, images, strategy)
        cut = cutting.cut_model(model, cuts, images.image_shape)
    result = {
        "kind": workdirs.TEACHER_KIND,
        "model": section.model,
        "params": model_costs.count_params(cut.model),
        "macs": model_costs.count_macs(cut.model),
        "num_classes": images.num_classes,
        "class_names": list(images.class_names),
        "image_shape": list(images.image_shape),
        "counts": images.counts,
        "cuts": [
            {"layer": name, "shape": list(shape), "params": model_costs.count_params(block)}
            for name, shape, block in zip(cut.cuts, cut.shapes[1:], cut.blocks, strict=True)
        ],
        "fingerprint": keras_files.weights_fingerprint(model),
        "data_fingerprint": images.fingerprint,
        **_test(model, images),
    }
    if not building.needs_training(section.model, section.weights):
        for warning in _warnings(model, images, result):
            progress.say(f"Warning: {warning}")
    if strategies.is_chief(strategy):
        keras_files.save_model(model, workdir.teacher / "model.keras")
        files.write_json(workdir.teacher / "result.json", result)
    if result["test_images"]:
        shown = statistics.describe_accuracy(result["test_correct"], result["test_images"])
        progress.say(f"Teacher {section.model}: {result['params']:,} parameters, accuracy {shown}")
    return result


def _build(config, images):
    section = config.teacher
    return building.build_teacher(
        section.model,
        images.image_shape,
        images.num_classes,
        weights=section.weights,
        preprocessing=section.preprocessing,
        modules=tuple(section.modules),
        dropout=config.teacher_training.dropout,
        seed=config.seed,
    )


def _train(workdir, config, model, images, strategy):
    """Trains the config's teacher and returns it; `model` is one with first weights."""
    recipe, chief = config.teacher_training, strategies.is_chief(strategy)
    images.steps_per_epoch(recipe.batch_size)  # refuses a batch larger than the data
    evaluated = None
    if classifier.needs_second_model(recipe, strategy):
        evaluated = model
        with strategy.scope(), classifier.computing_in(recipe.precision):
            model = _build(config, images)
    with strategy.scope():
        trainer = classifier.ClassifierTrainer(model, images, recipe, evaluated, strategy=strategy)
    watcher = None
    if chief and recipe.tensorboard:
        watcher = tensorboard.Watcher(workdir.tensorboard / "teacher")
    with images.reading():
        trainer.train(config.seed, workdir.teacher, "teacher", watcher=watcher, chief=chief)
    return trainer.evaluated


def _warnings(model, images, result):
    """What looks wrong with a teacher that came trained: fed another range, or no good."""
    shown, labels = next(iter(images.images("rating", batch_size=64, mixed=True)))
    found = [input_range.check(model, shown.numpy())]
    if result["test_images"]:
        answers = np.argmax(model.predict_on_batch(shown.numpy()), axis=-1)
        known = labels.numpy(), answers, images.num_classes, images.source("rating")
        found.append(label_checks.shift_problem(*known))
        counts = result["test_correct"], result["test_images"]
        found.append(input_range.accuracy_warning(*counts, images.num_classes))
    return [warning for warning in found if warning]


def _test(model, images):
    if model.output_shape[-1] != images.num_classes:
        progress.say(
            f"The teacher has {model.output_shape[-1]} outputs and the data {images.num_classes} "
            "classes, so its accuracy is not measured; its features are used as they are."
        )
        return {"test_accuracy": None, "test_correct": None, "test_images": 0}
    correct, total = inference.count_correct(model, images.images("test", batch_size=100))
    return {"test_accuracy": correct / total, "test_correct": correct, "test_images": total}
