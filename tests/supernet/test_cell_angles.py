"""Angles of cells: sums for each op are those of the whole vectors, and the controls by hand."""

import dataclasses

import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.space import angle_sums, layer_specs
from dna_tf.space.spaces import Frame, Op, SearchSpace
from dna_tf.supernet import (
    cell_angles,
    cell_models,
    cell_training,
    packed_ops,
    stage_training,
    trained_cells,
)
from dna_tf.teachers import building, residual_cnn
from tests.helpers.data_files import data_config, write_folder
from tests.helpers.small_cells import SHAPES, SPACE

SEED = 9
COUNTED = {
    "rlnas": ("conv_", "bn_", "expand_", "dw_", "project_conv_kernel"),
    "kernels": ("conv_kernel", "expand_conv_kernel", "dw_conv_kernel", "project_conv_kernel"),
    "all": ("",),
}


def first_cells(seed=SEED):
    """The cells of the small space with their first weights, as trained ones."""
    return [
        trained_cells.TrainedCell(SPACE, c.block, c.cell, trained_cells.weights_of(c), {})
        for c in cell_models.build_cells(SPACE, SHAPES, seed)
    ]


def turned(cell, share=0.5, seed=1):
    """A cell whose weights moved by a share of their size."""
    rng = np.random.default_rng(seed)
    weights = tuple(
        (w + share * np.abs(w) * rng.normal(size=w.shape)).astype(np.float32) for w in cell.weights
    )
    return dataclasses.replace(cell, weights=weights)


def vector(weights, cell, path, parts):
    """All weights of a path that count, in one float64 vector."""
    channels = SHAPES[cell.block][-1], SHAPES[cell.block + 1][-1]
    units = cell_models.cell_units(SPACE, cell.block, cell.cell, *channels)
    ops, pieces = [0] * (len(units) - len(path)) + list(path), []
    for specs, rows, op in zip(units, weights, ops, strict=True):
        start = 0
        for name, shape in specs[op].weights().items():
            size = int(np.prod(shape))
            if name.startswith(COUNTED[parts]):
                pieces.append(rows[op][start : start + size])
            start += size
    return np.concatenate(pieces).astype(np.float64)


@pytest.mark.parametrize("parts", angle_sums.PARTS)
@pytest.mark.parametrize("place", range(3))
def test_sums_of_ops_equal_those_of_the_whole_vectors(parts, place):
    first = first_cells()[place]
    cell = turned(first)
    sums = cell_angles.cell_angle(cell, SHAPES, SEED, parts).path_sums()
    paths = SPACE.paths(cell.block, cell.cell)
    assert sums.shape == (3, len(paths))
    for index in (0, len(paths) // 2, len(paths) - 1):
        old, new = (vector(w, cell, paths[index], parts) for w in (first.weights, cell.weights))
        np.testing.assert_allclose(sums[:, index], [old @ new, old @ old, new @ new], rtol=1e-12)


def test_controls_are_what_they_are_called():
    first, other = first_cells()[2], first_cells(SEED + 1)[2]
    cell = turned(first)
    angle = cell_angles.cell_angle(cell, SHAPES, SEED)
    path = SPACE.paths(1, 1)[6]
    old, new, fresh = (vector(c.weights, c, path, "rlnas") for c in (first, cell, other))
    dot, first_norm, norm = angle.path_sums(angle_sums.FRESH)[:, 6]
    np.testing.assert_allclose([dot, first_norm, norm], [old @ fresh, old @ old, fresh @ fresh])
    dot, first_norm, norm = angle.path_sums(angle_sums.NOISE)[:, 6]
    # As far as the trained weights, array by array: |x - y|^2 = N0 + N - 2 D.
    distance = float(np.square(new - old).sum())
    assert first_norm + norm - 2 * dot == pytest.approx(distance, rel=1e-9)
    assert dot != pytest.approx(old @ new, rel=1e-6)
    dot, first_norm, norm = angle.path_sums(angle_sums.STRUCTURE)[:, 6]
    assert dot == 0 and first_norm == norm  # no stem in block 2
    dot, first_norm, norm = (
        cell_angles.cell_angle(turned(first_cells()[0]), SHAPES, SEED)
        .path_sums(angle_sums.STRUCTURE)
        .T[3]
    )
    assert 0 < dot < first_norm == norm


@pytest.mark.parametrize("op", [Op(3, 6), Op(7, 6), Op(5, 1)])
def test_the_first_length_follows_from_the_shapes_and_not_from_the_kernel(op):
    width, out = 24, 40
    spec = layer_specs.layer_specs(Frame(), [op], width, [out], 1)[0]
    inner = op.expand * width
    expected = inner / 3 + inner + out / 3  # depthwise, its batch norm, projection
    if op.expand > 1:
        expected += inner / 3 + inner
    assert cell_angles.first_norm(spec, "rlnas") == pytest.approx(expected)
    places = cell_angles.counted(spec, "rlnas")
    rows = (
        packed_ops.initial_row(spec, spec.params, np.random.RandomState(seed)) for seed in range(40)
    )
    measured = np.mean([sum(float(r[p] @ r[p]) for p in places) for r in rows])
    assert measured == pytest.approx(expected, rel=0.03)


def test_scaled_weights_have_the_same_angle():
    cell = turned(first_cells()[0])
    twice = dataclasses.replace(cell, weights=tuple(2 * w for w in cell.weights))
    cosines = [
        angle_sums.cosines_of(cell_angles.cell_angle(c, SHAPES, SEED).path_sums())
        for c in (cell, twice)
    ]
    np.testing.assert_allclose(*cosines, rtol=1e-12)
    assert (cosines[0] < 0.97).all()


def test_a_cell_that_was_not_trained_is_refused():
    cell = first_cells()[1]
    with pytest.raises(cell_angles.NotTrained, match="block2_cell1 .*nothing has been trained"):
        cell_angles.cell_angle(cell, SHAPES, SEED)
    with pytest.raises(ValueError, match="another seed.* Received: seed=4"):
        cell_angles.cell_angle(turned(cell), SHAPES, 4)
    broken = turned(cell)
    broken.weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="block2_cell1 has weights that are not finite"):
        cell_angles.cell_angle(broken, SHAPES, SEED)
    with pytest.raises(ValueError, match="rlnas"):
        cell_angles.cell_angle(turned(cell), SHAPES, SEED, "rnlas")
    untrained = angle_sums.CellAngle("all", {"trained": [np.full((4, 3), 7.3)] * 2})
    assert (angle_sums.cosines_of(untrained.path_sums()) == 1.0).all()


def test_first_weights_of_a_trained_cell_are_computed_again_to_the_bit(tmp_path):
    """Rows of ops that were never drawn are as they were at the start."""
    write_folder(tmp_path, ["ant", "bee"], 15)
    settings = data_config(source=f"folder:{tmp_path}", rating_per_class=3, image_size=16)
    images = loading.load(settings, 0)
    space = SearchSpace.from_dict(
        {
            "name": "two",
            "ops": ["k3e1", "k5e1", "k3e2", "k3e3"],
            "blocks": [{"stride": 2, "cells": [[1, 4]]}, {"stride": 2, "cells": [[2, 8]]}],
            "frame": {"stem_width": 4, "stem_output_width": 4, "head_width": 16},
        }
    )
    teacher = building.cut_teacher(residual_cnn.build((16, 16, 3), 2, seed=1), images, space=space)
    cells = cell_training.train_cells(space, teacher, images, epochs=1, batch_size=8, seed=5)
    starts = stage_training.output_starts(teacher, images, 8)
    unmoved = moved = 0
    for cell in cells:
        channels = teacher.shapes[cell.block][-1], teacher.shapes[cell.block + 1][-1]
        units = cell_models.cell_units(space, cell.block, cell.cell, *channels)
        first = cell_models.first_rows(units, cell.block, cell.cell, 5, starts[cell.block])
        for old, new in zip(first, cell.weights, strict=True):
            same = [x.tobytes() == y.tobytes() for x, y in zip(old, new, strict=True)]
            unmoved, moved = unmoved + sum(same), moved + len(same) - sum(same)
    steps = images.steps_per_epoch(8)
    assert steps <= 3 and unmoved >= 3 * (4 - steps) and moved >= 5
    # The cosines of networks: those of undrawn ops are 1 but for the stem.
    sums = cell_angles.angles(cells, teacher, seed=5)
    cosines = sums.cosines(*angle_sums.all_networks(space))
    assert len(cosines) == 64 and ((cosines > 0) & (cosines < 1)).all()
    control = cell_angles.angles(cells, teacher, seed=5, variant="fresh")
    assert control.cosines(*angle_sums.all_networks(space)).max() < cosines.min()
