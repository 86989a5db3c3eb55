"""Training of students as a function of values: in place, resumable, with checks before work."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import loading
from dna_tf.models import keras_files, students
from dna_tf.training import student_checks, student_training
from tests.helpers.noise_training import CLASSES, SIZE, architecture_of_two_blocks, plain_model

RECIPE = {"epochs": 2, "batch_size": 8, "warmup_epochs": 0.0, "checkpoint_seconds": 1e6}
SAVED_OFTEN = {**RECIPE, "checkpoint_seconds": 0.0}  # after each step, which takes longer than it


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % CLASSES
    pixels = rng.integers(0, 100, (60, SIZE, SIZE, 3)) + 70 * labels[:, None, None, None]
    return loading.images_from_arrays((pixels.astype(np.uint8), labels), rating_per_class=4)


def student(seed=0, rates=(0.2, 0.2)):
    return students.build_student(architecture_of_two_blocks(), *rates, seed)


def bits(model):
    return [weight.numpy().tobytes() for weight in model.weights]


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    model, folder = student(1), tmp_path_factory.mktemp("whole")
    return model, student_training.train_student(model, images, RECIPE, seed=5, folder=folder)


def test_the_model_is_trained_in_place_and_tested(images, whole):
    model, result = whole
    assert bits(model) != bits(student(1))
    pixels, labels = images.arrays("test")
    correct = int(np.sum(np.argmax(model(pixels, training=False), axis=-1) == labels))
    assert (result.test_correct, result.test_images) == (correct, len(labels))
    assert result.test_accuracy == correct / len(labels)
    accuracies = [epoch["rating_accuracy"] for epoch in result.history]
    assert len(accuracies) == 2 and result.seconds > 0
    assert result.best_rating_accuracy == max(accuracies)
    assert result.best_epoch == 1 + accuracies.index(max(accuracies))


def test_without_a_folder_the_bits_are_the_same_and_nothing_is_kept(images, whole, monkeypatch):
    folders = []
    original = student_training.tempfile.TemporaryDirectory

    def noted(*arguments):
        folders.append(original(*arguments))
        return folders[-1]

    monkeypatch.setattr(student_training.tempfile, "TemporaryDirectory", noted)
    model = student(1)
    result = student_training.train_student(model, images, RECIPE, seed=5)
    assert result.history == whole[1].history and bits(model) == bits(whole[0])
    assert len(folders) == 1 and not pathlib.Path(folders[0].name).exists()


def test_a_killed_training_resumes_to_the_same_bits(images, whole, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    update = student_training.classifier.ClassifierTrainer.update

    def cut(trainer, parts, number):
        if number == 3:
            raise Killed
        return update(trainer, parts, number)

    with monkeypatch.context() as patched:
        patched.setattr(student_training.classifier.ClassifierTrainer, "update", cut)
        with pytest.raises(Killed):
            student_training.train_student(student(1), images, SAVED_OFTEN, seed=5, folder=tmp_path)
    model = student(9)  # a new process may start from other weights
    result = student_training.train_student(model, images, RECIPE, seed=5, folder=tmp_path)
    assert result.history == whole[1].history and bits(model) == bits(whole[0])
    for changes, message in (
        ({"seed": 6}, "seed 5 there, 6 now"),
        ({"recipe": {**RECIPE, "epochs": 3}}, "epochs 2 there, 3 now"),
    ):
        arguments = {"recipe": RECIPE, "seed": 5, **changes}
        with pytest.raises(ValueError, match=f"has another training: {message}. Delete it"):
            student_training.train_student(student(1), images, folder=tmp_path, **arguments)
    # How often checkpoints are saved does not matter.
    other = {**RECIPE, "checkpoint_seconds": 9.0, "seeds": 7}
    again = student_training.train_student(student(1), images, other, seed=5, folder=tmp_path)
    assert again.history == result.history
    # An earlier version gave the same images another fingerprint.
    saved = tmp_path / "training.json"
    saved.write_text(saved.read_text().replace(images.fingerprint, "before"))
    monkeypatch.setattr(images, "former_fingerprint", "before")
    again = student_training.train_student(student(1), images, RECIPE, seed=5, folder=tmp_path)
    assert again.history == result.history


def test_checkpoints_of_something_else_are_refused(images, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ValueError, match="has checkpoints of another training"):
        student_training.train_student(student(), images, RECIPE, folder=tmp_path)


def test_one_trainer_trains_several_students_and_has_the_other_epoch(images, whole, tmp_path):
    recipe = student_checks.checked_recipe(RECIPE)
    trainer = student_training.StudentTrainer(student(0), images, recipe)
    trainer.train(8, tmp_path / "one", student(3))
    result = trainer.train(5, tmp_path / "two", student(1))
    assert result.history == whole[1].history and bits(trainer.model) == bits(whole[0])
    assert trainer.take_other(tmp_path / "two") == "best"
    correct = sum(
        int(np.sum(np.argmax(trainer.model(pixels, training=False), -1) == labels))
        for pixels, labels in images.images("rating", 4)
    )
    assert correct / images.counts["rating"] == result.best_rating_accuracy


def test_mixed_precision_leaves_a_float32_model(images):
    model = student(2, (0.0, 0.0))
    recipe = {**RECIPE, "precision": "mixed_bfloat16", "take": "best", "ema_decay": 0.5}
    result = student_training.train_student(model, images, recipe)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.isfinite(result.history[-1]["loss"])
    assert bits(model) != bits(student(2, (0.0, 0.0)))


def test_training_starts_from_a_file_and_learns_from_a_teacher(images, tmp_path):
    start = student(7)
    keras_files.save_model(start, tmp_path / "start.keras")
    slow = {**RECIPE, "epochs": 1, "learning_rate": 1e-8, "distill_weight": 0.5}
    model = student(3)
    result = student_training.train_student(
        model, images, slow, teacher=plain_model(1), start_from=str(tmp_path / "start.keras")
    )
    assert result.history[0]["distillation"] > 0
    name = "block1_layer1_project_conv"
    kernels = [m.get_layer(name).kernel.numpy() for m in (model, start, student(3))]
    np.testing.assert_allclose(kernels[0], kernels[1], atol=1e-5)
    assert np.abs(kernels[0] - kernels[2]).max() > 1e-3


def sequential(*layers, size=SIZE):
    return keras.Sequential([keras.Input((size, size, 3)), keras.layers.Flatten(), *layers])


@pytest.mark.parametrize(
    ("model", "arguments", "error", "message"),
    [
        ("student.keras", {}, TypeError, "must be a keras.Model. Received: str"),
        (keras.Sequential([keras.layers.Dense(3)]), {}, ValueError, "one input and one output"),
        (sequential(keras.layers.Dense(4)), {}, ValueError, "images and 3 classes|and 3 classes"),
        (sequential(keras.layers.Dense(3), size=9), {}, ValueError, r"images of \(9, 9, 3\)"),
        (
            sequential(keras.layers.Dense(3, activation="softmax")),
            {},
            ValueError,
            "must return logits, but its last layer .* has the activation softmax",
        ),
        (None, {"recipe": {"epoch": 3}}, ValueError, "recipe.epoch. Did you mean 'epochs'"),
        (None, {"recipe": {"epochs": 0}}, ValueError, "recipe.epochs must be in"),
        (None, {"recipe": {"epochs": "3"}}, ValueError, "recipe.epochs must be of type int"),
        (None, {"recipe": {"optimizer": "adam"}}, ValueError, "one of .* Did you mean 'adamw'"),
        (None, {"recipe": {"accumulate": 5}}, ValueError, "recipe.accumulate=5 does not divide"),
        (None, {"recipe": {"batch_size": 64}}, ValueError, "batch size must be from 1 to the num"),
        (None, {"recipe": {"distill_weight": 0.5}}, ValueError, "distill_weight=0.5 and no teach"),
        (None, {"teacher": plain_model()}, ValueError, "distill_weight=0.0 and a teacher"),
        (
            None,
            {"recipe": {"distill_weight": 0.5}, "teacher": "teacher.keras"},
            TypeError,
            "The teacher to distil must be a keras.Model .* Received: str",
        ),
        (None, {"seed": -1}, ValueError, "seed must be a whole number"),
        (None, {"start_from": "none.keras"}, FileNotFoundError, "There is no model file"),
        (
            None,
            {"recipe": {"distill_weight": 0.5}, "teacher": sequential(keras.layers.Dense(7))},
            ValueError,
            r"The teacher to distil .* returns \(7,\)",
        ),
    ],
)
def test_bad_input_is_refused_before_training(images, tmp_path, model, arguments, error, message):
    model = student() if model is None else model
    with pytest.raises(error, match=message):
        student_training.train_student(model, images, folder=tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_whole_config_is_a_recipe_too():
    from dna_tf.config import run_config

    config = run_config.default_config()
    config.retrain.epochs = 4
    recipe = student_checks.checked_recipe(config)
    assert recipe == config.retrain and recipe.is_locked
    assert student_checks.checked_recipe() == run_config.default_config().retrain
    assert student_checks.checked_recipe({"learning_rate": 1}).learning_rate == 1.0
    assert tf.distribute.get_strategy().num_replicas_in_sync == 1
