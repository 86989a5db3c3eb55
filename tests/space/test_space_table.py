"""The table of a search space: numbers of DNA Table 1, and the teacher's channels beside them."""

import json

import pytest

from dna_tf.common import formatting
from dna_tf.space import presets, space_table, spaces

DNA = presets.PRESETS["dna"]
B7 = (
    (224, 224, 3),
    *((56, 56, 48), (28, 28, 80), (14, 14, 160), (14, 14, 224), (7, 7, 384), (7, 7, 640)),
)
CUTS = ("block2g_add", "block3g_add", "block4j_add", "block5j_add", "block6m_add", "block7d_add")

# Table 1 of the paper, with the channels of its teacher, by hand.
DNA_LINES = """\
dna: DNA Table 1

block  stride  pixels      teacher                             reads       cells (layers x width)           paths of a cell        paths
stem   2       224 -> 112                                      image       conv 3x3 32, 1 MBConv k3e1 16
1      2       112 -> 56   224x224x3 -> 56x56x48 block2g_add   16          2x24  3x24  2x32                 36 + 216 + 36          288
2      2       56 -> 28    56x56x48 -> 28x28x80 block3g_add    24 or 32    2x40  3x40  4x40                 36 + 216 + 1,296       1,548
3      2       28 -> 14    28x28x80 -> 14x14x160 block4j_add   40          2x80  3x80  4x80                 36 + 216 + 1,296       1,548
4      1       14 -> 14    14x14x160 -> 14x14x224 block5j_add  80          3x112  4x112  4x96               216 + 1,296 + 1,296    2,808
5      2       14 -> 7     14x14x224 -> 7x7x384 block6m_add    96 or 112   4x192  5x192  5x160              1,296 + 7,776 + 7,776  16,848
6      1       7 -> 7      7x7x384 -> 7x7x640 block7d_add      160 or 192  1x320                            6                      6
head           7 -> 1                                          320         conv 1x1 1280, mean, classifier

ops: k3e6 k5e6 k7e6 k3e3 k5e3 k7e3
activation: swish; squeeze-and-excitation: 0.25 of a layer's input width; batch norm: epsilon 1e-05, momentum 0.9
reads: channels that the first layer of a block may read in a student
teacher: what the first layer reads and the last one gives in the supernet
architectures: 288 x 1,548 x 1,548 x 2,808 x 16,848 x 6 = 195,898,498,887,057,408 = 1.96e17
"""  # noqa: E501


def test_the_table_of_the_paper():
    assert space_table.lines(DNA, None, B7, CUTS) == DNA_LINES.splitlines()
    assert space_table.lines(DNA, 224, B7, CUTS) == DNA_LINES.splitlines()


def test_the_table_as_data():
    data = space_table.table(DNA, None, B7, CUTS)
    assert json.loads(json.dumps(data)) == data
    assert data["paths"] == [288, 1548, 1548, 2808, 16848, 6]
    assert data["num_architectures"] == 195_898_498_887_057_408
    assert [row["paths"] for row in data["blocks"]] == data["paths"]
    widths = [row["input_widths"] for row in data["blocks"]]
    assert widths == [[16], [24, 32], [40], [80], [96, 112], [160, 192]]
    assert [row["teacher"]["layer"] for row in data["blocks"]] == list(CUTS)
    assert [row["teacher"]["gives"][2] for row in data["blocks"]] == [48, 80, 160, 224, 384, 640]
    assert data["blocks"][4]["size"] == [[14, 14], [7, 7]]
    assert data["blocks"][0]["cells"][2] == {"layers": 2, "width": 32}
    assert data["ops"] == ["k3e6", "k5e6", "k7e6", "k3e3", "k5e3", "k7e3"]
    assert spaces.Frame(**data["frame"]) == DNA.frame
    assert (data["head"]["input_widths"], data["head"]["width"]) == ([320], 1280)
    assert (data["stem"]["conv_width"], data["stem"]["output_width"]) == (32, 16)


def test_sizes_follow_the_image():
    """Halves round up; other sizes change nothing but sizes."""
    data = space_table.table(DNA, 65)
    assert data["image"] == [65, 65]
    sizes = [data["stem"]["size"][1][0]] + [row["size"][1][0] for row in data["blocks"]]
    assert sizes == [33, 17, 9, 5, 5, 3, 3]
    assert data["paths"] == space_table.table(DNA)["paths"]
    assert space_table.table(DNA)["image"] == [224, 224]
    assert not any("teacher" in row for row in data["blocks"])
    assert not any("teacher" in line for line in space_table.lines(DNA, 65))
    wide = ((32, 48, 3), (8, 12, 24), (4, 6, 40))
    own = spaces.SearchSpace.from_dict(
        {"name": "own", "ops": ["k3e6"], "blocks": [{"stride": 2, "cells": [[1, 8], [2, 4]]}] * 2}
    )
    data = space_table.table(own, None, wide)
    assert data["image"] == [32, 48]
    assert data["blocks"][1]["size"] == [[8, 12], [4, 6]]
    assert all(row["teacher"]["fits"] for row in data["blocks"])
    assert "1 + 1" in "\n".join(space_table.lines(own, None, wide))


def test_a_teacher_of_other_sizes_is_marked():
    shapes = [list(shape) for shape in B7]
    shapes[2][:2] = [14, 14]
    data = space_table.table(DNA, None, shapes)
    # Block 3 reads the teacher's 14x14, makes 7x7 of it, and should give 14x14.
    fits = [row["teacher"]["fits"] for row in data["blocks"]]
    assert fits == [True, False, False, True, True, True]
    text_lines = space_table.lines(DNA, None, shapes)
    marked = [line[0] for line in text_lines if "(does not fit)" in line]
    assert marked == ["2", "3"]
    assert sum("the sizes do not fit in 2 blocks: 2, 3" in line for line in text_lines) == 1
    space = presets.PRESETS["small_images"]
    sizes = (32, 32, 16, 8, 8, 4, 4)
    data = space_table.table(space, None, [(size, size, 7) for size in sizes])
    assert all(row["teacher"]["fits"] for row in data["blocks"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"image_size must be a whole number of at least 1\. Received: 0"),
        ((2.5,), "image_size must be a whole number"),
        ((None, B7[:-1]), r"'dna' has 6 blocks: the teacher needs 7 shapes .*Received: 6 shapes$"),
        ((None, B7, CUTS[1:]), r"and 6 cuts\. Received: 7 shapes and 5 cuts"),
        ((None, None, CUTS), "give teacher_shapes"),
        ((32, B7), r"of an image of 224x224\. Received: image_size=32"),
    ],
)
def test_what_does_not_line_up_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        space_table.table(DNA, *arguments)


def test_the_list_has_a_line_for_each_space():
    lines = space_table.summary_lines([DNA, presets.PRESETS["digits"]])
    assert lines[1].split() == ["dna", "224x224", "6", "6", "1.96e17", "DNA", "Table", "1"]
    assert lines[2].split()[:5] == ["digits", "32x32", "3", "4", "1.11e6"]
    assert len(lines) == 3
    assert space_table.summary(DNA) == {
        "name": "dna",
        "description": "DNA Table 1",
        "image_size": 224,
        "blocks": 6,
        "ops": ["k3e6", "k5e6", "k7e6", "k3e3", "k5e3", "k7e3"],
        "num_architectures": 195_898_498_887_057_408,
    }


def test_counts_for_people():
    for count, text in (
        (6, "6"),
        (16_848, "16,848"),
        (99_999, "99,999"),
        (100_000, "1.00e5"),
        (1_105_920, "1.11e6"),
        (9_996_000, "1.00e7"),
        (195_898_498_887_057_408, "1.96e17"),
        (10**400, "1.00e400"),
    ):
        assert formatting.scientific(count) == text
