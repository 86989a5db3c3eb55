"""Which networks of NAS-Bench-Macro our cells can express, as architectures of a space of ours.

The table has eight layers in stages of 2, 3 and 3; an op is an identity, a 3x3 MBConv with
expansion 3 or a 5x5 one with 6. Where shapes differ, at the start of a stage, its identity is a
1x1 convolution, which no path of ours has; and identities within a stage were moved to its end
before training. So ours are the networks whose stages begin with an MBConv and have their
identities last: 1,176 of 6,561. A stage with fewer MBConvs is a shallower cell.
"""

import dataclasses

import numpy as np

from dna_tf.space import architectures, spaces, tasks

NAME = "nas_bench_macro"
STAGES = (2, 3, 3)  # layers
WIDTHS = (64, 128, 256)
TASK = tasks.Task(32, 3, 10)


def space():
    """The space of our 1,176 networks, a `spaces.SearchSpace`.

    ReLU, no squeeze-and-excitation, a stem of one convolution at stride 1, and a cell for each
    depth of a stage; every stage begins with stride 2.

    Source: Su et al., 2021 ("Prioritized Architecture Sampling with Monto-Carlo Tree Search").
    """
    frame = spaces.Frame(
        stem_stride=1, stem_output_width=32, activation="relu", se_ratio=0, stem_layers=0
    )
    blocks = tuple(
        spaces.Block(2, tuple(spaces.Cell(depth, width) for depth in range(1, layers + 1)))
        for layers, width in zip(STAGES, WIDTHS, strict=True)
    )
    ops = (spaces.Op(3, 3), spaces.Op(5, 6))
    return spaces.SearchSpace(NAME, ops, blocks, frame, image_size=32)


def whole_space():
    """The space of our 256 networks without identities, with one cell in each block.

    It is for supernets of whole networks, which need such a space.
    """
    searched = space()
    blocks = tuple(dataclasses.replace(block, cells=block.cells[-1:]) for block in searched.blocks)
    return dataclasses.replace(searched, name=f"{NAME}_whole", blocks=blocks)


def expressible(rows):
    """Which rows of the table our cells can express.

    Args:
        rows: ints `(networks, 8)` from 0 (identity) to 2.

    Returns:
        bool `(networks,)`.

    Raises:
        ValueError: they are no such rows.
    """
    keep, start = np.ones(len(_checked(rows)), bool), 0
    for layers in STAGES:
        is_conv = np.asarray(rows)[:, start : start + layers] > 0
        keep &= is_conv[:, 0] & (is_conv[:, :-1] >= is_conv[:, 1:]).all(axis=1)
        start += layers
    return keep


def choices(row):
    """The cells and path indices of a row in `space()`: two tuples with an int for each block.

    Raises:
        ValueError: our cells cannot express the row.
    """
    if not expressible([row])[0]:
        raise ValueError(
            "Our cells express rows whose stages (2, 3 and 3 layers) begin with op 1 or 2 and "
            f"have their identities (0) last. Received: {tuple(row)}"
        )
    chosen, start, searched = [], 0, space()
    for block, layers in enumerate(STAGES):
        path = tuple(int(op) - 1 for op in row[start : start + layers] if op)
        cell = len(path) - 1
        chosen.append((cell, searched.path_index(block, cell, path)))
        start += layers
    cells, path_indices = zip(*chosen, strict=True)
    return cells, path_indices


def architecture(row):
    """A row as an `architectures.Architecture`, named after it, such as `"nbm_22212202"`.

    Raises:
        ValueError: our cells cannot express the row.
    """
    searched, blocks = space(), []
    for b, (c, p) in enumerate(zip(*choices(row), strict=True)):
        block, path = searched.blocks[b], spaces.path(searched, b, c, p)
        ops = tuple(searched.ops[op] for op in path)
        blocks.append(
            architectures.BlockChoice(block.stride, block.cells[c].width, ops, c, path, None)
        )
    name = "nbm_" + "".join(str(int(op)) for op in row)
    return architectures.Architecture(name, tuple(blocks), searched.frame, TASK, {"table": NAME})


def stage_fit(rows, values):
    """The best sum over stages: least squares with a number for each choice of a stage.

    It is what a rating by blocks could reach if it knew the truth: its rank correlation with
    the values is the ceiling of every sum of block ratings.

    Args:
        rows: ints `(networks, 8)`, such as our 1,176.
        values: of each, such as its accuracy.

    Returns:
        float64 `(networks,)`, the fitted values.
    """
    ends = np.cumsum(STAGES)[:-1]
    columns = []
    for stage in np.split(_checked(rows), ends, axis=1):
        options, numbers = np.unique(stage, axis=0, return_inverse=True)
        columns.append(np.eye(len(options))[numbers])
    design = np.concatenate(columns, axis=1)
    return design @ np.linalg.lstsq(design, np.asarray(values, np.float64), rcond=None)[0]


def _checked(rows):
    rows = np.asarray(rows)
    good = rows.ndim == 2 and rows.shape[1] == sum(STAGES) and rows.dtype.kind in "iu"
    if not good or (rows.size and (rows.min() < 0 or rows.max() > 2)):
        raise ValueError(
            f"Rows of {NAME} have 8 ops from 0 to 2. Received: the shape {rows.shape} of "
            f"{rows.dtype}"
        )
    return rows
