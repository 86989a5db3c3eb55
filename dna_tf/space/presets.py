"""The ready-made search spaces by name, and their variants.

The bases are data in the form that a config or a JSON file holds; `SearchSpace.from_dict` explains
the entries. The endings of a name ask for a variant: `dna_four_ops_single_lite` is `dna` with
four ops, one cell in each block, and ReLU6 without squeeze-and-excitation.
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

# The small space of DNA's authors: one cell in each block and four ops, in which the 16 networks
# of Figure 4 and the 23 networks of BossNAS lie. 18 layers are searched; the authors keep the last
# one, of block 6, at k3e6. Here it has all four ops, as in Table 1: `drawing.draw` can fix it.
# Source: the code of DNA's authors (layers 2, 4, 4, 4, 4, 1). DNA-c is one of its networks.
DNA_18 = {
    "name": "dna_18",
    "description": "the authors' space of 18 searched layers, of DNA Figure 4",
    "ops": FOUR_OPS,
    "blocks": (
        {"stride": 2, "cells": ((2, 24),)},
        {"stride": 2, "cells": ((4, 40),)},
        {"stride": 2, "cells": ((4, 80),)},
        {"stride": 1, "cells": ((4, 112),)},
        {"stride": 2, "cells": ((4, 192),)},
        {"stride": 1, "cells": ((1, 320),)},
    ),
}

# For 32x32 images such as CIFAR's. Stem and block 1 have stride 1, so the blocks' outputs have
# sides of 32, 16, 8, 8, 4 and 4 pixels: the paper's sizes at 128x128. The depths are those of the
# paper, the widths those of MobileNetV2 (the paper's last blocks are wide for few classes), and
# no op has a kernel of 7, because the last maps are 4x4.
# Teachers that fit: networks with maps of 1/4, 1/8, 1/16 and 1/32 of the image that enlarge the
# images to 128x128 in a first layer (keras.layers.Resizing(128, 128) before an EfficientNet, cut
# as the paper cuts it, or before a ResNet50), and CIFAR versions with a stem of stride 1:
# ResNet-18 to -50 (maps of 32, 16, 8, 4; the last two stages cut twice) and MobileNetV2. Keras'
# EfficientNets at their native strides end in 1x1, ResNet-20 to -110 and wide ResNets in 8x8:
# they do not fit.
SMALL_IMAGES = {
    "name": "small_images",
    "description": "for 32x32 images such as CIFAR's: maps from 32x32 to 4x4",
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

# For 32x32 images on a laptop, with every feature of the paper's space on a small scale: cells
# that differ in width and in depth, strides 1 and 2.
DIGITS = {
    "name": "digits",
    "description": "three small blocks for digits on a laptop",
    "ops": FOUR_OPS,
    "blocks": (
        {"stride": 2, "cells": ((2, 16), (3, 16), (2, 24))},
        {"stride": 2, "cells": ((2, 24), (3, 24), (3, 32))},
        {"stride": 1, "cells": ((2, 40), (3, 40))},
    ),
    "frame": {"stem_width": 16, "stem_output_width": 8, "head_width": 128},
    "image_size": 32,
}

BASES = (DNA, DNA_18, SMALL_IMAGES, DIGITS)

# The endings of a name, in the order in which they are written, with the arguments of `variant`
# that they stand for. Only spaces with six ops have `_four_ops`.
ENDINGS = {
    "_four_ops": {"ops": FOUR_OPS},
    "_single": {"single": True},
    "_lite": {"lite": True},
}
ENDINGS_TEXT = (
    f"The names {', '.join(base['name'] for base in BASES)} take the endings "
    f"{', '.join(ENDINGS)} in this order, such as small_images_single_lite (without _four_ops if a "
    "space has only those four)."
)

# The spaces that tools list, in this order. `get_space` knows the other variants too.
NAMES = (
    "dna",
    "dna_single",
    "dna_lite",
    "dna_four_ops",
    "dna_four_ops_single",
    "dna_four_ops_lite",
    "dna_four_ops_single_lite",
    "dna_18",
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
            hardware. All widths stay.

    Returns:
        A `SearchSpace`. Changes that the space already has do not change its name.

    Source: DNA 4.1 (four ops), EfficientNet-Lite (lite).
    """
    space = get_space(space)
    name, blocks, frame = space.name, space.blocks, space.frame
    descriptions = [space.description]
    ops = space.ops if ops is None else checks.check_sequence("ops", ops)
    ops = tuple(op if isinstance(op, spaces.Op) else spaces.Op.parse(op) for op in ops)
    if ops != space.ops:
        names = tuple(op.name for op in ops)
        four = names == FOUR_OPS
        name += "_four_ops" if four else f"_{'_'.join(names)}"
        descriptions.append("four ops (no kernel of 7)" if four else f"ops {' '.join(names)}")
    if single and any(len(block.cells) > 1 for block in blocks):
        blocks = tuple(spaces.Block(block.stride, block.cells[:2][-1:]) for block in blocks)
        name += "_single"
        descriptions.append("one cell in each block")
    if lite and (frame.activation, frame.se_ratio) != ("relu6", 0.0):
        frame = dataclasses.replace(frame, activation="relu6", se_ratio=0.0)
        name += "_lite"
        descriptions.append("ReLU6, no squeeze-and-excitation")
    description = ", ".join(text for text in descriptions if text)
    return spaces.SearchSpace(name, ops, blocks, frame, space.image_size, description)


_BASES = {data["name"]: spaces.SearchSpace.from_dict(data) for data in BASES}
_ENDINGS = "".join(f"({ending})?" for ending in ENDINGS)
_NAME = re.compile(f"({'|'.join(_BASES)}){_ENDINGS}")


def get_space(name_or_dict: str | dict | spaces.SearchSpace) -> spaces.SearchSpace:
    """Returns a ready-made space by name, or a space from data.

    Args:
        name_or_dict: a name of `PRESETS`, a name made of `BASES` and `ENDINGS`, a dict as
            `SearchSpace.from_dict` takes it, the section of a config that holds one, or a
            `SearchSpace`, which is returned as it is.

    Returns:
        A `SearchSpace`.

    Raises:
        ValueError: there is no space of that name (near names are given), or a part of the
            dict is missing, unknown or out of range.

    Example:

        >>> import dna_tf
        >>> space = dna_tf.get_space("dna_single_lite")
        >>> [block.cells[0].width for block in space.blocks]
        [24, 40, 80, 112, 192, 320]
        >>> space.num_architectures()
        609359740010496
    """
    if isinstance(name_or_dict, spaces.SearchSpace):
        return name_or_dict
    if hasattr(name_or_dict, "to_dict"):  # a ConfigDict
        name_or_dict = name_or_dict.to_dict()
    if not isinstance(name_or_dict, str):
        return spaces.SearchSpace.from_dict(name_or_dict)
    space = PRESETS.get(name_or_dict) or _variant_of_name(name_or_dict)
    if space is None:
        raise ValueError(
            f"There is no search space {name_or_dict!r}."
            f"{checks.near_names(name_or_dict, PRESETS)} Known spaces: {list(PRESETS)}. "
            f"{ENDINGS_TEXT} A space of your own is a dict."
        )
    return space


def _variant_of_name(name):
    """The base or variant of this name, or `None`."""
    match, changes = _NAME.fullmatch(name), {}
    if not match:
        return None
    for ending in match.groups()[1:]:
        changes |= ENDINGS.get(ending, {})
    space = variant(_BASES[match[1]], **changes)
    return space if space.name == name else None  # digits has four ops: no digits_four_ops


PRESETS = {name: _variant_of_name(name) for name in NAMES}
