"""How the cells are trained (DNA Table 4): S1, S2 and the teacher's maps, cells and limits.

What: six rows. S1 and S2 train a block on the student's own maps, the others on the teacher's; one
cell or several in each block; with and without a limit on parameters. Each row has a random network
of its MACs. On the digits it shows how the table is run: they are too easy to tell rows apart.

Command:
    python -m tools.matrix --config=configs/table4.py --workdir=runs/table4

The paper's size, on ImageNet with B7 as teacher and at most 5.3M parameters:
    python -m tools.matrix --config=configs/table4.py:imagenet --workdir=runs/table4_imagenet

Hardware and cost: digits, two CPU cores, by estimate 20 minutes: four supernets, twelve students.
ImageNet: 8 GPUs; four supernets and twelve students as in paper_8gpu.py. Not run here.
Result, published: S1 77.0, S2 77.15, DNA 77.49 % top-1, and 77.84 % with several cells; at most
5.3M parameters 77.21 and 77.38 %. One training each, and rows of different size.
"""

# In a checkout this folder is beside dna_tf; in an installation it is inside.
try:
    from dna_tf.configs import digits, paper_8gpu
except ModuleNotFoundError:
    from configs import digits, paper_8gpu

# By size: the space with several cells, the one with a single cell, and the limit.
_SIZES = {
    "digits": ("digits", "digits_single", "max_params=80k"),
    "imagenet": ("dna_four_ops", "dna_four_ops_single", "max_params=5.3M"),
}


def get_config(size="digits"):
    """Returns the config that the rows change.

    Args:
        size: `"digits"` or `"imagenet"`.
    """
    config = paper_8gpu.get_config() if size == "imagenet" else digits.get_config()
    config.space = _SIZES[size][0]
    return config


def get_matrix(size="digits"):
    """Returns the rows."""
    _, single, limit = _SIZES[size]
    rows = [
        ("s1", {"space": single, "supernet.inputs": "S1"}, ""),
        ("s2", {"space": single, "supernet.inputs": "S2"}, ""),
        ("dna", {"space": single}, ""),
        ("dna_cells", {}, ""),
        ("dna_limited", {"space": single}, limit),
        ("dna_cells_limited", {}, limit),
    ]
    return {
        "published": "table_4",
        "rows": [
            {"name": name, "changes": changes, "limits": limits} for name, changes, limits in rows
        ],
    }
