"""A search space that fits any teacher: proposed from its cut, for users who name none."""

import math

import keras

from dna_tf.models import graph, peak_memory
from dna_tf.space import layer_specs, spaces

# Where a block reads more channels than this, six times as many cost more than the teacher.
_WIDE = 160
_OPS = ("k3e1", "k3e3", "k5e3", "k3e6", "k5e6")
_WIDE_OPS = ("k3e1", "k5e1", "k3e2", "k5e2")
_MOST_WIDTH = 128  # of a cell's inner layers


def propose(teacher, most_layers=3):
    """Proposes a search space for the blocks of a teacher.

    Each block has a cell of each number of layers up to `most_layers`. Activation and
    squeeze-and-excitation are chosen after the teacher's: swish with it for teachers of swish,
    ReLU6 without it for others, which suits int8.

    Args:
        teacher: a `cutting.Teacher`.
        most_layers: of a cell; 1 where each block is a single unit of the teacher (LANA).

    Returns:
        A `spaces.SearchSpace`.

    Raises:
        ValueError: a block shrinks its map by another factor than a cell can.
    """
    shapes, swish = teacher.shapes, _uses_swish(teacher.model)
    strides = [_stride(shapes, b, teacher.cuts) for b in range(len(teacher.cuts))]
    stem_stride = 2 if strides[0] >= 2 else 1
    strides[0] //= stem_stride
    widest = max(channels for _, _, channels in shapes[:-1])
    first = shapes[1][-1]
    stem_width = max(8, min(32, _rounded(first / 2)))
    blocks = [
        {
            "stride": stride,
            "cells": [[layers, _inner_width(shape[-1])] for layers in range(1, most_layers + 1)],
        }
        for stride, shape in zip(strides, shapes[1:], strict=True)
    ]
    return spaces.SearchSpace.from_dict(
        {
            "name": f"for_{_name(teacher.model.name)}",
            "description": f"proposed for {teacher.model.name}, cut at {', '.join(teacher.cuts)}",
            "ops": list(_WIDE_OPS if widest > _WIDE else _OPS),
            "blocks": blocks,
            "frame": {
                "stem_stride": stem_stride,
                "stem_width": stem_width,
                "stem_output_width": max(8, min(16, _rounded(first / 2))),
                "activation": "swish" if swish else "relu6",
                "se_ratio": 0.25 if swish else 0.0,
            },
            "image_size": shapes[0][0],
        }
    )


def _stride(shapes, block, cuts):
    (height, width, _), gives = shapes[block], shapes[block + 1]
    for stride in (1, 2, 4) if block == 0 else (1, 2):
        size, left = (height, width), stride
        while left > 1:
            size, left = layer_specs.output_size(*size, 2), left // 2
        if size == tuple(gives[:2]):
            return stride
    raise ValueError(
        f"Block {block + 1} of the teacher, up to the layer {cuts[block]!r}, turns maps of "
        f"{height}x{width} into {gives[0]}x{gives[1]}, and a cell divides the sides by "
        f"{'1, 2 or 4' if block == 0 else '1 or 2'} and rounds up. Name layers to cut at with "
        "cuts=(...), or take an image size that is a multiple of 32."
    )


def _inner_width(channels):
    return max(8, min(_MOST_WIDTH, _rounded(channels / 2)))


def _rounded(width):
    """A multiple of 8, as accelerators like them."""
    return max(8, int(math.floor(width / 8 + 0.5)) * 8)


def _uses_swish(model):
    names = [
        getattr(getattr(layer, "activation", None), "__name__", "")
        for layer in graph.layers_inside(model)
        if not isinstance(layer, keras.Model)
    ]
    return any(name in peak_memory.GATED for name in names)


def _name(name):
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in name)
