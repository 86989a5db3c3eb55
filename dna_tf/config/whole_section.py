"""The section `whole`: the training of a whole network as a supernet (SPOS, FairNAS, RLNAS)."""

import math

import ml_collections

from dna_tf.common import formatting
from dna_tf.config import field_checks

LABELS = ("true", "random")
SAMPLINGS = ("uniform", "fair_step", "cost_bins")
OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("linear", "cosine", "constant")
PRECISIONS = ("float32", "mixed_bfloat16")

# (field, values)
CHOICES = (
    ("labels", LABELS),
    ("sampling", SAMPLINGS),
    ("optimizer", OPTIMIZERS),
    ("schedule", SCHEDULES),
    ("precision", PRECISIONS),
)
# (section, field, lowest, highest)
RANGES = (
    ("whole", "epochs", 1, math.inf),
    ("whole", "batch_size", 2, math.inf),
    ("whole", "learning_rate", 1e-8, 10.0),
    ("whole", "weight_decay", 0.0, 1.0),
    ("whole", "label_smoothing", 0.0, 0.99),
    ("whole", "clip_norm", 0.0, math.inf),
    ("whole", "norm_images", 0, math.inf),
    ("whole", "checkpoint_seconds", 0.0, math.inf),
)


def default_whole():
    """The fields with their defaults."""
    section = ml_collections.ConfigDict()
    # true: labels of the data (SPOS, FairNAS). random: drawn once for each image (RLNAS); then
    # networks are ranked by the angle of their weights, not by accuracy.
    section.labels = "true"
    # uniform: one path in each step (SPOS). fair_step: as many paths as ops, on one batch, so that
    # each op of each layer trains once; one update (FairNAS). cost_bins: a path of macs_bins.
    section.sampling = "uniform"
    # Of cost_bins: lowest and highest MACs and the width of a bin, such as ("290M", "360M", "10M").
    section.macs_bins = ()
    section.epochs = 60  # SPOS: 120, of a thousand times as many steps
    section.batch_size = 64  # images, over all replicas (SPOS: 1024)
    section.optimizer = "sgd"  # sgd with momentum 0.9 | adam; both move drawn ops only
    section.learning_rate = 0.2  # in the first step (SPOS: 0.5)
    section.schedule = "linear"  # to zero (SPOS) | cosine (FairNAS) | constant
    section.weight_decay = 4e-5  # of kernels (SPOS)
    section.label_smoothing = 0.1  # (SPOS)
    section.clip_norm = 0.0  # largest norm of a step's gradient; 0 does not limit it
    section.norm_images = 0  # images with common batch statistics; 0: all of a replica
    section.precision = "float32"  # float32 | mixed_bfloat16
    section.tensorboard = True  # curves in the workdir's tensorboard/
    section.checkpoint_seconds = 5.0  # a killed run loses at most this much
    return section


def check(section):
    """Checks choices and bins.

    Args:
        section: the config section `whole`; types and ranges are right.

    Raises:
        ValueError: a value is not one of the choices, or the bins do not fit the sampling.
    """
    for field, choices in CHOICES:
        field_checks.check_choice(f"whole.{field}", section[field], choices)
    texts = tuple(section.macs_bins)
    if section.sampling != "cost_bins":
        if texts:
            raise ValueError(
                "config.whole.macs_bins has an effect with config.whole.sampling=cost_bins only. "
                f"Received: macs_bins={texts}, sampling={section.sampling!r}"
            )
        return
    macs_bins(texts)


def macs_bins(texts):
    """Lowest and highest MACs and the width of a bin, three ints.

    Args:
        texts: three counts as text, such as `("290M", "360M", "10M")`.

    Raises:
        ValueError: they are not three counts.
    """
    if len(texts) != 3 or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            "config.whole.macs_bins must be three texts: the lowest MACs, the highest, and the "
            "width of a bin, such as ('290M', '360M', '10M'). On a command line the flag is given "
            f"three times. Received: {texts}"
        )
    return tuple(int(formatting.parse_count(text)) for text in texts)
