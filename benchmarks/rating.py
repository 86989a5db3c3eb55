"""What rating all paths of a cell costs, against rating each path by itself.

    python -m benchmarks.rating --json

The four-layer cell of six ops in block 4 of the space `dna`, 1,296 paths, on maps of a teacher's
size with random values; everything in one process:

* op_runs: ops that the walk runs for each batch, counted; 1,554 where path by path takes 5,184.
* shared_over_separate: seconds of the walk over those of rating every path by itself, which is
  measured on paths drawn at random, in several rounds spread over the walk, and scaled to all.
* walk_growth_mib: growth of the process's memory from a tenth of the walk to its end.
* all_cells_hours: rating all cells of the space with the paper's 20 batches, extrapolated: for
  each block a few ops of each layer are timed and multiplied by how often the walk runs them.
"""

import statistics
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.space import presets

cli.define_run_flags()
flags.DEFINE_integer("images", 16, "Images of a rating batch and of the calibration.")
flags.DEFINE_integer("batches", 2, "Rating batches.", lower_bound=1)
flags.DEFINE_integer("paths", 60, "Paths that are rated by themselves.", lower_bound=6)
flags.DEFINE_integer("size", 14, "Side of the maps of the four-layer cell.", lower_bound=2)
flags.DEFINE_string("space", "dna", "The search space.")
flags.DEFINE_integer("seed", 0, "Seeds maps, weights and the drawn paths.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

# What the maps of EfficientNet-B7 at 224x224 have: height and width, channels.
_SHAPES = ((224, 3), (56, 48), (28, 80), (14, 160), (14, 224), (7, 384), (7, 640))
_PAPER_BATCHES, _PAPER_IMAGES = 20, 50


def main():
    """Times the rating of cells."""
    machine.check_no_workdir()
    space = presets.get_space(cli.FLAGS.space)
    if not _four_layer_cells(space):
        raise ValueError(
            f"The space {space.name!r} has no cell of four layers behind its first block, and such "
            "a cell is what is timed. Give another one, such as --space=dna."
        )
    figures = _shared_over_separate(space, cli.FLAGS)
    figures |= _all_cells(space, cli.FLAGS)
    machine.report(figures, cli.FLAGS.seed)


def _four_layer_cells(space):
    return [(b, c) for b, c, cell in space.cells() if cell.layers == 4 and b]


def _maps(rng, count, images, shape):
    import tensorflow as tf

    size, channels = shape
    draws = rng.normal(0, 1, (count, images, size, size, channels))
    return [tf.constant(draw, tf.float32) for draw in draws]


def _shared_over_separate(space, settings):
    import numpy as np

    from dna_tf.supernet import cell_models, cell_rater

    rng = np.random.RandomState(settings.seed)
    block, index = min(_four_layer_cells(space), key=lambda place: abs(place[0] - 3))
    reads, gives = ((settings.size * space.blocks[block].stride, 80), (settings.size, 112))
    cell = cell_models.TrainableCell(
        space, block, index, (reads[0], reads[0], reads[1]), gives[1], settings.seed
    )
    batches = list(
        zip(
            _maps(rng, settings.batches, settings.images, reads),
            _maps(rng, settings.batches, settings.images, gives),
            strict=True,
        )
    )
    rater = cell_rater.CellRater(cell, _maps(rng, 1, settings.images, reads), batches)
    paths = space.paths(block, index)
    for op in range(cell.num_ops):  # every op is traced before anything is timed
        rater.path([op] * cell.layers)
    drawn = [paths[int(i)] for i in rng.randint(len(paths), size=settings.paths)]
    rounds, alone, memory = 6, [], []
    part = len(paths) // rounds
    rater.op_runs, walk_s, spent = 0, 0.0, 0.0

    def on_rated(count):
        """By turns with the walk: some paths by themselves, with the walk's clock stopped."""
        nonlocal spent
        if count % part == part // 2:
            started, runs = time.perf_counter(), rater.op_runs
            for path in drawn[len(alone) :: rounds]:
                begun = time.perf_counter()
                rater.path(path)
                each.append(time.perf_counter() - begun)
            alone.append(None)
            rater.op_runs = runs
            spent += time.perf_counter() - started
            memory.append(machine.peak_gib() * 2**10)

    each = []
    started = time.perf_counter()
    for count, _ in enumerate(rater.ratings(), 1):
        on_rated(count)
    walk_s = time.perf_counter() - started - spent
    separate_s = statistics.mean(each) * len(paths)
    return {
        "paths": len(paths),
        "op_runs": rater.op_runs // settings.batches,
        "op_runs_separate": len(paths) * cell.layers,
        "walk_s": round(walk_s, 1),
        "separate_s": round(separate_s, 1),
        "shared_over_separate": round(walk_s / separate_s, 3),
        "walk_growth_mib": round(memory[-1] - memory[0], 1),
    }


def _all_cells(space, settings):
    """Seconds of an op and a batch of each block, times the runs of the whole walk."""
    import numpy as np

    from dna_tf.supernet import cell_models, packed_ops

    rng, seconds, runs = np.random.RandomState(settings.seed), 0.0, 0
    if len(space.blocks) != len(_SHAPES) - 1:
        return {}
    for b, c, shape in space.cells():
        reads = (_SHAPES[b][0], *_SHAPES[b])
        cell = cell_models.TrainableCell(space, b, c, reads, _SHAPES[b + 1][1], settings.seed)
        (x,) = _maps(rng, 1, settings.images, _SHAPES[b])
        for unit in range(cell.fixed_units):
            x = packed_ops.compiled(cell.units[unit][0], "train")(x, cell.rows[unit].value[0])
        for layer in range(shape.layers):
            specs = cell.units[cell.fixed_units + layer]
            rows = cell.rows[cell.fixed_units + layer].value
            each, y = [], x
            for op, spec in enumerate(specs):
                y, statistics_ = packed_ops.compiled(spec, "calibrate")(x, rows[op])
                run, times = packed_ops.compiled(spec, "rate"), []
                for _ in range(4):  # the first one traces
                    started = time.perf_counter()
                    run(x, rows[op], statistics_).numpy()
                    times.append(time.perf_counter() - started)
                each.append(min(times[1:]))
            # Each op runs once below each path of the layers before.
            count = len(specs) ** layer
            seconds += count * sum(each)
            runs += count * len(specs)
            x = y
    scale = _PAPER_IMAGES / settings.images * (_PAPER_BATCHES + 1)  # and the calibration
    return {
        "all_cells_op_runs": runs,
        "all_cells_hours": round(seconds * scale / 3600, 2),
    }


if __name__ == "__main__":
    cli.run(main)
