"""Trains a whole network on labels: the supernet of SPOS, FairNAS and RLNAS.

No teacher takes part. One step trains one path, or a strictly fair group of paths; see
`whole_trainer`.
"""

import contextlib
import math
import tempfile
import typing

import numpy as np
import tensorflow as tf

from dna_tf.common import files, locks, seeding
from dna_tf.config import whole_section
from dna_tf.data.labelled_images import Images
from dna_tf.space import cost_tables, network_layers, tasks
from dna_tf.space.spaces import SearchSpace
from dna_tf.supernet import (
    cell_trainer,
    cost_bins,
    phase_settings,
    sampling,
    whole_files,
    whole_network,
    whole_trainer,
)
from dna_tf.supernet.phase_settings import WholeSettings
from dna_tf.training import determinism, loop, strategies, tensorboard

# Paths whose accuracy on held-out images is measured after every epoch.
_WATCHED_PATHS = 4


def train_whole(
    space: SearchSpace,
    images: Images,
    *,
    settings: WholeSettings | None = None,
    seed: int = 0,
    folder: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    curves_folder: str | None = None,
    **changes: typing.Any,
) -> whole_files.TrainedWhole:
    """Trains all networks of a space as one supernet on labels.

    Args:
        space: a search space with one cell in each block.
        images: the images; the training split is trained on, the rating split is watched.
        settings: how to train; `None` takes the defaults.
        seed: seeds first weights, order of images, augmentation, drawn paths and random labels.
        folder: where the network and checkpoints are kept, so that a killed training resumes.
            `None` keeps nothing.
        strategy: where to train; the current strategy by default.
        curves_folder: where curves for TensorBoard go; `None` writes none.
        changes: fields of `WholeSettings` that are to have other values, such as `epochs=5`.

    Returns:
        A `whole_files.TrainedWhole`.

    Raises:
        ValueError: space, images and settings do not fit together, or the loss is not finite.

    Source: SPOS, Guo et al. 2020; FairNAS, Chu et al. 2019; RLNAS, Zhang et al. 2021.
    """
    settings = phase_settings.with_changes(WholeSettings, settings, changes)
    strategy = strategy or tf.distribute.get_strategy()
    whole_network.check_space(space)
    strategies.check_batch(strategy, "batch_size", settings.batch_size)
    replica_images = settings.batch_size // strategy.num_replicas_in_sync
    cell_trainer.norm_groups(replica_images, settings.norm_images)
    steps = images.steps_per_epoch(settings.batch_size)
    task = tasks.Task.from_image_shape(images.image_shape, images.num_classes)
    bins = bins_of(space, task, settings)
    determinism.enable(seed)
    with contextlib.ExitStack() as stack:
        path = files.as_path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        with strategy.scope():
            network = whole_network.WholeNetwork(space, task, seed)
            trainer = whole_trainer.WholeTrainer(network, seed, _options(settings, strategy), bins)
        stack.enter_context(images.reading())
        history = _run(trainer, images, settings, steps, path, strategy, curves_folder, seed)
        weights = tuple(rows.value.numpy() for rows in network.rows)
        result = {
            "labels": settings.labels,
            "sampling": settings.sampling,
            "steps": steps * settings.epochs,
            "losses": [epoch["loss"] for epoch in history],
            "accuracies": [epoch["accuracy"] for epoch in history],
            "op_counts": trainer.op_counts().astype(int).tolist(),
            "data_fingerprint": images.fingerprint,
        }
        trained = whole_files.TrainedWhole(space, task, seed, weights, result)
        if strategies.is_chief(strategy) and folder is not None:
            whole_files.save(trained, path)
        strategies.wait_for_all(strategy)
        return trained


def writing(folder, needed=True):
    """Context in which no other process trains a whole network into a folder.

    Args:
        folder: where it is kept.
        needed: whether this process writes its files.

    Raises:
        locks.InUse: another process trains it.
    """
    return locks.hold(folder, f"The whole network in {folder}", needed)


def bins_of(space, task, settings):
    """The `cost_bins.CostBins` of MACs that settings ask for, or `None`.

    Args:
        space: a `SearchSpace` with one cell in each block.
        task: a `tasks.Task`.
        settings: `WholeSettings`.

    Raises:
        ValueError: a bin has no path; the message has the range of MACs.
    """
    if settings.sampling != "cost_bins":
        return None
    layers, per_layer = network_layers.space_layers(space, task), []
    fixed = sum(cost_tables.layer_costs(layer)["macs"] for layer in layers.stem)
    fixed += sum(cost_tables.layer_costs(head)["macs"] for head in layers.heads.values())
    for b in range(len(space.blocks)):
        (width,) = space.input_widths(b)
        per_layer += [
            [cost_tables.layer_costs(layer)["macs"] for layer in candidates]
            for candidates in layers.cells[b, 0, width]
        ]
    return cost_bins.CostBins(per_layer, fixed, *whole_section.macs_bins(settings.macs_bins))


def learning_rate(settings, step, total):
    """The learning rate of a step.

    Args:
        settings: `WholeSettings`.
        step: the step's number, from 0.
        total: steps of the whole training.
    """
    left = 1.0 - step / total
    if settings.schedule == "cosine":
        left = 0.5 * (1.0 + math.cos(math.pi * step / total))
    return settings.learning_rate * (1.0 if settings.schedule == "constant" else left)


def _options(settings, strategy):
    return whole_trainer.WholeOptions(
        sampling=settings.sampling,
        optimizer=settings.optimizer,
        precision=settings.precision,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        label_smoothing=settings.label_smoothing,
        norm_images=settings.norm_images,
        rematerialize=isinstance(strategy, tf.distribute.TPUStrategy),
    )


def _run(trainer, images, settings, steps, folder, strategy, curves_folder, seed):
    """Runs the loop; returns its history."""
    total, chief = steps * settings.epochs, strategies.is_chief(strategy)
    order_seed = seeding.derive_seed("whole", seed)
    trained_on = images.with_random_labels(seed) if settings.labels == "random" else images
    watch = _Watch(trainer, images, settings) if settings.labels == "true" else None
    watcher = None
    if chief and curves_folder is not None:
        watcher = tensorboard.Watcher(files.as_path(curves_folder))

    def batches(epoch, skip):
        def dataset_of(shard):
            return trained_on.epoch(
                settings.batch_size, epoch, order_seed, skip_batches=skip, shard=shard
            )

        return strategies.distribute(strategy, dataset_of, settings.batch_size)

    def step(batch, number):
        return trainer.step(*batch, number, learning_rate(settings, number, total))

    def on_epoch(epoch):
        counts = trainer.op_counts()
        figures = {
            "learning_rate": learning_rate(settings, (epoch + 1) * steps - 1, total),
            "least_drawn_op": float(counts.min()),
            "most_drawn_op": float(counts.max()),
        }
        return figures if watch is None else {**figures, "held_out_accuracy": watch.accuracy()}

    return loop.run(
        step=step,
        batches=batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        keep=loop.Keep(
            folder,
            trainer.variables,
            settings.checkpoint_seconds,
            images.fingerprint,
            same_data=images.take_up,
        ),
        show=loop.Show("whole supernet", settings.batch_size, watcher),
        on_epoch=on_epoch,
        chief=chief,
    )


class _Watch:
    """Accuracy of a few paths on rating images, with the statistics of their batch."""

    def __init__(self, trainer, images, settings):
        network = trainer.network
        size = min(settings.batch_size, images.counts["rating"])
        self._batch = next(iter(images.images("rating", batch_size=size, mixed=True)))
        self._paths = [
            sampling.draw("uniform", 0, -1 - n, 0, 0, network.layers, network.num_ops)
            for n in range(_WATCHED_PATHS)
        ]
        self._classes = tf.function(lambda x, path: tf.argmax(network(x, path), -1, tf.int32))

    def accuracy(self):
        """The mean accuracy of the paths."""
        images, labels = self._batch
        right = [self._classes(images, path) == labels for path in self._paths]
        return float(np.mean([answers.numpy().mean() for answers in right]))
