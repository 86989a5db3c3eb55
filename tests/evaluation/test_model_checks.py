"""A model and images that do not belong together are refused before anything is measured."""

import types

import pytest

from dna_tf.evaluation import model_checks

SIZE, CLASSES = 16, 5


def test_models_that_do_not_fit_the_data_are_refused():
    images = types.SimpleNamespace(image_shape=(SIZE, SIZE, 3), num_classes=CLASSES)
    for takes in ((SIZE, SIZE, 3), (None, None, 3), (SIZE, SIZE, None)):
        fitting = types.SimpleNamespace(input_shape=takes, num_outputs=CLASSES)
        model_checks.check_shapes(fitting, images, "model.keras")
    for takes, gives in (((32, 32, 3), 5), ((16, 16, 1), 5), ((16, 16, 3), 10), ((16, 16), 5)):
        other = types.SimpleNamespace(input_shape=takes, num_outputs=gives)
        message = f"model.keras takes .* and gives {gives} scores, .* 5 classes. Choose the data"
        with pytest.raises(ValueError, match=message):
            model_checks.check_shapes(other, images, "model.keras")
