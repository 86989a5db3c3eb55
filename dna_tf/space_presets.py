"""The ready-made search spaces, as data in the form that a config or a JSON file holds.

`search_space.PRESETS` is made from them; `SearchSpace.from_dict` explains the entries.
Here, too, is what the endings of names stand for: `dna_four_ops_single_lite` is `dna`
with four ops, one cell in each block, and ReLU6 without squeeze-and-excitation.
"""

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
# `search_space.variant`. Only spaces with six ops have `_four_ops`.
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
