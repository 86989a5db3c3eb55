"""CIFAR-10 on two CPU cores: students that inherit, at 3.5M, 5M and 10M MACs.

What: the teacher residual_cnn_medium (47.9M MACs), cut at its four stages; twelve cells of four
ops that read and give the teacher's maps. Expansion 1 is among the ops: a first layer reads up to
96 channels, and with expansion 3 the cheapest network has 6.2M MACs.

Command (TFDS downloads the images, 163 MiB; cifar10.py shows other sources):
    python -m tools.train_teacher --config=configs/cifar10_compress.py --workdir=runs/inherit
    python -m tools.train_supernet --workdir=runs/inherit
    python -m tools.compress --workdir=runs/inherit --max_macs=3.5M

Hardware and cost: two CPU cores; not measured yet. The cells are of the size of cifar10_cpu.py.
Result: none yet. docs/results/compress_cifar10.md says what will be compared and how.
"""

import dna_tf
from dna_tf import recipes

SPACE = {
    "name": "cifar10_compress",
    "description": "four blocks that stand in a residual network (our choice)",
    "ops": ("k3e1", "k3e3", "k5e3", "k3e6"),
    "blocks": (
        {"stride": 1, "cells": ((1, 16), (2, 16), (3, 16))},
        {"stride": 2, "cells": ((1, 32), (2, 32), (3, 32))},
        {"stride": 1, "cells": ((1, 48), (2, 48), (3, 48))},
        {"stride": 2, "cells": ((1, 64), (2, 64), (3, 64))},
    ),
    "frame": {"stem_width": 16, "stem_output_width": 16, "activation": "relu6", "se_ratio": 0.0},
    "image_size": 32,
}


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    config.data.source = "tfds:cifar10"
    config.data.rating_per_class = 100

    config.teacher.model = "residual_cnn_medium"
    config.teacher.cuts = tuple(f"stage{number}_out" for number in range(1, 5))
    recipes.small(config, epochs=3)
    config.retrain.warmup_epochs = 1.0
    config.teacher_training.epochs = 15

    config.space = SPACE
    config.supernet.features = "online"
    config.supernet.epochs = 4
    config.supernet.batch_size = 128
    config.supernet.learning_rate = 0.005
    config.supernet.first_block_learning_rate = 0.005
    config.supernet.learning_rate_decay = 0.7
    config.supernet.checkpoint_seconds = 60.0

    config.rating.checkpoint_seconds = 60.0
    config.search.budgets = ("max_macs=3.5M", "max_macs=5M", "max_macs=10M")
    config.search.chosen = 0
    config.compress.measured_paths = 32
    config.fine_tune.update(
        epochs=3,
        batch_size=128,
        learning_rate=2e-3,
        reference_batch_size=128,
        weight_decay=0.05,
        checkpoint_seconds=60.0,
    )
    return config
