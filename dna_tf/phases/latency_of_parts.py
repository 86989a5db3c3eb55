"""Latencies for students that inherit: the teacher of a run, its table, and the student's file."""

import dataclasses

from dna_tf import workdirs
from dna_tf.common import commands, files, formatting, locks, progress
from dna_tf.latency import host, measurements, random_assemblies, sessions, tables
from dna_tf.phases import latency_commands, latency_tables, runs
from dna_tf.search import assembly_problem
from dna_tf.space import assemblies, assembly_costs, op_costs, presets
from dna_tf.teachers import building, cutting, parts

COST = "latency_ms"  # of the table that is measured without being asked for
NOISE = 0.05  # largest spread over median that is not measured again
_FLAG = "--teacher_parts"


def open_teacher(workdir, config):
    """The cut teacher of a run; before it is in the workdir, the one that the config names.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.

    Returns:
        A `cutting.Teacher`.
    """
    if (workdir.teacher / "result.json").exists():
        return runs.open_run(workdir, config).teacher
    section, size = config.teacher, config.data.image_size
    shape = (size, size, config.data.channels)
    network = building.build_teacher(
        section.model,
        shape,
        0,
        preprocessing=section.preprocessing,
        modules=workdirs.modules(workdir, config),
        cuts=tuple(section.cuts),
    )
    return cutting.cut_model(network, section.cuts, shape)


def networks(workdir, config, seed=0):
    """The students that inherit to which a table of a run is fitted.

    Args:
        workdir, config: as for `open_teacher`.
        seed: seeds the draws.

    Returns:
        A `random_assemblies.RandomAssemblies`.
    """
    teacher, space = open_teacher(workdir, config), presets.get_space(config.space)
    return random_assemblies.RandomAssemblies(space, parts.facts(teacher), teacher, seed)


def tables_for(workdir, config, limits, cost_files=(), meter=None):
    """The tables of the latencies that a compression limits or reports.

    Those in files are read. A limit on `latency_ms` without such a file is one on this machine:
    its table is `WORKDIR/latency.json`, which is measured now as far as it is missing.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
        limits: limits as `assembly_problem.limits_of` takes them.
        cost_files: files of op costs.
        meter: a meter for this machine; `None` makes a `host.HostMeter`.

    Returns:
        A list of `op_costs.OpCosts` with all parts of the teacher and of the cells.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a table is missing, or parts in it (the message has the command that measures
            them); or limits cannot be read.
    """
    loaded = [op_costs.load(path) for path in cost_files]
    missing = assembly_costs.check_names(limits, loaded)
    for cost in missing:
        if cost != COST:
            raise ValueError(
                f"There is no cost {cost!r} without a table of it. Measure one, and give its file "
                f"with --cost_file: {_command(workdir, f'--cost={cost}')} (for a phone with "
                "--device=adb and --benchmark_binary=FILE)"
            )
    if not loaded and not missing:
        return []
    drawn = networks(workdir, config)
    any_number = dict.fromkeys([*missing, *(table.cost for table in loaded)], 1.0)
    assembly_problem.limits_of(limits, drawn.facts, any_number)  # before anything is measured
    try:
        assembly_costs.of_tables(loaded, drawn.space, drawn.facts)
    except op_costs.MissingParts as error:
        raise latency_commands.missing_error(error, [f"--workdir={workdir}", _FLAG]) from error
    return [*loaded, *(_own_table(workdir, drawn, meter) for _ in missing)]


def own_path(workdir):
    """The file of the table of this machine."""
    return workdir.path / "latency.json"


def _own_table(workdir, drawn, meter):
    """The table of this machine, measured as far as it is missing."""
    path = own_path(workdir)
    if path.exists():
        table = op_costs.load(path)
        if table.cost == COST and table.entries.keys() >= set(drawn.keys()):
            return table
    progress.say(
        f"\nLatency: the parts of the model and of the cells are timed on this machine, into {path}"
    )
    with locks.hold(path, f"The latency table {path}"):
        file = _table_file(path, meter, COST, drawn)
        try:
            file.make_table()
        except sessions.FittedToOthers as error:
            raise ValueError(
                f"{error} Or measure this model's parts into another file, and give it with "
                f"--cost_file: {_command(workdir)}"
            ) from error
        return file.table


def _table_file(path, meter, cost, drawn=None):
    """A table's file under the conditions of what is in it: threads, cores and precision."""
    beside, precision, threads, cores = measurements.path_beside(path), "float32", 1, None
    if beside.exists():
        conditions = measurements.Measurements(beside).conditions
        precision, threads = conditions.get("precision", precision), conditions.get("threads", 1)
        cores = conditions["cores"] if isinstance(conditions.get("cores"), list) else None
    meter = meter or host.HostMeter(threads, cores)
    return latency_tables.TableFile(path, meter, cost, NOISE, drawn, precision)


def _command(workdir, *arguments):
    return commands.line(
        "latency_table", f"--workdir={workdir}", _FLAG, *arguments, "--output=FILE.json"
    )


def time_student(workdir, name, result, cost_files=(), meter=None):
    """Times the exported file of a student on this machine, beside what its table predicts.

    For a table of another device it prints the command that does so there. What was measured is
    added to `compressed/NAME/result.json`.

    Args:
        workdir: a `workdirs.Workdir`.
        name: the name of the student.
        result: the content of its `result.json`.
        cost_files: the files of op costs that it was searched with.
        meter: as for `tables_for`.

    Returns:
        The result, with `measured_latency` where something was measured.
    """
    used, measured = result.get("cost_files", {}), {}
    for path in dict.fromkeys(map(files.as_path, (*cost_files, own_path(workdir)))):
        if not path.exists():
            continue
        table = op_costs.load(path)
        if used.get(table.cost) != op_costs.identity(table) or not tables.is_measured(table):
            continue
        file = workdir.compressed(name) / f"exports/{_precision(table)}.tflite"
        if not file.exists():
            progress.say(f"{table.cost} is not measured: the student has no file {file}")
        elif _is_of_this_machine(path, table, meter):
            measured[table.cost] = _time(workdir, name, file, path, table, meter)
            _warn_above(measured[table.cost], table.cost, result["limits"])
        else:
            flags = [f"--output={path}", f"--arch={file}", *latency_commands.table_flags(table)]
            line = commands.line("latency_table", *flags, comment=f"on {table.device}")
            progress.say(f"To time the student's file: {line}")
    if measured and result.get("measured_latency") != measured:
        result = {**result, "measured_latency": measured}
        files.write_json(workdir.compressed(name) / "result.json", result)
    return result


def _is_of_this_machine(path, table, meter):
    """Whether a table was measured here, and its measurements are beside it."""
    here = (meter or host.HostMeter()).conditions()["device"]
    return table.device == here and measurements.path_beside(path).exists()


def _precision(table):
    return table.about.get("precision", "float32")


def _time(workdir, name, file, path, table, meter):
    """The measured and the predicted latency of one exported file, as a dict."""
    assembly = assemblies.load(workdir.compressed(name) / "assembly.json")
    (network,) = latency_tables.find_networks([str(file)])
    network = dataclasses.replace(
        network,
        name=f"{name}, {file.name}",
        parts=tuple(assembly_costs.network_keys(assembly)),
        macs=assembly.costs()["macs"],
    )
    progress.say("\nLatency: the student's file, beside the sum of its parts")
    with locks.hold(path, f"The latency table {path}"):
        table_file = _table_file(path, meter, table.cost)
        table_file.make_table([network])
        (row,) = table_file.measure_networks([network])
    return {
        "file": f"exports/{file.name}",
        **{key: row[key] for key in ("measured_ms", "spread_ms", "predicted_ms")},
    }


def _warn_above(row, cost, limits):
    most = limits.get(f"max_{cost}")
    if most is not None and row["measured_ms"] > most:
        less = most * row["predicted_ms"] / row["measured_ms"]
        progress.warn(
            f"the file takes {row['measured_ms']:.4g} ms, above {cost} <= "
            f"{formatting.format_count(most)}: sums of parts are some percent off. If the limit "
            f"must hold, ask for a little less, such as --max_{cost}={less:.3g}."
        )
