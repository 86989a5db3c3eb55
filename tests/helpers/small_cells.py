"""A small space for tests of single cells: two blocks, three cells, four ops, few weights."""

from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace

SPACE = SearchSpace(
    "tiny",
    (Op(3, 2), Op(5, 1), Op(3, 1), Op(3, 3)),
    (Block(2, (Cell(2, 4),)), Block(1, (Cell(1, 4), Cell(2, 5)))),
    Frame(stem_width=4, stem_output_width=3, head_width=8),
)
SHAPES = [(8, 8, 3), (2, 2, 6), (2, 2, 5)]  # the image and the maps of both blocks
