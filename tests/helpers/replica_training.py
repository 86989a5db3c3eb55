"""A program that trains cells for a few steps under a strategy and saves their variables.

    python -m tests.helpers.replica_training STRATEGY OUTPUT.npz [OPTION=VALUE ...]

With `mirrored` the CPU is split into two logical ones. With `multi_worker`, TF_CONFIG says which
worker this is. The global batches are always the same; the replicas divide them.
"""

import ast
import sys

import numpy as np
import tensorflow as tf

from dna_tf.supernet import cell_models, cell_trainer
from dna_tf.training import determinism, strategies
from tests.helpers import replicas
from tests.helpers.small_cells import SPACE

SHAPES = [(16, 16, 3), (4, 4, 6), (4, 4, 5)]
BATCH, STEPS, RATE, SEED = 16, 6, 0.01, 3


def batches():
    """The global batches of all steps: images, and the maps of both blocks."""
    rng = np.random.RandomState(SEED)
    arrays = [rng.uniform(0, 255, (STEPS * BATCH, *SHAPES[0]))]
    arrays += [rng.normal(0.5, 2.0, (STEPS * BATCH, *shape)) for shape in SHAPES[1:]]
    return tuple(array.astype(np.float32) for array in arrays)


def train(strategy, block, cell, options):
    """Trains and returns the losses, the trainer, and the first values of its variables."""
    with strategy.scope():
        trained = cell_models.TrainableCell(
            SPACE, block, cell, SHAPES[block], SHAPES[block + 1][-1], SEED
        )
        trainer = cell_trainer.CellTrainer(trained, SEED, options)
    first = [np.array(variable) for variable in trainer.variables]

    def dataset_of(shard):
        index, count = shard
        part = BATCH // count
        arrays = [
            array.reshape(STEPS, BATCH, *array.shape[1:])[:, index * part : (index + 1) * part]
            for array in batches()
        ]
        return tf.data.Dataset.from_tensor_slices(tuple(arrays))

    losses = []
    for number, batch in enumerate(strategies.distribute(strategy, dataset_of, BATCH)):
        losses.append(float(trainer.step(batch[block], batch[block + 1], number, RATE)))
    return losses, trainer, first


def values_of(strategy, variable):
    """The values of a variable in all replicas of this process."""
    local = strategy.experimental_local_results(variable)
    return np.stack([np.array(value) for value in local])


def main(name, output, *settings):
    """Trains both cells under the strategy `name`; saves losses and variables."""
    if name == "mirrored":
        replicas.split_cpu()
    strategy = strategies.make(name)
    determinism.enable(SEED)
    options = {key: ast.literal_eval(value) for key, value in (s.split("=") for s in settings)}
    results = {}
    for block, cell in ((0, 0), (1, 1)):
        losses, trainer, first = train(strategy, block, cell, cell_trainer.StepOptions(**options))
        results[f"{block}_losses"] = losses
        for number, variable in enumerate(trainer.variables):
            results[f"{block}_{number}"] = values_of(strategy, variable)
            results[f"{block}_{number}_first"] = first[number]
    results["num_replicas"] = strategy.num_replicas_in_sync
    np.savez(output, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
