"""How well a latency table of this host predicts whole students, and how long making it takes.

    python -m benchmarks.latency --cores=0 --json
    python -m benchmarks.latency --space=digits --image_size=32 --num_classes=10 --validate=12

Figures:

  table_s                seconds for the table: all distinct ops, converted and measured
  fit_s                  seconds for the students that overheads are fitted to
  predict_us             microseconds for one prediction, any architecture of the space
  median_error           median over held-out students of |predicted / measured - 1|
  error_over_macs_error  that over the same of MACs after their best linear fit
  rank_correlation, macs_rank_correlation   Kendall's tau-b with what was measured
  noisy                  measurements that spread by more than 5 %, also when measured again
  waited_share           of the time, what the thread waited for its core

The machine should be idle: `noisy` and `waited_share` tell whether it was.
"""

import pathlib
import tempfile
import time

import numpy as np
from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.common import files
from dna_tf.latency import host, measurements, sessions, tables
from dna_tf.phases import latency_tables
from dna_tf.space import presets, tasks

flags.DEFINE_string("space", "dna", "Name of a search space.")
flags.DEFINE_enum("precision", "float32", ["float32", "int8"], "Of all graphs.")
flags.DEFINE_integer("image_size", 224, "Height and width in pixels.", lower_bound=1)
flags.DEFINE_integer("num_classes", 1000, "Classes.", lower_bound=1)
flags.DEFINE_list("cores", [], "Cores it may run on, such as 0,1; all by default.")
flags.DEFINE_integer("threads", 1, "Threads of the interpreter.", lower_bound=1)
flags.DEFINE_integer("fit", 20, "Students that overheads are fitted to.", lower_bound=1)
flags.DEFINE_integer("validate", 50, "Held-out students.", lower_bound=3)
flags.DEFINE_integer("seed", 0, "Seeds the students.")
flags.DEFINE_string("output", "", "Keeps the table and the plot there; else a temporary folder.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")
cli.define_run_flags()

NOISE = 0.05


def main():
    """Makes a table and holds it against whole students."""
    machine.check_no_workdir("makes its own students")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(cli.FLAGS.output or str(pathlib.Path(folder) / "latency.json"))
    machine.report(figures, cli.FLAGS.seed)


def measure(output):
    """The figures, of a table that is made anew at `output`.

    Raises:
        ValueError: measurements are there already; their making cannot be timed.
    """
    values = cli.FLAGS
    if files.as_path(measurements.path_beside(output)).exists():
        raise ValueError(f"There are measurements beside {output} already. Give another --output.")
    space = presets.get_space(values.space)
    task = tasks.Task(values.image_size, 3, values.num_classes)
    cores = tuple(cli.whole_number("cores", text) for text in values.cores) or None
    meter = host.HostMeter(values.threads, cores)

    students = sessions.RandomStudents(space, task, values.seed)
    file = latency_tables.TableFile(output, meter, "latency_ms", NOISE, students, values.precision)
    start = time.perf_counter()
    file.make_table(fit=0)
    table_s = time.perf_counter() - start
    file.make_table(fit=values.fit)  # the parts are measured already
    fit_s = time.perf_counter() - start - table_s
    errors = file.validate(values.validate)
    measured = measurements.Measurements(measurements.path_beside(output))
    waited = [state["waited_share"] for state in measured.states]
    return {
        "space": space.name,
        "parts": len(measured.parts),
        "table_s": round(table_s, 1),
        "fit_s": round(fit_s, 1),
        "predict_us": round(_predict_us(file.table, space, task, values.seed), 3),
        **errors,
        "noisy": len(measured.noisy),
        "waited_share": max(waited),
    }


def _predict_us(table, space, task, seed):
    """Median microseconds of a prediction, over architectures drawn at random."""
    predict = tables.latency_function(table, space, task)
    draws, times = np.random.RandomState(seed), []
    for _ in range(1000):
        cells = [int(draws.randint(len(block.cells))) for block in space.blocks]
        paths = [int(draws.randint(space.num_paths(b, c))) for b, c in enumerate(cells)]
        start = time.perf_counter_ns()
        predict(cells, paths)
        times.append(time.perf_counter_ns() - start)
    return float(np.median(times)) / 1e3


if __name__ == "__main__":
    cli.run(main)
