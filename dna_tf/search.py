"""From what a search found to an `Architecture`."""

import numpy as np

from dna_tf import architecture, space_paths


def describe(found, space):
    """The blocks in one line, as `Architecture.describe` writes them."""
    texts = []
    for b, (c, p) in enumerate(zip(found.cells, found.path_indices, strict=True)):
        width = space.blocks[b].cells[c].width
        texts.append(f"{width}: {space_paths.text(space, b, c, p)}")
    return " | ".join(texts)


def to_architecture(found, ratings, space, name, image_size, channels, num_classes, origin):
    """Turns a `search_problem.Found` into an `Architecture`.

    Args:
        found: what a search returned, or any object with `cells` and `path_indices`.
        ratings: `ratings[block, cell]`, one per path, as they were measured (no weights).
        space: the `search_space.SearchSpace`.
        name: the architecture's name.
        image_size: height and width of the image in pixels.
        channels: channels of the image.
        num_classes: outputs of the classifier.
        origin: where it comes from, JSON-able.

    Returns:
        An `architecture.Architecture` with the ratings of its paths.
    """
    blocks = []
    for b, (c, p) in enumerate(zip(found.cells, found.path_indices, strict=True)):
        block, cell = space.blocks[b], space.blocks[b].cells[c]
        path = space_paths.path(space, b, c, p)
        ops = tuple(space.ops[i] for i in path)
        of_cell = ratings.get((b, c), ())
        rating = float(of_cell[p]) if p < len(of_cell) and np.isfinite(of_cell[p]) else None
        blocks.append(architecture.BlockChoice(block.stride, cell.width, ops, c, path, rating))
    return architecture.Architecture(
        name, tuple(blocks), space.frame, image_size, channels, num_classes, origin
    )
