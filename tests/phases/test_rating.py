"""Rating: the walk over all paths gives what each path gives by itself, at the price it says."""

import contextlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.phases import rating
from dna_tf.space import ratings, spaces
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from dna_tf.supernet import cell_models, cell_rater, metrics
from tests.helpers import rated_runs, tool_runs

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
    made = cell_models.Cell(SPACE, block, cell, SHAPES[block], SHAPES[block + 1][-1], seed=4)
    calibration, batches = MAPS[block]
    return cell_rater.CellRater(made, [calibration], batches), made


@pytest.fixture(scope="module")
def rated():
    """For each cell all ratings, by the walk, and how many ops ran."""
    found = {}
    for place in PLACES:
        rater, _ = _rater(*place)
        found[place] = rater.all_paths(), rater.op_runs
    return found


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
        made = [(x - mean) * scale + weights[f"{part}bn_beta"] for x in streams]
        return [_swish(x) for x in made] if activate else made

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


def _twin_metric(target, imitated):
    target = np.asarray(target, np.float64)
    return np.abs(target - imitated).mean() / np.std(target, ddof=1)


def _twin_metrics(target, imitated):
    """All metrics of one batch, in the order of `ratings.METRICS`."""
    target = np.asarray(target, np.float64)
    squared = (target - imitated) ** 2
    per_channel = [squared[..., c].mean() / target[..., c].var() for c in range(target.shape[-1])]
    return _twin_metric(target, imitated), squared.mean(), np.mean(per_channel)


@pytest.mark.parametrize("place", PLACES)
def test_a_rating_is_what_numpy_finds(place, rated):
    values, _ = rated[place]
    _, cell = _rater(*place)
    calibration, batches = MAPS[place[0]]
    for index, path in enumerate(SPACE.paths(*place)):
        known = np.asarray(calibration, np.float64)
        maps = [np.asarray(x, np.float64) for x, _ in batches]
        if place[0] == 0:
            known, maps = known / 127.5 - 1, [x / 127.5 - 1 for x in maps]
        units = zip([0] * cell.fixed_units + list(path), cell.units, cell.rows, strict=True)
        for op, specs, rows in units:
            known, maps = _twin_op(rows.numpy()[op], specs[op], known, maps)
        each = [_twin_metrics(y, x) for (_, y), x in zip(batches, maps, strict=True)]
        means, spreads = np.mean(each, axis=0), np.std(each, axis=0, ddof=1)
        found = np.array(values[index])
        np.testing.assert_allclose(found[:, 0], means, rtol=2e-5)
        np.testing.assert_allclose(found[:, 1], spreads, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_rating_goes_on_from_any_number_of_known_ratings(place, rated):
    values, full = rated[place]
    rater, cell = _rater(*place)
    paths = SPACE.paths(*place)
    for known in range(len(values) + 1):
        rater.op_runs, seen = 0, []
        # Marked, so that a rating made again would show.
        marked = [((-1.0 - i, 0.0),) for i in range(known)]
        given = list(marked)
        got = rater.all_paths(given, lambda so_far, seen=seen: seen.append(len(so_far)))
        assert got == marked + values[known:] and given == marked
        assert seen == list(range(known + 1, len(values) + 1))
        prefixes = {path[:n] for path in paths[known:] for n in range(1, cell.layers + 1)}
        stem = cell.fixed_units if known < len(values) else 0
        assert rater.op_runs == (stem + len(prefixes)) * BATCHES
        assert known or rater.op_runs == full


def test_calibration_counts():
    rater, cell = _rater(1, 1)
    other = cell_rater.CellRater(cell, [MAPS[1][0] * 3.0 + 1.0], MAPS[1][1])
    assert all(a != b for a, b in zip(rater.all_paths(), other.all_paths(), strict=True))


@pytest.mark.parametrize("place", PLACES)
def test_pooled_calibration_is_that_of_one_large_batch(place):
    _, cell = _rater(*place)
    calibration, batches = MAPS[place[0]]
    # Parts of unequal size and of unlike content, as far as batches go.
    parts = [calibration[:3] * 2.0 + 1.0, calibration[3:4], calibration[4:]]
    whole = cell_rater.CellRater(cell, [tf.concat(parts, 0)], batches).all_paths()
    pooled = cell_rater.CellRater(cell, parts, batches)
    np.testing.assert_allclose(pooled.all_paths(), whole, rtol=2e-4, atol=1e-6)
    alone = cell_rater.CellRater(cell, parts[:1], batches).all_paths()
    assert np.abs(np.array(alone) - whole).max() > 1e-2  # else the test would say little


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_cells_of_any_depth(layers):
    rng = np.random.default_rng(layers)
    space = SearchSpace("deep", (Op(3, 2), Op(5, 1)), (Block(1, (Cell(layers, 4),)),), SPACE.frame)
    cell = cell_models.Cell(space, 0, 0, (8, 8, 3), 5, seed=layers)
    maps = [(rng.uniform(0, 255, (4, 8, 8, 3)), rng.normal(0, 1, (4, 4, 4, 5))) for _ in range(3)]
    maps = [tuple(tf.constant(x, tf.float32) for x in pair) for pair in maps]
    rater = cell_rater.CellRater(cell, [maps[0][0]], maps[1:])
    values, runs = rater.all_paths(), rater.op_runs
    assert values == [rater.path(path) for path in space.paths(0, 0)]
    assert runs == 2 * (2 + 2 ** (layers + 1) - 2)


def test_op_runs_of_the_paper_are_1554_for_each_batch():
    runs = sum(6**layer for layer in range(1, 5))
    assert runs == 1554
    ops = tuple(Op(kernel, expand) for expand in (1, 2) for kernel in (1, 3, 5))
    space = SearchSpace("six", ops, (Block(1, (Cell(1, 2),)), Block(1, (Cell(4, 2),))), SPACE.frame)
    cell = cell_models.Cell(space, 1, 0, (2, 2, 3), 2, seed=0)
    maps = [tf.random.stateless_normal((2, 2, 2, c), [0, c]) for c in (3, 2)]
    rater = cell_rater.CellRater(cell, maps[:1], [tuple(maps)])
    assert len(rater.all_paths()) == 1296 and rater.op_runs == runs


def test_constant_channels_carry_no_signal():
    rng = np.random.default_rng(2)
    target = rng.normal(0, 1, (3, 2, 2, 4)).astype(np.float32)
    target[..., 1] = 7.0
    imitated = target + rng.normal(0, 1, target.shape).astype(np.float32)
    target, imitated = tf.constant(target), tf.constant(imitated)
    found = metrics.distances(target, imitated, metrics.target_statistics(target))
    keep = [0, 2, 3]
    expected = _twin_metrics(target.numpy()[..., keep], imitated.numpy()[..., keep])[2]
    assert float(found[ratings.METRICS.index("noise_to_signal")]) == pytest.approx(expected)
    zeros = tf.zeros_like(target)
    none = metrics.distances(zeros, imitated, metrics.target_statistics(zeros))
    assert float(none[2]) == 0.0 and np.isfinite(none.numpy()).all()


def test_cells_are_spread_out_by_their_work():
    space = SearchSpace(
        "wide",
        SPACE.ops,
        (Block(1, (Cell(4, 4), Cell(3, 4))), Block(2, (Cell(4, 4), Cell(2, 4), Cell(1, 4)))),
        SPACE.frame,
    )
    places = [(b, c) for b, c, _ in space.cells()]
    assert cell_rater.spread_out(places, space, 1) == [[(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]]
    parts = cell_rater.spread_out(places, space, 3)
    # 120, 39, 120/4, 12/4 and 3/4 op runs.
    assert parts == [[(0, 0)], [(0, 1)], [(1, 0), (1, 1), (1, 2)]]
    assert cell_rater.spread_out(places[:1], space, 3) == [[(0, 0)], [], []]


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 1, 1, 2), (2, 7, 3, 1)])
def test_relative_l1_is_the_authors(shape):
    rng = np.random.default_rng(shape[0])
    target = rng.normal(3, 2, shape).astype(np.float32)
    imitated = (target + rng.normal(0.2, 1, shape)).astype(np.float32)
    got = float(metrics.relative_l1(tf.constant(target), tf.constant(imitated)))
    assert got == pytest.approx(_twin_metric(target, imitated.astype(np.float64)), rel=1e-5)


def test_relative_l1_by_hand():
    # Deviations 1, 1, 1, 1 over four elements: the unbiased variance is 4/3.
    target = tf.constant([0.0, 2.0, 0.0, 2.0], shape=(1, 2, 2, 1))
    imitated = tf.constant([0.5, 2.0, -0.5, 4.0], shape=(1, 2, 2, 1))
    assert float(metrics.relative_l1(target, imitated)) == pytest.approx(0.75 / (4 / 3) ** 0.5)
    assert float(metrics.relative_l1(target, target)) == 0.0
    scaled = metrics.relative_l1(target * 10.0, imitated * 10.0)
    assert float(scaled) == pytest.approx(0.75 / (4 / 3) ** 0.5)
    flat = tf.ones((1, 2, 2, 1))  # a teacher's map without variance: not infinite
    assert float(metrics.relative_l1(flat, flat * 0.0)) == pytest.approx(1e9, rel=1e-5)


class _Images:
    """Rating images of which each has its own number as pixel value."""

    counts = {"train": 30, "rating": 23}

    def __init__(self):
        self.asked = []

    def images(self, split):
        assert split == "rating"
        pixels = np.arange(23, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1))
        return tf.data.Dataset.from_tensor_slices((pixels.astype(np.float32), np.zeros(23)))

    def epoch(self, batch_size, epoch, seed, augment):
        self.asked.append((batch_size, epoch, seed, augment))
        for number in range(30 // batch_size):
            yield tf.fill([batch_size, 2, 2, 1], 100.0 + number), tf.zeros([batch_size])


class _Teacher:
    @staticmethod
    def features(images, training):
        assert not training
        return [images * 2.0, images + 1.0]


def _drawn(batches, batch_size, seed=0, calibration_images=8, calibration_batches=1):
    section = types.SimpleNamespace(
        batches=batches,
        batch_size=batch_size,
        calibration_images=calibration_images,
        calibration_batches=calibration_batches,
    )
    images = _Images()
    config = types.SimpleNamespace(rating=section, seed=seed)
    calibration, maps = cell_rater.rating_maps(_Teacher(), images, config)
    return calibration, maps, images.asked


def _numbers(maps):
    return [images[:, 0, 0, 0].numpy().astype(int).tolist() for images, *_ in maps]


def test_rating_maps_are_a_seeded_draw_with_the_teachers_features():
    calibration, maps, asked = _drawn(4, 5)
    assert [[len(x) for x in batch] for batch in calibration] == [[8, 8, 8]]
    assert [len(batch) for batch in maps] == [3] * 4
    for images, first, second in [*calibration, *maps]:
        np.testing.assert_array_equal(first, images * 2.0)
        np.testing.assert_array_equal(second, images + 1.0)
    assert asked[0][:2] == (8, 0) and asked[0][3] is False  # no augmentation
    numbers = _numbers(maps)
    drawn = sum(numbers, [])
    assert [len(each) for each in numbers] == [5] * 4
    assert len(set(drawn)) == 20 and drawn != sorted(drawn)
    assert _numbers(_drawn(4, 5)[1]) == numbers
    assert _numbers(_drawn(4, 5, seed=1)[1]) != numbers
    assert _drawn(4, 5, seed=1)[2] != asked


def test_rating_maps_take_what_there_is_in_whole_batches():
    assert [len(each) for each in _numbers(_drawn(20, 5)[1])] == [5] * 4  # 23 are there
    assert [len(each) for each in _numbers(_drawn(20, 50)[1])] == [23]
    assert [len(x) for x, *_ in _drawn(1, 5, calibration_images=500)[0]] == [30]
    several = _drawn(1, 5, calibration_images=8, calibration_batches=7)[0]
    assert [float(x[0, 0, 0, 0]) for x, *_ in several] == [100.0, 101.0, 102.0]  # of 30 images


@pytest.fixture
def unrated(tmp_path, monkeypatch):
    """A run with cells to rate, in which nothing but the walks is left: `(Workdir, config)`."""
    workdir, config, _ = rated_runs.rated_run(tmp_path / "run")
    shutil.rmtree(workdir.ratings)
    images = types.SimpleNamespace(reading=contextlib.nullcontext)
    teacher = types.SimpleNamespace(shapes=None)
    monkeypatch.setattr(rating.teacher_training, "load_teacher", lambda *_: teacher)
    monkeypatch.setattr(rating.data, "load", lambda *_: images)
    monkeypatch.setattr(rating.teacher_training, "check_same_data", lambda *_: None)
    monkeypatch.setattr(cell_rater, "rating_maps", lambda *_: ([], []))
    monkeypatch.setattr(rating.determinism, "enable", lambda _: None)
    monkeypatch.setattr(rating.cell_files, "load", lambda *given: given[-1])
    return workdir, config


class _Walk:
    """Instead of a rater: the first cell meets with something, the others take their time."""

    def __init__(self, name, happens, ended):
        self._name, self._happens, self._ended = name, happens, ended

    def all_paths(self, known, on_rated):
        if self._name == "block1_cell1":
            self._happens()
        for _ in range(400):
            on_rated([])
            time.sleep(0.005)
        self._ended.append(self._name)
        return []


def _fails():
    raise RuntimeError("the device is out of memory")


def _is_interrupted():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # as Ctrl-C does


@pytest.mark.parametrize(
    ("happens", "error"), [(_fails, RuntimeError), (_is_interrupted, KeyboardInterrupt)]
)
def test_an_error_and_ctrl_c_stop_all_devices(unrated, monkeypatch, happens, error):
    ended = []
    monkeypatch.setattr(cell_rater, "_rater", lambda name, *_: _Walk(name, happens, ended))
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # xdist ignores it
    try:
        with pytest.raises(error):
            rating.rate(*unrated, devices=["CPU:0"] * 3)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert not ended


def test_a_share_is_of_the_space_whatever_is_trained_by_now(unrated, monkeypatch):
    workdir, config = unrated

    class Rater:
        def all_paths(self, known, on_rated):
            return [tuple((1.0, 0.0) for _ in ratings.METRICS)]

    monkeypatch.setattr(cell_rater, "_rater", lambda *_: Rater())
    parts = [sorted(rating.rate(workdir, config, (i, 2))) for i in range(2)]
    assert parts == [[(0, 1)], [(0, 0), (1, 0)]]
    for name in ("block1_cell1", "block1_cell2"):
        shutil.rmtree(workdir.ratings)
        path = workdir.cell(name)
        held = path.read_bytes()
        path.unlink()
        found = [sorted(rating.rate(workdir, config, (i, 2))) for i in range(2)]
        path.write_bytes(held)
        assert found == [[p for p in part if spaces.cell_name(*p) != name] for part in parts]


def test_the_benchmark_says_what_it_needs():
    words = [sys.executable, "-m", "benchmarks.rating", "--space=digits"]
    done = subprocess.run(words, cwd=tool_runs.ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "'digits' has no cell of four layers" in done.stderr and "--space=dna" in done.stderr
