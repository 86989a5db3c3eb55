"""From a meter to a table: what to measure, in which order, and what is told of it."""

import dataclasses
import functools

from dna_tf.common import checks, files, progress, seeding
from dna_tf.latency import commands, graphs, measurements, tables, validation
from dna_tf.space import architectures, op_costs, tasks, zoo

VALIDATION_KIND = "dna_tf.latency_validation"
FIT = 20  # students that a new table is fitted to


@dataclasses.dataclass(frozen=True)
class Network:
    """A network to measure whole.

    Args:
        name: how reports call it.
        key: its name in measurements.
        architecture: an `architectures.Architecture`; `None` for others.
        task: its `tasks.Task`; `None` for a file.
        path: the TFLite file, of a file.
    """

    name: str
    key: str
    architecture: object
    task: tasks.Task | None
    path: str = ""


def find_networks(names, workdir=None, image_size=None, channels=None, num_classes=None):
    """Finds networks by what a user calls them, for an input size and classes.

    Args:
        names: published names, those of `graphs.KERAS_NETWORKS`, architecture
            files, architectures of the workdir, or TFLite files of any network.
        workdir: a `workdirs.Workdir`, or `None`.
        image_size: `None` keeps that of each network.
        channels: likewise.
        num_classes: likewise.

    Returns:
        A list of `Network`.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: nothing has that name.
    """
    found = []
    for name in names:
        if name in graphs.KERAS_NETWORKS:
            task = tasks.Task(image_size or 224, channels or 3, num_classes or 1000)
            sizes = "x".join(map(str, dataclasses.astuple(task)))
            found.append(Network(name, f"{name} {sizes}", None, task))
            continue
        if name.endswith(".tflite"):
            key = f"file {files.fingerprint(graphs.file_graph(name).hex())}"
            found.append(Network(name, key, None, None, name))
            continue
        if workdir is None and not name.endswith(".json") and name not in zoo.NAMES:
            known = [*zoo.NAMES, *graphs.KERAS_NETWORKS]
            raise ValueError(
                f"There is no network named {name!r}.{checks.near_names(name, known)} Known: "
                f"{known}, architecture files, TFLite files, and with --workdir those of the run."
            )
        one = zoo.find(name, workdir).adapted(num_classes, image_size, channels)
        found.append(Network(one.name, validation.network_key(one), one, one.task))
    return found


class Session:
    """One table and its meter.

    Args:
        output: path of the table.
        meter: a `host.HostMeter` or `phones.AdbMeter`.
        cost: name of the cost.
        noise: largest spread over median that is not measured again.
        space: a `spaces.SearchSpace`, or `None`.
        task: the `tasks.Task` of its students, or `None`.
        seed: seeds the random students.
        precision: of `graphs.PRECISIONS`, of all but files.

    Raises:
        ValueError: what is there was measured under other conditions, or is broken, or its
            measurements are not beside it.
    """

    def __init__(
        self, output, meter, cost, noise, space=None, task=None, seed=0, precision="float32"
    ):
        self._output, self._meter, self._cost, self._noise = output, meter, cost, noise
        self._space, self._task, self._seed = space, task, seed
        self._fitted, self._precision = [], precision
        beside = measurements.path_beside(output)
        conditions = {**meter.conditions(), "precision": precision}
        self._measured = measurements.Measured(beside, conditions)
        self._held, self._held_fit = None, {}
        if files.as_path(output).exists():
            self._held = op_costs.load(output)
            if self._held.cost != cost:
                raise ValueError(
                    f"The table {output} is of {self._held.cost!r}, asked for is {cost!r}. Give "
                    "another --output."
                )
            lost = self._held.entries.keys() - self._measured.parts.keys()
            if lost:
                raise ValueError(
                    f"The table {output} of {self._held.device or 'an unknown device'} would lose "
                    f"{len(lost)} of its {len(self._held.entries)} parts: they are not in "
                    f"{beside}, from which tables are made. Put that file beside it again, or "
                    "give another --output."
                )
            self._held_fit = commands.fitted_to(self._held)
        self.table = None

    def make_table(self, networks=(), fit=None):
        """Measures what is missing, fits what sums leave out, and writes the table.

        Args:
            networks: `Network`s whose parts are measured too.
            fit: how many random students of the space to fit to; `None` takes as many as
                the table that is there was fitted to, or else 20; 0 fits none anew.
                Without a space the fit of the table that is there stays, and with
                `None` where it is of another space and has all parts of this one.

        Raises:
            ValueError: the table that is there is fitted to another space or size, and
                would be fitted to this one.
        """
        parts = [] if self._space is None else op_costs.needed_parts(self._space, self._task)
        fit_to = self._fit_to(fit, parts)
        told = self._meter.conditions()
        progress.say(
            f"Measuring on {told['device']}, {told['runtime']}, threads {told['threads']}, "
            f"cores {told['cores']}"
        )
        for one in networks:
            if one.architecture is not None:
                parts.extend(tables.architecture_parts(one.architecture))
        self._set_reference(networks)
        known = sum(part in self._measured.parts for part in dict.fromkeys(parts))
        graph = functools.partial(graphs.part_graph, precision=self._precision)
        self._measured.measure_parts(parts, self._meter, graph, self._noise)
        overhead = self._overhead(fit_to)
        fit_to = fit_to if overhead.networks else {}
        self.table = tables.make(self._measured, overhead, self._cost, fit_to)
        op_costs.save(self.table, self._output)
        self._tell(overhead, len(dict.fromkeys(parts)), known)

    def validate(self, count, references=()):
        """Measures random students that the fit has not seen; writes and says the errors.

        Args:
            count: how many.
            references: what `measure_networks` returned; they are lines in the plot.

        Returns:
            What `validation.compare` finds.
        """
        students = self._random("validate", count, without=self._fitted)
        measured = [entry.value for entry in self._measure_students(students)]
        predicted = [tables.predict(self.table, one) for one in students]
        macs = [one.costs()["macs"] for one in students]
        found = validation.compare(predicted, measured, macs)
        output = files.as_path(self._output)
        rows = [
            {"blocks": one.describe(), "macs": m, "predicted_ms": p, "measured_ms": t}
            for one, m, p, t in zip(students, macs, predicted, measured, strict=True)
        ]
        content = {
            "space": self._space.name,
            "network": list(dataclasses.astuple(self._task)),
            **found,
        }
        told = {"kind": VALIDATION_KIND, "device": self.table.device, "cost": self._cost}
        table = op_costs.identity(self.table)
        networks = {"students": rows, "references": list(references)}
        files.write_json(
            output.parent / f"{output.stem}.validation.json",
            {**told, "table": table, "seed": self._seed, **content, **networks},
        )
        title = f"{self._space.name} at {self._task.image_size} px, {self._cost}"
        plot = output.parent / f"{output.stem}.validation.svg"
        lines = [(one["name"], one["measured_ms"]) for one in references]
        files.write_text(plot, validation.svg(predicted, measured, macs, title, lines))
        progress.say("\n".join([*validation.lines(found), f"  plot: {plot}"]))
        return found

    def measure_networks(self, networks):
        """Measures networks whole and says predicted beside measured.

        Returns:
            A list of dicts: `name`, `measured_ms`, `spread_ms`, `predicted_ms` (`None` for
            networks of Keras and files) and `macs` (`None` of files, and where they cannot
            be counted).
        """
        by_key = {one.key: one for one in networks}

        def graph(key):
            one = by_key[key]
            if one.path:
                return graphs.file_graph(one.path)
            if one.architecture is not None:
                return self._student_graph(one.architecture)
            return graphs.keras_graph(one.name, one.task, precision=self._precision)

        self._measured.measure_networks(by_key, self._meter, graph, self._noise)
        rows = []
        for one in networks:
            entry = self._measured.networks[one.key]
            row = {"name": one.name, "measured_ms": entry.value, "spread_ms": entry.spread}
            row |= {"predicted_ms": None, "macs": None}
            if one.architecture is not None:
                row["predicted_ms"] = tables.predict(self.table, one.architecture)
                row["macs"] = one.architecture.costs()["macs"]
            elif one.task is not None:
                row["macs"] = graphs.keras_macs(one.name, one.task)
            rows.append(row)
            progress.say(f"  {_row_text(row, one.task)}")
        return rows

    def _set_reference(self, networks):
        """The reference that the measurements have, or a student of middle size."""
        held = self._measured.reference.get("architecture")
        if held is not None:
            one = architectures.Architecture.from_dict(held)
        elif self._space is not None:
            one = self._random("reference", 3)[1:2] or self._random("reference", 1)
            one = one[0]
        else:
            there = [n.architecture for n in networks if n.architecture is not None]
            if not there:
                return  # nothing but networks of Keras
            one = there[0]
        self._measured.set_reference(one.to_dict(), lambda: self._student_graph(one))

    def _student_graph(self, architecture):
        return graphs.student_graph(architecture, self._precision)

    def _random(self, purpose, count, without=(), seed=None):
        seed = self._seed if seed is None else seed
        seed = seeding.derive_seed(seed, f"latency {purpose}")
        return validation.random_architectures(
            self._space, self._task, count, seed, without=without
        )

    def _measure_students(self, students):
        by_key = {validation.network_key(one): one for one in students}
        self._measured.measure_networks(
            by_key,
            self._meter,
            lambda key: self._student_graph(by_key[key]),
            self._noise,
        )
        return [self._measured.networks[key] for key in by_key]

    def _fit_to(self, fit, parts):
        """What to fit to, as `tables.make` has it; what is there where that stays."""
        held = self._held_fit
        if self._space is None:
            return held
        here = self._fitted_here()
        if not held:
            return {**here, "students": FIT if fit is None else fit, "seed": self._seed}
        if self._is_of_space(held):
            return {**here, "students": fit, "seed": self._seed} if fit else held
        missing = [part for part in parts if part not in self._held.entries]
        if fit or (fit is None and missing):
            raise ValueError(
                f"The table {self._output} is fitted to {commands.fit_text(held)}. "
                f"Fitted to {commands.fit_text(here)} its sums for the others would be "
                "wrong. Give another --output, or --fit=0: the fit that is there stays."
            )
        return held

    def _fitted_here(self):
        return {"space": self._space.name, **dataclasses.asdict(self._task)}

    def _is_of_space(self, fit_to):
        return all(fit_to.get(name) == value for name, value in self._fitted_here().items())

    def _overhead(self, fit_to):
        if self._space is None or not self._is_of_space(fit_to):
            held = None if self._held is None else self._held.about.get("overhead")
            return tables.Overhead(**held) if held else tables.Overhead()
        count = fit_to["students"]
        self._fitted = self._random("fit", count, seed=fit_to["seed"]) if count else []
        self._measure_students(self._fitted)
        keys = [validation.network_key(one) for one in self._fitted]
        return tables.fit(self._measured, self._fitted, keys)

    def _tell(self, overhead, parts, known):
        held = commands.fitted_to(self.table)
        fitted = commands.fit_text(held) if held else "students"
        fitted = f"{overhead.networks} {fitted}"
        progress.say(
            f"{self._output}: {len(self.table.entries)} parts ({parts - known} new), "
            f"{overhead.fixed_ms:.4g} ms + sum of (median x {overhead.scale:.3f} "
            f"{1000 * overhead.per_part_ms:+.3g} us), fitted to {fitted}"
        )
        if not overhead.networks and self.table.entries:
            progress.warn(
                "the table is not fitted to whole networks: sums of parts alone usually lie 10 to "
                "25 % off. Make it with --space or --workdir, and --fit above 0."
            )
        noisy = self._measured.noisy
        if noisy:
            worst = sorted(noisy.items(), key=lambda item: -item[1])[:5]
            shown = "; ".join(f"{name} {100 * spread:.0f} %" for name, spread in worst)
            progress.warn(
                f"{len(noisy)} measurements spread by more than {100 * self._noise:.3g} % of their "
                f"median, also when measured again: {shown}. Something else is running, or the "
                "clock changes: measure on an idle machine, with --cores, and delete "
                f"both {self._output} and {self._measured.path} first."
            )


def _row_text(row, task):
    predicted, text = row["predicted_ms"], row["name"]
    if task is not None:
        text += f" at {task.image_size} px, {task.num_classes} classes"
    text += ": measured "
    text += f"{row['measured_ms']:.4g} ms (spread {row['spread_ms']:.2g})"
    if predicted is not None:
        error = predicted / row["measured_ms"] - 1
        text += f", predicted {predicted:.4g} ms ({100 * error:+.1f} %)"
    return text + (f", {row['macs'] / 1e6:.4g}M MACs" if row["macs"] is not None else "")
