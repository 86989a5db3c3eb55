"""Ready-made spaces: costs counted three ways that must agree, and the teachers they fit."""

import keras
import numpy as np
import pytest

from dna_tf.models import model_costs, students
from dna_tf.space import architectures, cost_tables, fit, presets, tasks, zoo
from dna_tf.teachers import cutting
from tests.helpers import keras_costs

# What a user may write into a config: odd in all that costs depend on.
OWN = {
    "name": "own",
    "ops": ["k5e1", "k3e4", "k7e2"],
    "blocks": [
        {"stride": 1, "cells": [[1, 6], [2, 10]]},
        {"stride": 2, "cells": [[3, 10], [1, 4], [2, 7]]},
        {"stride": 2, "cells": [[1, 12], [2, 9]]},
    ],
    "frame": {
        "stem_width": 5,
        "stem_stride": 1,
        "stem_output_width": 6,
        "stem_layers": 2,
        "head_width": 20,
        "activation": "relu6",
        "se_ratio": 0.5,
    },
    "image_size": 27,
}
SPACES = {**presets.PRESETS, "own": presets.get_space(OWN)}


def _architecture(space, choices, task):
    blocks = [
        architectures.BlockChoice(
            block.stride,
            block.cells[cell].width,
            tuple(space.ops[op] for op in path),
            cell,
            tuple(path),
        )
        for block, (cell, path) in zip(space.blocks, choices, strict=True)
    ]
    return architectures.Architecture("drawn", tuple(blocks), space.frame, task)


def _draw(space, rng):
    """Cells drawn uniformly, and ops drawn from packs, so that every op comes early."""
    pack, choices = [], []
    for block in space.blocks:
        cell = int(rng.integers(len(block.cells)))
        path = []
        for _ in range(block.cells[cell].layers):
            pack = pack or [int(op) for op in rng.permutation(len(space.ops))]
            path.append(pack.pop())
        choices.append((cell, tuple(path)))
    return choices


@pytest.mark.parametrize("name", list(SPACES))
def test_costs_from_the_table_are_those_of_the_architecture_and_of_the_model(name):
    space, rng = SPACES[name], np.random.default_rng(list(SPACES).index(name))
    task = tasks.Task(min(space.image_size, 64), 1 if name == "own" else 3, 7)
    table, cells = cost_tables.cost_table(space, task), set()
    for _ in range(40):
        choices = _draw(space, rng)
        cells.update((b, cell) for b, (cell, _) in enumerate(choices))
        costs = _architecture(space, choices, task).costs()
        assert table.costs_of(space, choices) == costs, choices
        assert all(type(value) is int for value in costs.values())
    assert cells == {(b, c) for b, c, _ in space.cells()}
    architecture = _architecture(space, choices, task)
    assert {op for block in architecture.blocks for op in block.ops} == set(space.ops)
    model = students.build_student(architecture)
    counted = keras_costs.counted(model)
    assert counted == architecture.costs() == table.costs_of(space, choices)
    assert counted["macs"] == model_costs.count_macs(model)


def test_costs_of_takes_one_cell_and_path_of_the_space_for_each_block():
    space = SPACES["digits"]
    task = tasks.Task(32, 3, 10)
    table = cost_tables.cost_table(space, task)
    good = [(0, (0, 1)), (1, (0, 1, 3)), (0, (np.int64(2), 2))]
    architecture = _architecture(space, [(c, tuple(map(int, path))) for c, path in good], task)
    assert table.costs_of(space, good) == architecture.costs()
    for bad, message in (
        (good[:2], r"'digits' has 3 blocks, and each needs one \(cell, path\)\. Received: 2"),
        ([(3, (0, 1)), *good[1:]], "Block 1 of the space 'digits' has 3 cells.*Received: cell=3"),
        ([(-1, (0, 1)), *good[1:]], "Received: cell=-1"),
        (
            [(0, (0,)), *good[1:]],
            r"cell 0 in block 1 .* has 2 op indices from 0 to 3\. Rec.*\(0,\)",
        ),
        ([(0, (0, 4)), *good[1:]], r"Received: \(0, 4\)"),
        ([(0, (-1, 0)), *good[1:]], r"Received: \(-1, 0\)"),
    ):
        with pytest.raises(ValueError, match=message):
            table.costs_of(space, bad)


def test_dna_18_has_the_authors_18_layers_and_dna_c_with_its_published_costs():
    space = SPACES["dna_18"]
    cells = [block.cells for block in space.blocks]
    assert [(cell.layers, cell.width) for (cell,) in cells] == [
        *((2, 24), (4, 40), (4, 80), (4, 112), (4, 192), (1, 320))
    ]
    assert [block.stride for block in space.blocks] == [2, 2, 2, 1, 2, 1]
    assert sum(cell.layers for (cell,) in cells[:-1]) == 18
    assert space.num_architectures() == 4**19
    dna_c = zoo.get_architecture("dna_c")
    choices = [(0, tuple(map(space.ops.index, block.ops))) for block in dna_c.blocks]
    costs = cost_tables.cost_table(space, tasks.Task()).costs_of(space, choices)
    assert costs == {"params": 5_273_896, "macs": 450_138_976, "authors_flops": 465_920_048}
    assert space.ops[choices[-1][1][0]].name == "k3e6"  # as the authors fix it


def test_dna_18_takes_the_endings_that_change_it():
    assert presets.get_space("dna_18_lite").frame.activation == "relu6"
    for name in ("dna_18_single", "dna_18_four_ops"):
        with pytest.raises(ValueError, match="There is no search space"):
            presets.get_space(name)


def test_small_images_fit_a_teacher_that_enlarges_them_itself():
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Resizing(128, 128, name="enlarge")(image)
    model = keras.applications.EfficientNetB0(weights=None, input_tensor=x, classes=10)
    names = [layer.name for layer in model.layers]
    cuts = [[n for n in names if n.startswith(f"block{i}")][-1] for i in range(2, 8)]
    cut = cutting.cut_model(model, cuts, (32, 32, 3))
    assert [shape[:2] for shape in cut.shapes] == [
        *((32, 32), (32, 32), (16, 16), (8, 8), (8, 8), (4, 4), (4, 4))
    ]
    fit.check_fit(SPACES["small_images"], cut.shapes, cut.cuts)


def test_dna_fits_the_teacher_of_the_paper():
    sizes = (56, 28, 14, 14, 7, 7)
    shapes = [(224, 224, 3)] + [(size, size, 24) for size in sizes]
    cuts = [f"block{i}" for i in range(2, 8)]
    for name in ("dna", "dna_four_ops_single_lite", "dna_18"):
        fit.check_fit(SPACES[name], shapes, cuts)
        for number in range(1, 7):
            others = [*shapes[:number], (13, 13, 24), *shapes[number + 1 :]]
            with pytest.raises(ValueError, match=f"Block {number} of .* gives 13x13x24"):
                fit.check_fit(SPACES[name], others, cuts)
