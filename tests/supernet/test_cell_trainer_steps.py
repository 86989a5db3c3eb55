"""Steps of a cell's training: the loss, the rows that move, and those that must not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.space.spaces import Block, Cell, Op, SearchSpace
from dna_tf.supernet import cell_models, cell_trainer, packed_ops, sampling
from tests.helpers.small_cells import SHAPES, SPACE

STEPS = 3


def _cell(block, cell, seed=0):
    return cell_models.TrainableCell(SPACE, block, cell, SHAPES[block], SHAPES[block + 1][-1], seed)


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
    imitated = trainer.cell(x, tf.constant(path)).numpy().astype(np.float64)
    return np.mean((imitated - target) ** 2)


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


def test_a_learning_rate_of_zero_keeps_the_weights():
    trainer = cell_trainer.CellTrainer(_cell(1, 0), seed=0)
    before = [rows.numpy().tobytes() for rows in trainer.cell.rows]
    trainer.step(*_batch(1), 0, 0.0)
    assert [rows.numpy().tobytes() for rows in trainer.cell.rows] == before


def test_the_loss_falls_under_stock_adam_in_the_same_way():
    """A cell of one op is one network: the whole trainer against Keras' optimizer."""
    space = SearchSpace("one", (Op(3, 2),), (Block(1, (Cell(2, 4),)),), SPACE.frame)
    cell = cell_models.TrainableCell(space, 0, 0, SHAPES[0], 6)
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
                y, _ = packed_ops.run(y, row, specs[0])
            loss = tf.reduce_mean((y - target) ** 2)
        stock.apply(tape.gradient(loss, rows), rows)
        got = trainer.step(x, target, number, 0.003)
        assert float(got) == pytest.approx(float(loss), rel=2e-4)
