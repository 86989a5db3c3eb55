"""The walk over the layers of a network and of a space."""

import pytest

from dna_tf.space import architectures, network_layers, presets, spaces, tasks
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace

TASK = tasks.Task(33, 1, 7)
FRAME = Frame(stem_width=8, stem_output_width=4, head_width=12, stem_layers=2)


def test_layers_of_a_network_chain_from_the_image_to_the_classes():
    blocks = (
        architectures.BlockChoice(1, 6, (Op(3, 2),)),
        architectures.BlockChoice(2, 10, (Op(5, 1), Op(3, 6))),
    )
    network = architectures.Architecture("small", blocks, FRAME, TASK)
    walk = list(network_layers.layers(network))
    assert [(layer.name, layer.block, layer.index) for layer in walk] == [
        ("stem", 0, 0),
        ("stem_mbconv", 0, 0),
        ("stem_mbconv2", 0, 1),
        ("block1_layer1", 1, 0),
        ("block2_layer1", 2, 0),
        ("block2_layer2", 2, 1),
        ("head", 3, 0),
    ]
    assert [(layer.size, layer.output_size) for layer in walk] == [
        (33, 17),
        (17, 17),
        (17, 17),
        (17, 17),
        (17, 9),
        (9, 9),
        (9, 9),
    ]
    widths = [(layer.spec.in_width, layer.spec.out_width) for layer in walk]
    assert widths == [(1, 8), (8, 4), (4, 4), (4, 6), (6, 10), (10, 10), (10, 12)]
    assert [layer.num_classes for layer in walk] == [0, 0, 0, 0, 0, 0, 7]


@pytest.mark.parametrize(
    "space",
    [
        presets.get_space("digits"),
        SearchSpace(
            "two widths",
            (Op(3, 1), Op(5, 4)),
            (Block(2, (Cell(1, 6), Cell(2, 10))), Block(1, (Cell(3, 8),))),
            FRAME,
        ),
    ],
    ids=lambda space: space.name,
)
def test_layers_of_a_space_are_those_of_its_networks(space):
    layers = network_layers.space_layers(space, TASK)
    assert set(layers.cells) == {
        (b, c, width) for b, c, _ in space.cells() for width in space.input_widths(b)
    }
    for choices in ([0] * len(space.blocks), [len(block.cells) - 1 for block in space.blocks]):
        blocks, expected = [], list(layers.stem)
        width = space.frame.stem_output_width
        for b, c in enumerate(choices):
            block, cell = space.blocks[b], space.blocks[b].cells[c]
            path = tuple(layer % len(space.ops) for layer in range(cell.layers))
            ops = tuple(space.ops[op] for op in path)
            blocks.append(architectures.BlockChoice(block.stride, cell.width, ops))
            candidates = layers.cells[b, c, width]
            expected += [candidates[layer][op] for layer, op in enumerate(path)]
            width = cell.width
        network = architectures.Architecture("drawn", tuple(blocks), space.frame, TASK)
        assert list(network_layers.layers(network)) == [*expected, layers.heads[width]]


def test_a_cell_may_end_in_another_width():
    """As in a supernet, where the last layer has the teacher's channels."""
    ops = (spaces.Op(3, 6), spaces.Op(5, 3))
    cell = network_layers.cell_layers(FRAME, ops, 2, 16, [24, 24, 40], 2, 15)
    assert [[layer.spec.kernel for layer in candidates] for candidates in cell] == [[3, 5]] * 3
    assert [candidates[0].spec.out_width for candidates in cell] == [24, 24, 40]
    assert [candidates[0].size for candidates in cell] == [15, 8, 8]
    assert {layer.name for layer in cell[1]} == {"block2_layer2"}
