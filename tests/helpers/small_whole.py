"""A small space for tests of whole networks: two blocks, three layers, three ops."""

import numpy as np

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
