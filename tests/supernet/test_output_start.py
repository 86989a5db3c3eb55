"""The start of a cell's last batch norm at the scale of the teacher's map."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.space import layer_specs
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from dna_tf.supernet import cell_models, cell_trainer, output_start, packed_ops
from tests.helpers.small_cells import SHAPES, SPACE

MEAN, DEVIATION = np.linspace(-6.0, 1.9, 5), np.linspace(1.5, 7.0, 5)


def _map(seed=0, images=6):
    """A teacher's map of block 2 with the mean and deviation above."""
    rng = np.random.default_rng(seed)
    return (MEAN + DEVIATION * rng.normal(0, 1, (images, *SHAPES[2]))).astype(np.float32)


def test_statistics_of_batches_are_those_of_all_images_together():
    whole = _map(images=11)
    mean, deviation = output_start.channel_statistics(
        [whole[:4], whole[4:8], tf.constant(whole[8:])]
    )
    np.testing.assert_allclose(mean, whole.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(deviation, whole.std((0, 1, 2)), rtol=1e-5)


def test_a_map_that_is_not_finite_is_refused():
    broken = _map()
    broken[2, 0, 1, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        output_start.channel_statistics([_map(), broken])


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("op", [Op(3, 1), Op(5, 2), Op(3, 6)])
def test_an_ops_output_has_its_part_of_mean_and_deviation(op, parts):
    spec = layer_specs.layer_specs(Frame(), [op], 4, [5], 1)[0]
    first = packed_ops.initial_row(spec, spec.params + 7, np.random.RandomState(1))
    row = output_start.started(first, spec, (MEAN, DEVIATION), parts)
    x = np.random.default_rng(2).normal(1, 3, (8, 6, 6, 4)).astype(np.float32)
    y = packed_ops.run(x, row, spec)[0].numpy()
    np.testing.assert_allclose(y.mean((0, 1, 2)), MEAN / parts, rtol=1e-3, atol=1e-3)
    # Less by batch norm's epsilon.
    np.testing.assert_allclose(y.std((0, 1, 2)), DEVIATION / parts, rtol=5e-3)
    changed = np.flatnonzero(row != first)
    places = packed_ops.unpack(np.arange(len(row)), spec)  # where each weight lies in the row
    last = np.concatenate([places["project_bn_gamma"], places["project_bn_beta"]])
    assert set(changed) == set(last)


# The layers' widths, the map's channels (the input has 5 and the first layer's stride is 1), and
# from which layer on outputs add up to the cell's.
@pytest.mark.parametrize(
    ("width", "layers", "channels", "first"),
    [(4, 3, 6, 2), (6, 3, 6, 0), (6, 1, 6, 0), (4, 1, 5, 0), (5, 2, 5, 0), (6, 4, 5, 3)],
)
def test_layers_whose_outputs_add_up_start_elsewhere(width, layers, channels, first):
    space = SearchSpace("one", SPACE.ops, (SPACE.blocks[0], Block(1, (Cell(layers, width),))))
    start = np.arange(channels) - 2.0, np.arange(channels) + 1.0
    plain, started = (
        cell_models.TrainableCell(space, 1, 0, (4, 4, 5), channels, seed=3, start=s)
        for s in (None, start)
    )
    assert output_start.first_unit(started.units) == first
    for unit, (old, new) in enumerate(zip(plain.rows, started.rows, strict=True)):
        assert (old.numpy().tobytes() == new.numpy().tobytes()) == (unit < first)


def test_a_stem_whose_width_never_changes_is_no_part_of_the_sum():
    """Stem and layers all have 5 channels: residuals down to the stem's activated convolution."""
    frame = dataclasses.replace(SPACE.frame, stem_width=5, stem_output_width=5)
    space = SearchSpace("one", SPACE.ops, (Block(1, (Cell(2, 5),)), SPACE.blocks[1]), frame)
    started = cell_models.TrainableCell(space, 0, 0, (8, 8, 3), 5, seed=3, start=(MEAN, DEVIATION))
    assert [unit[0].has_residual for unit in started.units[1:]] == [True] * 3
    assert output_start.first_unit(started.units) == 1


def test_a_cell_of_residual_layers_starts_at_the_mean_for_every_path():
    space = SearchSpace("one", SPACE.ops, (SPACE.blocks[0], Block(1, (Cell(3, 5),))))
    cell = cell_models.TrainableCell(space, 1, 0, SHAPES[1], 5, seed=3, start=(MEAN, DEVIATION))
    x = np.random.default_rng(2).normal(1, 3, (64, *SHAPES[1])).astype(np.float32)
    for path in ([0, 1, 2], [3, 3, 3], [2, 0, 1]):
        y = cell(x, tf.constant(path)).numpy()
        np.testing.assert_allclose(y.mean((0, 1, 2)), MEAN, rtol=1e-3, atol=1e-3)
        # Three parts of a third: between all alike and all independent.
        deviation = y.std((0, 1, 2))
        assert (deviation < DEVIATION).all() and (deviation > DEVIATION / 3).all()


def test_a_cell_is_near_a_far_map_after_few_steps():
    """The map's scale takes thousands of steps of this learning rate from the identity."""
    losses = {}
    one_op = SearchSpace("one", (Op(3, 6),), SPACE.blocks, SPACE.frame)
    for start in (None, (MEAN, DEVIATION)):
        cell = cell_models.TrainableCell(one_op, 1, 1, SHAPES[1], SHAPES[2][-1], 0, start)
        trainer = cell_trainer.CellTrainer(cell, seed=0)
        rng = np.random.default_rng(5)
        x = rng.normal(0, 1, (16, *SHAPES[1])).astype(np.float32)
        mixed = x @ np.linalg.qr(rng.normal(0, 1, (6, 5)))[0]  # of deviation 1, as x is
        target = (MEAN + DEVIATION * mixed).astype(np.float32)
        for number in range(200):
            losses[start is None] = float(trainer.step(x, target, number, 0.005))
    assert losses[False] < 0.5 * losses[True]
