"""Accuracies on ImageNet as published, for tables and figures: nothing here has measured them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Published:
    """One row of a published table.

    Args:
        name: as published.
        params: parameters, rounded as published; `None` where none are given.
        flops: likewise; how they are counted differs between papers.
        top1: top-1 accuracy in percent, 224x224 unless the name says otherwise.
        top5: top-5 accuracy in percent; `None` where none is given.
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
