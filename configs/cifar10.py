"""CIFAR-10 at 32x32 with a teacher that is trained here.

What: the teacher residual_cnn_wide (218M MACs, 5.8M parameters), cut at its six stages; the
space small_images, designed for such maps; three budgets and a control, three seeds each.

Command (TFDS downloads the images, 163 MiB):
    python -m tools.quickstart --config=configs/cifar10.py --workdir=runs/cifar10
From a folder of PNG files, train/CLASS/*.png and test/CLASS/*.png:
    python -m tools.quickstart --config=configs/cifar10.py --workdir=runs/cifar10 \
        --config.data.source=folder:/data/cifar10
From TFRecord files with the features image and label:
    python -m tools.quickstart --config=configs/cifar10.py --workdir=runs/cifar10 \
        '--config.data.source=tfrecord:/data/cifar10/train*' \
        '--config.data.test_source=tfrecord:/data/cifar10/test*'

Hardware and cost: one GPU, or two CPU cores and days of time. Counted: teacher 0.65 GMACs for each
image and step; supernet 1.04 GMACs for each image (0.22 the teacher, 0.82 the 16 cells); students
from 43M to 132M MACs. Measured: a step of the teacher with 128 images takes 1.1 core-seconds (AMD
EPYC). Estimated from it, in core-hours: teacher 2.4, supernet 11 to 25, and 5 to 15 for each of
the 12 students; with --config.retrain.seeds=1 there are 4 students.
Result, expected and not measured: a teacher above 90 %. Published, for DNA-c trained on ImageNet
and fine-tuned on CIFAR-10: 98.3 %.
"""

import dna_tf
from dna_tf import recipes


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    config.data.source = "tfds:cifar10"
    config.data.rating_per_class = 100

    config.teacher.model = "residual_cnn_wide"
    config.teacher.cuts = tuple(f"stage{number}_out" for number in range(1, 7))
    recipes.small(config, epochs=40)

    config.space = "small_images"
    config.supernet.features = "online"  # the teacher is a fifth of the work
    recipes.paper_supernet(config)
    config.supernet.batch_size = 128
    config.supernet.checkpoint_seconds = 60.0

    config.rating.checkpoint_seconds = 60.0
    config.search.budgets = ("max_macs=55M", "max_macs=75M", "max_macs=100M")
    return config
