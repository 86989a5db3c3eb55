"""How fast the paper's supernet trains, against the authors' procedure in the same code.

    python -m benchmarks.supernet --json

EfficientNet-B7 with fresh weights, 224x224, all 16 cells of the space `dna`; everything in one
process, the compared things by turns, medians of several rounds:

* choice_over_fixed: a step of a cell that chooses its path inside the compiled step, over a step
  of the same path compiled without any choice.
* online_speedup: images a second through all 16 cells when one pass of the teacher serves them
  all, over the authors' procedure: one cell after another, for each the teacher again up to the
  end of its block.
* cached_speedup: the same with features read from disk in place of the teacher.
* trace_s, peak_gib: building and tracing all 16 cells and their first step; memory of the process.

The figures `*_possible` are what the numbers of multiply-accumulates allow: the teacher counts one
forward pass, a training step of a cell three of its mean path (forward, gradients of the input and
of the weights) less the gradient of what it reads, which nobody needs.
"""

import contextlib
import functools
import itertools
import pathlib
import statistics
import tempfile
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.space import presets

cli.define_run_flags()
flags.DEFINE_string("teacher", "efficientnet_b7", "The teacher, with fresh weights.")
flags.DEFINE_string("space", "dna", "The search space.")
flags.DEFINE_integer("batch_size", 8, "Images of a step.", lower_bound=2)
flags.DEFINE_integer("image_size", 224, "Side of the images.", lower_bound=32)
flags.DEFINE_integer("rounds", 5, "How many times each thing is timed.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds images, weights and paths.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")


def main():
    """Times training steps."""
    machine.check_no_workdir()
    space = presets.get_space(cli.FLAGS.space)
    bench = _Bench(space, cli.FLAGS)
    figures = bench.trace()
    figures |= bench.choice_over_fixed()
    figures |= bench.speedups()
    figures |= bench.possible()
    figures["peak_gib"] = round(machine.peak_gib(), 2)
    machine.report(figures, cli.FLAGS.seed)


class _Bench:
    """The cut teacher and all cells, with random images."""

    def __init__(self, space, settings):
        import keras
        import numpy as np
        import tensorflow as tf

        from dna_tf.features import feature_batches
        from dna_tf.teachers import applications, building, cutting

        self.space, self.rounds, self.seed = space, settings.rounds, settings.seed
        self.batch_size = settings.batch_size
        shape = (settings.image_size, settings.image_size, 3)
        model = applications.build(settings.teacher, shape, 1000, seed=settings.seed)
        cuts = building.default_cuts(settings.teacher, model, shape, space)
        self.teacher = cutting.cut_model(model, cuts, shape)
        rng = np.random.RandomState(settings.seed)
        draw = rng.uniform(0, 255, (settings.batch_size, *shape))
        self.images = tf.constant(draw, tf.float32)
        self.predict = feature_batches.feature_function(self.teacher)
        # The teacher up to the end of each block, as the authors run it for each cell.
        self.until = []
        for b in range(len(cuts)):
            ends = [model.get_layer(cut).output for cut in cuts[max(b - 1, 0) : b + 1]]
            part = keras.Model(model.input, ends)
            self.until.append(tf.function(lambda x, part=part: part(x, training=False)))

    def trace(self):
        """Builds and traces all cells: seconds until each has taken a step."""
        from dna_tf.supernet import cell_models, cell_trainer

        maps = (self.images, *self.predict(self.images))
        started = time.perf_counter()
        cells = cell_models.build_cells(self.space, self.teacher.shapes, self.seed)
        self.trainers = [cell_trainer.CellTrainer(cell, self.seed) for cell in cells]
        self._cells_step(maps, 0)
        seconds = time.perf_counter() - started
        for until in self.until:
            until(self.images)
        return {"cells": len(cells), "trace_s": round(seconds, 1)}

    def _cells_step(self, maps, number):
        losses = [
            trainer.step(maps[trainer.cell.block], maps[trainer.cell.block + 1], number, 0.002)
            for trainer in self.trainers
        ]
        return [float(loss) for loss in losses]

    def choice_over_fixed(self):
        """A step with choice over the same path without, for the deepest cell of block 3."""
        import tensorflow as tf

        from dna_tf.supernet import cell_models, packed_ops, row_adam

        block = min(2, len(self.space.blocks) - 1)
        trainer = [t for t in self.trainers if t.cell.block == block][-1]
        cell = cell_models.build_cells(
            self.space, self.teacher.shapes, self.seed, [trainer.cell.name]
        )[0]
        maps = (self.images, *self.predict(self.images))
        x, target = maps[block], maps[block + 1]
        packed = [rows.value for rows in cell.rows]
        optimizer = row_adam.RowAdam(packed)

        def fixed(path):
            ops = [0] * cell.fixed_units + [int(op) for op in path]

            @tf.function
            def step(x, target, rate):
                rows = [values[op] for values, op in zip(packed, ops, strict=True)]
                with tf.GradientTape() as tape:
                    tape.watch(rows)
                    y = cell_models.rescale(x) if cell.rescale else x
                    for specs, op, row in zip(cell.units, ops, rows, strict=True):
                        y = packed_ops.compiled(specs[op], "train")(y, row)
                    loss = tf.reduce_mean(tf.math.squared_difference(y, target))
                for index, gradient in enumerate(tape.gradient(loss, rows)):
                    optimizer.update(index, tf.constant(ops[index]), gradient, rate)
                return loss

            return step

        ratios = []
        for number in range(self.rounds):
            path = trainer.draw(number)[0].numpy()
            step, rate = fixed(path), tf.constant(0.002)
            step(x, target, rate)
            pairs = []
            choosing = functools.partial(trainer.step, x, target, number, 0.002)
            without = functools.partial(step, x, target, rate)
            for _ in range(5):  # by turns, so that a slow moment of the machine hits both
                pairs.append(_seconds(choosing) / _seconds(without))
            ratios.append(statistics.median(pairs))
        return {
            "choice_cell": trainer.cell.name,
            "choice_over_fixed": round(statistics.median(ratios), 3),
        }

    def speedups(self):
        """Our two ways and the authors', by turns."""
        with tempfile.TemporaryDirectory() as folder:
            cached = self._cached_batches(pathlib.Path(folder))
            counter = itertools.count(1)
            ways = {"authors": self._authors, "online": self._online, "cached": cached}
            seconds = {name: [] for name in ways}
            for way in ways.values():
                way(next(counter))
            for _ in range(self.rounds):
                for name, way in ways.items():
                    seconds[name].append(_seconds(lambda way=way: way(next(counter))))
        middle = {name: statistics.median(values) for name, values in seconds.items()}
        rates = {
            f"{name}_images_per_s": round(self.batch_size / value, 3)
            for name, value in middle.items()
        }
        return rates | {
            "online_speedup": round(middle["authors"] / middle["online"], 2),
            "cached_speedup": round(middle["authors"] / middle["cached"], 2),
        }

    def _online(self, number):
        self._cells_step((self.images, *self.predict(self.images)), number)

    def _authors(self, number):
        for trainer in self.trainers:
            block = trainer.cell.block
            maps = self.until[block](self.images)
            x, target = (self.images, maps) if block == 0 else maps
            float(trainer.step(x, target, number, 0.002))

    def _cached_batches(self, folder):
        """Reads one batch after another from shards on disk, then trains all cells on it."""
        from dna_tf.features import cache_writer, feature_cache

        images = _MadeImages(self.images, count=self.batch_size * (self.rounds + 2))
        cache_writer.write(folder, self.teacher, images, batch_size=self.batch_size)
        made_from = cache_writer.made_from(self.teacher, images, "float16")
        cache = feature_cache.FeatureCache(folder, made_from)
        batches = iter(cache.batches(self.batch_size, epoch=0, seed=self.seed))

        def way(number):
            self._cells_step(next(batches), number)

        return way

    def possible(self):
        """The speedups that the op counts allow."""
        from dna_tf.models import model_costs

        upto, total = [], 0
        for block in self.teacher.blocks:
            total += model_costs.count_macs(block)
            upto.append(total)
        cells = [self._step_macs(t.cell) for t in self.trainers]
        authors = sum(upto[t.cell.block] for t in self.trainers) + sum(cells)
        return {
            "teacher_gmacs": round(total / 1e9, 3),
            "cells_gmacs": round(sum(cells) / 1e9, 3),
            "authors_gmacs": round(authors / 1e9, 3),
            "online_possible": round(authors / (total + sum(cells)), 2),
            "cached_possible": round(authors / sum(cells), 2),
        }

    def _step_macs(self, cell):
        size, total = self.teacher.shapes[cell.block][0], 0
        first = statistics.mean(_first_macs(spec, size) for spec in cell.units[0])
        for specs in cell.units:
            total += statistics.mean(spec.macs(size, size) for spec in specs)
            size = -(-size // specs[0].stride)
        return 3 * total - first


def _first_macs(spec, size):
    """Multiply-accumulates of the first convolution of an op."""
    if spec.weights().get("conv_kernel"):  # the stem's
        return spec.macs(size, size)
    return size * size * spec.in_width * spec.expanded_width if spec.expand > 1 else 0


class _MadeImages:
    """The same images over and over, in the form of `labelled_images.Images`, for the cache."""

    fingerprint = "made"

    def __init__(self, images, count):
        self._images, self.counts = images, {"train": count}

    def images(self, split, batch_size, skip=0, mixed=False):
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensor_slices(self._images).repeat()
        dataset = dataset.skip(skip).take(self.counts[split] - skip)
        return dataset.batch(batch_size).map(lambda images: (images, 0))

    def reading(self):
        return contextlib.nullcontext()


def _seconds(work):
    started = time.perf_counter()
    result = work()
    if hasattr(result, "numpy"):
        result.numpy()  # waits for the device
    return time.perf_counter() - started


if __name__ == "__main__":
    cli.run(main)
