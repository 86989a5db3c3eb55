"""One training step of one cell, on one device or under any strategy.

A step draws one path for all replicas, runs it, and moves the drawn rows by lazy
Adam. Every replica takes the statistics of its own share of the batch; gradients
are averaged over replicas, so all of them move alike. A loss that is not finite, or
far beyond the teacher's own map, stops the cell before it harms the weights.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.supernet import packed_ops, row_adam, sampling

# The loss of a map of zeros is the mean square of the teacher's map. A cell whose loss is this
# many times larger has diverged.
DIVERGED = 1e4
# Steps after which the loss scale of float16 doubles. Source: Micikevicius et al., 2018.
SCALE_GROWS_AFTER = 2000


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """How cells train, besides the learning rate.

    Args:
        sampling: as for `sampling.draw`.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`: what ops compute
            in. Weights, Adam, batch norm's statistics and the loss are float32 always.
        weight_decay: added to the gradient as this factor of convolution kernels (the
            authors' code: 1e-4).
        clip_norm: largest norm of a path's gradient; 0 for no limit.
        norm_images: images that share batch statistics; 0 for all of a replica. It must
            divide those of a replica, unless it is larger.
        rematerialize: whether the backward pass runs each op again. Set it where XLA compiles
            the step, as on TPUs, and only there.
    """

    sampling: str = "uniform"
    precision: str = "float32"
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    norm_images: int = 0
    rematerialize: bool = False


def norm_groups(images, norm_images):
    """Number of groups of a replica's images; each has its own batch statistics.

    Args:
        images: images of a batch of one replica.
        norm_images: as of `StepOptions`.

    Raises:
        ValueError: it does not divide the images.
    """
    if not 0 < norm_images < images:
        return 1
    if images % norm_images:
        near = [size for size in range(1, images + 1) if images % size == 0]
        raise ValueError(
            f"norm_images={norm_images} does not divide the {images} images of a "
            f"replica's batch. These do: {near}; 0 takes all images of a replica."
        )
    return images // norm_images


class CellTrainer:
    """Trains one cell: draws a path, takes one step of lazy Adam on its ops.

    Create it, and the cells, in the scope of the strategy under which `step` runs.

    Args:
        cell: a `cell_models.TrainableCell`.
        seed: seeds the draws.
        options: `StepOptions`.
        before: cells of the blocks before, first block first. With them the step reads
            images and runs a drawn path of each of them in front (strategies S1 and S2
            of DNA Table 4).
        train_before: whether those cells train too (S1) or stay as they are (S2).
    """

    def __init__(self, cell, seed, options=StepOptions(), before=(), train_before=False):
        self.cell = cell
        self.chain = [*before, cell]
        self._seed = seed
        self.options = options
        self.trained = self.chain if train_before else [cell]
        packed = [rows.value for trained in self.trained for rows in trained.rows]
        self._packed = packed
        on_gpu = bool(tf.config.list_logical_devices("GPU")) and not options.rematerialize
        self.optimizer = row_adam.RowAdam(packed, for_gpu=on_gpu)
        self._decays = self._decay_masks() if options.weight_decay else None
        # The step at which the loss stopped being usable; -1 before that.
        self.failed_at = tf.Variable(-1, dtype=tf.int64, trainable=False)
        self._scale = tf.Variable([2.0**15, 0.0], trainable=False)  # of float16, and good steps
        self._strategy = tf.distribute.get_strategy()
        self._step = tf.function(self._all_replicas)
        self._imitate = tf.function(
            lambda x, paths: self._run(x, paths, self._gather_rows(paths), 1), reduce_retracing=True
        )

    @property
    def variables(self):
        """All variables that training changes, in a fixed order."""
        return [*self._packed, *self.optimizer.variables, self.failed_at, self._scale]

    def step(self, x, target, number, learning_rate):
        """Trains one step and returns the loss before it, a scalar tensor.

        After a loss that was not usable nothing moves any more.

        Args:
            x: input of the first cell of the chain, `(batch, height, width, channels)`, or
                the values of all replicas.
            target: the teacher's map `(batch, height, width, channels)`, likewise.
            number: the step's number, from 0; with the seed it determines the path.
            learning_rate: a float.
        """
        paths = self.draw(number, self.options.sampling)
        rate, number = tf.constant(learning_rate, tf.float32), tf.constant(number, tf.int64)
        return self._step(x, target, paths, rate, number)

    def imitate(self, x, number):
        """Runs a drawn path with the statistics of the whole batch, without training.

        Args:
            x: as for `step`, of one replica.
            number: the number of the draw; below 0 it differs from all draws of training.

        Returns:
            The imitated map `(batch, height, width, channels)`.
        """
        return self._imitate(x, self.draw(number, "uniform"))

    def op_counts(self):
        """Number of steps of each op of the cell's layers so far, an array `(layers, ops)`."""
        counts = self.optimizer.counts[-self.cell.layers :]
        return np.array([count.numpy() for count in counts])

    def draw(self, number, kind="uniform"):
        """The path of each cell of the chain in a step: int32 tensors `(layers,)`."""
        return [
            sampling.draw(
                kind, self._seed, number, cell.block, cell.cell, cell.layers, cell.num_ops
            )
            for cell in self.chain
        ]

    def _all_replicas(self, x, target, paths, rate, number):
        loss = self._strategy.run(self.replica_step, (x, target, paths, rate, number))
        return self._strategy.experimental_local_results(loss)[0]

    def replica_step(self, x, target, paths, rate, number):
        """One step of one replica, in graph mode; see `step`. Returns the mean loss of all.

        Args:
            x, target: as for `step`, of this replica.
            paths: as `draw` returns them.
            rate: float32 scalar, the learning rate.
            number: int64 scalar, the step's number.
        """
        watched = self._gather_rows(paths)
        with tf.GradientTape() as tape:
            tape.watch(watched)
            # DNA eq. 7: the mean over all elements of the squared difference.
            groups = norm_groups(x.shape[0], self.options.norm_images)
            imitated = self._run(x, paths, watched, groups)
            loss = tf.reduce_mean(tf.math.squared_difference(imitated, target))
            scaled = loss * self._scale[0] if self._is_float16 else loss
        gradients = tape.gradient(scaled, watched)
        usable = tf.reduce_mean(tf.square(target))
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            loss, usable, *gradients = replica.all_reduce("mean", [loss, usable, *gradients])
        if self._is_float16:
            gradients = [gradient / self._scale[0] for gradient in gradients]
        gradients = self._decayed(gradients, watched, paths)
        finite = tf.constant(True)
        if self.options.clip_norm or self._is_float16:
            clipped, norm = tf.clip_by_global_norm(
                gradients, self.options.clip_norm or np.float32(np.inf)
            )
            finite = tf.math.is_finite(norm)
            gradients = clipped if self.options.clip_norm else gradients
        # NaN fails this comparison too.
        fails = tf.logical_not(loss < DIVERGED * (usable + 1.0))
        replica.merge_call(self._update, (gradients, paths, rate, number, fails, finite))
        return loss

    @property
    def _is_float16(self):
        return self.options.precision == "mixed_float16"

    def _gather_rows(self, paths):
        rows = []
        for cell, path in zip(self.chain, paths, strict=True):
            if cell in self.trained:
                rows += cell.gather_rows(path)
        return rows

    def _run(self, x, paths, watched, groups):
        options, watched = self.options, list(watched)
        if options.precision != "float32":
            x = tf.cast(x, options.precision.removeprefix("mixed_"))
        for cell, path in zip(self.chain, paths, strict=True):
            if cell in self.trained:
                rows, watched = watched[: len(cell.rows)], watched[len(cell.rows) :]
            else:
                rows = cell.gather_rows(path)
            x = cell.run_rows(x, path, rows, groups, options.rematerialize)
        return tf.cast(x, tf.float32)

    def _ops(self, paths):
        """The row of each packed variable that the paths draw."""
        ops = []
        for cell, path in zip(self.chain, paths, strict=True):
            if cell in self.trained:
                ops += cell.units_of(path)
        return ops

    def _decayed(self, gradients, rows, paths):
        if self._decays is None:
            return gradients
        # As in PyTorch's Adam, which the authors use: a gradient of the L2 norm.
        masks = [
            tf.gather(decay, op) for decay, op in zip(self._decays, self._ops(paths), strict=True)
        ]
        return [
            gradient + self.options.weight_decay * tf.cast(mask, tf.float32) * row
            for gradient, mask, row in zip(gradients, masks, rows, strict=True)
        ]

    def _decay_masks(self):
        """For each packed variable a mask of its kernels, uint8 `(ops, row size)`."""
        masks = []
        for cell in self.trained:
            for specs, rows in zip(cell.units, cell.rows, strict=True):
                mask = np.stack([packed_ops.kernel_mask(spec, rows.shape[1]) for spec in specs])
                masks.append(tf.Variable(mask, dtype=tf.uint8, trainable=False))
        return masks

    def _update(self, strategy, gradients, paths, rate, number, fails, finite):
        """Moves the drawn rows, in cross-replica context: all replicas have the same values."""
        local = strategy.experimental_local_results
        fails, finite, number = local(fails)[0], local(finite)[0], local(number)[0]
        alive = tf.logical_and(self.failed_at < 0, tf.logical_not(fails))
        moves = tf.logical_and(alive, finite)
        paths = [local(path)[0] for path in paths]
        rate = local(rate)[0]
        for index, (op, gradient) in enumerate(zip(self._ops(paths), gradients, strict=True)):
            self.optimizer.update(index, op, gradient, rate, moves)
        first = tf.logical_and(self.failed_at < 0, fails)
        self.failed_at.assign(tf.where(first, number, self.failed_at))
        if self._is_float16:
            good = self._scale[1] + 1.0
            grows = tf.equal(good, SCALE_GROWS_AFTER)
            after = tf.stack(
                [
                    self._scale[0] * tf.where(grows, 2.0, 1.0),
                    tf.where(grows, 0.0, good),
                ]
            )
            halved = tf.stack([tf.maximum(self._scale[0] / 2.0, 1.0), 0.0])
            scale = tf.where(finite, after, halved)
            self._scale.assign(tf.where(alive, scale, self._scale))
