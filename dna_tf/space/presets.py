"""The ready-made search spaces, as data in the form that a config or a JSON file holds.

`presets.PRESETS` is made from them; `SearchSpace.from_dict` explains the entries.
Here, too, is what the endings of names stand for: `dna_four_ops_single_lite` is `dna`
with four ops, one cell in each block, and ReLU6 without squeeze-and-excitation.
"""

import dataclasses
import re

from dna_tf.common import checks
from dna_tf.space import spaces

# The order of DNA's authors: expansion 6 first, kernels ascending.
SIX_OPS = ("k3e6", "k5e6", "k7e6", "k3e3", "k5e3", "k7e3")
FOUR_OPS = ("k3e6", "k5e6", "k3e3", "k5e3")

# DNA Table 1: cells as (layers, width).
DNA = {
    "name": "dna",
    "description": "DNA Table 1",
    "ops": SIX_OPS,
    "blocks": (
        {"stride": 2, "cells": ((2, 24), (3, 24), (2, 32))},
        {"stride": 2, "cells": ((2, 40), (3, 40), (4, 40))},
        {"stride": 2, "cells": ((2, 80), (3, 80), (4, 80))},
        {"stride": 1, "cells": ((3, 112), (4, 112), (4, 96))},
        {"stride": 2, "cells": ((4, 192), (5, 192), (5, 160))},
        {"stride": 1, "cells": ((1, 320),)},
    ),
}

# Our choice, for 32x32 images such as CIFAR's. Without the stride of stem and block 1 the
# blocks give 32, 16, 8, 8, 4 and 4 pixels a side: the paper's sizes at 128x128, so that the
# last blocks keep 4x4. The depths are those of the paper, the widths those of MobileNetV2 (the
# paper's last blocks are wide for few classes), and there is no kernel of 7 for maps of 4x4.
# Teachers that fit: any network with maps of 1/4, 1/8, 1/16 and 1/32 that reads the images
# enlarged to 128x128 by a layer of its own (keras.layers.Resizing(128, 128) before an
# EfficientNet, cut as the paper cuts it, or before a ResNet50), and CIFAR versions with a stem
# of stride 1: ResNet-18 to -50 (maps of 32, 16, 8, 4; the last two stages cut twice) and
# MobileNetV2. Keras' EfficientNets at their native strides end in 1x1, and ResNet-20 to -110
# and wide ResNets in 8x8: those do not fit.
SMALL_IMAGES = {
    "name": "small_images",
    "description": "for 32x32 images such as CIFAR's: maps from 32x32 to 4x4 (our choice)",
    "ops": FOUR_OPS,
    "blocks": (
        {"stride": 1, "cells": ((2, 24), (3, 24), (2, 32))},
        {"stride": 2, "cells": ((2, 32), (3, 32), (4, 32))},
        {"stride": 2, "cells": ((2, 64), (3, 64), (4, 64))},
        {"stride": 1, "cells": ((3, 96), (4, 96), (4, 80))},
        {"stride": 2, "cells": ((4, 160), (5, 160), (5, 128))},
        {"stride": 1, "cells": ((1, 320),)},
    ),
    "frame": {"stem_stride": 1},
    "image_size": 32,
}

# Our choice: what 32x32 images and a laptop allow, with every feature of the
# paper's space in small: cells that differ in width and in depth, strides 1 and 2.
DIGITS = {
    "name": "digits",
    "description": "three small blocks for digits on a laptop (our choice)",
    "ops": FOUR_OPS,
    "blocks": (
        {"stride": 2, "cells": ((2, 16), (3, 16), (2, 24))},
        {"stride": 2, "cells": ((2, 24), (3, 24), (3, 32))},
        {"stride": 1, "cells": ((2, 40), (3, 40))},
    ),
    "frame": {"stem_width": 16, "stem_output_width": 8, "head_width": 128},
    "image_size": 32,
}

BASES = (DNA, SMALL_IMAGES, DIGITS)

# The endings of a name, in the order in which they are written: what each one gives to
# `presets.variant`. Only spaces with six ops have `_four_ops`.
ENDINGS = {
    "_four_ops": {"ops": FOUR_OPS},
    "_single": {"single": True},
    "_lite": {"lite": True},
}
ENDINGS_TEXT = (
    f"The names {', '.join(base['name'] for base in BASES)} take the endings "
    f"{', '.join(ENDINGS)} in this order, such as small_images_single_lite (no _four_ops where a "
    "space has those four already)."
)

# Shown in this order. The other variants are there by name all the same.
NAMES = (
    "dna",
    "dna_single",
    "dna_lite",
    "dna_four_ops",
    "dna_four_ops_single",
    "dna_four_ops_lite",
    "dna_four_ops_single_lite",
    "small_images",
    "digits",
)


def variant(space, ops=None, single=False, lite=False):
    """Makes a variant of a space; its name says what was changed.

    Args:
        space: a `SearchSpace`, or what `get_space` takes.
        ops: other ops, as `Op` or names such as `"k3e6"`; `None` keeps the ops.
        single: whether to keep one cell of each block: cell B, or the only one. In DNA's
            space these have EfficientNet-B0's widths and at least its depths.
        lite: whether to take ReLU6 and no squeeze-and-excitation, which suits int8
            hardware. Widths stay, those of stem and head too.

    Returns:
        A `SearchSpace`; what it has already is not changed and not named again.

    Source: DNA 4.1 (four ops), EfficientNet-Lite (lite); which cell stays is our choice.
    """
    space = get_space(space)
    name, told, blocks, frame = space.name, [space.description], space.blocks, space.frame
    ops = space.ops if ops is None else checks.check_sequence("ops", ops)
    ops = tuple(op if isinstance(op, spaces.Op) else spaces.Op.parse(op) for op in ops)
    if ops != space.ops:
        names = tuple(op.name for op in ops)
        four = names == FOUR_OPS
        name += "_four_ops" if four else f"_{'_'.join(names)}"
        told.append("four ops (no kernel of 7)" if four else f"ops {' '.join(names)}")
    if single and any(len(block.cells) > 1 for block in blocks):
        blocks = tuple(spaces.Block(block.stride, block.cells[:2][-1:]) for block in blocks)
        name += "_single"
        told.append("one cell in each block")
    if lite and (frame.activation, frame.se_ratio) != ("relu6", 0.0):
        frame = dataclasses.replace(frame, activation="relu6", se_ratio=0.0)
        name += "_lite"
        told.append("ReLU6, no squeeze-and-excitation")
    told = ", ".join(text for text in told if text)
    return spaces.SearchSpace(name, ops, blocks, frame, space.image_size, told)


_BASES = {data["name"]: spaces.SearchSpace.from_dict(data) for data in BASES}
_ENDINGS = "".join(f"({ending})?" for ending in ENDINGS)
_NAME = re.compile(f"({'|'.join(_BASES)}){_ENDINGS}")


def _ready_made(name):
    """The base or variant of this name, or `None`."""
    match, changes = _NAME.fullmatch(name), {}
    if not match:
        return None
    for ending in match.groups()[1:]:
        changes |= ENDINGS.get(ending, {})
    made = variant(_BASES[match[1]], **changes)
    return made if made.name == name else None  # digits has four ops: no digits_four_ops


def get_space(name_or_dict):
    """Returns a ready-made space by name, or one from data as `from_dict` takes it.

    Args:
        name_or_dict: a name of `PRESETS` or one made by the same scheme (a base of
            `presets.BASES` with `presets.ENDINGS`), a dict, or a `SearchSpace`,
            which is returned as it is.

    Raises:
        ValueError: there is no such space; near names are given.
    """
    if isinstance(name_or_dict, spaces.SearchSpace):
        return name_or_dict
    if not isinstance(name_or_dict, str):
        return spaces.SearchSpace.from_dict(name_or_dict)
    space = PRESETS.get(name_or_dict) or _ready_made(name_or_dict)
    if space is None:
        raise ValueError(
            f"There is no search space {name_or_dict!r}."
            f"{checks.near_names(name_or_dict, PRESETS)} Known spaces: {list(PRESETS)}. "
            f"{ENDINGS_TEXT} A space of your own is a dict in the config file."
        )
    return space


PRESETS = {name: _ready_made(name) for name in NAMES}


def space_of(config):
    """The search space that a config names or holds."""
    space = config.space
    return get_space(space.to_dict() if hasattr(space, "to_dict") else space)
