"""Trains the cells of one stage together: all cells of a supernet, or the next one of a chain."""

import dataclasses

import tensorflow as tf

from dna_tf.common import files, pictures
from dna_tf.data.labelled_images import Images
from dna_tf.features import feature_batches
from dna_tf.models import keras_files
from dna_tf.space.spaces import SearchSpace
from dna_tf.supernet import (
    cell_files,
    cell_models,
    cell_trainer,
    metrics,
    output_start,
    snapshots,
    stage_folders,
    trained_cells,
)
from dna_tf.supernet.phase_settings import SupernetSettings
from dna_tf.supernet.trained_cells import TrainedCell
from dna_tf.teachers.cutting import Teacher
from dna_tf.training import loop, strategies, tensorboard

# Images whose maps give the mean and deviation at which a cell's output starts.
START_IMAGES = 256
# Paths of each cell that are measured on held-out images after every epoch.
_WATCHED_PATHS = 4


def learning_rate(settings, block, epoch):
    """The learning rate of a block's cells in an epoch (both from 0).

    Source: DNA 4.1. The authors' code already multiplies by the decay in the first
    epoch and gives the last block the first one's rate; we follow the paper.
    """
    first = settings.first_block_learning_rate if block == 0 else settings.learning_rate
    return first * settings.learning_rate_decay**epoch


@dataclasses.dataclass(eq=False)
class StageTraining:
    """Teacher, images and features, ready to train cells stage by stage.

    Args:
        space, teacher, images, settings, seed, strategy, curves_folder: as of
            `cell_training.train_cells`.
        folder: where cells and checkpoints go.
        rate_factor: factor of all learning rates.

    Attributes:
        cells: a dict from names to `TrainedCell`s: those that were read or trained so far.
    """

    space: SearchSpace
    teacher: Teacher
    images: Images
    settings: SupernetSettings
    seed: int
    folder: object
    strategy: tf.distribute.Strategy
    rate_factor: float = 1.0
    curves_folder: object = None

    def __post_init__(self):
        self.cells = {}
        self.teacher_fingerprint = keras_files.weights_fingerprint(self.teacher.model)
        self.steps = self.images.steps_per_epoch(self.settings.batch_size)
        self.chief = strategies.is_chief(self.strategy)
        self._datasets = None

    def load(self, names):
        """Reads cells that are in the folder already."""
        present = [name for name in names if (self.folder / f"{name}.json").exists()]
        shapes, teacher = self.teacher.shapes, self.teacher_fingerprint
        for cell in cell_files.load(self.folder, self.space, shapes, present, teacher):
            self.cells[cell.name] = cell

    def train(self, stage):
        """Trains the cells of a stage and writes their files."""
        if self._datasets is None:
            self._prepare()
        if self.chief:
            stage_folders.write_record(self._stages_folder, stage)
        with self.strategy.scope():
            all_trainers = self._trainers(stage)
        # The others are in the checkpoints only.
        trainers = [trainer for trainer in all_trainers if trainer.cell.name in stage.cells]
        watcher = self._watcher(stage)

        def step(batch, number):
            losses = {}
            for trainer in trainers:
                cell = trainer.cell
                rate = self._rate(cell, number // self.steps)
                x = batch[0 if stage.chain else cell.block]
                losses[cell.name] = trainer.step(x, batch[cell.block + 1], number, rate)
            return losses

        def on_epoch(epoch):
            if watcher is not None:
                self._watch_maps(trainers, stage, watcher, epoch)
            if self.chief and snapshots.is_due(
                epoch, self.settings.snapshots, self.settings.epochs
            ):
                self._copy(trainers, epoch + 1)
            return self._figures(trainers, stage, epoch)

        try:
            with self.images.reading():
                history = loop.run(
                    step=step,
                    batches=self._batches,
                    epochs=self.settings.epochs,
                    steps_per_epoch=self.steps,
                    keep=loop.Keep(
                        self._stages_folder / stage.folder,
                        [v for trainer in all_trainers for v in trainer.variables],
                        self.settings.checkpoint_seconds,
                        begins_from=stage.begins_from and self._stages_folder / stage.begins_from,
                    ),
                    show=loop.Show(f"supernet ({stage.label})", self.settings.batch_size, watcher),
                    on_epoch=on_epoch,
                    failures=lambda: self._failures(trainers),
                    chief=self.chief,
                )
        except ValueError as error:
            failed = self._failures(trainers)
            if len(failed) < len(trainers):
                raise
            self._save(trainers, [])
            again = cell_files.next_retry_factor(self.folder, failed)
            raise ValueError(f"{error} Or train here again: retry_factor={again:g}") from error
        self._save(trainers, history)
        strategies.wait_for_all(self.strategy)  # the files of this stage are complete now

    def _prepare(self):
        """Computes the maps that all stages read."""
        settings, teacher, images = self.settings, self.teacher, self.images
        cache = self.folder / "features"
        predict = feature_batches.feature_function(teacher)
        # Outside of the strategy one device runs it, which has memory for a replica's images.
        in_parts = feature_batches.in_parts(predict, self._replica_images)
        with self.strategy.scope():
            with images.reading():
                self._held_out = held_out_maps(in_parts, images, settings.batch_size)
                self._starts = None
                if settings.output_start == "teacher":
                    self._starts = start_statistics(in_parts, images, settings.batch_size)
            if self.chief:
                feature_batches.prepare(settings, teacher, images, cache)
            strategies.wait_for_all(self.strategy)
            self._datasets = feature_batches.feature_datasets(
                settings, teacher, images, self.seed, cache
            )
            # In a compiled step under the strategy: each replica runs the teacher on its share.
            self._online = tf.function(lambda x: self.strategy.run(predict, (x,)))

    def _batches(self, epoch, skip):
        """Yields the batches of an epoch: images and all maps, as `strategy.run` takes them."""

        def dataset_of(shard):
            return self._datasets(epoch, skip, shard)

        size = self.settings.batch_size
        with self._datasets.reading():
            for batch in strategies.distribute(self.strategy, dataset_of, size):
                yield (*batch, *self._online(batch[0])) if len(batch) == 1 else batch

    @property
    def _replica_images(self):
        """Images of a batch of one replica."""
        return self.settings.batch_size // self.strategy.num_replicas_in_sync

    @property
    def _stages_folder(self):
        """Where the folders of the stages are."""
        return self.folder / "runs"

    def _rate(self, cell, epoch):
        return self.rate_factor * learning_rate(self.settings, cell.block, epoch)

    def _trainers(self, stage):
        settings, shapes = self.settings, self.teacher.shapes
        options = cell_trainer.StepOptions(
            sampling=settings.sampling,
            precision=settings.precision,
            weight_decay=settings.weight_decay,
            clip_norm=settings.clip_norm,
            norm_images=settings.norm_images,
            rematerialize=isinstance(self.strategy, tf.distribute.TPUStrategy),
        )
        before = [self.cells[name].build(shapes) for name in stage.chain]
        names = stage.variables_of
        cells = cell_models.build_cells(self.space, shapes, self.seed, names, self._starts)
        both = settings.inputs == "S1"
        return [cell_trainer.CellTrainer(cell, self.seed, options, before, both) for cell in cells]

    def _watcher(self, stage):
        if not self.chief or self.curves_folder is None:
            return None
        return tensorboard.Watcher(files.as_path(self.curves_folder) / stage.folder)

    def _copy(self, trainers, epochs):
        """Writes the cells as they are after some epochs; those that failed are left out."""
        failed = self._failures(trainers)
        cells = [trainer.cell for trainer in trainers if trainer.cell.name not in failed]
        steps = epochs * self.steps
        result = snapshots.result_of(self.teacher_fingerprint, steps, self.rate_factor)
        snapshots.save(self.folder, self.space, cells, epochs, result)

    def _figures(self, trainers, stage, epoch):
        """Relative L1 on held-out images, learning rates and how often ops were drawn."""
        figures = {}
        for trainer in trainers:
            cell = trainer.cell
            x = self._held_out[0 if stage.chain else cell.block]
            imitated = [self._imitate(trainer, x, -1 - n) for n in range(_WATCHED_PATHS)]
            distances = [metrics.relative_l1(self._held_out[cell.block + 1], y) for y in imitated]
            figures[f"relative_l1/{cell.name}"] = float(tf.reduce_mean(distances))
            draws = trainer.op_counts()
            figures[f"least_drawn_op/{cell.name}"] = float(draws.min())
            figures[f"most_drawn_op/{cell.name}"] = float(draws.max())
            figures[f"learning_rate/block{cell.block + 1}"] = self._rate(cell, epoch)
        return figures

    def _imitate(self, trainer, x, number):
        """A drawn path's map of images; each replica's share has its own batch statistics."""
        imitate = feature_batches.in_parts(
            lambda images: (trainer.imitate(images, number),), self._replica_images
        )
        return imitate(x)[0]

    def _watch_maps(self, trainers, stage, watcher, epoch):
        epochs = self.settings.epochs
        if epoch % max(epochs // 10, 1) and epoch + 1 < epochs:
            return
        for trainer in trainers:
            cell = trainer.cell
            x = self._held_out[0 if stage.chain else cell.block]
            imitated = self._imitate(trainer, x, -1)
            image = pictures.side_by_side(self._held_out[cell.block + 1][:2], imitated[:2])
            watcher.image((epoch + 1) * self.steps, f"maps/{cell.name}", image)

    def _failures(self, trainers):
        """Why cells were stopped: a dict from their names to a text."""
        failures = {}
        for trainer in trainers:
            number = int(trainer.failed_at.numpy())
            if number >= 0:
                name, epoch = trainer.cell.name, number // self.steps
                rate = self._rate(trainer.cell, epoch)
                failures[name] = (
                    f"{name} stopped at step {number} (epoch {epoch + 1}), at learning rate "
                    f"{rate:.3g}: its loss was not a number, or {cell_trainer.DIVERGED:g} times "
                    "that of a map of zeros. The other cells go on. Lower the learning rate, or "
                    "look for broken images."
                )
        return failures

    def _save(self, trainers, history):
        """Keeps the cells of a stage in `cells`, and the chief writes their files."""
        failures = self._failures(trainers)
        for trainer in trainers:
            cell, l1_name = trainer.cell, f"relative_l1/{trainer.cell.name}"
            result = {
                "teacher": self.teacher_fingerprint,
                "rate_factor": self.rate_factor,
                "steps": self.steps * self.settings.epochs,
                "losses": [epoch[cell.name] for epoch in history if cell.name in epoch],
                "relative_l1": [epoch[l1_name] for epoch in history if l1_name in epoch],
            }
            if cell.name in failures:
                result["reason"] = failures[cell.name]
                result["failed_at_step"] = int(trainer.failed_at.numpy())
                if self.chief:
                    cell_files.save_failed(self.folder, cell.name, result)
                continue
            # Under S1 the cells before trained on with this one: their own curves stay.
            for trained in trainer.trained[:-1]:
                earlier = self.cells[trained.name].result
                self._keep(trained, {**earlier, "trained_on_with": cell.name})
            self._keep(cell, result)

    def _keep(self, cell, result):
        weights = trained_cells.weights_of(cell)
        trained = TrainedCell(self.space, cell.block, cell.cell, weights, result)
        self.cells[cell.name] = trained
        if self.chief:
            cell_files.save(trained, self.folder)


def held_out_maps(predict, images, batch_size):
    """Rating images of all classes, and the teacher's maps for them.

    Args:
        predict: the teacher, as `feature_batches.feature_function` or `in_parts` returns it.
        images: a `labelled_images.Images`.
        batch_size: images, at most.

    Returns:
        A tuple: images, and the map of each block.
    """
    size = min(batch_size, images.counts["rating"])
    batch, _ = next(iter(images.images("rating", batch_size=size, mixed=True)))
    return (batch, *predict(batch))


def output_starts(teacher, images, batch_size):
    """What `start_statistics` returns in a training of one replica.

    Args:
        teacher: the `cutting.Teacher`.
        images, batch_size: as of `held_out_maps`.
    """
    predict = feature_batches.in_parts(feature_batches.feature_function(teacher), batch_size)
    with images.reading():
        return start_statistics(predict, images, batch_size)


def start_statistics(predict, images, batch_size):
    """Mean and deviation of the teacher's maps, at which the cells' outputs start.

    They are the same on all workers and in a resumed training.

    Args:
        predict, images, batch_size: as of `held_out_maps`; of the training images.

    Returns:
        A list with `(mean, deviation)` of each block's map.
    """
    batches = images.images("train", batch_size=batch_size, mixed=True)
    count = -(-START_IMAGES // batch_size)
    maps = [[values.numpy() for values in predict(batch)] for batch, _ in batches.take(count)]
    return [output_start.channel_statistics(block) for block in zip(*maps, strict=True)]
