"""Costs: golden numbers, an independent count, and the table against whole networks."""

import math

import numpy as np
import pytest

from dna_tf.space import architectures, cost_tables, layer_specs, presets, tasks, zoo
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace

# Parameters, MACs, authors' FLOPs: measured on the authors' definitions.
GOLDEN = {
    "dna_a": (4_243_318, 335_141_728, 348_161_054),
    "dna_b": (4_918_180, 392_492_032, 405_784_844),
    "dna_c": (5_273_896, 450_138_976, 465_920_048),
    "dna_d": (6_409_486, 592_837_792, 611_198_918),
    "efficientnet_b0": (5_288_548, 385_814_752, 399_362_204),
}

# The authors' table of block 1: width 24, first layer reading 16 at 112x112.
OPS_MACS = (29_203_200, 34_020_096, 41_245_440, 14_601_600, 17_010_048, 20_622_720)
OPS_FLOPS = (32_364_388, 37_181_284, 44_406_628, 16_257_460, 18_665_908, 22_278_580)
OPS_PARAMS = (6_004, 7_540, 9_844, 3_028, 3_796, 4_948)

# Spaces that differ in all that costs depend on; in each some block reads several widths.
SPACES = {
    "digits": (presets.PRESETS["digits"], tasks.Task(32, 3, 10)),
    "dna": (presets.PRESETS["dna"], tasks.Task()),
    "odd sizes, no SE": (
        SearchSpace(
            "a",
            (Op(3, 1), Op(5, 4), Op(7, 2)),
            (
                Block(2, (Cell(1, 6), Cell(2, 10), Cell(1, 10))),
                Block(1, (Cell(1, 6), Cell(2, 12))),
                Block(2, (Cell(3, 10), Cell(1, 4))),
            ),
            Frame(5, 1, 6, 20, "relu6", 0),
        ),
        tasks.Task(27, 1, 3),
    ),
    "one op, wide SE": (
        SearchSpace(
            "b",
            (Op(5, 3),),
            (Block(1, (Cell(1, 8), Cell(2, 9))), Block(2, (Cell(2, 8), Cell(2, 9)))),
            Frame(8, 2, 8, 16, "swish", 1),
        ),
        tasks.Task(33, 3, 7),
    ),
}


def _random_choice(space, rng):
    cells = [int(rng.integers(len(block.cells))) for block in space.blocks]
    paths = [int(rng.integers(space.num_paths(b, c))) for b, c in enumerate(cells)]
    return cells, paths


def _architecture(space, cells, paths, task):
    blocks = []
    for b, (c, p) in enumerate(zip(cells, paths, strict=True)):
        cell = space.blocks[b].cells[c]
        ops = tuple(space.ops[i] for i in space.paths(b, c)[p])
        blocks.append(architectures.BlockChoice(space.blocks[b].stride, cell.width, ops))
    return architectures.Architecture("random", tuple(blocks), space.frame, task)


def _count_by_hand(network):
    """Walks the network conv by conv, as a counter with hooks would."""
    total = dict.fromkeys(cost_tables.COSTS, 0)
    frame, size = network.frame, network.image_size

    def conv(size, kernel, fan_in, out, stride=1, bias=False, norm=True):
        """`fan_in` is the number of channels that one output sees."""
        size = math.ceil(size / stride)
        macs = size * size * kernel * kernel * fan_in * out
        total["params"] += kernel * kernel * fan_in * out + out * bias + 2 * out * norm
        total["macs"] += macs
        total["authors_flops"] += macs + size * size * out * (bias + 2 * norm)
        return size

    def mbconv(size, op, in_width, out_width, stride):
        mid = in_width * op.expand
        if op.expand != 1:
            conv(size, 1, in_width, mid)
        size = conv(size, op.kernel, 1, mid, stride)
        if frame.se_ratio:
            squeezed = max(1, int(in_width * frame.se_ratio))
            conv(1, 1, mid, squeezed, bias=True, norm=False)
            conv(1, 1, squeezed, mid, bias=True, norm=False)
        return conv(size, 1, mid, out_width)

    size = conv(size, 3, network.channels, frame.stem_width, frame.stem_stride)
    size = mbconv(size, Op(3, 1), frame.stem_width, frame.stem_output_width, 1)
    width = frame.stem_output_width
    for block in network.blocks:
        stride = block.stride
        for op in block.ops:
            size = mbconv(size, op, width, block.width, stride)
            width, stride = block.width, 1
    conv(size, 1, width, frame.head_width)
    total["authors_flops"] += size * size * frame.head_width  # the final pool
    dense = frame.head_width * network.num_classes
    total["params"] += dense + network.num_classes
    total["macs"] += dense
    total["authors_flops"] += dense
    return total


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_published_networks_cost_what_their_authors_definitions_cost(name):
    costs = zoo.get_architecture(name).costs()
    assert costs == dict(zip(cost_tables.COSTS, GOLDEN[name], strict=True))
    assert all(type(value) is int for value in costs.values())


def test_every_op_of_block_1_costs_what_the_authors_table_says():
    specs = [
        layer_specs.layer_specs(Frame(), [op], 16, [24], 2)[0] for op in presets.PRESETS["dna"].ops
    ]
    assert tuple(spec.macs(112, 112) for spec in specs) == OPS_MACS
    assert tuple(spec.authors_flops(112, 112) for spec in specs) == OPS_FLOPS
    assert tuple(spec.params for spec in specs) == OPS_PARAMS
    table = cost_tables.cost_table(presets.PRESETS["dna"], tasks.Task(224, 3, 1000))
    # The cell of block 1 with 2 layers: paths 0, 6, 12, ... differ from each other by
    # their first op alone.
    macs = table.paths[0, 0, 16]["macs"].reshape(6, 6)
    np.testing.assert_array_equal(np.diff(macs[:, 0]), np.diff(OPS_MACS))


@pytest.mark.parametrize("name", sorted(SPACES))
def test_network_costs_against_a_count_by_hand(name):
    space, task = SPACES[name]
    rng = np.random.default_rng(1)
    for _ in range(30):
        architecture = _architecture(space, *_random_choice(space, rng), task)
        assert architecture.costs() == _count_by_hand(architecture), architecture.describe()


@pytest.mark.parametrize("name", sorted(SPACES))
def test_table_entries_add_up_to_the_costs_of_networks(name):
    space, task = SPACES[name]
    table = cost_tables.cost_table(space, task)
    rng = np.random.default_rng(0)
    for _ in range(60):
        cells, paths = _random_choice(space, rng)
        total = dict(table.stem)
        width = space.frame.stem_output_width
        for b, (c, p) in enumerate(zip(cells, paths, strict=True)):
            for cost_name in cost_tables.COSTS:
                total[cost_name] += int(table.paths[b, c, width][cost_name][p])
            width = space.blocks[b].cells[c].width
        for cost_name in cost_tables.COSTS:
            total[cost_name] += table.heads[width][cost_name]
        architecture = _architecture(space, cells, paths, task)
        assert total == architecture.costs(), (cells, paths)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_the_table_has_every_cell_for_every_width_it_may_read(name):
    space, task = SPACES[name]
    table = cost_tables.cost_table(space, task)
    expected = {(b, c, w) for b, c, _ in space.cells() for w in space.input_widths(b)}
    assert set(table.paths) == expected
    assert set(table.heads) == {cell.width for cell in space.blocks[-1].cells}
    for (b, c, _), columns in table.paths.items():
        assert set(columns) == set(cost_tables.COSTS)
        for values in columns.values():
            assert values.dtype == np.int64
            assert values.shape == (space.num_paths(b, c),)


def test_the_first_layer_of_a_block_costs_by_the_width_it_reads():
    table = cost_tables.cost_table(presets.PRESETS["dna"], tasks.Task(224, 3, 1000))
    narrow, wide = (table.paths[1, 0, width]["params"] for width in (24, 32))
    assert (wide > narrow).all()
    # k3e6 reading w: expand 6w*w + 2*6w, depthwise 9*6w + 2*6w, SE (w/4 wide), project 6w*40 + 80.
    for width, column in ((24, narrow), (32, wide)):
        mid, se = 6 * width, width // 4
        first = width * mid + 2 * mid + 9 * mid + 2 * mid + mid * se + se + se * mid + mid
        first += mid * 40 + 2 * 40
        mid, se = 240, 10
        second = 40 * mid + 2 * mid + 9 * mid + 2 * mid + mid * se + se + se * mid + mid
        second += mid * 40 + 2 * 40
        assert column[0] == first + second
