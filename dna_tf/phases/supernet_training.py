"""Supernet training: every cell learns to imitate its block of the teacher.

Cells are independent: no gradient passes between blocks, one pass of the teacher
serves all cells, and any set of them can be trained on any machine, in any order.
"""

import dataclasses

import tensorflow as tf

from dna_tf.common import checks, files, pictures, progress
from dna_tf.data import loading
from dna_tf.features import feature_batches
from dna_tf.phases import teacher_training
from dna_tf.space import fit, presets
from dna_tf.supernet import cell_files, cell_models, cell_trainer, metrics, output_start
from dna_tf.training import determinism, loop, strategies, tensorboard

# Images whose maps say where a cell's last batch norm starts. Source: our choice.
_START_IMAGES = 256
# Paths of each cell that are measured on held-out images after every epoch.
_WATCHED_PATHS = 4


def learning_rate(section, block, epoch):
    """The learning rate of a block's cells in an epoch (both from 0).

    Source: DNA 4.1. The authors' code already multiplies by the decay in the first
    epoch and gives the last block the first one's rate; we follow the paper.
    """
    first = section.first_block_learning_rate if block == 0 else section.learning_rate
    return first * section.learning_rate_decay**epoch


def train_supernet(workdir, config, strategy=None, retry_factor=0.0):
    """Trains the cells of the config's space on the workdir's teacher.

    Args:
        workdir: a `workdirs.Workdir` with a teacher.
        config: its config; `supernet.cells` names the cells to train, `()` all of them.
        strategy: a `tf.distribute.Strategy`; the present one by default.
        retry_factor: above 0 only cells that diverged are trained, again, at their
            learning rate times this factor. Otherwise they are left alone, with a
            warning: the same training would fail at the same step.

    Returns:
        A dict from the names of those cells that are trained now to their results.

    Raises:
        ValueError: config, teacher, data and space do not fit together; or all cells
            diverged.
    """
    section, space = config.supernet, presets.get_space(config.space)
    wanted = wanted_cells(section, space)
    todo = [name for name in wanted if not workdir.cell(name).exists()]
    failed = [name for name in todo if workdir.failed_cell(name).exists()]
    if retry_factor:
        todo = failed
    elif failed:
        # A chain ends where a cell of it is missing.
        usable = todo if section.inputs == "teacher" else todo[: todo.index(failed[0])]
        todo = [name for name in usable if name not in failed]
        for name in failed:
            failure = cell_files.failure(name, workdir)
            progress.warn(
                f"Left out: {failure['reason']} To train it again: "
                f"--retry_factor={cell_files.next_retry_factor(workdir, [name]):g}"
            )
    if todo:
        strategy = strategy or tf.distribute.get_strategy()
        strategies.check_batch(strategy, "config.supernet.batch_size", section.batch_size)
        of_replica = section.batch_size // strategy.num_replicas_in_sync
        cell_trainer.norm_groups(of_replica, section.norm_images)
        determinism.enable(config.seed)
        with strategy.scope():
            run = _Run(workdir, config, strategy, retry_factor or 1.0)
        for stage in _stages(section, space, todo):
            run.train(stage)
    elif not failed or retry_factor:
        nothing = "No cell diverged" if retry_factor else "The cells are there already"
        progress.say(f"{nothing}: {workdir.supernet}")
    return {name: workdir.cell_result(name) for name in wanted if workdir.cell(name).exists()}


def wanted_cells(section, space):
    """The names of the cells that a config asks for, first block first.

    Raises:
        ValueError: the space has no cell of that name; or the training by `inputs` goes
            through chains of cells, and the space or the cells make none.
    """
    known = cell_files.cell_names(space)
    for name in section.cells:
        if name not in known:
            raise ValueError(
                f"The space {space.name!r} has no cell {name!r}.{checks.near_names(name, known)} "
                f"Its cells are {known}; name some of them in config.supernet.cells, on the "
                "command line each with a --config.supernet.cells=NAME of its own."
            )
    if section.inputs != "teacher":
        if any(len(block.cells) > 1 for block in space.blocks) or section.cells:
            raise ValueError(
                f"config.supernet.inputs={section.inputs!r} trains one chain of cells from the "
                f"image on, and needs a space with one cell in each block, all of them trained. "
                f"Received: the space {space.name!r}, cells={tuple(section.cells)}. Take a space "
                "such as dna_single, and leave supernet.cells out."
            )
    return [name for name in known if not section.cells or name in section.cells]


@dataclasses.dataclass(frozen=True)
class _Stage:
    """Cells that train together; with `chain` the last of a chain from the image on."""

    label: str
    cells: tuple[str, ...]
    chain: tuple[str, ...] = ()

    @property
    def shown(self):
        """What the progress line says."""
        return self.cells[0] if len(self.cells) == 1 else f"{len(self.cells)} cells"


def _stages(section, space, names):
    if section.inputs == "teacher":
        label = "all" if len(names) == len(cell_files.cell_names(space)) else "_".join(names)
        label = label if len(label) < 100 else files.fingerprint(names)
        return [_Stage(label, tuple(names))]
    known = cell_files.cell_names(space)
    return [_Stage(name, (name,), tuple(known[: known.index(name)])) for name in names]


class _Run:
    """Teacher, data and features, ready to train cells of a workdir."""

    def __init__(self, workdir, config, strategy, rate_factor):
        self.workdir, self.config, self.strategy = workdir, config, strategy
        self.rate_factor = rate_factor
        self.section, self.space = config.supernet, presets.get_space(config.space)
        self.teacher_result = workdir.teacher_result()
        self.teacher = teacher_training.load_teacher(workdir, config)
        self.images = loading.load(config.data, config.seed, workdir.path)
        teacher_training.check_same_data(self.images, self.teacher_result, workdir)
        fit.check_fit(self.space, self.teacher.shapes, self.teacher.cuts)
        self.steps = self.images.steps_per_epoch(self.section.batch_size)
        self.chief = strategies.is_chief(strategy)
        self._predict = feature_batches.feature_function(self.teacher)
        with self.images.reading():
            self.held_out = self._held_out_maps()
            self.starts = self._starts() if self.section.output_start == "teacher" else None
        if self.chief:
            feature_batches.prepare(self.section, self.teacher, self.images, workdir.features)
        strategies.wait_for_all(strategy)
        self._datasets = feature_batches.feature_datasets(
            self.section, self.teacher, self.images, config.seed, workdir.features
        )
        # In a compiled step under the strategy: each replica runs the teacher on its share.
        self._online = tf.function(lambda images: strategy.run(self._predict, (images,)))

    def _held_out_maps(self):
        size = min(self.section.batch_size, self.images.counts["rating"])
        images, _ = next(iter(self.images.images("rating", batch_size=size, mixed=True)))
        return (images, *self._predict(images))

    def _starts(self):
        """Mean and deviation of each block's map, the same on all workers and in a resumed run."""
        size = self.section.batch_size
        batches = self.images.images("train", batch_size=size, mixed=True)
        made = [self._predict(images) for images, _ in batches.take(-(-_START_IMAGES // size))]
        return [output_start.channel_statistics(maps) for maps in zip(*made, strict=True)]

    def batches(self, epoch, skip):
        """Yields the batches of an epoch: images and all maps, as `strategy.run` takes them."""

        def dataset_of(shard):
            return self._datasets(epoch, skip, shard)

        size = self.section.batch_size
        with self._datasets.reading():
            for batch in strategies.distribute(self.strategy, dataset_of, size):
                yield (*batch, *self._online(batch[0])) if len(batch) == 1 else batch

    def train(self, stage):
        """Trains the cells of a stage and writes their files."""
        with self.strategy.scope():
            trainers = self._trainers(stage)
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
            return self._figures(trainers, stage, epoch)

        try:
            with self.images.reading():
                history = loop.run(
                    step=step,
                    batches=self.batches,
                    epochs=self.section.epochs,
                    steps_per_epoch=self.steps,
                    keep=loop.Keep(
                        self._folder(stage),
                        [v for trainer in trainers for v in trainer.variables],
                        self.section.checkpoint_seconds,
                    ),
                    show=loop.Show(f"supernet ({stage.shown})", self.section.batch_size, watcher),
                    on_epoch=on_epoch,
                    failures=lambda: self._failures(trainers),
                    chief=self.chief,
                )
        except ValueError as error:
            failed = self._failures(trainers)
            if len(failed) < len(trainers):
                raise
            if self.chief:
                self._save(trainers, [])
            again = cell_files.next_retry_factor(self.workdir, failed)
            raise ValueError(f"{error} Or train here again: --retry_factor={again:g}") from error
        if self.chief:
            self._save(trainers, history)
        strategies.wait_for_all(self.strategy)  # the next stage reads what this one wrote

    def _folder(self, stage):
        """Where the checkpoints of a stage go: each learning rate has its own."""
        label = stage.label if self.rate_factor == 1 else f"{stage.label}_x{self.rate_factor:g}"
        return self.workdir.supernet / "runs" / label

    def _rate(self, cell, epoch):
        return self.rate_factor * learning_rate(self.section, cell.block, epoch)

    def _trainers(self, stage):
        section, shapes = self.section, self.teacher.shapes
        options = cell_trainer.StepOptions(
            sampling=section.sampling,
            precision=section.precision,
            weight_decay=section.weight_decay,
            clip_norm=section.clip_norm,
            norm_images=section.norm_images,
            rematerialize=isinstance(self.strategy, tf.distribute.TPUStrategy),
        )
        if stage.chain:
            before = cell_files.load(self.workdir, self.space, shapes, stage.chain)
            cell = self._new_cells(stage)[0]
            both = section.inputs == "S1"
            return [cell_trainer.CellTrainer(cell, self.config.seed, options, before, both)]
        return [
            cell_trainer.CellTrainer(cell, self.config.seed, options)
            for cell in self._new_cells(stage)
        ]

    def _new_cells(self, stage):
        return cell_models.build_cells(
            self.space, self.teacher.shapes, self.config.seed, stage.cells, self.starts
        )

    def _watcher(self, stage):
        if not (self.chief and self.section.tensorboard):
            return None
        return tensorboard.Watcher(self.workdir.tensorboard / "supernet" / self._folder(stage).name)

    def _figures(self, trainers, stage, epoch):
        """Relative L1 on held-out images, learning rates and how often ops were drawn."""
        figures = {}
        for trainer in trainers:
            cell = trainer.cell
            x = self.held_out[0 if stage.chain else cell.block]
            made = [trainer.imitate(x, -1 - n) for n in range(_WATCHED_PATHS)]
            far = [metrics.relative_l1(self.held_out[cell.block + 1], y) for y in made]
            figures[f"relative_l1/{cell.name}"] = float(tf.reduce_mean(far))
            drawn = trainer.op_counts()
            figures[f"least_drawn_op/{cell.name}"] = float(drawn.min())
            figures[f"most_drawn_op/{cell.name}"] = float(drawn.max())
            figures[f"learning_rate/block{cell.block + 1}"] = self._rate(cell, epoch)
        return figures

    def _watch_maps(self, trainers, stage, watcher, epoch):
        last = epoch + 1 == self.section.epochs
        if epoch % max(self.section.epochs // 10, 1) and not last:
            return
        for trainer in trainers:
            cell = trainer.cell
            made = trainer.imitate(self.held_out[0 if stage.chain else cell.block], -1)
            drawn = pictures.side_by_side(self.held_out[cell.block + 1][:2], made[:2])
            watcher.image((epoch + 1) * self.steps, f"maps/{cell.name}", drawn)

    def _failures(self, trainers):
        failed = {}
        for trainer in trainers:
            number = int(trainer.failed_at.numpy())
            if number >= 0:
                name, epoch = trainer.cell.name, number // self.steps
                rate = self._rate(trainer.cell, epoch)
                failed[name] = (
                    f"{name} stopped at step {number} (epoch {epoch + 1}), at learning rate "
                    f"{rate:.3g}: its loss was no number, or {cell_trainer.DIVERGED:g} times that "
                    "of a map of zeros. The other cells go on. Lower the learning rate, or look "
                    "for broken images."
                )
        return failed

    def _save(self, trainers, history):
        failed = self._failures(trainers)
        for trainer in trainers:
            cell, far = trainer.cell, f"relative_l1/{trainer.cell.name}"
            result = {
                "teacher": self.teacher_result["fingerprint"],
                "rate_factor": self.rate_factor,
                "steps": self.steps * self.section.epochs,
                "losses": [epoch[cell.name] for epoch in history if cell.name in epoch],
                "relative_l1": [epoch[far] for epoch in history if far in epoch],
            }
            if cell.name in failed:
                result["reason"] = failed[cell.name]
                result["failed_at_step"] = int(trainer.failed_at.numpy())
                cell_files.save_failed(cell.name, self.workdir, result)
                continue
            # Under S1 the cells before trained on with this one: their own curves stay.
            for trained in trainer.trained[:-1]:
                own = self.workdir.cell_result(trained.name)
                cell_files.save(trained, self.workdir, {**own, "trained_on_with": cell.name})
            cell_files.save(cell, self.workdir, result)
