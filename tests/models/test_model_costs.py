"""MACs counted from Keras models, against published counts and counts by hand."""

import keras
import pytest

from dna_tf.models import model_costs, students
from dna_tf.space import zoo


@pytest.mark.parametrize("name", zoo.NAMES[:2])
def test_students_have_the_macs_of_their_tables(name):
    arch = zoo.get_architecture(name)
    model = students.build_student(arch)
    assert model_costs.count_macs(model) == arch.costs()["macs"]
    assert model_costs.count_params(model) == arch.costs()["params"]


def test_efficientnet_b0_of_keras():
    # 385,814,752 on the authors' definition of the same network.
    model = keras.applications.EfficientNetB0(weights=None)
    assert model_costs.count_macs(model) == 385_814_752


def test_grouped_convolution_nested_model_and_dense_by_hand():
    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(6, 3, groups=2)])
    model = keras.Sequential(
        [keras.Input((8, 8, 4)), inner, keras.layers.Flatten(), keras.layers.Dense(5)]
    )
    # 6x6 outputs of 6 channels that each read 3x3 pixels of 2 channels; 6*6*6 inputs to 5.
    assert model_costs.count_macs(model) == 36 * 6 * 9 * 2 + 216 * 5


def test_what_cannot_be_counted_gives_none():
    free = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)])
    assert model_costs.count_macs(free) is None
    other = keras.Sequential([keras.Input((8, 4)), keras.layers.LSTM(3)])
    assert model_costs.count_macs(other) is None
