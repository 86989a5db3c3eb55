"""Supernet training: the loss, the gradient, what moves, and what must not."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf import cell_trainer, distill, mbconv, sampling, supernet, workdir
from dna_tf.search_space import Block, Cell, Op, SearchSpace
from tests.small_cells import SHAPES, SPACE

STEPS = 3


def _cell(block, cell, seed=0):
    return supernet.Cell(SPACE, block, cell, SHAPES[block], SHAPES[block + 1][-1], seed)


def _batch(block, number=0):
    rng = np.random.default_rng([block, number])
    x = rng.normal(0, 1, (6, *SHAPES[block]))
    if block == 0:
        x = rng.uniform(0, 255, x.shape)
    target = rng.normal(1, 2, (6, *SHAPES[block + 1]))
    return x.astype(np.float32), target.astype(np.float32)


def _drawn(trainer, number, seed):
    """The path of a step by the rule of the supernet."""
    cell = trainer.cell
    path = sampling.draw("uniform", seed, number, cell.block, cell.cell, cell.layers, 4)
    return [int(op) for op in path]


def _rows(trainer):
    """All that training keeps for each unit: weights, both moments, counts."""
    units = len(trainer.cell.rows)
    kept = [variable.numpy() for variable in trainer.variables]
    assert len(kept) == 4 * units + 2  # and the state of the cell
    return [kept[unit : 4 * units : units] for unit in range(units)]


def _mse(trainer, x, path, target):
    made = trainer.cell(x, tf.constant(path)).numpy().astype(np.float64)
    return np.mean((made - target) ** 2)


@pytest.mark.parametrize(("block", "cell"), [(0, 0), (1, 1)])
def test_only_the_ops_of_the_drawn_paths_move(block, cell):
    trainer = cell_trainer.CellTrainer(_cell(block, cell), seed=7)
    stem = 2 if block == 0 else 0
    start, drawn = _rows(trainer), []
    for number in range(STEPS):
        x, target = _batch(block, number)
        path = _drawn(trainer, number, 7)
        drawn.append([0] * stem + path)
        expected = _mse(trainer, x, path, target)
        before = _rows(trainer)
        loss = trainer.step(x, target, number, 0.01)
        assert float(loss) == pytest.approx(expected, rel=1e-5)  # the loss before the step
        for unit, (old, new) in enumerate(zip(before, _rows(trainer), strict=True)):
            for op in range(len(old[0])):
                for kind in range(4):
                    same = old[kind][op].tobytes() == new[kind][op].tobytes()
                    assert same == (op != drawn[-1][unit]), (number, unit, op, kind)
    assert len({tuple(path) for path in drawn}) > 1  # else the test would say little
    for unit, (old, new) in enumerate(zip(start, _rows(trainer), strict=True)):
        for op in range(len(old[0])):
            times = [path[unit] for path in drawn].count(op)
            assert new[3][op] == times  # the row's own count of steps
            size = trainer.cell.units[unit][op].params
            moved = np.abs(new[0][op] - old[0][op])
            # Many taps of a 5x5 kernel never see a 2x2 map: they have no gradient.
            assert (np.mean(moved[:size] > 1e-3) > 0.4) == (times > 0)
            np.testing.assert_array_equal(moved[size:], 0.0)


@pytest.mark.parametrize(("block", "cell"), [(0, 0), (1, 1)])
def test_a_step_is_adam_on_the_gradient_of_the_chosen_ops(block, cell):
    trainer = cell_trainer.CellTrainer(_cell(block, cell, seed=3), seed=5)
    x, target = _batch(block)
    ops = ([0, 0] if block == 0 else []) + _drawn(trainer, 11, 5)
    rows = [tf.Variable(rows.numpy()[op]) for rows, op in zip(trainer.cell.rows, ops, strict=True)]
    with tf.GradientTape() as tape:  # eager, without any choice
        y = x / 127.5 - 1.0 if block == 0 else x
        for row, specs, op in zip(rows, trainer.cell.units, ops, strict=True):
            y, _ = mbconv.run(y, row, specs[op])
        loss = tf.reduce_mean((y - target) ** 2)
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, rows)]
    assert float(trainer.step(x, target, 11, 0.01)) == pytest.approx(float(loss), rel=1e-5)
    for unit, (op, row, gradient) in enumerate(zip(ops, rows, gradients, strict=True)):
        weights, mean, square, count = (kept[op] for kept in _rows(trainer)[unit])
        largest = np.abs(gradient).max()
        assert largest > 1e-4 and count == 1
        np.testing.assert_allclose(mean, 0.1 * gradient, rtol=1e-3, atol=1e-5 * largest)
        np.testing.assert_allclose(square, 0.001 * gradient**2, rtol=3e-3, atol=1e-5 * largest**2)
        # The first step of Adam is the sign of the gradient, where it has one beyond rounding.
        clear = np.abs(gradient) > 1e-3 * largest
        expected = row.numpy() - 0.01 * np.sign(gradient)
        assert clear.mean() > 0.2
        np.testing.assert_allclose(weights[clear], expected[clear], rtol=0, atol=2e-5)


def test_one_seed_gives_the_same_bits_and_another_seed_others():
    def train(seed):
        trainer = cell_trainer.CellTrainer(_cell(1, 0), seed)
        losses = [float(trainer.step(*_batch(1, n), n, 0.01)) for n in range(STEPS)]
        return losses, [variable.numpy().tobytes() for variable in trainer.variables]

    assert train(1) == train(1)
    assert train(1) != train(2)


def test_training_brings_the_map_nearer():
    trainer = cell_trainer.CellTrainer(_cell(1, 0), seed=0)
    x, target = _batch(1)
    losses = [float(trainer.step(x, target, number, 0.02)) for number in range(40)]
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:8])


def test_the_learning_rate_is_the_papers():
    section = types.SimpleNamespace(
        first_block_learning_rate=0.002, learning_rate=0.005, learning_rate_decay=0.9
    )
    rates = [[distill.learning_rate(section, block, e) for e in (0, 1, 19)] for block in range(3)]
    np.testing.assert_allclose(rates[0], [0.002, 0.0018, 0.000270170], rtol=1e-5)
    np.testing.assert_allclose(rates[1], [0.005, 0.0045, 0.000675426], rtol=1e-5)
    assert rates[2] == rates[1]


def test_a_learning_rate_of_zero_keeps_the_weights():
    trainer = cell_trainer.CellTrainer(_cell(1, 0), seed=0)
    before = [rows.numpy().tobytes() for rows in trainer.cell.rows]
    trainer.step(*_batch(1), 0, 0.0)
    assert [rows.numpy().tobytes() for rows in trainer.cell.rows] == before


def test_changed_data_is_refused(tmp_path):
    run = workdir.Workdir(tmp_path)
    images = types.SimpleNamespace(fingerprint="now")
    distill.check_same_data(images, {"data_fingerprint": "now"}, run)
    with pytest.raises(ValueError, match="fingerprint now now, then then"):
        distill.check_same_data(images, {"data_fingerprint": "then"}, run)


def test_the_loss_falls_under_stock_adam_in_the_same_way():
    """A cell of one op is one network: the whole trainer against Keras' optimizer."""
    space = SearchSpace("one", (Op(3, 2),), (Block(1, (Cell(2, 4),)),), SPACE.frame)
    cell = supernet.Cell(space, 0, 0, SHAPES[0], 6)
    trainer = cell_trainer.CellTrainer(cell, seed=0)
    rows = [tf.Variable(unit.numpy()[0]) for unit in cell.rows]
    stock = keras.optimizers.Adam(0.003, epsilon=1e-8)
    rng = np.random.default_rng(4)
    for number in range(4):
        x = rng.uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)
        target = rng.normal(0, 1, (6, 4, 4, 6)).astype(np.float32)
        with tf.GradientTape() as tape:
            y = x / 127.5 - 1.0
            for row, specs in zip(rows, cell.units, strict=True):
                y, _ = mbconv.run(y, row, specs[0])
            loss = tf.reduce_mean((y - target) ** 2)
        stock.apply(tape.gradient(loss, rows), rows)
        got = trainer.step(x, target, number, 0.003)
        assert float(got) == pytest.approx(float(loss), rel=2e-4)
