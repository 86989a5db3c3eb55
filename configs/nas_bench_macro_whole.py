"""SPOS and RLNAS against public truth: 256 networks of NAS-Bench-Macro as one supernet.

What: CIFAR-10, one supernet of whole networks (SPOS) on labels, or on random ones (RLNAS with
--config.whole.labels=random). No student is trained: the table has the accuracy of every network.

Command (TFDS downloads the images, 163 MiB; cifar10.py shows other sources):
    python -m tools.train_whole --config=configs/nas_bench_macro_whole.py --workdir=runs/spos
    python -m tools.train_whole --config=configs/nas_bench_macro_whole.py --workdir=runs/rlnas \
        --config.whole.labels=random
    python -m benchmarks.whole_truth --labels=runs/spos --random=runs/rlnas \
        --folder=../shared/data/nas_tables

Hardware and cost: two CPU cores, 23 minutes for a supernet (110 images a second, measured over
2,000 images); one H100 beside eight other processes, a minute.
Result: cross-entropy with shared weights has a tau of 0.33 to 0.53 with the truth, MACs 0.54 (seeds
0 to 2). docs/results/nas_bench_macro.md.
"""

import dna_tf
from dna_tf import recipes
from dna_tf.truth import nas_bench_macro


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    config.data.source = "tfds:cifar10"
    config.data.rating_per_class = 100
    # For DNA's cells of the same networks; whole networks need no teacher.
    config.teacher.model = "residual_cnn_medium"
    config.teacher.cuts = ("stage1_out", "stage3_out", "stage4_out")
    recipes.small(config)

    config.space = nas_bench_macro.whole_space().to_dict()
    config.whole.epochs = 3
    config.whole.batch_size = 128
    config.whole.learning_rate = 0.05  # 0.5 for 1,024 images in the paper
    config.whole.checkpoint_seconds = 60.0

    config.rating.checkpoint_seconds = 60.0
    config.search.budgets = ("max_macs=70M", "max_macs=85M")
    config.search.chosen = 1
    return config
