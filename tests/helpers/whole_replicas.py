"""A program that trains a small whole network on two replicas and saves its weights.

    python -m tests.helpers.whole_replicas OUTPUT.npz SAMPLING

The CPU is split into two logical ones. `train` does the same on one device.
"""

import sys

import numpy as np
import tensorflow as tf

from dna_tf.data import loading
from dna_tf.supernet import whole_training
from dna_tf.training import strategies
from tests.helpers import replicas, whole_runs

BATCH = 16


def train(strategy, sampling, norm_images=0):
    """Trains for an epoch; returns the arrays of the weights, and the losses."""
    images = loading.load(whole_runs.get_config().data, 0)
    trained = whole_training.train_whole(
        whole_runs.space(),
        images,
        epochs=1,
        batch_size=BATCH,
        sampling=sampling,
        learning_rate=0.02,
        norm_images=norm_images,
        checkpoint_seconds=1e6,
        seed=2,
        strategy=strategy,
    )
    return trained.weights, trained.result["losses"]


def main(output, sampling):
    """Trains under `mirrored`."""
    replicas.split_cpu()
    strategy = strategies.make("mirrored")
    weights, losses = train(strategy, sampling)
    arrays = {f"unit{u}": array for u, array in enumerate(weights)}
    np.savez(output, losses=losses, replicas=strategy.num_replicas_in_sync, **arrays)


def on_one_device(sampling):
    """What one device makes of the joined batches, halves having statistics of their own."""
    return train(tf.distribute.get_strategy(), sampling, BATCH // 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
