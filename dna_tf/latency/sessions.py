"""One measuring session: which parts and networks to time, in which order, for one table."""

import collections.abc
import dataclasses
import functools

from dna_tf.common import seeding
from dna_tf.latency import graphs, tables, validation
from dna_tf.space import architectures, op_costs, spaces, tasks

FIT = 20  # networks that a new table is fitted to


class FittedToOthers(ValueError):
    """A table is fitted to students of another space, task or teacher."""


@dataclasses.dataclass(frozen=True)
class TimedNetwork:
    """A whole network to time.

    Args:
        name: its name in reports.
        key: its name in measurements.
        architecture: an `architectures.Architecture`; `None` for others.
        task: its `tasks.Task`; `None` for a file.
        path: the TFLite file; `""` for others.
        macs: its MACs, if it is none of these; `None` if they are not known.
        parts: the keys of its parts then.
        make_graph: a function from a precision to its TFLite file then, as bytes.
    """

    name: str
    key: str
    architecture: architectures.Architecture | None = None
    task: tasks.Task | None = None
    path: str = ""
    macs: int | None = None
    parts: tuple = ()
    make_graph: collections.abc.Callable | None = None

    @classmethod
    def of_architecture(cls, architecture):
        """The network of an `architectures.Architecture`."""
        key = validation.network_key(architecture)
        return cls(architecture.name, key, architecture, architecture.task)


@dataclasses.dataclass(frozen=True)
class RandomStudents:
    """The students that a table is fitted to and validated on.

    Args:
        space: a `spaces.SearchSpace`.
        task: their `tasks.Task`.
        seed: seeds the draws.
    """

    space: spaces.SearchSpace
    task: tasks.Task
    seed: int = 0

    def draw(self, purpose, count, without=(), seed=None):
        """Draws students; another purpose, such as `"fit"`, gives others.

        Returns:
            A list of `architectures.Architecture`, by ascending MACs.
        """
        seed = seeding.derive_seed(self.seed if seed is None else seed, f"latency {purpose}")
        return validation.random_architectures(self.space, self.task, count, seed, without)

    def description(self):
        """Space and task as a dict; the same keys as in `fitted_to` of a table."""
        return {"space": self.space.name, **dataclasses.asdict(self.task)}

    def reference(self):
        """The network that is timed in turns with all others: one of middle size."""
        drawn = self.draw("reference", 3)[1:2] or self.draw("reference", 1)
        return drawn[0]

    def keys(self):
        """The keys of all their parts."""
        return op_costs.space_keys(self.space, self.task)

    def size(self, student):
        """The MACs of a student."""
        return student.costs()["macs"]

    def measured_name(self, student):
        """The name of a student among measured networks."""
        return validation.network_key(student)

    def parts_of(self, student):
        """The keys of the parts of a student in order."""
        return op_costs.network_keys(student)

    def part_graph(self, key, precision):
        """The TFLite file of a part, as bytes."""
        return graphs.part_graph(key, precision=precision)

    def graph(self, student, precision):
        """The TFLite file of a student, as bytes."""
        return graphs.student_graph(student, precision)

    def whole(self):
        """Further networks that a table tells the latency of: none."""
        return []


class Session:
    """Measures what one table needs.

    Args:
        measured: the `measurements.Measurements` so far; its conditions have the `precision`.
        meter: a `host.HostMeter` or `phones.AdbMeter`.
        cost: name of the table's cost.
        noise: largest spread over median that is not measured again.
        students: the `RandomStudents` or `random_assemblies.RandomAssemblies` to fit to; `None`
            for networks alone.
        table: the table to extend, an `op_costs.OpCosts`; `None` for a new one.

    Attributes:
        table: the table so far.
    """

    def __init__(self, measured, meter, cost, noise, students=None, table=None):
        self.measured, self.students, self.table = measured, students, table
        self._meter, self._cost, self._noise = meter, cost, noise
        self._fitted = []

    def needed_keys(self, networks=()):
        """The keys of the parts that a table needs.

        Args:
            networks: `TimedNetwork`s whose parts are needed too.

        Returns:
            A list of keys, as `part_keys` has them, each once.
        """
        keys = []
        if self.students is not None:
            keys += self.students.keys()
        for network in networks:
            if network.architecture is not None:
                keys += op_costs.network_keys(network.architecture)
        return list(dict.fromkeys(keys))

    def untimed(self, networks=(), fit=None, validate=0):
        """All that `make_table`, `measure_networks` and `validate` would time and is not timed yet.

        Args:
            networks, fit: as of `make_table`.
            validate: how many students are to be validated on; 0 for none.

        Returns:
            A dict from the key of a part or the name of a network to a function that returns its
            TFLite file, as bytes.
        """
        students_to_fit, fitted, timed = self._students_to_fit(fit), [], [*networks]
        self._set_reference(networks)
        if self.students is not None:
            if self._are_described_by(students_to_fit) and students_to_fit["students"]:
                count, seed = students_to_fit["students"], students_to_fit["seed"]
                fitted = self.students.draw("fit", count, seed=seed)
            checked = self.students.draw("validate", validate, without=fitted) if validate else []
            timed += [*self.whole_networks(), *map(self._timed, [*fitted, *checked])]
        needed = {
            key: functools.partial(self._part_graph, key)
            for key in self.needed_keys(networks)
            if key not in self.measured.parts
        }
        for network in timed:
            if network.key not in self.measured.networks:
                needed[network.key] = functools.partial(self._graph_of, network)
        return {**self.measured.reference_graph(), **needed} if needed else {}

    def make_table(self, networks=(), fit=None):
        """Measures the missing parts, fits the overhead, and makes the table.

        Args:
            networks: `TimedNetwork`s whose parts are measured too.
            fit: the number of random students to fit to. `None`: as many as the existing table
                was fitted to, or 20 without one. 0: no new fit. The existing fit stays if there
                are no students, and with `None` also if it is to other students but the table
                has all parts of these.

        Returns:
            An `op_costs.OpCosts`, also kept as `table`.

        Raises:
            FittedToOthers: the existing table is fitted to other students, and would be fitted
                to these.
        """
        students_to_fit = self._students_to_fit(fit)
        self._set_reference(networks)
        keys = self.needed_keys(networks)
        self.measured.measure_parts(keys, self._meter, self._part_graph, self._noise)
        overhead = self._overhead(students_to_fit)
        students_to_fit = students_to_fit if overhead.networks else {}
        self.table = tables.make_table(self.measured, overhead, self._cost, students_to_fit)
        return self.table

    def measure_networks(self, networks):
        """Times whole networks.

        Args:
            networks: `TimedNetwork`s; the table has the parts of those with an architecture.

        Returns:
            A list of dicts: `name`, `measured_ms`, `spread_ms`, `predicted_ms` (`None` without
            an architecture) and `macs` (`None` for files, and if they cannot be counted).
        """
        self._time(networks)
        rows = []
        for network in networks:
            entry, predicted, macs = self.measured.networks[network.key], None, network.macs
            if network.parts:
                predicted = self.table.sum_of(network.parts)
            elif network.architecture is not None:
                predicted = self.table.network_cost(network.architecture)
                macs = network.architecture.costs()["macs"]
            elif network.task is not None:
                macs = graphs.keras_macs(network.name, network.task)
            rows.append(
                {
                    "name": network.name,
                    "measured_ms": entry.value,
                    "spread_ms": entry.spread,
                    "predicted_ms": predicted,
                    "macs": macs,
                }
            )
        return rows

    def validate(self, count):
        """Times random students that the fit has not seen.

        Args:
            count: how many.

        Returns:
            A list of dicts, by ascending MACs: `blocks`, `macs`, `predicted_ms` and
            `measured_ms`.
        """
        of = self.students
        students = of.draw("validate", count, without=self._fitted)
        timed = list(map(self._timed, students))
        self._time(timed)
        return [
            {
                "blocks": student.describe(),
                "macs": of.size(student),
                "predicted_ms": self.table.sum_of(of.parts_of(student)),
                "measured_ms": self.measured.networks[network.key].value,
            }
            for student, network in zip(students, timed, strict=True)
        ]

    def whole_networks(self):
        """The `TimedNetwork`s whose latency the table tells besides: the whole teacher."""
        return [] if self.students is None else self.students.whole()

    @property
    def _precision(self):
        return self.measured.conditions["precision"]

    def _part_graph(self, key):
        if self.students is None:
            return graphs.part_graph(key, precision=self._precision)
        return self.students.part_graph(key, self._precision)

    def _time(self, networks):
        """Times the `TimedNetwork`s that are not measured yet."""
        by_key = {network.key: network for network in networks}
        self.measured.measure_networks(
            by_key, self._meter, lambda key: self._graph_of(by_key[key]), self._noise
        )

    def _graph_of(self, network):
        """The TFLite file of a `TimedNetwork`, as bytes."""
        if network.make_graph is not None:
            return network.make_graph(self._precision)
        if network.path:
            return graphs.file_graph(network.path)
        if network.architecture is not None:
            return graphs.student_graph(network.architecture, self._precision)
        return graphs.keras_graph(network.name, network.task, self._precision)

    def _set_reference(self, networks):
        """Takes the reference of the measurements, or a student of middle size."""
        saved = self.measured.reference.get("architecture")
        if saved is not None:
            reference = architectures.Architecture.from_dict(saved)
        elif self.students is not None:
            reference = self.students.reference()
        else:
            candidates = [n.architecture for n in networks if n.architecture is not None]
            if not candidates:
                return
            reference = candidates[0]
        self.measured.set_reference(
            reference.to_dict(), lambda: graphs.student_graph(reference, self._precision)
        )

    def _timed(self, student):
        """A random student as a `TimedNetwork`."""

        def make_graph(precision):
            return self.students.graph(student, precision)

        return TimedNetwork("random", self.students.measured_name(student), make_graph=make_graph)

    def _students_to_fit(self, fit):
        """The students to fit to, as `fitted_to` of a table; the present ones if these stay."""
        present = {} if self.table is None else tables.fitted_to(self.table)
        if self.students is None:
            return present
        new = self.students.description()
        if not present:
            return {**new, "students": FIT if fit is None else fit, "seed": self.students.seed}
        if self._are_described_by(present):
            return {**new, "students": fit, "seed": self.students.seed} if fit else present
        missing = [key for key in self.needed_keys() if key not in self.table.entries]
        if fit or (fit is None and missing):
            raise FittedToOthers(
                f"The table is fitted to {tables.students_text(present)}. Fitted to "
                f"{tables.students_text(new)} its sums for the others would be wrong."
            )
        return present

    def _are_described_by(self, fitted_to):
        new = {"teacher": None, **self.students.description()}
        return all(fitted_to.get(name) == value for name, value in new.items())

    def _overhead(self, students_to_fit):
        whole = self.whole_networks()
        if self.students is None or not self._are_described_by(students_to_fit):
            self._time(whole)
            present = None if self.table is None else self.table.about.get("overhead")
            return tables.Overhead(**present) if present else tables.Overhead()
        count, seed = students_to_fit["students"], students_to_fit["seed"]
        self._fitted = self.students.draw("fit", count, seed=seed) if count else []
        # In turns with the others: alone, a network may meet another moment of the machine.
        self._time([*whole, *map(self._timed, self._fitted)])
        names = list(map(self.students.measured_name, self._fitted))
        return tables.fit(self.measured, map(self.students.parts_of, self._fitted), names)
