"""Published networks and accuracies, and finding an architecture by name or file.

Source: the DNA authors' released models, and EfficientNet-B0 (Tan and Le, 2019), which consists
of the same blocks.
"""

import dataclasses
import os

from dna_tf.common import checks, files
from dna_tf.space import architectures, spaces

_STRIDES = (2, 2, 2, 1, 2, 1)

# Each block as text: width and the op of each layer.
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

# Accuracy on ImageNet's validation set, for 1000 classes at 224x224, as published, not measured
# here. Source: DNA Table 2.
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
        ops = tuple(spaces.Op.parse(op) for op in ops.split())
        blocks.append(architectures.BlockChoice(stride, int(width), ops))
    origin = {"by": "published", "source": "EfficientNet" if "efficient" in name else "DNA"}
    return architectures.Architecture(name, tuple(blocks), origin=origin)


def find(name, folder=None):
    """Finds an architecture by file or by name.

    Args:
        name: the path of an architecture file (ending in `.json`), the name of an
            architecture in the folder, or of a published network.
        folder: a folder of architecture files, such as a run's; `None` for none.

    Returns:
        An `architectures.Architecture`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be used, or there is no architecture of that name; near
            names and all present ones are given.
    """
    if name.endswith(".json"):
        return architectures.load(name)
    if folder is None:
        return get_architecture(name)
    folder = files.as_path(folder)
    present = sorted(path.stem for path in folder.glob("*.json") if path.stem != "front")
    if name in present:
        return architectures.load(folder / f"{name}.json")
    if name in NAMES:
        return get_architecture(name)
    raise ValueError(
        f"There is no architecture {name!r} in {folder}."
        f"{checks.near_names(name, [*present, *NAMES])} Present: {present}. A search adds more."
    )


def load_architecture(name_or_file: str | os.PathLike) -> architectures.Architecture:
    """Loads an architecture from its file, or a published one by name.

    Args:
        name_or_file: the path of an architecture file (ending in `.json`), or one of `NAMES`.

    Returns:
        An `Architecture`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be used, or there is no network of that name.

    Example:

        >>> import dna_tf
        >>> dna_tf.load_architecture("dna_a").costs()["macs"]
        335141728
    """
    return find(os.fspath(name_or_file))


@dataclasses.dataclass(frozen=True)
class Published:
    """A row of a published table.

    Args:
        name: name of the network, as published.
        params: parameters, rounded as published; `None` if not published.
        flops: FLOPs, rounded as published; `None` if not published. Papers count them in
            different ways.
        top1: top-1 accuracy in percent, at 224x224 unless the name says otherwise.
        top5: top-5 accuracy in percent; `None` if not published.
    """

    name: str
    params: float | None
    flops: float | None
    top1: float
    top5: float | None

    @property
    def is_ours(self):
        """Whether the network is one of the DNA paper's."""
        return self.name.startswith("DNA")


SOURCE = "DNA Table 2 (Li et al., 2020), ImageNet, 224x224"

TABLE_2 = (
    Published("SPOS", None, 319e6, 74.3, None),
    Published("ProxylessNAS", 7.1e6, 465e6, 75.1, 92.5),
    Published("FBNet-C", None, 375e6, 74.9, None),
    Published("MobileNetV3", 5.3e6, 219e6, 75.2, None),
    Published("MnasNet-A3", 5.2e6, 403e6, 76.7, 93.3),
    Published("FairNAS-A", 4.6e6, 388e6, 75.3, 92.4),
    Published("MoGA-A", 5.1e6, 304e6, 75.9, 92.8),
    Published("SCARLET-A", 6.7e6, 365e6, 76.9, 93.4),
    Published("PC-NAS-S", 5.1e6, None, 76.8, None),
    Published("MixNet-M", 5.0e6, 360e6, 77.0, 93.3),
    Published("EfficientNet-B0", 5.3e6, 399e6, 76.3, 93.2),
    Published("DNA-a", 4.2e6, 348e6, 77.1, 93.3),
    Published("DNA-b", 4.9e6, 406e6, 77.5, 93.3),
    Published("DNA-c", 5.3e6, 466e6, 77.8, 93.7),
    Published("DNA-d", 6.4e6, 611e6, 78.4, 94.0),
)
