"""Where the time of a student's training step goes, by operation of TensorFlow.

    python -m benchmarks.step_profile --arch=docs/results/efficientnet_b0_32px.json --macs=3.5M
    python -m benchmarks.step_profile --arch=dna_b --batch_size=16 --json

Trains an architecture, scaled to --macs if that is given, on one batch in memory by this project's
trainer, and lists the operations of a step by their time. An operation may run on several cores,
and several operations side by side, so the sum is not the time of the step. `limit_s` is the time
that the multiply-accumulates of a step (three times those of a pass) take at the rate of a product
of large matrices on this machine.
"""

import collections
import pathlib
import statistics
import tempfile
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("arch", "dna_b", "Architecture: name or file.")
flags.DEFINE_string("macs", "", "Scale it to these MACs, such as 3.5M.")
flags.DEFINE_integer("batch_size", 128, "Images of a step.", lower_bound=2)
flags.DEFINE_integer("steps", 8, "Timed steps, and as many profiled ones.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds images and weights.")
flags.DEFINE_integer("top", 15, "Operations to list.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

_MATRIX = 1024  # rows and columns of the product that measures the machine


def main():
    """Times and profiles the steps."""
    machine.check_no_workdir()
    from dna_tf.common import formatting
    from dna_tf.space import scaling, zoo

    arch = zoo.load_architecture(cli.FLAGS.arch)
    if cli.FLAGS.macs:
        macs = int(formatting.parse_count(cli.FLAGS.macs))
        arch = scaling.scale_to(arch, macs=macs, name="scaled")
    trainer, step = _trainer(arch)
    started = time.perf_counter()
    step()
    first_s = time.perf_counter() - started
    seconds, cpu = [], time.process_time()
    for _ in range(cli.FLAGS.steps):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    cpu = (time.process_time() - cpu) / cli.FLAGS.steps
    rows = _operations(step)
    for name, milliseconds, count in rows[: cli.FLAGS.top]:
        print(f"  {milliseconds:8.2f} ms  {count:5.0f} x  {name}")
    step_s = statistics.median(seconds)
    macs = 3 * cli.FLAGS.batch_size * arch.costs()["macs"]
    figures = {
        "macs": arch.costs()["macs"],
        "weights": len(trainer.model.trainable_variables),
        "first_step_s": round(first_s, 2),
        "step_s": round(step_s, 4),
        "cpu_s": round(cpu, 4),
        "images_per_s": round(cli.FLAGS.batch_size / step_s, 1),
        "limit_s": round(macs / _macs_per_second(), 4),
        "operations_ms": {name: round(ms, 2) for name, ms, _ in rows[: cli.FLAGS.top]},
    }
    machine.report(figures, cli.FLAGS.seed)


class _Batch:
    """One batch in memory, with the methods of `labelled_images.Images` in use."""

    fingerprint = "one batch"

    def __init__(self, num_classes):
        self.num_classes = num_classes

    def steps_per_epoch(self, _):
        """Steps of an epoch."""
        return 1000


def _trainer(arch):
    """The trainer of a student, and a function that trains one step and waits for it."""
    import tensorflow as tf

    from dna_tf.config import training_sections
    from dna_tf.models import students
    from dna_tf.training import classifier

    task, batch = arch.task, cli.FLAGS.batch_size
    shape = (batch, task.image_size, task.image_size, task.channels)
    images = tf.random.stateless_uniform(shape, (cli.FLAGS.seed, 0), maxval=255.0)
    labels = tf.range(batch) % task.num_classes
    recipe = training_sections.complete({"epochs": 1, "batch_size": batch, "rating_every": 0})
    trainer = classifier.ClassifierTrainer(
        students.build_student(arch, seed=cli.FLAGS.seed), _Batch(task.num_classes), recipe
    )

    def step():
        trainer.update(iter([(images, labels)]), 0)["loss"].numpy()

    return trainer, step


def _operations(step):
    """`(operation, milliseconds, count)` of a step, the longest first."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(cli.FLAGS.steps):
            step()
        tf.profiler.experimental.stop()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    total, count = collections.Counter(), collections.Counter()
    for plane in space.planes:
        names = {number: entry.name for number, entry in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            operation, _, kind = names[event.metadata_id].rpartition(":")
            if operation:  # others are TensorFlow's own bookkeeping
                total[kind] += event.duration_ps / 1e9 / cli.FLAGS.steps
                count[kind] += 1 / cli.FLAGS.steps
    return [(kind, milliseconds, count[kind]) for kind, milliseconds in total.most_common()]


def _macs_per_second():
    """Multiply-accumulates a second of a product of large matrices."""
    import tensorflow as tf

    matrix, seconds = tf.ones((_MATRIX, _MATRIX)), []
    for _ in range(5):
        started = time.perf_counter()
        tf.matmul(matrix, matrix).numpy()
        seconds.append(time.perf_counter() - started)
    return _MATRIX**3 / min(seconds)


if __name__ == "__main__":
    cli.run(main)
