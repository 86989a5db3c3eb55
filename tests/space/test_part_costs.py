"""Costs of paths that stand in a teacher: against numbers worked out by hand, path by path."""

import numpy as np
import pytest

from dna_tf.space import layer_specs, network_layers, part_costs, spaces
from tests.helpers import small_cells

SPACE, SHAPES = small_cells.SPACE, small_cells.SHAPES


def test_peak_of_layers_that_were_worked_out_by_hand():
    # 4x4 maps of 8 channels, expanded to 24, back to 8: the input waits for the residual.
    spec = layer_specs.MBConvSpec(3, 3, 8, 8, 1, "relu6", 0.0)
    expand, depthwise, project, add = 128 + 384, 128 + 384 + 384, 128 + 384 + 128, 3 * 128
    assert spec.peak_elements(4, 4) == max(expand, depthwise, project, add) == 896
    # With SE the product with the gate of 24 channels is held: input, map, gate, product.
    assert layer_specs.MBConvSpec(3, 3, 8, 8, 1, "relu6", 0.25).peak_elements(4, 4) == 128 + 792
    # Swish holds its map, the gate and the product beside the waiting input.
    assert layer_specs.MBConvSpec(3, 3, 8, 8, 1, "swish", 0.0).peak_elements(4, 4) == 128 + 3 * 384
    # Without expansion the depthwise convolution reads what waits: it is held once.
    assert layer_specs.MBConvSpec(3, 1, 8, 8, 1, "relu6", 0.0).peak_elements(4, 4) == 128 + 2 * 128
    # Stride 2 and no residual: 6x6x4 -> 6x6x8 -> 3x3x8 -> 3x3x5.
    strided = layer_specs.MBConvSpec(5, 2, 4, 5, 2, "relu6", 0.0)
    assert strided.peak_elements(6, 6) == max(144 + 288, 288 + 72, 72 + 45)
    assert layer_specs.ConvSpec(3, 3, 16, 2, "relu6").peak_elements(8, 8) == 192 + 256
    assert layer_specs.ConvSpec(3, 3, 16, 2, "swish").peak_elements(8, 8) == 3 * 256


def test_bytes_of_an_int8_file():
    # 1 byte for a weight; 4 for a bias, and scale and zero point of both for each channel.
    spec = layer_specs.MBConvSpec(3, 2, 4, 6, 1, "relu6", 0.0)
    assert spec.int8_bytes == 4 * 8 + 28 * 8 + 9 * 8 + 28 * 8 + 8 * 6 + 28 * 6
    squeezed = layer_specs.MBConvSpec(3, 2, 4, 6, 1, "relu6", 0.5)
    assert squeezed.int8_bytes == spec.int8_bytes + 8 * 2 + 28 * 2 + 2 * 8 + 28 * 8
    assert layer_specs.ConvSpec(3, 3, 16, 2, "swish").int8_bytes == 27 * 16 + 28 * 16


def test_all_paths_cost_what_each_costs_by_itself():
    for b, c, _ in SPACE.cells():
        arrays = part_costs.all_path_costs(SPACE, b, c, SHAPES)
        for index, path in enumerate(SPACE.paths(b, c)):
            costs = part_costs.path_costs(SPACE, b, c, path, SHAPES)
            assert {name: arrays[name][index] for name in part_costs.COSTS} == pytest.approx(costs)
            assert type(costs["macs"]) is int
        assert [arrays[name].dtype for name in part_costs.COUNTED] == [np.int64, np.int64]


def test_a_path_is_the_stem_and_layers_between_the_teachers_maps():
    names = [
        [(layer.name, layer.spec.in_width, layer.spec.out_width, layer.size) for layer in each[:1]]
        for each in network_layers.imitating_layers(SPACE, 0, 0, SHAPES)
    ]
    # The image of 8x8 is halved by the stem and by the first layer; 6 are the teacher's channels.
    assert names == [
        [("stem", 3, 4, 8)],
        [("stem_mbconv", 4, 3, 4)],
        [("block1_layer1", 3, 4, 4)],
        [("block1_layer2", 4, 6, 2)],
    ]
    (one,) = network_layers.imitating_layers(SPACE, 1, 0, SHAPES)
    assert [(layer.spec.in_width, layer.spec.out_width) for layer in one] == [(6, 5)] * 4
    spec = one[0].spec
    assert part_costs.path_costs(SPACE, 1, 0, (0,), SHAPES) == {
        "params": spec.params,
        "macs": spec.macs(2, 2),
        "int8_kb": spec.int8_bytes / 1000,
        "peak_kb": spec.peak_elements(2, 2) / 1000,
    }


def test_parts_together():
    parts = [
        {"params": 1, "macs": 5, "int8_kb": 0.1, "peak_kb": 3.0},
        {"params": 2, "macs": 6, "int8_kb": 0.2, "peak_kb": 7.5},
        {"params": 3, "macs": 7, "int8_kb": 0.3, "peak_kb": 1.0},
    ]
    expected = {"params": 6, "macs": 18, "int8_kb": 0.6, "peak_kb": 7.5}
    assert part_costs.total(parts) == expected
    parts[1]["macs"] = None  # a layer that cannot be counted
    assert part_costs.total(parts) == {**expected, "macs": None}


def test_no_such_path():
    with pytest.raises(
        ValueError, match="A path of cell 0 in block 1 of the space 'tiny' has 2 op"
    ):
        part_costs.path_costs(SPACE, 0, 0, (1,), SHAPES)
    assert spaces.cell_name(0, 0) == "block1_cell1"
