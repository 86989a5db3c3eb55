"""The first phase of a run: a trained, checked and cut teacher in the workdir."""

import numpy as np
import tensorflow as tf

from dna_tf import workdirs
from dna_tf.common import commands, files, locks, progress, statistics
from dna_tf.data import label_checks
from dna_tf.models import inference, keras_files, model_costs
from dna_tf.phases import runs
from dna_tf.space import fit, presets
from dna_tf.teachers import building, cutting, input_range
from dna_tf.training import classifier, strategies, tensorboard


def train_teacher(workdir, config=None, strategy=None):
    """Trains the config's teacher, or takes a trained one, and writes its result.

    Everything that could fail later is checked first: data, cut, and whether the
    search space fits the teacher.

    Args:
        workdir: a run, as `runs.open_run` takes it.
        config: its config.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Returns:
        The content of `teacher/result.json`.

    Raises:
        ValueError: data, teacher, cut and space do not fit together.
    """
    # 1. The run.
    run = runs.open_run(workdir, config)
    workdir, config = run.workdir, run.config
    strategy = strategy or tf.distribute.get_strategy()

    # 2. Is there a teacher already?
    result_path = workdir.teacher / "result.json"
    if runs.existing_result(result_path, workdirs.TEACHER_KIND) is not None:
        progress.say(f"The teacher is there already: {workdir.teacher}")
        return workdir.teacher_result()

    with locks.hold(
        workdir.teacher, f"The teacher in {workdir.teacher}", strategies.is_chief(strategy)
    ):
        return _make(run, strategy)


def _make(run, strategy):
    """Builds, trains and writes the teacher of a run, and returns its result."""
    workdir, config, section = run.workdir, run.config, run.config.teacher

    # 3. Build it, and check that it can be cut and fits the space.
    images = run.images
    model = _build(workdir, config, images)
    space = presets.get_space(config.space)
    cuts = section.cuts or building.default_cuts(section.model, model, images.image_shape, space)
    try:
        teacher = cutting.cut_model(model, cuts, images.image_shape)
    except cutting.CutError as error:
        raise ValueError(
            f"{error} Set config.teacher.cuts; {commands.line('teacher')} lists the layers."
        ) from error
    fit.check_fit(space, teacher.shapes, teacher.cuts)

    # 4. Train it, or warn if a trained one seems to be wrong.
    is_trained = not building.needs_training(section.model, section.weights)
    if not is_trained:
        model = _train(workdir, config, model, images, strategy)
        teacher = cutting.cut_model(model, cuts, images.image_shape)
    result, result_path = _result(config, teacher, images), workdir.teacher / "result.json"
    if is_trained:
        for warning in _warnings(model, images, result):
            progress.say(f"Warning: {warning}")

    # 5. Write it.
    if strategies.is_chief(strategy):
        keras_files.save_model(model, workdir.teacher / "model.keras")
        files.write_json(result_path, result)
    if result["test_images"]:
        text = statistics.describe_accuracy(result["test_correct"], result["test_images"])
        progress.say(f"Teacher {section.model}: {result['params']:,} parameters, accuracy {text}")
    return result


def _result(config, teacher, images):
    """The content of `teacher/result.json`."""
    layers = zip(teacher.cuts, teacher.shapes[1:], teacher.blocks, strict=True)
    return {
        "kind": workdirs.TEACHER_KIND,
        "model": config.teacher.model,
        "params": model_costs.count_params(teacher.model),
        "macs": model_costs.count_macs(teacher.model),
        "num_classes": images.num_classes,
        "class_names": list(images.class_names),
        "image_shape": list(images.image_shape),
        "counts": images.counts,
        "cuts": [
            {"layer": name, "shape": list(shape), "params": model_costs.count_params(block)}
            for name, shape, block in layers
        ],
        "fingerprint": keras_files.weights_fingerprint(teacher.model),
        "data_fingerprint": images.fingerprint,
        **_test(teacher.model, images),
    }


def _build(workdir, config, images):
    section = config.teacher
    return building.build_teacher(
        section.model,
        images.image_shape,
        images.num_classes,
        weights=section.weights,
        preprocessing=section.preprocessing,
        modules=workdirs.modules(workdir, config),
        dropout=config.teacher_training.dropout,
        seed=config.seed,
        cuts=tuple(section.cuts),
    )


def _train(workdir, config, model, images, strategy):
    """Trains the config's teacher, a `model` with first weights, and returns the trained one."""
    recipe, chief = config.teacher_training, strategies.is_chief(strategy)
    images.steps_per_epoch(recipe.batch_size)  # refuses a batch larger than the data
    evaluated = None
    if classifier.needs_second_model(recipe, strategy):
        evaluated = model
        with strategy.scope():
            model = classifier.copy_in(evaluated, recipe.precision)
    with strategy.scope():
        trainer = classifier.ClassifierTrainer(model, images, recipe, evaluated, strategy=strategy)
    watcher = None
    if chief and recipe.tensorboard:
        watcher = tensorboard.Watcher(workdir.tensorboard / "teacher")
    with images.reading():
        trainer.train(config.seed, workdir.teacher, "teacher", watcher=watcher, chief=chief)
    return trainer.evaluated


def _warnings(model, images, result):
    """Warnings if a trained teacher seems to get images in another range, or knows other labels."""
    pixels, labels = next(iter(images.images("rating", batch_size=64, mixed=True)))
    warnings = [input_range.check(model, pixels.numpy())]
    if result["test_images"]:
        classes = images.num_classes
        answers = np.argmax(model.predict_on_batch(pixels.numpy()), axis=-1)
        source = images.source("rating")
        warnings.append(label_checks.shift_problem(labels.numpy(), answers, classes, source))
        counts = result["test_correct"], result["test_images"]
        warnings.append(input_range.accuracy_warning(*counts, classes))
    return [warning for warning in warnings if warning]


def _test(model, images):
    if model.output_shape[-1] != images.num_classes:
        progress.say(
            f"The teacher has {model.output_shape[-1]} outputs and the data {images.num_classes} "
            "classes, so its accuracy is not measured; its features are used as they are."
        )
        return {"test_accuracy": None, "test_correct": None, "test_images": 0}
    correct, total = inference.count_correct(model, images.images("test", batch_size=100))
    return {"test_accuracy": correct / total, "test_correct": correct, "test_images": total}
