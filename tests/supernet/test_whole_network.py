"""A path of a whole network against the Keras student of the same architecture and weights."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.space import cost_tables, network_layers, presets, spaces
from dna_tf.supernet import whole_network
from tests.helpers.small_whole import SPACE, TASK, architecture_of, batch, shaken, student

RELU = dataclasses.replace(
    SPACE,
    ops=(spaces.Op(3, 2), spaces.Op(7, 3)),
    frame=spaces.Frame(4, 1, 4, 8, "relu6", 0.0, stem_layers=0),
)


@pytest.mark.parametrize("space", [SPACE, RELU], ids=["swish_se_fused", "relu6"])
def test_a_path_computes_what_the_student_of_its_architecture_computes(space):
    network, (images, _) = shaken(whole_network.WholeNetwork(space, TASK)), batch()
    answers = set()
    for path in itertools.product(range(network.num_ops), repeat=network.layers):
        if sum(path) % network.num_ops:  # these have every op in every layer
            continue
        logits = network(images, tf.constant(path)).numpy()
        expected = student(network, path)(images, training=True).numpy()
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
        answers.add(logits.tobytes())
    assert len(answers) >= 4


@pytest.mark.parametrize("name", ["digits_single", "dna_four_ops_single"])
def test_the_layers_of_a_path_have_the_params_and_macs_of_its_architecture(name):
    space, task = presets.get_space(name), dataclasses.replace(TASK, image_size=32)
    units, classifier = whole_network.network_units(space, task)
    num_layers = sum(block.cells[0].layers for block in space.blocks)
    path = np.random.default_rng(0).integers(0, len(space.ops), num_layers).tolist()
    architecture = architecture_of(space, path, task)
    ops = [0] * (len(units) - num_layers - 1) + path + [0]
    specs = [candidates[op] for candidates, op in zip(units, ops, strict=True)]
    assert specs == [layer.spec for layer in network_layers.layers(architecture)]
    costs, size, macs = cost_tables.network_costs(architecture), task.image_size, 0
    for spec in specs:
        macs += spec.macs(size, size)
        size = -(-size // spec.stride)
    assert macs + classifier.in_width * classifier.num_classes == costs["macs"]
    assert sum(spec.params for spec in specs) + classifier.params == costs["params"]


def test_first_weights_follow_from_the_seed():
    one, same, other = (whole_network.first_rows(SPACE, TASK, seed) for seed in (3, 3, 4))
    network = whole_network.WholeNetwork(SPACE, TASK, 3)
    for a, b, c, rows in zip(one, same, other, network.rows, strict=True):
        assert a.dtype == np.float32 and a.tobytes() == b.tobytes() == rows.numpy().tobytes()
        assert not np.array_equal(a, c)
    kernel = one[-1][0, :32]
    assert 0.2 < np.abs(kernel).max() < 1 / math.sqrt(8) and not one[-1][0, 32:].any()


def test_a_space_with_several_cells_in_a_block_is_refused():
    with pytest.raises(ValueError, match=r"Block 1 of the space 'digits' has \d cells. Take"):
        whole_network.WholeNetwork(presets.get_space("digits"), TASK)


def test_paths_and_their_indices_are_inverse():
    for path in itertools.product(range(3), repeat=3):
        indices = whole_network.indices_of(SPACE, path)
        assert indices == (path[0] * 3 + path[1], path[2])
        assert whole_network.path_of(SPACE, indices) == path
    with pytest.raises(ValueError, match="op indices from 0 to 2"):
        whole_network.indices_of(SPACE, (0, 3, 0))
