"""CIFAR-10 at 32x32 in hours on two CPU cores: the search against random networks.

What: the teacher residual_cnn_medium, cut at its four stages; a space of 50 million small
architectures (twelve cells of four ops); two budgets.

Command (TFDS downloads the images, 163 MiB; cifar10.py shows other sources):
    python -m tools.quickstart --config=configs/cifar10_cpu.py --workdir=runs/cifar10_cpu

The network designed by hand, with which docs/results/cifar10.md compares:
    python -m tools.scale --arch=docs/results/efficientnet_b0_32px.json --macs=3.5M \
        --workdir=runs/cifar10_cpu
    python -m tools.retrain --workdir=runs/cifar10_cpu --arch=efficientnet_b0_32px_macs_3.5M

Hardware and cost: two CPU cores (AMD EPYC), in core-hours: the teacher 0.4 to 0.8 (counted), the
supernet 0.58 (measured), 16 students 1.5 (counted from measured ones).
Result, measured: teacher 85.0 %; at 3.5M MACs searched 68.9, random 67.9, designed by hand 70.1 %;
at 5M MACs 70.0, 69.2 and 71.7 %. By a test named in advance the searched student is better than
random ones at 3.5M MACs; at 5M no difference is shown. docs/results/cifar10.md has the details and
an earlier run.
"""

import dna_tf
from dna_tf import recipes

SPACE = {
    "name": "cifar10_cpu",
    "description": "four blocks on maps of 16, 8, 8 and 4 pixels a side (our choice)",
    "ops": ("k3e3", "k5e3", "k3e6", "k5e6"),
    "blocks": (
        {"stride": 1, "cells": ((1, 16), (2, 16), (3, 12))},
        {"stride": 2, "cells": ((1, 24), (2, 24), (3, 20))},
        {"stride": 1, "cells": ((1, 48), (2, 40), (3, 32))},
        {"stride": 2, "cells": ((1, 72), (2, 64), (3, 56))},
    ),
    "frame": {"stem_width": 16, "stem_output_width": 8, "head_width": 256},
    "image_size": 32,
}


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    config.data.source = "tfds:cifar10"
    config.data.rating_per_class = 100

    config.teacher.model = "residual_cnn_medium"
    config.teacher.cuts = tuple(f"stage{number}_out" for number in range(1, 5))
    recipes.small(config, epochs=5)
    config.retrain.warmup_epochs = 1.0
    config.teacher_training.epochs = 15

    config.space = SPACE
    config.supernet.features = "online"
    config.supernet.epochs = 6
    config.supernet.batch_size = 128
    config.supernet.learning_rate = 0.005
    config.supernet.first_block_learning_rate = 0.005
    config.supernet.learning_rate_decay = 0.7
    config.supernet.checkpoint_seconds = 60.0

    config.rating.checkpoint_seconds = 60.0
    config.search.budgets = ("max_macs=3.5M", "max_macs=5M")
    config.search.chosen = 0
    config.search.controls = 5
    config.search.controls_of = "all"
    config.retrain.control_seeds = 1
    return config
