"""A program that trains a classifier on one device in two parts, or on two devices.

    python -m tests.helpers.replica_classifier STRATEGY FOLDER

With `mirrored` the CPU is split into two logical ones.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf

from dna_tf.training import classifier, determinism, strategies
from tests.helpers import replicas
from tests.helpers.noise_training import data_of_noise, plain_model, recipe


class Data:
    """Data as a `tf.data.Dataset`, which strategies need."""

    def __init__(self):
        self._data = data_of_noise()
        self.num_classes, self.fingerprint = self._data.num_classes, self._data.fingerprint
        self.take_up = self._data.take_up
        self.steps_per_epoch, self.images = self._data.steps_per_epoch, self._data.images

    def epoch(self, batch_size, epoch, seed, augment, skip_batches, shard, augmentation):
        """The batches that the data yields."""
        batches = list(self._data.epoch(batch_size, epoch, seed, augment, 0, shard, augmentation))
        arrays = [np.concatenate([b[i].numpy() for b in batches]) for i in (0, 1)]
        dataset = tf.data.Dataset.from_tensor_slices(tuple(arrays)).batch(batch_size, True)
        return dataset.skip(skip_batches)


def main(name, folder):
    """Trains and saves the weights of every replica."""
    if name == "mirrored":
        replicas.split_cpu()
    strategy = strategies.make(name)
    determinism.enable(0)
    count = strategy.num_replicas_in_sync
    settings = recipe(
        accumulate=1 if count == 2 else 2,
        weight_decay=0.05,
        optimizer="rmsprop",
        ema_decay=0.7,
        learning_rate=0.01,
        rating_every=1,
    )
    evaluated = plain_model(norm=True)
    with strategy.scope():
        model = plain_model(norm=True)
        trainer = classifier.ClassifierTrainer(
            model, Data(), settings, evaluated, strategy=strategy
        )
    trainer.train(4, folder, "toy")
    results = {"replicas": count}
    named = [(w.path, w.value) for w in model.weights]
    named += [
        (f"average_of_{w.path}", v)
        for w, v in zip(model.weights, trainer.average.variables, strict=True)
    ]
    for path, variable in named:
        local = strategy.experimental_local_results(variable)
        results[path.replace("/", "_")] = np.stack([value.numpy() for value in local])
    np.savez(pathlib.Path(folder) / "found.npz", **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
