"""Published networks by name, as architectures.

Source: the DNA authors' released models, and EfficientNet-B0 (Tan and Le, 2019),
which the same blocks can state.
"""

from dna_tf import architecture, checks, search_space

_STRIDES = (2, 2, 2, 1, 2, 1)

# Each block as "width: op of each layer".
_NETWORKS = {
    "dna_a": (
        "24: k5e3 k3e3 k3e6",
        "40: k3e3 k3e3 k5e3 k3e6",
        "80: k7e6 k3e3 k5e3 k3e6",
        "96: k5e6 k5e3 k5e3 k5e6",
        "160: k5e6 k5e3 k5e3 k5e3 k5e6",
        "320: k3e6",
    ),
    "dna_b": (
        "24: k3e3 k5e3 k7e6",
        "40: k7e6 k5e3 k7e6",
        "80: k5e6 k5e3 k5e3 k3e6",
        "96: k5e6 k5e3 k5e3 k5e6",
        "192: k7e6 k5e3 k5e3 k5e3 k7e6",
        "320: k3e6",
    ),
    "dna_c": (
        "24: k5e6 k3e6",
        "40: k5e6 k5e6 k3e6 k5e6",
        "80: k5e6 k3e6 k5e6 k5e6",
        "112: k3e6 k5e6 k5e6 k5e3",
        "192: k5e6 k5e3 k5e6 k5e6",
        "320: k3e6",
    ),
    "dna_d": (
        "24: k7e6 k5e6 k7e6",
        "40: k7e6 k7e6 k7e6 k7e6",
        "80: k7e6 k5e6 k5e6 k7e6",
        "112: k7e6 k5e6 k7e6 k5e6",
        "192: k7e6 k5e6 k5e6 k5e6 k7e6",
        "320: k3e6",
    ),
    "efficientnet_b0": (
        "24: k3e6 k3e6",
        "40: k5e6 k5e6",
        "80: k3e6 k3e6 k3e6",
        "112: k5e6 k5e6 k5e6",
        "192: k5e6 k5e6 k5e6 k5e6",
        "320: k3e6",
    ),
}

NAMES = tuple(_NETWORKS)

# Accuracy on ImageNet's validation set, for 1000 classes at 224x224, as published: nothing
# here has measured it. Source: DNA Table 2.
PUBLISHED_TOP1_PERCENT = {
    "dna_a": 77.1,
    "dna_b": 77.5,
    "dna_c": 77.8,
    "dna_d": 78.4,
    "efficientnet_b0": 76.3,
}


def get_architecture(name):
    """Returns a published network for 1000 classes at 224x224.

    Args:
        name: one of `NAMES`.

    Raises:
        ValueError: there is no such network; near names are given.
    """
    if name not in _NETWORKS:
        raise ValueError(
            f"There is no network named {name!r}.{checks.near_names(name, NAMES)} "
            f"Known names: {list(NAMES)}; or give the path of an architecture file."
        )
    blocks = []
    for stride, text in zip(_STRIDES, _NETWORKS[name], strict=True):
        width, ops = text.split(":")
        ops = tuple(search_space.Op.parse(op) for op in ops.split())
        blocks.append(architecture.BlockChoice(stride, int(width), ops))
    origin = {"by": "published", "source": "EfficientNet" if "efficient" in name else "DNA"}
    return architecture.Architecture(name, tuple(blocks), origin=origin)
