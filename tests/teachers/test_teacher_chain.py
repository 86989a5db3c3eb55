"""The chain of a cut teacher's blocks is the whole teacher, to the bit, for each family."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.teachers import cut_points, cutting
from tests.helpers import small_teachers

SHAPE = (64, 64, 3)

FAMILIES = {
    "EfficientNetB0": 5,
    "EfficientNetV2B0": 5,
    "MobileNet": 4,
    "MobileNetV2": 5,
    "MobileNetV3Small": 5,
    "ResNet50": 4,
    "ResNet50V2": 4,
    "ConvNeXtTiny": 4,
    "DenseNet121": 4,
    "VGG16": 3,
}


def _parts(model, cuts):
    """The blocks of the cut, and the rest of the model behind the last one."""
    cut = cutting.cut_model(model, cuts, SHAPE)
    nodes = {layer.name: layer for layer in model.operations}
    rest = keras.Model(nodes[cuts[-1]].output, model.output)
    return cut, [*cut.blocks, rest]


@pytest.mark.parametrize("function", FAMILIES)
def test_the_chain_is_the_whole(function):
    keras.utils.set_random_seed(1)
    model = getattr(keras.applications, function)(weights=None, input_shape=SHAPE, classes=7)
    small_teachers.shaken(model)
    cuts = cut_points.propose(model, SHAPE)
    assert len(cuts) >= FAMILIES[function]
    cut, parts = _parts(model, cuts)
    images = np.random.default_rng(3).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    whole = model(images, training=False)
    maps, chained = cut.features(images, training=False), images
    for part, expected in zip(parts, [*maps, whole], strict=True):
        chained = part(chained, training=False)
        assert np.ptp(chained) > 0  # something comes through
        np.testing.assert_array_equal(chained, expected)
    assert cut.shapes[1:] == tuple(tuple(feature_map.shape[1:]) for feature_map in maps)


@pytest.mark.parametrize("function", ["MobileNetV2", "ResNet50"])
def test_compiled_blocks_chain_to_the_compiled_whole(function):
    keras.utils.set_random_seed(1)
    model = getattr(keras.applications, function)(weights=None, input_shape=SHAPE, classes=7)
    _, parts = _parts(small_teachers.shaken(model), cut_points.propose(model, SHAPE))
    images = np.random.default_rng(3).uniform(0, 255, (2, *SHAPE)).astype(np.float32)

    def compiled(part):
        return tf.function(lambda x: part(x, training=False))

    chained = tf.constant(images)
    for part in parts:
        chained = compiled(part)(chained)
    np.testing.assert_array_equal(chained, compiled(model)(tf.constant(images)))
