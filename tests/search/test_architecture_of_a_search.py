"""From a found choice to an architecture."""

import numpy as np

from dna_tf.search import problems
from dna_tf.space import presets, tasks


def test_to_architecture_has_ops_path_and_ratings():
    space, rng = presets.PRESETS["digits"], np.random.default_rng(7)
    ratings = {(b, c): rng.random(space.num_paths(b, c)) for b, c, _ in space.cells()}
    found = problems.Found((1, 2, 0), (27, 63, 4), 0.0, {})
    made = problems.to_architecture(
        found, ratings, space, "name", tasks.Task(32, 3, 10), {"by": "test"}
    )
    assert [block.path for block in made.blocks] == [(1, 2, 3), (3, 3, 3), (1, 0)]
    for b, (block, c) in enumerate(zip(made.blocks, found.cells, strict=True)):
        assert block.path == space.paths(b, c)[found.path_indices[b]]
        assert block.ops == tuple(space.ops[i] for i in block.path)
        assert block.rating == ratings[b, c][found.path_indices[b]]
        assert (block.cell, block.width) == (c, space.blocks[b].cells[c].width)
        assert block.stride == space.blocks[b].stride
    assert (made.frame, made.origin) == (space.frame, {"by": "test"})
    assert (made.image_size, made.channels, made.num_classes) == (32, 3, 10)
    assert problems.describe(found, space) == made.describe()


def test_a_path_without_a_rating_has_none():
    space = presets.PRESETS["digits"]
    ratings = {(0, 0): np.full(4, np.nan)}
    found = problems.Found((0, 0, 0), (3, 0, 0), 0.0, {})
    made = problems.to_architecture(found, ratings, space, "name", tasks.Task(32, 3, 10), {})
    assert [block.rating for block in made.blocks] == [None] * 3 and made.rating is None
