"""Measures a latency table: one small TFLite graph for each distinct op, shape and stride.

    python -m tools.latency_table --space=dna --output=latency.json
    python -m tools.latency_table --workdir=runs/digits --cores=0 --output=latency.json
    python -m tools.latency_table --space=dna --output=latency.json --validate=50 --arch=dna_a
    python -m tools.latency_table --output=latency.json --arch=dna_a,mobilenet_v2,mine.tflite
    python -m tools.latency_table --space=dna --output=int8.json --precision=int8 \\
        --cost=int8_latency_ms
    python -m tools.latency_table --space=dna --output=phone.json --device=adb --cost=phone_ms
    python -m tools.latency_table --workdir=runs/my --teacher_parts --output=runs/my/latency.json

A phone also needs the program benchmark_model, TFLite's or LiteRT 2's:
--benchmark_binary=android_aarch64_benchmark_model. With --accelerator=gpu, or npu with LiteRT 2's,
the graphs run there, and a graph that does not run there as a whole is an error.

For other devices, such as iPhones, farms of devices and microcontrollers, --device=files writes
the graphs into --graphs. Time them there in any way, and give the times:
    python -m tools.latency_table --space=dna --output=ios.json --cost=ios_ms --device=files \\
        --graphs=ios_graphs --device_name="iPhone 15, Core ML"
    python -m tools.latency_table ... the same ... --times=ios_times.csv
A line of the CSV file has the name of a graph's file and a time: columns file and median_ms, and
runs and spread_ms if there are any. JSON is read too. Several files are several devices or runs.

The search then takes the table:
`python -m tools.search --cost_file=latency.json --max_latency_ms=20`. Several tables, each with
its own --cost, limit the latencies of several devices at once. To measure a searched
architecture, give --workdir=runs/digits --arch=NAME.

With --teacher_parts the table is one for students that inherit, as tools.compress makes them: it
has the layers of all paths as they stand in the teacher, the teacher's own blocks and its head, and
is fitted to random networks of these. The whole teacher is timed beside the sum of its parts. The
search that takes it: `python -m tools.compress --workdir=runs/my --cost_file=phone.json
--max_phone_ms=8`.

All graphs are timed in turns over many rounds; the table has their medians. A graph whose times
spread by more than --noise is measured again, and reported if that does not help. The difference
between a whole network and the sum of its parts is fitted to --fit random students.

The same command resumes a measurement that was stopped, and measures only what is missing. A
table is fitted to one space, image size and number of classes. For another one, give another
--output, or --fit=0 to keep the fit. Networks of --arch never change the fit; with --validate
they are lines in its plot.

Reads:  with --workdir its config and teacher; the table, if it exists.
Writes: OUTPUT.json, the table for the search; OUTPUT.measured.json, the measured medians; with
        --validate OUTPUT.validation.json and .svg.
"""

import dataclasses

from absl import flags

from dna_tf import cli
from dna_tf.common import locks
from dna_tf.space import cost_limits

cli.define_run_flags()
flags.DEFINE_string("space", "", "Search space. Default: the space of --workdir.")
flags.DEFINE_integer(
    "image_size", None, "Height and width of images in pixels. Default: the space's."
)
flags.DEFINE_integer(
    "num_classes", None, "Number of classes. Default: 1000, or the run's with --workdir."
)
flags.DEFINE_string("output", "", "File of the table, ending in .json.")
flags.DEFINE_string("cost", "latency_ms", "Name of the cost, ending in _ms.")
flags.DEFINE_enum(
    "device",
    "host",
    ["host", "adb", "files"],
    "Device to measure: this host, a phone through adb, or files that are timed elsewhere.",
)
flags.DEFINE_enum("precision", "float32", ["float32", "int8"], "Precision of all graphs.")
flags.DEFINE_integer("threads", 1, "Threads of the interpreter.", lower_bound=1)
flags.DEFINE_list("cores", [], "CPU cores to run on, such as 0,1. Default: all.")
flags.DEFINE_integer(
    "rounds", None, "Rounds of measurements. Default: 30 on a host, 3 on a phone.", lower_bound=1
)
flags.DEFINE_string("serial", "", "Serial number of the phone, as `adb devices` prints it.")
flags.DEFINE_string(
    "adb", "", "Path of the adb command. Default: searched in PATH and in the Android SDK."
)
flags.DEFINE_string("benchmark_binary", "", "Path of benchmark_model for the phone.")
flags.DEFINE_enum(
    "accelerator",
    "cpu",
    ["cpu", "gpu", "npu"],
    "What runs the graphs on the phone of --device=adb.",
)
flags.DEFINE_string("graphs", "", "Folder of the graphs of --device=files.")
flags.DEFINE_list("times", [], "CSV or JSON files with the times of --device=files.")
flags.DEFINE_string("device_name", "", "The device of --device=files in words.")
flags.DEFINE_float(
    "noise", 0.05, "Largest spread divided by the median; above it a graph is measured again."
)
flags.DEFINE_integer(
    "fit",
    None,
    "Number of random students to which the overheads are fitted. Default: as many as in the "
    "existing table, or 20 without one. 0: no new fit.",
    lower_bound=0,
)
flags.DEFINE_integer("validate", 0, "Number of random students on which the table is validated.")
flags.DEFINE_integer("seed", 0, "Seed of the random students.")
flags.DEFINE_bool(
    "teacher_parts", False, "For students that inherit: the parts of the teacher of --workdir."
)
flags.DEFINE_list("arch", [], "Networks to measure: names, .json or .tflite files, MobileNets.")

# Flags that have a meaning for one device only.
_FLAGS_OF_DEVICES = {
    "adb": ("serial", "adb", "benchmark_binary", "accelerator"),
    "files": ("graphs", "times", "device_name"),
}


def main():
    """Measures a table, networks, or both."""
    output, flag = _output(), cli.FLAGS
    if not flag.noise > 0:
        raise ValueError(f"--noise must be above 0. Received: {flag.noise}")
    cores = tuple(cli.whole_number("cores", text) for text in flag.cores) or None
    workdir, config, space, task = _space()
    if space is None and not flag.arch and not flag.teacher_parts:
        raise ValueError("Give --space=NAME or --workdir=FOLDER for a table, or --arch=NAMES.")
    has_students = space is not None or flag.teacher_parts
    if cli.FLAGS["validate"].present and (not has_students or flag.validate < 3):
        raise ValueError("--validate takes at least 3 random students of a space: give --space.")
    meter = _meter(cores)  # before TensorFlow is loaded: a missing phone is reported at once
    from dna_tf.latency import sessions
    from dna_tf.phases import latency_of_parts, latency_tables

    sizes = {"image_size": flag.image_size, "num_classes": flag.num_classes}
    sizes = dataclasses.asdict(task) if task else sizes
    networks = latency_tables.find_networks(flag.arch, workdir, **sizes)
    students = None if space is None else sessions.RandomStudents(space, task, flag.seed)
    if flag.teacher_parts:
        students = latency_of_parts.networks(workdir, config, flag.seed)
    with locks.hold(output, f"The latency table {output}"):
        file = latency_tables.TableFile(
            output, meter, flag.cost, flag.noise, students, flag.precision
        )
        if flag.device == "files" and _write_graphs(meter, file, networks):
            return
        file.make_table(networks, flag.fit)
        references = file.measure_networks(networks)
        if flag.validate:
            file.validate(flag.validate, references)
    if workdir is not None:
        tool = "compress" if flag.teacher_parts else "search"
        cli.next_command(tool, workdir, f"--cost_file={output}", f"--max_{flag.cost}=MS")


def _write_graphs(meter, file, networks):
    """Writes the graphs that have no times; returns whether there are any."""
    from dna_tf.common import progress

    flag = cli.FLAGS
    missing = meter.write_missing(file.untimed(networks, flag.fit, flag.validate))
    if missing:
        progress.say(
            f"{len(missing)} graphs in {flag.graphs} have no times yet; {flag.graphs}/graphs.csv "
            "says what each is. Time them with batch 1, and write a CSV file such as\n\n"
            f"    file,median_ms,runs\n    {missing[0]},1.234,50\n\n"
            "Next: the same command with --times=FILE.csv."
        )
    return bool(missing)


def _output():
    output = cli.FLAGS.output
    if not output.endswith(".json") or output.endswith(".measured.json"):
        raise ValueError(
            f"--output names the table, such as --output=latency.json. Received: {output!r}"
        )
    cost = cli.FLAGS.cost
    if not (cost_limits.is_cost_name(cost) and cost.endswith("_ms")):
        raise ValueError(
            "--cost is in milliseconds: lower case, a quantity that ends in _ms, such as "
            f"phone_latency_ms. Received: {cost!r}"
        )
    return output


def _space():
    """The workdir and its config or `None`, and space and task of its students, or `None`."""
    from dna_tf.common import checks
    from dna_tf.space import presets, tasks

    flag = cli.FLAGS
    for name in ("image_size", "num_classes"):
        if flag[name].value is not None:
            checks.check_whole(f"--{name}", flag[name].value, 1)
    if flag.space and flag.workdir:
        raise ValueError("--space and --workdir both name a space. Give one of them.")
    if flag.teacher_parts:
        if not flag.workdir or flag.image_size or flag.num_classes:
            raise ValueError(
                "--teacher_parts takes the teacher, the space and the image size of a run: give "
                "--workdir, and neither --image_size nor --num_classes."
            )
        return *cli.open_run(may_create=False), None, None
    if flag.workdir:
        workdir, config = cli.open_run(may_create=False)
        teacher = workdir.teacher_result()
        size, _, channels = teacher["image_shape"]
        classes = flag.num_classes or teacher["num_classes"]
        task = tasks.Task(flag.image_size or size, channels, classes)
        return workdir, config, presets.get_space(config.space), task
    if flag.space:
        space = presets.get_space(flag.space)
        size, classes = flag.image_size or space.image_size, flag.num_classes or 1000
        return None, None, space, tasks.Task(size, 3, classes)
    return None, None, None, None


def _meter(cores):
    flag = cli.FLAGS
    for device, names in _FLAGS_OF_DEVICES.items():
        for name in names:
            if flag.device != device and flag[name].value != flag[name].default:
                raise ValueError(f"--{name} is for --device={device}: give it too.")
    if flag.device == "files":
        if not flag.graphs or not flag.device_name:
            raise ValueError(
                "--device=files needs --graphs=FOLDER, into which the graphs are written, and "
                '--device_name, such as --device_name="iPhone 15, Core ML".'
            )
        from dna_tf.latency import elsewhere

        return elsewhere.TimesMeter(flag.graphs, flag.device_name, flag.times)
    if flag.device == "host":
        from dna_tf.latency import host

        return host.HostMeter(flag.threads, cores, flag.rounds or 30)
    from dna_tf.latency import phones

    phone = phones.connect(flag.adb, flag.serial)
    return phones.AdbMeter(
        phone,
        flag.benchmark_binary,
        flag.threads,
        cores,
        flag.rounds or 3,
        accelerator=flag.accelerator,
    )


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
