"""A small space for tests of whole networks, and the Keras student of a path."""

import math

import numpy as np

from dna_tf.models import students
from dna_tf.space import architectures, network_layers
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from dna_tf.space.tasks import Task

SPACE = SearchSpace(
    "tiny_whole",
    (Op(3, 2), Op(5, 1), Op(3, 3, "fused")),
    (Block(2, (Cell(2, 4),)), Block(1, (Cell(1, 5),))),
    Frame(stem_width=4, stem_output_width=3, head_width=8),
    image_size=8,
)
TASK = Task(8, 3, 4)


def batch(number=0, images=6, task=TASK):
    """Seeded images in 0..255, and labels."""
    rng = np.random.default_rng([number, 5])
    shape = (images, task.image_size, task.image_size, task.channels)
    labels = rng.integers(0, task.num_classes, images)
    return rng.uniform(0, 255, shape).astype(np.float32), labels.astype(np.int32)


def architecture_of(space, path, task=TASK):
    """The architecture of a path, put together block by block."""
    choices, ops = [], iter(path)
    for block in space.blocks:
        cell = block.cells[0]
        own = tuple(space.ops[next(ops)] for _ in range(cell.layers))
        choices.append(architectures.BlockChoice(block.stride, cell.width, own))
    return architectures.Architecture("student", tuple(choices), space.frame, task)


def shaken(network, seed=0):
    """Moves all weights, so that no batch norm is the identity and no bias is 0."""
    rng = np.random.default_rng(seed)
    for rows in network.rows:
        rows.assign(rows.numpy() * 0.8 + rng.normal(0.1, 0.1, rows.shape).astype(np.float32))
    return network


def student(network, path):
    """The Keras student with the weights of a path, put in by name."""
    architecture = architecture_of(network.space, path)
    model = students.build_student(architecture)
    ops = [0] * network.fixed_units + list(path) + [0, 0]
    names = [layer.name for layer in network_layers.layers(architecture)] + ["classifier"]
    assert len(names) == len(ops) == len(network.rows)
    units = [*network.units, [network.classifier]]
    for name, specs, op, rows in zip(names, units, ops, network.rows, strict=True):
        row, start = rows.numpy()[op], 0
        for weight, shape in specs[op].weights().items():
            layer, _, kind = f"{name}_{weight}".rpartition("_")
            stop = start + math.prod(shape)
            getattr(model.get_layer(layer), kind).assign(row[start:stop].reshape(shape))
            start = stop
    return model
