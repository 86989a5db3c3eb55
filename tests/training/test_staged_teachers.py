"""Several teachers of one student, one after another."""

import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.models import students
from dna_tf.training import checkpoints, staged_teachers, student_training
from tests.helpers.noise_training import CLASSES, SIZE, architecture_of_two_blocks, plain_model

RECIPE = {"epochs": 4, "batch_size": 8, "warmup_epochs": 0.0, "distill_weight": 0.5}
RECIPE |= {"rating_every": 0, "dropout": 0.0, "checkpoint_seconds": 1e6}


@pytest.fixture(scope="module")
def images():
    labels = np.arange(60) % CLASSES
    pixels = np.random.default_rng(0).integers(0, 256, (60, SIZE, SIZE, 3), np.uint8)
    return loading.images_from_arrays((pixels, labels), rating_per_class=4)


def _student():
    return students.build_student(architecture_of_two_blocks(), 0.0, 0.0, 1)


def _bits(model):
    return [weight.numpy().tobytes() for weight in model.weights]


@pytest.mark.parametrize(
    ("count", "ends", "epochs", "expected"),
    [
        (2, (), 4, [0, 0, 1, 1]),
        (3, (), 3, [0, 1, 2]),
        (3, (0.25, 0.5, 1.0), 8, [0, 0, 1, 1, 2, 2, 2, 2]),
        (2, (0.1, 1.0), 3, [0, 1, 1]),
        (1, (), 2, [0, 0]),
    ],
)
def test_each_teacher_has_its_share_of_the_epochs(count, ends, epochs, expected):
    teachers = [plain_model(seed) for seed in range(count)]
    staged = staged_teachers.StagedTeachers(teachers, ends, epochs)
    assert [staged.stage_of(epoch) for epoch in range(epochs)] == expected
    pixels = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
    for epoch, stage in enumerate(expected):
        staged.begin_epoch(epoch)
        np.testing.assert_allclose(staged(pixels), teachers[stage](pixels), rtol=1e-6)


def test_a_student_that_stands_still_is_compared_with_each_teacher_in_its_epochs(images):
    slow = {**RECIPE, "learning_rate": 1e-8, "teacher_ends": (0.5, 1.0)}
    teachers = [plain_model(1), plain_model(2)]
    both = student_training.train_student(_student(), images, slow, teacher=teachers)
    alone = [
        student_training.train_student(
            _student(), images, {**slow, "teacher_ends": ()}, teacher=teacher
        )
        for teacher in teachers
    ]
    distances = [[e["distillation"] for e in result.history] for result in (both, *alone)]
    assert distances[0][:2] == pytest.approx(distances[1][:2], rel=1e-4)
    assert distances[0][2:] == pytest.approx(distances[2][2:], rel=1e-4)
    assert abs(distances[1][2] - distances[2][2]) > 0.01 * distances[1][2]


@pytest.mark.slow
def test_a_killed_training_goes_on_with_the_teacher_of_its_epoch(images, tmp_path, monkeypatch):
    recipe = {**RECIPE, "schedule": "cyclic_cosine", "cycles": 2, "checkpoint_seconds": 0.0}
    teachers = [plain_model(1), plain_model(2)]
    whole = _student()
    student_training.train_student(
        whole, images, recipe, teacher=teachers, folder=tmp_path / "whole"
    )
    saved = checkpoints.Checkpoint.save

    def save(checkpoint, state):
        saved(checkpoint, state)
        if state["epoch"] == 2 and state["step"] == 1:
            raise OSError("killed")

    monkeypatch.setattr(checkpoints.Checkpoint, "save", save)
    with pytest.raises(OSError, match="killed"):
        student_training.train_student(
            _student(), images, recipe, teacher=teachers, folder=tmp_path / "cut"
        )
    monkeypatch.setattr(checkpoints.Checkpoint, "save", saved)
    again = _student()
    student_training.train_student(again, images, recipe, teacher=teachers, folder=tmp_path / "cut")
    assert _bits(again) == _bits(whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher_ends": (0.5, 0.9)}, r"shares of the epochs that rise to 1.*\(0\.5, 0\.9\)"),
        ({"teacher_ends": (0.5, 0.5, 1.0)}, r"rise to 1"),
        ({"teacher_ends": (0.2, 0.5, 1.0)}, r"3 shares for 2 teachers"),
        ({"teacher_ends": (0.1, 0.2, 0.3, 0.4, 1.0)}, r"5 teachers need as many epochs"),
        ({"teachers": ("a.keras",)}, r"Give the models themselves"),
        ({"cycles": 0}, r"recipe\.cycles must be in"),
    ],
)
def test_wrong_stages_are_refused(images, tmp_path, changes, message):
    teachers = [plain_model(1), plain_model(2)]
    with pytest.raises(ValueError, match=message):
        student_training.train_student(
            _student(), images, {**RECIPE, **changes}, teacher=teachers, folder=tmp_path / "new"
        )
    assert not (tmp_path / "new").exists()
