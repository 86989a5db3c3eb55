"""Compresses a trained Keras model to a budget: from a .keras file to TFLite, in one command.

    python -m tools.compress --model=my.keras --data=folder:images --workdir=runs/my \\
        --max_macs=50%
    python -m tools.compress --workdir=runs/my --max_int8_kb=500
    python -m tools.compress --workdir=runs/my --max_drop=1.0
    python -m tools.compress --workdir=runs/my --max_latency_ms=8
    python -m tools.compress --workdir=runs/my --max_phone_ms=50% --cost_file=phone.json

The model is cut into blocks. Small cells learn to imitate each block, every path is rated by what
the model loses with it in the block's place, an exact search picks a path or the model's own block
for each place, and a short training mends the seams. Without a limit it is --max_macs=50%.

Images without labels are --data=images:photos: the model's answers stand for labels, and accuracy
is the share of answers that are the model's own.

The blocks are the stages of the model. With --cut=units each residual unit, inverted bottleneck or
convolution is a block, and a cell has one layer (as LANA cuts): more places where the model's own
part may stay, and cells that are quickly trained.

The second command takes another budget of the same run: cells and ratings are there already. The
third takes the smallest student within a point of the model's accuracy: it fine-tunes a few
students and decides on rating images. A killed run resumes with the same command.

A limit on the latency is one on this machine: the parts of the model and of the cells are timed
first, with one thread, into WORKDIR/latency.json. For a phone, or for int8, tools.latency_table
--teacher_parts measures a table with a cost of its own, and --cost_file takes it. Each cost of a
table has a limit, such as --max_phone_ms, and a column in the table of results. At the end the
student's file is timed beside the sum of its parts.

Writes: WORKDIR/compressed/NAME/ (model.keras, assembly.json, result.json, exports/), and
        WORKDIR/teacher/, supernet/, ratings/, replacements/, config.json, latency.json, and
        WORKDIR/report.html with all of it.
"""

import sys
import time

from absl import flags
from ml_collections import config_flags

from dna_tf import cli
from dna_tf.common import commands
from dna_tf.space import part_costs

cli.define_run_flags()
flags.DEFINE_string("model", "", "The trained model, a .keras file; of a new run.")
flags.DEFINE_string(
    "data",
    "",
    "Labelled images: folder:DIR, list:FILE, tfds:NAME, tfrecord:GLOB or digits; or images without "
    "labels: images:DIR. Of a new run.",
)
flags.DEFINE_integer("image_size", 0, "Height and width in pixels, if the model takes any size.")
flags.DEFINE_string(
    "preprocessing", "none", "What the model expects instead of pixels in 0..255, such as zero_one."
)
flags.DEFINE_enum(
    "cut",
    "stages",
    ["stages", "units"],
    "Blocks of a new run: the model's stages, or each of its residual units or convolutions.",
)
for name, what in (
    ("macs", "multiply-accumulates for one image"),
    ("params", "trainable parameters"),
    ("int8_kb", "weights of the int8 file, in 1,000 bytes"),
    ("peak_kb", "memory for maps in int8, in 1,000 bytes"),
):
    flags.DEFINE_string(f"max_{name}", "", f"Most {what}: a number such as 3.5M, or a share: 50%.")
flags.DEFINE_float(
    "max_drop", None, "Points of accuracy to lose at most: takes the smallest student within them."
)
flags.DEFINE_string(
    "smallest_in",
    "macs",
    "With --max_drop, the cost that is to be small: macs, params, int8_kb or latency_ms.",
)
flags.DEFINE_string(
    "max_latency_ms", "", "Most milliseconds for one image on this machine: a number or a share."
)
flags.DEFINE_multi_string(
    "cost_file", [], "Table of latencies with the model's parts, of tools.latency_table."
)
LIMITS = [name for name in commands.limits_of_files(sys.argv[1:]) if name.startswith("max_")]
for limit in LIMITS:  # such as --max_phone_ms
    if limit not in cli.FLAGS:
        flags.DEFINE_string(limit, "", "Limit on a cost of a file.")


def main():
    """Compresses the model, and prints the table."""
    started = time.monotonic()
    workdir, config = _open()
    from dna_tf.common import progress
    from dna_tf.inheritance import smallest
    from dna_tf.phases import compressing, latency_of_parts, least_size
    from dna_tf.report import report_page

    names = [*(f"max_{name}" for name in part_costs.COSTS), *LIMITS]
    limits = {name: cli.FLAGS[name].value for name in names}
    limits = {name: value for name, value in limits.items() if value}
    drop, smallest_in = cli.FLAGS.max_drop, cli.FLAGS.smallest_in
    if drop is None:
        limits = limits or {"max_macs": "50%"}
    else:
        smallest.check(drop, smallest_in)
        if smallest_in.endswith("_ms"):
            limits.setdefault(f"max_{smallest_in}", "100%")
    cost_files = cli.FLAGS.cost_file
    tables = latency_of_parts.tables_for(workdir, config, limits, cost_files)
    compressing.check(workdir, config, limits, tables, 1 if drop is None else 4)
    compressing.train_and_rate(workdir, config)
    try:
        if drop is None:
            name, result = compressing.compress(workdir, config, limits, tables)
        else:
            name, result = least_size.find(workdir, config, drop, limits, smallest_in, tables)
    except smallest.NoneGood:
        progress.say(f"What was tried: {report_page.write_report(workdir.path)}")
        raise
    progress.say("")
    compressing.print_table(result, config)
    latency_of_parts.time_student(workdir, name, result, cost_files)
    folder = workdir.compressed(name)
    progress.say(f"{report_page.write_report(workdir.path)}: open it in a browser.")
    progress.say(f"Done in {time.monotonic() - started:.0f} s: {folder}")
    cli.next_command("evaluate", workdir, f"--model={folder / 'model.keras'}")


def _open():
    """The run of the flags: a new one for `--model` and `--data`, or one that was begun."""
    from dna_tf import workdirs
    from dna_tf.phases import compressing

    values = cli.FLAGS
    workdir = workdirs.Workdir(values.workdir)
    if not values.model and not values.data:
        if not workdir.config.exists():
            raise ValueError(
                "Give the trained model and images: --model=my.keras "
                "--data=folder:images, or without labels --data=images:photos. "
                f"{workdir} is no run that was begun."
            )
        return cli.open_run(may_create=False)
    if not values.model or not values.data:
        raise ValueError("A new run needs both --model and --data.")
    overrides = config_flags.get_override_values(values["config"])
    config = compressing.new_config(
        values.config,
        values.model,
        values.data,
        values.image_size,
        values.preprocessing,
        overrides,
        tuple(overrides.get("teacher.modules", ())),
        workdir.path / "answers.csv",
        values.cut,
    )
    return workdirs.open_workdir(values.workdir, config)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
