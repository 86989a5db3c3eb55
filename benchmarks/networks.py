"""How long networks take to count and to build.

    python -m benchmarks.networks --json

Counts all costs of random architectures of the space `dna` from its table, and builds DNA-d
with Keras, each several times in one process. The figures are medians in seconds; counting
comes before TensorFlow is imported, and the first build, which TensorFlow's own start slows
down, has a figure of its own.
"""

import random
import statistics
import sys
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.space import cost_tables, presets, tasks, zoo

cli.define_run_flags()
flags.DEFINE_integer("architectures", 1000, "How many are counted in a run.", lower_bound=1)
flags.DEFINE_integer("runs", 5, "How many times each thing is done.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds the architectures.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")


def main():
    """Times counting and building."""
    machine.check_no_workdir()
    number, runs = cli.FLAGS.architectures, cli.FLAGS.runs
    figures = {"architectures": number, "runs": runs}
    figures |= _count(presets.PRESETS["dna"], number, runs, random.Random(cli.FLAGS.seed))
    if "tensorflow" in sys.modules:
        raise RuntimeError("Counting costs imported TensorFlow, which it must not.")
    figures |= _build(zoo.get_architecture("dna_d"), runs)
    machine.report(figures, cli.FLAGS.seed)


def _count(space, number, runs, rng):
    """Times the table, and the costs of `number` architectures added up from it."""
    drawn = [_draw(space, rng) for _ in range(number)]
    tables, counts = [], []
    for _ in range(runs):
        started = time.perf_counter()
        table = cost_tables.cost_table(space, tasks.Task(space.image_size, 3, 1000))
        tabled = time.perf_counter()
        for choices in drawn:
            table.costs_of(space, choices)
        tables.append(tabled - started)
        counts.append(time.perf_counter() - tabled)
    return {"cost_table_s": _median(tables), "costs_of_architectures_s": _median(counts)}


def _draw(space, rng):
    choices = []
    for block in space.blocks:
        cell = rng.randrange(len(block.cells))
        layers = block.cells[cell].layers
        choices.append((cell, tuple(rng.randrange(len(space.ops)) for _ in range(layers))))
    return choices


def _build(arch, runs):
    """Times the import of TensorFlow and the builds of one architecture."""
    started = time.perf_counter()
    from dna_tf.models import students

    imported, builds = time.perf_counter() - started, []
    for seed in range(runs + 1):
        started = time.perf_counter()
        students.build_student(arch, seed=seed)
        builds.append(time.perf_counter() - started)
    return {
        "import_tensorflow_s": round(imported, 2),
        f"first_build_{arch.name}_s": round(builds[0], 2),
        f"build_{arch.name}_s": round(_median(builds[1:]), 2),
    }


def _median(seconds):
    return round(statistics.median(seconds), 4)


if __name__ == "__main__":
    cli.run(main)
