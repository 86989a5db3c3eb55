"""Supernet cells: a path is the chain of its ops; drawing, sizes and fit to the teacher."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.space import fit, presets
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from dna_tf.supernet import cell_models, packed_ops

SPACE = SearchSpace(
    "small",
    (Op(3, 2), Op(5, 1), Op(3, 3)),
    (Block(2, (Cell(2, 6), Cell(1, 4))), Block(1, (Cell(3, 5),)), Block(2, (Cell(2, 8),))),
    Frame(stem_width=4, stem_output_width=3, head_width=8),
)
SHAPES = [(16, 16, 3), (4, 4, 7), (4, 4, 5), (2, 2, 9)]
CUTS = ("one", "two", "three")
PLACES = [(0, 0), (0, 1), (1, 0), (2, 0)]


def _cell(block, cell, seed=0):
    return cell_models.TrainableCell(SPACE, block, cell, SHAPES[block], SHAPES[block + 1][-1], seed)


def _inputs(block, batch=4):
    rng = np.random.default_rng(block)
    if block == 0:
        return rng.uniform(0, 255, (batch, *SHAPES[0])).astype(np.float32)
    return rng.normal(0, 1, (batch, *SHAPES[block])).astype(np.float32)


@pytest.mark.parametrize(("block", "cell"), PLACES)
def test_a_path_runs_its_ops_one_after_another(block, cell):
    trainable = _cell(block, cell)
    x = _inputs(block)
    stem = 2 if block == 0 else 0  # convolution and MBConv, not chosen
    run = tf.function(trainable)
    for path in ([0, 1, 2], [2, 0, 1], [1, 1, 0]):
        path = path[: trainable.layers]
        expected = x / 127.5 - 1 if block == 0 else x
        for u, specs in enumerate(trainable.units):
            op = 0 if u < stem else path[u - stem]
            expected, _ = packed_ops.run(expected, trainable.rows[u].numpy()[op], specs[op])
        assert expected.shape == (4, *SHAPES[block + 1])
        got = trainable(x, tf.constant(path))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(run(x, tf.constant(path)), expected, rtol=1e-4, atol=1e-4)


def test_paths_that_differ_give_different_maps():
    trainable = _cell(1, 0)
    x = _inputs(1)
    maps = [trainable(x, tf.constant(path)).numpy() for path in ([0, 0, 0], [0, 0, 1], [1, 0, 0])]
    for i, one in enumerate(maps):
        for other in maps[:i]:
            assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(("block", "cell"), PLACES)
def test_units_have_the_widths_of_the_cell_and_end_in_the_teachers(block, cell):
    trainable = _cell(block, cell)
    layers = SPACE.blocks[block].cells[cell].layers
    width = SPACE.blocks[block].cells[cell].width
    units = trainable.units
    if block == 0:  # the cell's own stem: 3 -> 4 -> 3
        conv, stem = units[0][0], units[1][0]
        assert (conv.kernel, conv.in_width, conv.out_width, conv.stride) == (3, 3, 4, 2)
        assert (stem.kernel, stem.expand, stem.stride) == (3, 1, 1)
        assert (stem.in_width, stem.out_width) == (4, 3)
        units = units[2:]
    assert len(units) == layers
    reads = SHAPES[block][-1]  # for block 1 the stem makes as many
    widths = [reads, *[width] * (layers - 1), SHAPES[block + 1][-1]]
    for n, specs in enumerate(units):
        assert [(spec.kernel, spec.expand) for spec in specs] == [(3, 2), (5, 1), (3, 3)]
        for spec in specs:
            assert (spec.in_width, spec.out_width) == (widths[n], widths[n + 1])
            assert spec.stride == (SPACE.blocks[block].stride if n == 0 else 1)
            assert (spec.activation, spec.se_ratio) == ("swish", 0.25)


@pytest.mark.parametrize(("block", "cell"), PLACES)
def test_rows_have_room_for_the_largest_op(block, cell):
    trainable = _cell(block, cell)
    assert len(trainable.rows) == len(trainable.units)
    for rows, specs in zip(trainable.rows, trainable.units, strict=True):
        assert tuple(rows.shape) == (len(specs), max(spec.params for spec in specs))
        for op, spec in enumerate(specs):
            row = rows.numpy()[op]
            np.testing.assert_array_equal(row[spec.params :], 0.0)
            assert np.count_nonzero(row[: spec.params]) > 0.5 * spec.params
    assert len(trainable.trainable_variables) == len(trainable.rows)


def test_a_gradient_touches_only_the_rows_of_the_path():
    trainable = _cell(1, 0)
    path = tf.constant([2, 0, 1])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(trainable(_inputs(1), path) ** 2)
    gradients = tape.gradient(loss, [rows.value for rows in trainable.rows])
    for gradient, op, specs in zip(gradients, path.numpy(), trainable.units, strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        moved = np.abs(gradient).max(axis=1) > 0
        np.testing.assert_array_equal(moved, np.arange(3) == op)
        np.testing.assert_array_equal(gradient[op, specs[op].params :], 0.0)


def test_run_rows_and_gather_rows_are_the_call():
    trainable = _cell(0, 0)
    x, path = _inputs(0), tf.constant([2, 1])
    rows = trainable.gather_rows(path)
    for unit, op in enumerate([0, 0, 2, 1]):
        np.testing.assert_array_equal(rows[unit], trainable.rows[unit].numpy()[op])
    np.testing.assert_array_equal(trainable.run_rows(x, path, rows), trainable(x, path))


def test_first_weights_differ_by_seed_place_and_op_and_by_nothing_else():
    def start(block, cell, seed):
        return [rows.numpy() for rows in _cell(block, cell, seed).rows]

    for one, same in zip(start(0, 0, 3), start(0, 0, 3), strict=True):
        np.testing.assert_array_equal(one, same)
    kernels = []  # the first weight of every op of every layer is one of a kernel
    for block, cell in PLACES:
        for seed in (0, 1):
            kernels += [row[0] for rows in start(block, cell, seed) for row in rows]
    assert len(set(kernels)) == len(kernels)


def test_build_cells_gives_all_cells_with_their_shapes():
    cells = cell_models.build_cells(SPACE, SHAPES, 5)
    assert [(c.block, c.cell) for c in cells] == PLACES
    names = [c.name for c in cells]
    assert names == ["block1_cell1", "block1_cell2", "block2_cell1", "block3_cell1"]
    for trainable in cells:
        alone = _cell(trainable.block, trainable.cell, 5)
        for one, same in zip(trainable.rows, alone.rows, strict=True):
            np.testing.assert_array_equal(one.numpy(), same.numpy())


def test_rescale_is_minus_one_to_one():
    np.testing.assert_allclose(cell_models.rescale(np.array([0.0, 127.5, 255.0])), [-1, 0, 1])


def test_check_fit_passes_what_fits_and_nothing_else():
    odd = [(15, 15, 3), (4, 4, 7), (4, 4, 5), (2, 2, 9)]  # "same": 15 -> 8 -> 4
    b7 = [(224, 3), (56, 48), (28, 80), (14, 160), (14, 224), (7, 384), (7, 640)]
    b7 = [(size, size, width) for size, width in b7]
    dna = presets.PRESETS["dna"]
    for space, shapes, cuts in ((SPACE, SHAPES, CUTS), (SPACE, odd, CUTS), (dna, b7, "abcdef")):
        fit.check_fit(space, shapes, list(cuts))
        for number in range(1, len(shapes)):
            height, width, channels = shapes[number]
            higher = [*shapes[:number], (height + 1, width, channels), *shapes[number + 1 :]]
            with pytest.raises(ValueError, match=f"Block {number} of the space"):
                fit.check_fit(space, higher, list(cuts))


@pytest.mark.parametrize(
    ("shapes", "cuts", "message"),
    [
        (
            SHAPES,
            CUTS[:2],
            r"cut at 2 layers \['one', 'two'\], and the space 'small' has 3 blocks\. Name one",
        ),
        (
            [(16, 16, 3), (8, 8, 7), (8, 8, 5), (4, 4, 9)],
            CUTS,
            r"Block 1 .* 16x16x3 into 4x4x7, and the teacher's layer 'one' gives 8x8x7\. "
            r"Likely fix: block 1 of the space needs stride 2 in all \(it has 4\)",
        ),
        (
            [(16, 16, 3), (4, 4, 7), (2, 2, 5), (1, 1, 9)],
            CUTS,
            r"Block 2 .* 4x4x7 into 4x4x5, .* 'two' gives 2x2x5\. "
            r"Likely fix: block 2 of the space needs stride 2 in all \(it has 1\)",
        ),
        (
            [(16, 16, 3), (4, 4, 7), (4, 4, 5), (1, 1, 9)],
            CUTS,  # no block can have stride 4
            r"Block 3 .* 'three' gives 1x1x9\. Likely fix: cut the teacher at a layer with a map "
            r"of 2x2",
        ),
        (
            [(16, 16, 3), (4, 4, 7), (4, 4, 5), (3, 3, 9)],
            CUTS,
            r"Block 3 .* into 2x2x9, .* 3x3x9\. Likely fix: cut the teacher .* map of 2x2",
        ),
        (
            [(7, 7, 3), (1, 1, 7), (1, 1, 5), (1, 1, 9)],
            CUTS,
            r"Block 1 .* 7x7x3 into 2x2x7, .* the teacher turns 7 into 1, and a student's "
            r"stride 4 into 2: the teacher rounds down where students round up\. .* of 32",
        ),
        (
            [(16, 16, 3), (4, 4, 7), (4, 4, 5), (4, 4, 9)],
            CUTS,
            r"Block 3 of the space 'small' reads 'two' and turns 4x4x5 into 2x2x9, and the "
            r"teacher's layer 'three' gives 4x4x9\. Likely fix: the layers lie within one block: "
            r"both have maps of 4x4, and block 3 has stride 2\. Name a layer with a map of 2x2 for "
            r"its end, or one before 'two' with a larger map for the end of block 2",
        ),
        (
            [(60, 60, 3), (15, 15, 7), (15, 15, 5), (7, 7, 9)],
            CUTS,
            r"the teacher turns 15 into 7, and a student's stride 2 into 8: the teacher rounds",
        ),
        (
            [(64, 64, 3), (16, 16, 7), (16, 16, 5), (7, 7, 9)],
            CUTS,
            r"turns 16 into 7, and a student's stride 2 into 8: .* cut off borders \(no padding\)",
        ),
    ],
)
def test_check_fit_says_what_to_do(shapes, cuts, message):
    with pytest.raises(ValueError, match=message):
        fit.check_fit(SPACE, shapes, cuts)
