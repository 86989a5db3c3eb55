"""One training step of a whole network, on one device or under any strategy.

A step draws one path, or as many as there are ops (strictly fair), for all replicas, runs them
on the same batch, and moves the drawn rows once. Every replica takes the statistics of its own
share of the batch; gradients are averaged over replicas, so all of them move alike.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.supernet import cell_trainer, packed_ops, row_adam, row_momentum, sampling

OPTIMIZERS = {"sgd": row_momentum.RowMomentum, "adam": row_adam.RowAdam}
# Of a draw, where a cell has its block.
_WHOLE = 900


@dataclasses.dataclass(frozen=True)
class WholeOptions:
    """How a whole network trains, besides the learning rate.

    Args:
        sampling: `"uniform"`: one path in each step (SPOS). `"fair_step"`: as many paths as
            there are ops, which together use every op of every layer once; their losses are
            averaged, and there is one update (FairNAS). `"cost_bins"`: one path from a bin of
            a cost.
        optimizer: `"sgd"` (momentum 0.9) or `"adam"`, both by rows.
        precision: `"float32"` or `"mixed_bfloat16"`: what convolutions compute in.
        weight_decay: added to the gradient as this factor of kernels.
        clip_norm: largest norm of a step's gradient; 0 for no limit.
        label_smoothing: share of a label that is spread over all classes.
        norm_images: images that share batch statistics; 0 for all of a replica.
        rematerialize: as of `cell_trainer.StepOptions`.
    """

    sampling: str = "uniform"
    optimizer: str = "sgd"
    precision: str = "float32"
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    norm_images: int = 0
    rematerialize: bool = False


class WholeTrainer:
    """Trains a whole network on labels.

    Create it, and the network, in the scope of the strategy under which `step` runs.

    Args:
        network: a `whole_network.WholeNetwork`.
        seed: seeds the draws.
        options: `WholeOptions`.
        bins: a `cost_bins.CostBins`, with `sampling="cost_bins"`.
    """

    def __init__(self, network, seed, options=WholeOptions(), bins=None):
        self.network, self.options = network, options
        self._seed, self._bins = seed, bins
        self._packed = [rows.value for rows in network.rows]
        on_gpu = bool(tf.config.list_logical_devices("GPU")) and not options.rematerialize
        self.optimizer = OPTIMIZERS[options.optimizer](self._packed, for_gpu=on_gpu)
        self._decays = self._decay_masks() if options.weight_decay else None
        self._strategy = tf.distribute.get_strategy()
        self._step = tf.function(self._all_replicas)
        self._gradients = tf.function(self._path_gradients)

    @property
    def variables(self):
        """All variables that training changes, in a fixed order."""
        return [*self._packed, *self.optimizer.variables]

    def step(self, images, labels, number, learning_rate):
        """Trains one step.

        Args:
            images: `(batch, height, width, channels)` in 0..255, or the values of all replicas.
            labels: int `(batch,)`, likewise.
            number: the step's number, from 0; with the seed it determines the paths.
            learning_rate: a float.

        Returns:
            A dict of scalar tensors: `loss` (cross-entropy with smoothed labels) and `accuracy`
            before the step, means over its paths.
        """
        rate = tf.constant(learning_rate, tf.float32)
        return self._step(images, labels, self.draw(number), rate)

    def draw(self, number):
        """The paths of a step: int32 `(paths, layers)`, in the host's memory."""
        network, kind = self.network, self.options.sampling
        place = (_WHOLE, 0, network.layers, network.num_ops)
        if kind == "fair_step":
            return sampling.fair_paths(self._seed, number, *place)
        if kind == "cost_bins":
            with tf.device("CPU:0"):
                return tf.constant(self._bins.draw(self._seed, number)[None])
        with tf.device("CPU:0"):
            return sampling.draw("uniform", self._seed, number, *place)[None]

    def op_counts(self):
        """Number of steps of each op of the layers so far, an array `(layers, ops)`."""
        counts = self.optimizer.counts[self.network.fixed_units :][: self.network.layers]
        return np.array([count.numpy() for count in counts])

    def _all_replicas(self, images, labels, paths, rate):
        figures = self._strategy.run(self.replica_step, (images, labels, paths, rate))
        local = self._strategy.experimental_local_results
        return {name: local(value)[0] for name, value in figures.items()}

    def replica_step(self, images, labels, paths, rate):
        """One step of one replica, in graph mode; see `step`. Returns the means of all.

        Args:
            images, labels: as for `step`, of this replica.
            paths: as `draw` returns them.
            rate: float32 scalar, the learning rate.
        """
        # One traced function serves all paths of a step, one after another.
        results = [self._gradients(images, labels, path) for path in tf.unstack(paths)]
        losses, right, gradients = zip(*results, strict=True)
        values = [tf.add_n(losses), tf.add_n(right)]
        values += [gradient for of_path in gradients for gradient in of_path]
        values = [value / len(results) for value in values]
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            values = replica.all_reduce("mean", values)
        loss, accuracy, *values = values
        count = len(self._packed)
        gradients = [values[k * count : (k + 1) * count] for k in range(len(results))]
        moved = self._moved(gradients, tf.unstack(paths))
        if self.options.clip_norm:
            clipped, _ = tf.clip_by_global_norm([g for *_, g in moved], self.options.clip_norm)
            moved = [(*each[:2], g) for each, g in zip(moved, clipped, strict=True)]
        indices = [index for index, *_ in moved]
        replica.merge_call(
            lambda strategy, ops, of_rows, rate: self._update(
                strategy, indices, ops, of_rows, rate
            ),
            ([op for _, op, _ in moved], [gradient for *_, gradient in moved], rate),
        )
        return {"loss": loss, "accuracy": accuracy}

    def _path_gradients(self, images, labels, path):
        """Loss, share of right answers and gradients of the rows of one path."""
        network, options = self.network, self.options
        watched = network.gather_rows(path)
        groups = cell_trainer.norm_groups(images.shape[0], options.norm_images)
        dtype = options.precision.removeprefix("mixed_")
        with tf.GradientTape() as tape:
            tape.watch(watched)
            logits = network.run_rows(
                images, path, watched, groups, options.rematerialize, tf.as_dtype(dtype)
            )
            classes = network.task.num_classes
            targets = tf.one_hot(labels, classes) * (1.0 - options.label_smoothing)
            targets += options.label_smoothing / classes
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        right = tf.cast(tf.argmax(logits, -1, labels.dtype) == labels, tf.float32)
        return loss, tf.reduce_mean(right), tape.gradient(loss, watched)

    def _moved(self, gradients, paths):
        """Which rows a step moves: `(index of the variable, op, gradient)`, each row once.

        Stem, head and classifier are part of every path: their gradients are added up.
        """
        moved, ops = [], [self.network.ops_of(path) for path in paths]
        first, last = self.network.fixed_units, self.network.fixed_units + self.network.layers
        for index in range(len(self._packed)):
            of_paths = [of_path[index] for of_path in gradients]
            if first <= index < last:
                pairs = [(ops[k][index], gradient) for k, gradient in enumerate(of_paths)]
            else:
                pairs = [(ops[0][index], tf.add_n(of_paths))]
            moved += [(index, op, self._decayed(index, op, gradient)) for op, gradient in pairs]
        return moved

    def _decayed(self, index, op, gradient):
        if self._decays is None:
            return gradient
        mask = tf.cast(tf.gather(self._decays[index], op), tf.float32)
        return gradient + self.options.weight_decay * mask * tf.gather(self._packed[index], op)

    def _decay_masks(self):
        """For each packed variable a mask of its kernels, uint8 `(ops, row size)`."""
        masks = []
        for specs, rows in zip(
            [*self.network.units, [self.network.classifier]], self.network.rows, strict=True
        ):
            mask = np.stack([packed_ops.kernel_mask(spec, rows.shape[1]) for spec in specs])
            masks.append(tf.Variable(mask, dtype=tf.uint8, trainable=False))
        return masks

    def _update(self, strategy, indices, ops, gradients, rate):
        """Moves the drawn rows, in cross-replica context: all replicas have the same values."""
        local = strategy.experimental_local_results
        rate = local(rate)[0]
        for index, op, gradient in zip(indices, ops, gradients, strict=True):
            self.optimizer.update(index, local(op)[0], gradient, rate)
