"""DNA's ratings against public truth: the 1,176 networks of NAS-Bench-Macro that cells can express.

What: CIFAR-10, the teacher residual_cnn_medium, cut where its maps have 16, 8 and 4 pixels a side;
eight cells of two ops. No student is trained: the table has the accuracy of every network.

Command (TFDS downloads the images, 163 MiB; cifar10.py shows other sources):
    python -m tools.train_teacher --config=configs/nas_bench_macro.py --workdir=runs/macro
    python -m tools.train_supernet --workdir=runs/macro
    python -m tools.rate --workdir=runs/macro
    python -m benchmarks.rating_truth --workdir=runs/macro --folder=../shared/data/nas_tables

Hardware and cost: one H100 beside eight other processes, 70 seconds for a supernet, a minute for
the ratings; on CPUs a supernet is 43 TMACs (counted).
Result: relative L1 has a tau of 0.66 with the truth, MACs 0.64; at equal MACs it has 0.34 (seeds 0
to 2). docs/results/nas_bench_macro.md.
"""

import dna_tf
from dna_tf import recipes
from dna_tf.truth import nas_bench_macro


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    config.data.source = "tfds:cifar10"
    config.data.rating_per_class = 100

    config.teacher.model = "residual_cnn_medium"
    config.teacher.cuts = ("stage1_out", "stage3_out", "stage4_out")
    recipes.small(config)
    config.teacher_training.epochs = 15

    config.space = nas_bench_macro.space().to_dict()
    config.supernet.features = "online"
    config.supernet.epochs = 2
    config.supernet.batch_size = 128
    config.supernet.learning_rate = 0.005
    config.supernet.first_block_learning_rate = 0.005
    config.supernet.learning_rate_decay = 0.7
    config.supernet.checkpoint_seconds = 60.0

    config.rating.checkpoint_seconds = 60.0
    config.search.budgets = ("max_macs=40M", "max_macs=60M")
    config.search.chosen = 1
    return config
