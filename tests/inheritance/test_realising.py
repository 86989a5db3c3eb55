"""A realised assembly computes what the chain of packed cells and own blocks computes."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.inheritance import path_weights, realising
from dna_tf.models import keras_files, logits, model_costs
from dna_tf.supernet import cell_models, packed_ops
from tests.helpers import small_assemblies

CHOICES = (
    ((0, (1, 3)), (1, (0, 2))),
    ((0, (2, 0)), None),
    (None, (0, (3,))),
    (None, None),
)
PIXELS = small_assemblies.pixels()


def _by_hand(choices, teacher, cells, calibration, pixels):
    """The chain computed op by op: statistics of the calibration images at each layer."""
    named = {(cell.block, cell.cell): cell for cell in cells}
    both = [calibration, pixels]
    for b, choice in enumerate(choices):
        if choice is None:
            both = [teacher.blocks[b](x, training=False) for x in both]
            continue
        cell = named[b, choice[0]].build(teacher.shapes)
        if b == 0:
            both = [cell_models.rescale(x) for x in both]
        for unit, op in enumerate([0] * cell.fixed_units + list(choice[1])):
            spec, row = cell.units[unit][op], cell.rows[unit].value[op]
            carried, statistics = packed_ops.run(both[0], row, spec)
            both = [carried, packed_ops.run(both[1], row, spec, statistics)[0]]
    return logits.with_logits(teacher.head)(both[1], training=False).numpy()


@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_the_model_is_the_chain_of_packed_cells_and_own_blocks(choices):
    teacher, facts, cells = small_assemblies.all_of_it()
    assembly = small_assemblies.assembly(choices, facts)
    model = realising.realise(assembly, teacher, cells, [PIXELS])
    others = small_assemblies.pixels(seed=8)
    received = model(others, training=False).numpy()
    expected = _by_hand(choices, teacher, cells, PIXELS, others)
    np.testing.assert_allclose(received, expected, rtol=2e-4, atol=2e-4)
    assert np.ptp(expected, axis=0).min() > 0.01  # answers that differ from image to image
    # It costs what its file says, counted by Keras.
    costs = assembly.costs()
    assert model_costs.count_params(model) == costs["params"]
    assert model_costs.count_macs(model) == costs["macs"]


def test_the_teacher_alone_gives_its_own_answers():
    teacher, facts, cells = small_assemblies.all_of_it()
    model = realising.realise(small_assemblies.assembly((None, None), facts), teacher, cells, [])
    expected = logits.with_logits(teacher.model)(PIXELS, training=False)
    np.testing.assert_allclose(model(PIXELS, training=False), expected, rtol=1e-5, atol=1e-5)


def test_statistics_are_those_of_what_a_block_will_really_read():
    """Block 2 is calibrated on the maps of the path before it, not on the teacher's."""
    teacher, facts, cells = small_assemblies.all_of_it()
    choices = ((0, (1, 3)), (0, (0,)))
    model = realising.realise(small_assemblies.assembly(choices, facts), teacher, cells, [PIXELS])
    before = keras.Model(model.input, model.get_layer("block2_layer1_expand_conv").output)
    maps = before(PIXELS, training=False).numpy()
    norm = model.get_layer("block2_layer1_expand_bn")
    np.testing.assert_allclose(norm.moving_mean, maps.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, maps.var((0, 1, 2)), rtol=1e-4, atol=1e-6)


def test_several_calibration_batches_count_as_one():
    teacher, facts, cells = small_assemblies.all_of_it()
    assembly = small_assemblies.assembly(CHOICES[0], facts)
    both = [PIXELS[:10], PIXELS[10:]]
    one, other = (
        realising.realise(assembly, teacher, cells, batches)(PIXELS, training=False)
        for batches in ([PIXELS], both)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_student_has_weights_and_layers_of_its_own(tmp_path):
    teacher, facts, cells = small_assemblies.all_of_it()
    teacher.model.trainable = False
    try:
        model = realising.realise(
            small_assemblies.assembly(CHOICES[1], facts), teacher, cells, [PIXELS]
        )
    finally:
        teacher.model.trainable = True
    before = teacher.model(PIXELS).numpy()
    for weight in model.weights:
        weight.assign(weight.value + 0.1)
    np.testing.assert_array_equal(teacher.model(PIXELS).numpy(), before)
    assert all(layer.trainable for layer in model.layers)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    names = [layer.name for layer in model.layers]
    assert [name for name in names if name.endswith("_map")] == ["block1_map", "block2_map"]
    keras_files.save_model(model, tmp_path / "student.keras")
    loaded = keras_files.load_model(tmp_path / "student.keras")
    np.testing.assert_array_equal(loaded(PIXELS), model(PIXELS))


def test_a_teacher_whose_layers_are_named_like_a_students():
    """Then the copies of its layers get other names, and all weights stay where they belong."""
    layers = keras.layers
    image = keras.Input(small_assemblies.SHAPES[0])
    x = layers.Conv2D(6, 3, 4, "same", name="block1_layer1_expand_conv")(image)
    x = layers.ReLU(name="block2_layer1_dw_conv")(x)
    y = layers.Conv2D(5, 1, name="block1_map")(x)
    scores = layers.Dense(4, name="classifier")(layers.GlobalAveragePooling2D()(y))
    model = keras.Model(image, scores)
    from dna_tf.teachers import cutting, parts

    cuts = ("block2_layer1_dw_conv", "block1_map")
    teacher = cutting.cut_model(model, cuts, small_assemblies.SHAPES[0])
    cells = small_assemblies.cells(keras_files.weights_fingerprint(model))
    choices = (None, (0, (0,)))
    assembly = small_assemblies.assembly(choices, parts.facts(teacher))
    student = realising.realise(assembly, teacher, cells, [PIXELS])
    expected = _by_hand(choices, teacher, cells, PIXELS, PIXELS)
    np.testing.assert_allclose(student(PIXELS, training=False), expected, rtol=2e-4, atol=2e-4)


def test_what_does_not_belong_together_is_refused():
    teacher, facts, cells = small_assemblies.all_of_it()
    assembly = small_assemblies.assembly(CHOICES[0], facts)
    other = small_assemblies.teacher(seed=5)
    with pytest.raises(ValueError, match="'small' belongs to another teacher: weights"):
        realising.realise(assembly, other, cells, [PIXELS])
    moved = dataclasses.replace(facts, cuts=("first_bn", "end2"))
    with pytest.raises(ValueError, match=r"cut at \['first_bn', 'end2'\]"):
        realising.realise(dataclasses.replace(assembly, teacher=moved), teacher, cells, [PIXELS])
    with pytest.raises(ValueError, match="a path of block2_cell2, and this cell is not among"):
        realising.realise(assembly, teacher, cells[:2], [PIXELS])
    space = dataclasses.replace(small_assemblies.SPACE, name="other")
    foreign = [dataclasses.replace(cell, space=space) for cell in cells]
    with pytest.raises(ValueError, match="The cells belong to the space 'other'"):
        realising.realise(assembly, teacher, foreign, [PIXELS])


def test_names_of_layers_are_those_of_students():
    teacher, _, cells = small_assemblies.all_of_it()
    path, outputs = path_weights.calibrate(cells[0].build(teacher.shapes), (1, 3), [PIXELS])
    names = ("block1_stem", "block1_stem_mbconv1", "block1_layer1", "block1_layer2")
    assert path.names == names
    assert [tuple(x.shape) for x in outputs] == [(24, 2, 2, 6)]
    assert isinstance(outputs[0], tf.Tensor)
