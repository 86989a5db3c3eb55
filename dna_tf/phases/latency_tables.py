"""Measures a latency table into its files, resumes it, validates it, and reports on it."""

import dataclasses

from dna_tf.common import checks, files, progress
from dna_tf.latency import graphs, measurements, sessions, tables, validation
from dna_tf.space import op_costs, tasks, zoo

VALIDATION_KIND = "dna_tf.latency_validation"


def find_networks(names, workdir=None, image_size=None, channels=None, num_classes=None):
    """Finds networks to time.

    Args:
        names: names of published networks or of `graphs.KERAS_NETWORKS`, architecture files,
            names of architectures in the workdir, or TFLite files of any network.
        workdir: a `workdirs.Workdir`, or `None`.
        image_size: height and width in pixels; `None` keeps those of each network.
        channels: channels of the images; `None` likewise.
        num_classes: outputs of the classifier; `None` likewise.

    Returns:
        A list of `sessions.TimedNetwork`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no network of that name.
    """
    networks = []
    for name in names:
        if name in graphs.KERAS_NETWORKS:
            task = tasks.Task(image_size or 224, channels or 3, num_classes or 1000)
            sizes = "x".join(map(str, dataclasses.astuple(task)))
            networks.append(sessions.TimedNetwork(name, f"{name} {sizes}", task=task))
        elif name.endswith(".tflite"):
            key = f"file {files.fingerprint(graphs.file_graph(name).hex())}"
            networks.append(sessions.TimedNetwork(name, key, path=name))
        else:
            architecture = _find_architecture(name, workdir)
            architecture = architecture.adapted(num_classes, image_size, channels)
            networks.append(sessions.TimedNetwork.of_architecture(architecture))
    return networks


def _find_architecture(name, workdir):
    if workdir is None and not name.endswith(".json") and name not in zoo.NAMES:
        names = [*zoo.NAMES, *graphs.KERAS_NETWORKS]
        raise ValueError(
            f"There is no network named {name!r}.{checks.near_names(name, names)} Known: "
            f"{names}, architecture files, TFLite files, and with --workdir those of the run."
        )
    return zoo.find(name, None if workdir is None else workdir.architectures)


class TableFile:
    """A latency table in a file, with the session that measures it.

    Args:
        output: path of the table.
        meter: a `host.HostMeter`, `phones.AdbMeter` or `elsewhere.TimesMeter`.
        cost: name of the cost.
        noise: largest spread over median that is not measured again.
        students: the `sessions.RandomStudents`, or `random_assemblies.RandomAssemblies`, to fit
            to; `None` for networks alone.
        precision: one of `graphs.PRECISIONS`, for all networks but files.

    Raises:
        ValueError: the existing table is of another cost, was measured under other conditions,
            is broken, or its measurements are missing.
    """

    def __init__(self, output, meter, cost, noise, students=None, precision="float32"):
        self._output, self._cost, self._noise = files.as_path(output), cost, noise
        self._conditions = {**meter.conditions(), "precision": precision}
        self._measured = measurements.Measurements(
            measurements.path_beside(output), self._conditions
        )
        table = op_costs.load(output) if self._output.exists() else None
        if table is not None:
            self._check_table(table)
        self._session = sessions.Session(self._measured, meter, cost, noise, students, table)

    @property
    def table(self):
        """The table so far, an `op_costs.OpCosts`; `None` before the first one."""
        return self._session.table

    def make_table(self, networks=(), fit=None):
        """Measures what is missing and writes the table; the arguments are `Session`'s.

        Raises:
            sessions.FittedToOthers: the existing table is fitted to other students, and would be
                fitted to these. It is a `ValueError`.
        """
        conditions = self._conditions
        progress.say(
            f"Measuring on {conditions['device']}, {conditions['runtime']}, threads "
            f"{conditions['threads']}, cores {conditions['cores']}"
        )
        keys = self._session.needed_keys(networks)
        num_new = sum(key not in self._measured.parts for key in keys)
        try:
            table = self._session.make_table(networks, fit)
        except sessions.FittedToOthers as error:
            raise sessions.FittedToOthers(
                f"{self._output}: {error} Give another --output, or --fit=0, which keeps the "
                "present fit."
            ) from error
        op_costs.save(table, self._output)
        self._report(num_new)
        self.measure_networks(self._session.whole_networks())

    def untimed(self, networks=(), fit=None, validate=0):
        """The graphs of a table that are not timed yet; the arguments are `Session`'s."""
        return self._session.untimed(networks, fit, validate)

    def measure_networks(self, networks):
        """Times whole networks and prints predicted beside measured; see `Session`."""
        rows = self._session.measure_networks(networks)
        for network, row in zip(networks, rows, strict=True):
            progress.say(f"  {_row_text(row, network.task)}")
        return rows

    def validate(self, count, references=()):
        """Times random students that the fit has not seen; writes and prints the errors.

        Args:
            count: how many.
            references: what `measure_networks` returned: lines in the plot.

        Returns:
            The dict of `validation.compare`.
        """
        rows, students = self._session.validate(count), self._session.students
        names = ("predicted_ms", "measured_ms", "macs")
        predicted, measured, macs = ([row[name] for row in rows] for name in names)
        result = validation.compare(predicted, measured, macs)
        content = {
            "kind": VALIDATION_KIND,
            "device": self.table.device,
            "cost": self._cost,
            "table": op_costs.identity(self.table),
            "seed": students.seed,
            "space": students.space.name,
            "network": list(dataclasses.astuple(students.task)),
            **result,
            "students": rows,
            "references": list(references),
        }
        output = self._output
        files.write_json(output.parent / f"{output.stem}.validation.json", content)
        title = f"{students.space.name} at {students.task.image_size} px, {self._cost}"
        lines = [(row["name"], row["measured_ms"]) for row in references]
        plot = output.parent / f"{output.stem}.validation.svg"
        files.write_text(plot, validation.svg(predicted, measured, macs, title, lines))
        progress.say("\n".join([*validation.lines(result), f"  plot: {plot}"]))
        return result

    def _check_table(self, table):
        if table.cost != self._cost:
            raise ValueError(
                f"The table {self._output} is of {table.cost!r}, asked for is {self._cost!r}. "
                "Give another --output."
            )
        lost = table.entries.keys() - self._measured.parts.keys()
        if lost:
            raise ValueError(
                f"The table {self._output} of {table.device or 'an unknown device'} would lose "
                f"{len(lost)} of its {len(table.entries)} parts: they are not in "
                f"{self._measured.path}, from which tables are made. Put that file beside it "
                "again, or give another --output."
            )

    def _report(self, num_new):
        overhead = tables.Overhead(**self.table.about["overhead"])
        fitted_to = tables.fitted_to(self.table)
        students = tables.students_text(fitted_to) if fitted_to else "students"
        progress.say(
            f"{self._output}: {len(self.table.entries)} parts ({num_new} new), "
            f"{overhead.fixed_ms:.4g} ms + sum of (median x {overhead.scale:.3f} "
            f"{1000 * overhead.per_part_ms:+.3g} us), fitted to {overhead.networks} {students}"
        )
        if not overhead.networks and self.table.entries:
            progress.warn(
                "the table is not fitted to whole networks: sums of parts alone are usually 10 to "
                "25 % off. Make it with --space or --workdir, and --fit above 0."
            )
        noisy = self._measured.noisy
        if noisy:
            worst = sorted(noisy.items(), key=lambda item: -item[1])[:5]
            listed = "; ".join(f"{name} {100 * spread:.0f} %" for name, spread in worst)
            progress.warn(
                f"{len(noisy)} measurements spread by more than {100 * self._noise:.3g} % of their "
                f"median, also when measured again: {listed}. Something else is running, or the "
                "clock changes: measure on an idle machine, with --cores, and delete "
                f"both {self._output} and {self._measured.path} first."
            )


def _row_text(row, task):
    text = row["name"]
    if task is not None:
        text += f" at {task.image_size} px, {task.num_classes} classes"
    text += f": measured {row['measured_ms']:.4g} ms (spread {row['spread_ms']:.2g})"
    if row["predicted_ms"] is not None:
        error = row["predicted_ms"] / row["measured_ms"] - 1
        text += f", predicted {row['predicted_ms']:.4g} ms ({100 * error:+.1f} %)"
    return text + (f", {row['macs'] / 1e6:.4g}M MACs" if row["macs"] is not None else "")
