"""Search spaces: golden numbers of DNA Table 1, order of paths, and what is refused."""

import dataclasses
import itertools
import json

import ml_collections
import pytest

from dna_tf.space import presets, spaces, zoo
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace

DNA = presets.PRESETS["dna"]
SMALL = SearchSpace(
    "small",
    (Op(3, 6), Op(5, 3)),
    (Block(2, (Cell(1, 8), Cell(3, 4), Cell(2, 8))), Block(1, (Cell(2, 8),))),
)


def test_dna_has_the_architectures_of_the_paper():
    assert DNA.num_architectures() == 195898498887057408
    per_block = [
        sum(DNA.num_paths(b, c) for c in range(len(block.cells)))
        for b, block in enumerate(DNA.blocks)
    ]
    assert per_block == [288, 1548, 1548, 2808, 16848, 6]


def test_dna_is_table_1():
    assert [op.name for op in DNA.ops] == ["k3e6", "k5e6", "k7e6", "k3e3", "k5e3", "k7e3"]
    assert [block.stride for block in DNA.blocks] == [2, 2, 2, 1, 2, 1]
    assert [[(c.layers, c.width) for c in block.cells] for block in DNA.blocks] == [
        [(2, 24), (3, 24), (2, 32)],
        [(2, 40), (3, 40), (4, 40)],
        [(2, 80), (3, 80), (4, 80)],
        [(3, 112), (4, 112), (4, 96)],
        [(4, 192), (5, 192), (5, 160)],
        [(1, 320)],
    ]
    assert DNA.frame == Frame(32, 2, 16, 1280, "swish", 0.25)
    four = presets.PRESETS["dna_four_ops"]
    assert four.blocks == DNA.blocks
    assert [op.name for op in four.ops] == ["k3e6", "k5e6", "k3e3", "k5e3"]


def test_num_architectures_counts_what_can_be_listed():
    listed = [
        [(c, path) for c in range(len(block.cells)) for path in SMALL.paths(b, c)]
        for b, block in enumerate(SMALL.blocks)
    ]
    assert len(set(itertools.product(*listed))) == SMALL.num_architectures() == (2 + 8 + 4) * 4


def test_the_last_layer_of_a_path_turns_fastest():
    paths = SMALL.paths(0, 1)
    assert paths[:3] == [(0, 0, 0), (0, 0, 1), (0, 1, 0)]
    for index, path in enumerate(paths):
        assert index == path[0] * 4 + path[1] * 2 + path[2]
        assert all(type(op) is int for op in path)


def test_input_widths_are_those_of_the_block_before():
    assert SMALL.input_widths(0) == (16,)
    assert SMALL.input_widths(1) == (4, 8)
    assert DNA.input_widths(5) == (160, 192)


def test_cells_come_first_block_first():
    cells = [(b, c, cell.layers) for b, c, cell in SMALL.cells()]
    assert cells == [(0, 0, 1), (0, 1, 3), (0, 2, 2), (1, 0, 2)]


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_presets_survive_json(name):
    space = presets.PRESETS[name]
    assert space.name == name
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert presets.get_space(name) is space


def test_get_space_takes_names_dicts_and_spaces():
    assert presets.get_space(SMALL) is SMALL
    assert presets.get_space(SMALL.to_dict()) == SMALL
    without_frame = {k: v for k, v in SMALL.to_dict().items() if k != "frame"}
    assert presets.get_space(without_frame).frame == Frame()
    some = presets.get_space({**SMALL.to_dict(), "frame": {"se_ratio": 0}})
    assert some.frame == dataclasses.replace(Frame(), se_ratio=0)
    with pytest.raises(ValueError, match=r"no search space 'digit'\. Did you mean 'digits'\?"):
        presets.get_space("digit")


@pytest.mark.parametrize("form", [dict, ml_collections.ConfigDict])
def test_space_of_a_config(form):
    named = ml_collections.ConfigDict({"space": "digits"})
    assert presets.get_space(named.space) is presets.PRESETS["digits"]
    holding = ml_collections.ConfigDict()
    holding.space = ml_collections.FieldReference(form(SMALL.to_dict()), field_type=object)
    assert presets.get_space(holding.space) == SMALL


def test_op_names():
    assert Op.parse("k7e3") == Op(7, 3)
    assert Op(7, 3).name == "k7e3"
    for bad in ("k3", "e6k3", "k3e6 ", "K3E6", "", 36, None, "k-3e6"):
        with pytest.raises(ValueError, match=r"such as 'k3e6'.* Received:"):
            Op.parse(bad)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Op(4, 6), r"kernel must be odd\. Received: kernel=4"),
        (lambda: Op(3, 0), r"expand must be a whole number of at least 1\. Received: 0"),
        (lambda: Op(3.0, 6), "kernel must be a whole number"),
        (lambda: Op(True, 6), "kernel must be a whole number"),
        (lambda: Cell(0, 8), "layers must be a whole number of at least 1"),
        (lambda: Cell(1, 8.5), "width must be a whole number"),
        (lambda: Block(3, (Cell(1, 8),)), r"stride must be 1 or 2\. Received: stride=3"),
        (lambda: Block(1.0, (Cell(1, 8),)), r"stride must be a whole number .* Received: 1\.0"),
        (lambda: Block(2, ()), "at least one cell"),
        (lambda: Frame(stem_stride=4), r"stem_stride must be 1 or 2\. Received: 4"),
        (lambda: Frame(stem_width=0), "stem_width must be a whole number"),
        (lambda: Frame(activation="gelu"), r"one of \('swish', .*\)\. Received: 'gelu'"),
        (lambda: Frame(se_ratio=1.5), r"se_ratio must lie in \[0, 1\]\. Received: 1\.5"),
        (lambda: Frame(se_ratio=float("nan")), "se_ratio must lie"),
        (lambda: SearchSpace("s", (), SMALL.blocks), "at least one op"),
        (lambda: SearchSpace("s", SMALL.ops * 2, SMALL.blocks), r"must differ\. .*'k3e6', 'k5e3'"),
        (lambda: SearchSpace("s", SMALL.ops, ()), "at least one block"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ops": None}, r"The ops must be a list or tuple\. Received: None"),
        ({"ops": "k3e6"}, "The ops must be a list or tuple"),
        ({"ops": ["k3e6", "k3"]}, "Received: 'k3'"),
        ({"blocks": 3}, r"The blocks must be a list or tuple\. Received: 3"),
        ({"blocks": []}, "at least one block"),
        ({"blocks": [7]}, r"block 1 must be a mapping with the keys \['stride', 'cells'\]"),
        ({"blocks": [{"stride": 2}]}, "block 1 is missing 'cells'"),
        (
            {"blocks": [{"stride": 2, "cells": [[1, 8]], "strides": 1}]},
            r"block 1 has an unknown key 'strides'\. Did you mean 'stride'\?",
        ),
        ({"blocks": [{"stride": 2, "cells": [[1, 8, 3]]}]}, r"\(layers, width\).*\[1, 8, 3\]"),
        ({"blocks": [{"stride": 2, "cells": 8}]}, "cells of block 1 must be a list"),
        ({"frame": {"activatoin": "swish"}}, "unknown key 'activatoin'.*'activation'"),
        ({"frame": 3}, r"frame must be a mapping with the keys \['stem_width'"),
        ({"frames": {}}, r"unknown key 'frames'\. Did you mean 'frame'"),
    ],
)
def test_from_dict_names_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace.from_dict({**SMALL.to_dict(), **change})


def test_from_dict_names_what_is_missing():
    with pytest.raises(ValueError, match=r"search space is missing 'ops'\. Expected the keys"):
        SearchSpace.from_dict({"name": "s", "blocks": []})
    with pytest.raises(ValueError, match="search space must be a mapping"):
        SearchSpace.from_dict(5)


def test_the_index_of_a_path_is_its_place_in_the_list():
    for space in (SMALL, presets.PRESETS["digits"]):
        for b, c, _ in space.cells():
            indices = [space.path_index(b, c, path) for path in space.paths(b, c)]
            assert indices == list(range(space.num_paths(b, c)))
            paths = [spaces.path(space, b, c, i) for i in indices]
            assert paths == space.paths(b, c)
            assert all(type(op) is int for op in paths[-1])
            names = " ".join(space.ops[op].name for op in paths[-2])
            assert spaces.text(space, b, c, indices[-2]) == names
    with pytest.raises(ValueError, match="out of bounds"):
        spaces.path(SMALL, 0, 0, SMALL.num_paths(0, 0))
    for cell, path in ((0, (0, 0)), (0, ()), (1, (0, 2, 0)), (3, (0,)), (-1, (0, 0)), (0, (-1,))):
        with pytest.raises(ValueError, match=r"[Bb]lock 1 (of|in).* the space 'small' .*Received"):
            SMALL.path_index(0, cell, path)


def test_every_preset_is_described_in_a_line():
    texts = [space.description for space in presets.PRESETS.values()]
    assert len(set(texts)) == len(texts)
    assert all(text and "\n" not in text for text in texts)
    # The words are no part of the space: ratings and runs know it by `to_dict`.
    other = dataclasses.replace(DNA, description="other words")
    assert other == DNA and other.to_dict() == DNA.to_dict()
    own = SearchSpace.from_dict({**SMALL.to_dict(), "description": "mine"})
    assert own.description == "mine" and SMALL.description == ""


def test_single_spaces_have_cell_b_alone():
    for name, ops in (("dna_single", DNA.ops), ("dna_four_ops_single", DNA.ops[:2] + DNA.ops[3:5])):
        space = presets.PRESETS[name]
        blocks = [(block.stride, *block.cells) for block in space.blocks]
        cells = ((3, 24), (3, 40), (3, 80), (4, 112), (5, 192), (1, 320))
        strides = (2, 2, 2, 1, 2, 1)
        assert blocks == [(s, Cell(*cell)) for s, cell in zip(strides, cells, strict=True)]
        assert (space.ops, space.frame, space.image_size) == (ops, DNA.frame, 224)
        # EfficientNet-B0's widths, and at least its depths.
        b0 = zoo.get_architecture("efficientnet_b0").blocks
        for block, (cell,) in zip(b0, (block.cells for block in space.blocks), strict=True):
            assert cell.width == block.width and cell.layers >= len(block.ops)


def test_lite_spaces_differ_in_activation_and_squeeze_alone():
    for name in ("dna", "dna_four_ops", "dna_four_ops_single"):
        plain, lite = presets.PRESETS[name], presets.PRESETS[f"{name}_lite"]
        frame = Frame(32, 2, 16, 1280, "relu6", 0.0)
        assert dataclasses.replace(plain, name=lite.name, frame=frame) == lite


def test_small_images_end_in_4x4():
    space = presets.PRESETS["small_images"]
    assert (space.image_size, space.frame.stem_stride) == (32, 1)
    sizes = [
        32 // stride
        for stride in itertools.accumulate(
            (block.stride for block in space.blocks), lambda a, b: a * b
        )
    ]
    assert sizes == [32, 16, 8, 8, 4, 4]
    for block, paper in zip(space.blocks, DNA.blocks, strict=True):
        for cell, other in zip(block.cells, paper.cells, strict=True):
            assert cell.layers == other.layers and cell.width <= other.width


def test_names_with_endings_are_variants():
    space = presets.get_space("small_images_single_lite")
    assert space.name == "small_images_single_lite"
    assert space == presets.variant("small_images", single=True, lite=True)
    assert space.frame == Frame(stem_stride=1, activation="relu6", se_ratio=0)
    assert all(len(block.cells) == 1 for block in space.blocks)
    for name, space in presets.PRESETS.items():
        assert presets.get_space(name) is space
    for wrong in ("dna_lite_single", "digits_four_ops", "dna_", "_lite", "dna_lite_lite", "dna "):
        with pytest.raises(ValueError, match=r"no search space .*Known spaces: .*take the endings"):
            presets.get_space(wrong)


def test_variants_of_a_space_of_ones_own():
    space = presets.variant(SMALL, ops=["k3e6", Op(7, 2)])
    assert (space.name, space.ops) == ("small_k3e6_k7e2", (Op(3, 6), Op(7, 2)))
    assert space.blocks == SMALL.blocks
    single = presets.variant(SMALL.to_dict(), single=True)
    assert [block.cells for block in single.blocks] == [(Cell(3, 4),), (Cell(2, 8),)]
    # What a space has already is not named again.
    assert presets.variant(single, single=True, ops=single.ops) == single
    assert presets.variant(presets.variant(single, lite=True), lite=True).name == (
        "small_single_lite"
    )
    for bad in ("k3e6", ["k3"], [], ["k3e6", "k3e6"]):
        with pytest.raises(ValueError, match="Received"):
            presets.variant(SMALL, ops=bad)


def test_a_broken_block_is_named():
    blocks = SMALL.to_dict()["blocks"]
    for change, message in (
        ({"cells": [[1, 8], [2, 0]]}, "width must be a whole number of at least 1. Received: 0"),
        ({"cells": [[0, 8]]}, "layers must be a whole number of at least 1. Received: 0"),
        ({"stride": 3}, "A block's stride must be 1 or 2. Received: stride=3"),
    ):
        data = {**SMALL.to_dict(), "blocks": [blocks[0], {**blocks[1], **change}]}
        with pytest.raises(ValueError, match=f"Block 2 of the search space: {message}"):
            SearchSpace.from_dict(data)
    with pytest.raises(ValueError, match="image_size must be a whole number of at least 1"):
        SearchSpace.from_dict({**SMALL.to_dict(), "image_size": 0})
