"""What depends on the teacher (DNA Table 5): two teachers, equal limits, and a scaled student.

What: three rows. A small and a larger teacher, the best network for each within one limit, and the
larger one's scaled up. On the digits the teachers are residual_cnn and residual_cnn_medium, cut
where both have maps of a quarter and an eighth of the image.

Command:
    python -m tools.matrix --config=configs/table5.py --workdir=runs/table5

The paper's size, on ImageNet with EfficientNet-B0 and B7 as teachers:
    python -m tools.matrix --config=configs/table5.py:imagenet --workdir=runs/table5_imagenet

Hardware and cost: digits, two CPU cores, by estimate 15 minutes: two teachers, two supernets, five
students. ImageNet: 8 GPUs; two supernets and five students as in paper_8gpu.py, one of them of
64.9M parameters. Not run here.
Result, published: with B0 (76.3 %) as teacher 77.8 % top-1 at 5.27M parameters, with B7 (77.8 % at
224x224) the same at 5.28M; scaled to 64.9M 79.9 %. One training each.
"""

# In a checkout this folder is beside dna_tf; in an installation it is inside.
try:
    from dna_tf.configs import digits, paper_8gpu
except ModuleNotFoundError:
    from configs import digits, paper_8gpu

SPACE = {
    "name": "table5_digits",
    "description": "two blocks on maps of a quarter and an eighth of the image (our choice)",
    "ops": ("k3e6", "k5e6", "k3e3", "k5e3"),
    "blocks": (
        {"stride": 2, "cells": ((2, 16), (3, 16), (2, 24))},
        {"stride": 2, "cells": ((2, 40), (3, 40), (3, 32))},
    ),
    "frame": {"stem_width": 16, "stem_output_width": 8, "head_width": 128},
    "image_size": 32,
}


def get_config(size="digits"):
    """Returns the config that the rows change: that of the small teacher.

    Args:
        size: `"digits"` or `"imagenet"`.
    """
    if size == "imagenet":
        config = paper_8gpu.get_config()
        config.teacher.model = "efficientnet_b0"
        return config
    config = digits.get_config()
    config.space = SPACE
    config.teacher.cuts = ("stage1_out", "stage3_out")
    config.search.budgets = ("max_params=45k",)
    config.search.chosen = 0
    return config


def get_matrix(size="digits"):
    """Returns the rows."""
    limit, scaled = (
        ("max_params=5.3M", "64.9M") if size == "imagenet" else ("max_params=45k", "200k")
    )
    larger = {"teacher.model": "efficientnet_b7"}
    if size == "digits":
        larger = {
            "teacher.model": "residual_cnn_medium",
            "teacher.cuts": ("stage3_out", "stage4_out"),
        }
    return {
        "published": "table_5",
        "rows": [
            {"name": "small_teacher", "limits": limit},
            {"name": "large_teacher", "changes": larger, "limits": limit},
            {
                "name": "large_teacher_scaled",
                "changes": larger,
                "limits": limit,
                "scale_params": scaled,
            },
        ],
    }
