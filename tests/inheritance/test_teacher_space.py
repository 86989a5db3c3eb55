"""Spaces proposed for teachers: they fit the cut, and follow activation and width."""

import keras
import pytest

from dna_tf.inheritance import teacher_space
from dna_tf.space import fit
from dna_tf.teachers import cut_points, cutting, residual_cnn

layers = keras.layers


def _cut(model, shape):
    return cutting.cut_model(model, cut_points.propose(model, shape), shape)


def test_a_space_for_a_residual_network():
    teacher = _cut(residual_cnn.build((32, 32, 3), 10), (32, 32, 3))
    space = teacher_space.propose(teacher)
    fit.check_fit(space, teacher.shapes, teacher.cuts)
    assert [block.stride for block in space.blocks] == [2, 2, 1]
    assert [[(c.layers, c.width) for c in block.cells] for block in space.blocks] == [
        [(1, 16), (2, 16), (3, 16)],
        [(1, 32), (2, 32), (3, 32)],
        [(1, 48), (2, 48), (3, 48)],
    ]
    assert (space.frame.activation, space.frame.se_ratio) == ("relu6", 0.0)
    assert space.frame.stem_stride == 2 and space.image_size == 32
    assert [op.name for op in space.ops] == ["k3e1", "k3e3", "k5e3", "k3e6", "k5e6"]


def test_a_space_for_a_mobile_network_with_swish():
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3), classes=5)
    teacher = _cut(model, (64, 64, 3))
    space = teacher_space.propose(teacher)
    fit.check_fit(space, teacher.shapes, teacher.cuts)
    assert (space.frame.activation, space.frame.se_ratio) == ("swish", 0.25)


def test_wide_teachers_get_small_expansions():
    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=5)
    teacher = _cut(model, (64, 64, 3))
    space = teacher_space.propose(teacher)
    fit.check_fit(space, teacher.shapes, teacher.cuts)
    assert [op.name for op in space.ops] == ["k3e1", "k5e1", "k3e2", "k5e2"]
    assert max(cell.width for block in space.blocks for cell in block.cells) == 128


def test_a_block_that_no_cell_can_stand_for():
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, 2, "same", name="one")(image)
    x = layers.Conv2D(8, 3, 4, "same", name="two")(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    teacher = cutting.cut_model(model, ("one", "two"), (32, 32, 3))
    with pytest.raises(ValueError, match="Block 2 of the teacher, up to the layer 'two', turns ma"):
        teacher_space.propose(teacher)
