"""Evaluation by value: the numbers of NumPy for models and files, and wrong arguments refused."""

import keras
import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.evaluation import measuring
from tests.helpers import tiny_config


@pytest.fixture(scope="module")
def images():
    config = tiny_config.get_config()
    return loading.load(config.data, config.seed)


def _classifier(size=16, classes=10):
    """A linear model of shrunken images, with weights that give different answers."""
    layers = [keras.layers.AveragePooling2D(size // 4), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((size, size, 3)), *layers, keras.layers.Dense(classes)])
    draws = np.random.RandomState(0)
    model.set_weights([draws.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("split", ["test", "rating", "train"])
def test_the_numbers_are_those_of_numpy(images, split):
    model = _classifier()
    result = measuring.evaluate(model, images, split=split, batch_size=64)
    pixels, labels = images.arrays(split)
    scores = model.predict(pixels, verbose=0)
    correct = int(np.sum(scores.argmax(1) == labels))
    top5 = int(np.sum(np.argsort(-scores, axis=1)[:, :5] == labels[:, None]))
    assert (result.correct, result.total, result.top5_correct) == (correct, len(labels), top5)
    assert result.accuracy == correct / len(labels) and result.num_classes == 10
    low, high = result.interval
    assert 0 < low < result.accuracy < high < 1
    assert str(result) == (
        f"{100 * result.accuracy:.1f} % (95 % interval {100 * low:.1f}-{100 * high:.1f}, "
        f"{correct} of {len(labels)})"
    )
    assert result.per_class["images"] == np.bincount(labels, minlength=10).tolist()


def test_a_file_is_evaluated_as_the_model_in_it(images, tmp_path):
    model = _classifier()
    model.save(tmp_path / "model.keras")
    expected = measuring.evaluate(model, images)
    for path in (tmp_path / "model.keras", str(tmp_path / "model.keras")):
        result = measuring.evaluate(path, images, batch_size=7)
        assert (result.correct, result.confusion) == (expected.correct, expected.confusion)


def test_a_model_that_guesses_is_warned_of(images):
    guessing = _classifier()
    guessing.set_weights([np.zeros_like(weight) for weight in guessing.get_weights()])
    (warning,) = measuring.evaluate(guessing, images).warnings
    assert "answers no better than chance (10.00 %)" in warning


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "Expected a keras.Model or the path of a model to evaluate. Received: 3"),
        ({"model": _classifier(8)}, r"takes \(8, 8, 3\).* image_size=8 makes images that fit"),
        ({"model": _classifier(classes=7)}, "gives 7 scores, and the data has .* 10 classes"),
        ({"split": "validation"}, "validation"),
        ({"images": np.zeros((4, 16, 16, 3))}, "images from load_images .* Received: ndarray"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    ],
)
def test_wrong_arguments_are_refused(images, arguments, message):
    with pytest.raises(ValueError, match=message):
        measuring.evaluate(**{"model": _classifier(), "images": images, **arguments})


def test_a_model_without_one_input_is_refused(images):
    inputs = [keras.Input((16, 16, 3)), keras.Input((16, 16, 3))]
    model = keras.Model(inputs, keras.layers.Flatten()(keras.layers.Add()(inputs)))
    with pytest.raises(ValueError, match="Expected a model from images to scores"):
        measuring.evaluate(model, images)

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="Expected a model from images to scores"):
        measuring.evaluate(Subclassed(), images)
    with pytest.raises(FileNotFoundError, match="There is no model file none.keras"):
        measuring.evaluate("none.keras", images)
