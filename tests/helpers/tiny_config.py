"""The config of a run that takes seconds: digits at 16x16, two blocks, one epoch of everything.

It is a config file as users write them, with its own search space as a dict.
"""

import dna_tf

SPACE = {
    "name": "tiny",
    "ops": ["k3e1", "k3e2"],
    "blocks": [
        {"stride": 2, "cells": [[1, 6], [2, 4]]},
        {"stride": 2, "cells": [[2, 8]]},
    ],
    "frame": {"stem_width": 4, "stem_output_width": 4, "head_width": 16},
}


def get_config(length="short"):
    """Returns the tiny config.

    Args:
        length: `"long"` makes every phase last long enough to be killed in its middle.
    """
    config = dna_tf.default_config()
    config.data.image_size = 16
    config.supernet.tensorboard = False
    config.data.rating_per_class = 4
    config.teacher.cuts = ("stage1_out", "stage2_out")
    config.space = SPACE
    config.supernet.epochs = 1
    config.supernet.checkpoint_seconds = 0.2
    config.rating.batch_size = 20
    config.rating.batches = 2
    config.rating.calibration_images = 32
    config.search.budgets = ("max_macs=15k", "max_macs=17k,max_params=1300")
    config.search.chosen = 0
    config.search.control_tolerance = 0.2
    for recipe in (config.teacher_training, config.retrain):
        recipe.epochs = 1
        recipe.tensorboard = False
        recipe.warmup_epochs = 0.5
        recipe.checkpoint_seconds = 0.2
    config.retrain.seeds = 1
    config.export.calibration_images = 20
    config.export.test_images = 50
    config.export.least_agreement = 0.0
    if length == "long":
        _make_long(config)
    return config


def _make_long(config):
    blocks = [
        {"stride": 2, "cells": [[1, 6], [2, 4]]},
        {"stride": 2, "cells": [[5, 8]]},
    ]
    config.space = {**SPACE, "name": "long", "ops": ["k3e1", "k3e2", "k5e1"], "blocks": blocks}
    config.supernet.epochs = 3
    config.supernet.batch_size = 32
    config.data.rating_per_class = 8
    config.rating.batch_size = 2
    config.rating.batches = 24
    config.search.budgets = ("max_macs=22k", "max_macs=25k")
    config.retrain.seeds = 2
    config.export.calibration_images = 200
    for recipe in (config.teacher_training, config.retrain):
        recipe.epochs = 4
        recipe.batch_size = 32
    for section in (config.teacher_training, config.supernet, config.rating, config.retrain):
        section.checkpoint_seconds = 0.05
