"""The config of a run of whole networks that takes seconds: digits at 16x16, three layers.

It is a config file as users write them.
"""

import dna_tf
from dna_tf.space import presets

SPACE = {
    "name": "tiny_single",
    "ops": ["k3e1", "k3e2", "k5e2"],
    "blocks": [{"stride": 2, "cells": [[1, 6]]}, {"stride": 2, "cells": [[2, 8]]}],
    "frame": {"stem_width": 4, "stem_output_width": 4, "head_width": 16},
}


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    config.data.image_size = 16
    config.data.rating_per_class = 6
    config.space = SPACE
    config.whole.epochs = 2
    config.whole.batch_size = 128
    config.whole.tensorboard = False
    config.rating.batch_size = 25
    config.rating.calibration_images = 64
    config.rating.checkpoint_seconds = 0.0
    config.search.budgets = ("max_macs=16k", "max_macs=20k")
    config.search.chosen = 0
    config.search.control_tolerance = 0.2
    config.retrain.epochs = 1
    config.retrain.seeds = 1
    config.retrain.tensorboard = False
    return config


def space():
    """The space as a `SearchSpace`."""
    return presets.get_space(SPACE)
