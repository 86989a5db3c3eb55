"""The walk over all paths gives what each path gives by itself, at the price it says."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from dna_tf.supernet import cell_models, cell_rater
from tests.helpers import map_distances

SPACE = SearchSpace(
    "tiny",
    (Op(3, 2), Op(5, 1), Op(3, 1)),
    (Block(2, (Cell(1, 4), Cell(2, 4))), Block(1, (Cell(3, 4), Cell(1, 4)))),
    Frame(stem_width=4, stem_output_width=3, head_width=8),
)
SHAPES = [(8, 8, 3), (2, 2, 6), (2, 2, 5)]
PLACES = [(0, 0), (0, 1), (1, 0), (1, 1)]
OPS, BATCHES = 3, 2
RNG = np.random.default_rng(0)


def _maps(block, batch):
    x = RNG.normal(0, 1, (batch, *SHAPES[block]))
    if block == 0:
        x = RNG.uniform(0, 255, x.shape)
    return tf.constant(x, tf.float32), tf.constant(
        RNG.normal(1, 2, (batch, *SHAPES[block + 1])), tf.float32
    )


MAPS = [(_maps(b, 7)[0], [_maps(b, 5) for _ in range(BATCHES)]) for b in range(2)]


def _rater(block, cell):
    trainable = cell_models.TrainableCell(
        SPACE, block, cell, SHAPES[block], SHAPES[block + 1][-1], seed=4
    )
    calibration, batches = MAPS[block]
    return cell_rater.CellRater(trainable, [calibration], batches), trainable


@pytest.fixture(scope="module")
def rated():
    """For each cell all ratings, by the walk, and how many ops ran."""
    ratings = {}
    for place in PLACES:
        rater, _ = _rater(*place)
        ratings[place] = list(rater.ratings()), rater.op_runs
    return ratings


@pytest.mark.parametrize("place", PLACES)
def test_the_walk_gives_each_path_the_rating_it_has_by_itself(place, rated):
    values, _ = rated[place]
    rater, cell = _rater(*place)
    alone = [rater.path(path) for path in SPACE.paths(*place)]
    assert values == alone  # the same ops on the same maps: equal to the bit
    assert len({rated[0] for rated in values}) == OPS**cell.layers
    assert rater.op_runs == (cell.fixed_units + cell.layers) * len(alone) * BATCHES


@pytest.mark.parametrize("place", PLACES)
def test_the_walk_runs_each_prefix_once(place, rated):
    _, op_runs = rated[place]
    layers = SPACE.blocks[place[0]].cells[place[1]].layers
    stem = 2 if place[0] == 0 else 0
    assert op_runs == (stem + sum(OPS**i for i in range(1, layers + 1))) * BATCHES


def _conv(x, kernel, stride):
    """A "same" convolution in plain NumPy; `kernel` is `(k, k, in, out)`."""
    size, k = x.shape[1], kernel.shape[0]
    out = -(-size // stride)
    pad = max(0, (out - 1) * stride + k - size)
    x = np.pad(x, ((0, 0), (pad // 2, pad - pad // 2), (pad // 2, pad - pad // 2), (0, 0)))
    y = np.zeros((len(x), out, out, kernel.shape[-1]))
    for i in range(k):
        for j in range(k):
            last = (out - 1) * stride + 1
            y += x[:, i : i + last : stride, j : j + last : stride] @ kernel[i, j]
    return y


def _swish(x):
    return x / (1 + np.exp(-x))


def _twin_op(row, spec, calibration, inputs):
    """One op in float64 NumPy on the calibration maps and, with their statistics, on inputs."""
    row, weights, start = row.astype(np.float64), {}, 0
    for name, shape in spec.weights().items():
        weights[name] = row[start : start + int(np.prod(shape))].reshape(shape)
        start += int(np.prod(shape))
    streams = [calibration, *inputs]

    def conv(name, stride=1):
        kernel = weights[name]
        if name.startswith("dw"):  # (k, k, channels, 1) as a diagonal of a full kernel
            kernel = kernel * np.eye(kernel.shape[2])
        return [_conv(x, kernel, stride) for x in streams]

    def norm(part, activate):
        mean, variance = streams[0].mean((0, 1, 2)), streams[0].var((0, 1, 2))
        scale = weights[f"{part}bn_gamma"] / np.sqrt(variance + 1e-5)
        normed = [(x - mean) * scale + weights[f"{part}bn_beta"] for x in streams]
        return [_swish(x) for x in normed] if activate else normed

    if "conv_kernel" in weights:
        streams = conv("conv_kernel", spec.stride)
        streams = norm("", True)
        return streams[0], streams[1:]
    before = streams
    if "expand_conv_kernel" in weights:
        streams = conv("expand_conv_kernel")
        streams = norm("expand_", True)
    streams = conv("dw_conv_kernel", spec.stride)
    streams = norm("dw_", True)
    squeezed = [x.mean((1, 2)) for x in streams]
    for i, s in enumerate(squeezed):
        s = _swish(s @ weights["se_reduce_kernel"][0, 0] + weights["se_reduce_bias"])
        s = s @ weights["se_expand_kernel"][0, 0] + weights["se_expand_bias"]
        streams[i] = streams[i] / (1 + np.exp(-s))[:, None, None]
    streams = conv("project_conv_kernel")
    streams = norm("project_", False)
    if spec.stride == 1 and spec.in_width == spec.out_width:
        streams = [x + y for x, y in zip(streams, before, strict=True)]
    return streams[0], streams[1:]


@pytest.mark.parametrize("place", PLACES)
def test_a_rating_is_what_numpy_finds(place, rated):
    values, _ = rated[place]
    _, cell = _rater(*place)
    calibration, batches = MAPS[place[0]]
    for index, path in enumerate(SPACE.paths(*place)):
        carried = np.asarray(calibration, np.float64)
        maps = [np.asarray(x, np.float64) for x, _ in batches]
        if place[0] == 0:
            carried, maps = carried / 127.5 - 1, [x / 127.5 - 1 for x in maps]
        units = zip([0] * cell.fixed_units + list(path), cell.units, cell.rows, strict=True)
        for op, specs, rows in units:
            carried, maps = _twin_op(rows.numpy()[op], specs[op], carried, maps)
        each = [map_distances.twin_metrics(y, x) for (_, y), x in zip(batches, maps, strict=True)]
        means, spreads = np.mean(each, axis=0), np.std(each, axis=0, ddof=1)
        rating = np.array(values[index])
        np.testing.assert_allclose(rating[:, 0], means, rtol=2e-5)
        np.testing.assert_allclose(rating[:, 1], spreads, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_rating_goes_on_from_any_number_of_rated_paths(place, rated):
    values, full = rated[place]
    rater, cell = _rater(*place)
    paths = SPACE.paths(*place)
    for first in range(len(values) + 1):
        rater.op_runs = 0
        assert list(rater.ratings(first)) == values[first:]
        prefixes = {path[:n] for path in paths[first:] for n in range(1, cell.layers + 1)}
        stem = cell.fixed_units if first < len(values) else 0
        assert rater.op_runs == (stem + len(prefixes)) * BATCHES
        assert first or rater.op_runs == full


def test_calibration_counts():
    rater, cell = _rater(1, 1)
    other = cell_rater.CellRater(cell, [MAPS[1][0] * 3.0 + 1.0], MAPS[1][1])
    assert all(a != b for a, b in zip(rater.ratings(), other.ratings(), strict=True))


@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=[pytest.mark.slow] * (p != PLACES[0])) for p in PLACES]
)
def test_pooled_calibration_is_that_of_one_large_batch(place):
    _, cell = _rater(*place)
    calibration, batches = MAPS[place[0]]
    # Parts of unequal size and of unlike content, as far as batches go.
    parts = [calibration[:3] * 2.0 + 1.0, calibration[3:4], calibration[4:]]
    whole = list(cell_rater.CellRater(cell, [tf.concat(parts, 0)], batches).ratings())
    pooled = cell_rater.CellRater(cell, parts, batches)
    np.testing.assert_allclose(list(pooled.ratings()), whole, rtol=2e-4, atol=1e-6)
    alone = list(cell_rater.CellRater(cell, parts[:1], batches).ratings())
    assert np.abs(np.array(alone) - whole).max() > 1e-2  # else the test would say little


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_cells_of_any_depth(layers):
    rng = np.random.default_rng(layers)
    space = SearchSpace("deep", (Op(3, 2), Op(5, 1)), (Block(1, (Cell(layers, 4),)),), SPACE.frame)
    cell = cell_models.TrainableCell(space, 0, 0, (8, 8, 3), 5, seed=layers)
    maps = [(rng.uniform(0, 255, (4, 8, 8, 3)), rng.normal(0, 1, (4, 4, 4, 5))) for _ in range(3)]
    maps = [tuple(tf.constant(x, tf.float32) for x in pair) for pair in maps]
    rater = cell_rater.CellRater(cell, [maps[0][0]], maps[1:])
    values, runs = list(rater.ratings()), rater.op_runs
    assert values == [rater.path(path) for path in space.paths(0, 0)]
    assert runs == 2 * (2 + 2 ** (layers + 1) - 2)


@pytest.mark.slow
def test_op_runs_of_the_paper_are_1554_for_each_batch():
    runs = sum(6**layer for layer in range(1, 5))
    assert runs == 1554
    ops = tuple(Op(kernel, expand) for expand in (1, 2) for kernel in (1, 3, 5))
    space = SearchSpace("six", ops, (Block(1, (Cell(1, 2),)), Block(1, (Cell(4, 2),))), SPACE.frame)
    cell = cell_models.TrainableCell(space, 1, 0, (2, 2, 3), 2, seed=0)
    maps = [tf.random.stateless_normal((2, 2, 2, c), [0, c]) for c in (3, 2)]
    rater = cell_rater.CellRater(cell, maps[:1], [tuple(maps)])
    assert len(list(rater.ratings())) == 1296 and rater.op_runs == runs
