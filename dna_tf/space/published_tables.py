"""DNA's Tables 4 and 5 as published: strategies of training, and what depends on the teacher.

They were measured on ImageNet by the paper's authors, at 224x224, and stand beside measurements of
this project as labelled tables of their own, never in one column with them.
"""

from dna_tf.space.zoo import Published

TABLES = {
    "table_4": (
        Published("S1", 5.18e6, None, 77.0, 93.34),
        Published("S2", 5.58e6, None, 77.15, 93.51),
        Published("DNA", 5.69e6, None, 77.49, 93.68),
        Published("DNA, several cells in a block", 6.26e6, None, 77.84, 93.74),
        Published("DNA, at most 5.3M parameters", 5.09e6, None, 77.21, 93.50),
        Published(
            "DNA, several cells in a block, at most 5.3M parameters", 5.28e6, None, 77.38, 93.60
        ),
    ),
    "table_5": (
        Published("EfficientNet-B0, a teacher", 5.28e6, None, 76.3, 93.2),
        Published("DNA-B0", 5.27e6, None, 77.8, 93.7),
        Published("EfficientNet-B7 at 224x224, a teacher", 66e6, None, 77.8, 93.8),
        Published("DNA-B7", 5.28e6, None, 77.8, 93.7),
        Published("DNA-B7, scaled", 64.9e6, None, 79.9, 94.9),
    ),
}
SOURCES = {
    name: f"DNA Table {name[-1]} (Li et al., 2020), ImageNet, 224x224; one training each"
    for name in TABLES
}
