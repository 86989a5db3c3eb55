"""The config sections `quantize` and `prune`: their defaults, and what is allowed."""

import math

import ml_collections

from dna_tf import export_config

_ANY = math.inf
# (section, field, lowest, highest)
RANGES = (
    ("quantize", "epochs", 1, _ANY),
    ("quantize", "batch_size", 2, _ANY),
    ("quantize", "learning_rate", 1e-8, 1.0),
    ("quantize", "calibration_images", export_config.LEAST_CALIBRATION_IMAGES, _ANY),
    ("quantize", "checkpoint_seconds", 0.0, _ANY),
    ("prune", "sparsity", 0.01, 0.99),
    ("prune", "epochs", 1, _ANY),
    ("prune", "batch_size", 2, _ANY),
    ("prune", "learning_rate", 1e-8, 1.0),
    ("prune", "checkpoint_seconds", 0.0, _ANY),
)


def default_quantize():
    """The section of quantisation-aware training, for `tools/quantize.py`."""
    section = ml_collections.ConfigDict()
    section.epochs = 5  # of fine-tuning with rounding
    section.batch_size = 64  # images
    section.learning_rate = 1e-4  # Adam, falling to zero by a cosine
    section.calibration_images = 200  # of training data, for the first ranges
    section.checkpoint_seconds = 5.0  # a killed run loses at most this much
    return section


def default_prune():
    """The section of magnitude pruning, for `tools/prune.py`."""
    section = ml_collections.ConfigDict()
    section.sparsity = 0.5  # share of zeros in each pointwise convolution and dense layer
    section.epochs = 10  # of fine-tuning; zeros are added during the first 60 %
    section.batch_size = 64  # images
    section.learning_rate = 3e-3  # Adam, falling to zero by a cosine
    section.checkpoint_seconds = 5.0  # a killed run loses at most this much
    return section
