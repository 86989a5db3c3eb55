"""Checks that students, data and files to start from fit together."""

import dataclasses
import types

import numpy as np
import pytest

from dna_tf.models import keras_files, students
from dna_tf.space import spaces
from dna_tf.training import student_checks
from tests.helpers.noise_training import (
    CLASSES,
    SIZE,
    architecture_of_two_blocks,
    tiny_architecture,
)


def test_students_that_do_not_fit_the_data_are_refused():
    fits = types.SimpleNamespace(image_shape=(SIZE, SIZE, 3), num_classes=CLASSES)
    student_checks.check_fits_data(architecture_of_two_blocks(), fits)
    for shape, classes in (((16, 16, 3), 3), ((8, 8, 1), 3), ((8, 9, 3), 3), ((8, 8, 3), 10)):
        other = types.SimpleNamespace(image_shape=shape, num_classes=classes)
        gives = "x".join(map(str, shape))
        message = (
            f"'tiny' takes images of 8x8x3 and 3 classes, and the data gives {gives} and {classes}"
        )
        with pytest.raises(ValueError, match=message):
            student_checks.check_fits_data(architecture_of_two_blocks(), other)


def test_fine_tuning_starts_from_the_students_weights(tmp_path):
    start = students.build_student(tiny_architecture(7, 24), seed=3)
    path = tmp_path / "start.keras"
    keras_files.save_model(start, path)
    model = students.build_student(tiny_architecture(), seed=4)
    before = model.get_layer("classifier").kernel.numpy()
    student_checks.copy_weights(path, model)
    weights = {w.path: w.numpy() for w in start.weights}
    for weight in model.weights:
        if weight.path.startswith("classifier"):
            continue
        np.testing.assert_array_equal(weight.numpy(), weights[weight.path])
    np.testing.assert_array_equal(model.get_layer("classifier").kernel.numpy(), before)


def test_a_file_of_another_architecture_is_refused(tmp_path):
    arch = tiny_architecture()
    path = tmp_path / "start.keras"
    keras_files.save_model(students.build_student(arch), path)
    wider = dataclasses.replace(arch.blocks[0], width=6)
    deeper = dataclasses.replace(arch.blocks[0], ops=(*arch.blocks[0].ops, spaces.Op(3, 2)))
    wrong = "is no student of the architecture 'tiny': its layer"
    for block, message in (
        (wider, f"{wrong} 'block1_layer1_project_conv' was expected to have weights"),
        (deeper, f"{wrong} 'block1_layer3_expand_conv' was .* Found: no such layer"),
    ):
        other = dataclasses.replace(arch, blocks=(block,))
        with pytest.raises(ValueError, match=message):
            student_checks.copy_weights(path, students.build_student(other))
    keras_files.save_model(
        students.build_student(dataclasses.replace(arch, blocks=(deeper,))), path
    )
    with pytest.raises(ValueError, match="layers more, such as 'block1_layer3_"):
        student_checks.copy_weights(path, students.build_student(arch))


def test_architectures_are_fitted_to_the_data():
    images = types.SimpleNamespace(image_shape=(32, 32, 3), num_classes=5)
    fitted = student_checks.fit_to_data(tiny_architecture(), images)
    assert (fitted.image_size, fitted.num_classes, fitted.name) == (32, 5, "tiny")
    images.image_shape = (32, 32, 1)
    with pytest.raises(ValueError, match="takes images of 3 channels, and the data gives 1"):
        student_checks.fit_to_data(tiny_architecture(), images)
