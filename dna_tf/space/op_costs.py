"""Costs of single layers, measured or made up: files such as `latency.json`.

A network is taken apart into *parts*: the convolution of the stem, each MBConv, and the head
(1x1 convolution, pooling and classifier). A part is identified by what it computes and by the
size of its input. A file has one entry for each distinct part and a `fixed` cost of every
network (what calling it costs, say); the cost of a network is their sum. A file is valid for
every space, network and resolution whose parts it contains. The parts of a teacher have keys of
their own (`teacher_parts.py`); a file with such parts has version 2, all others have version 1.

    {"kind": "dna_tf.op_costs", "version": 1,
     "cost": "latency_ms", "device": "...", "runtime": "...", "about": {...},
     "fixed": 0.4,
     "entries": [
      {"part": "layer", "kernel": 3, "expand": 6, "in_width": 16, "out_width": 24,
       "stride": 2, "size": 112, "activation": "swish", "se_ratio": 0.25,
       "value": 1.31, "repeats": 50, "spread": 0.02}, ...]}

`size` is height and width of the part's input in pixels. `repeats` and `spread` (in the unit of
the cost) are optional and say how an entry was measured. `device`, `runtime` and `about` say
where; nothing is computed from them.
"""

import dataclasses

import numpy as np

from dna_tf.common import checks, files, records
from dna_tf.space import cost_limits, cost_tables, network_layers, part_keys

KIND = "dna_tf.op_costs"
_MOST_COST = 1e100  # of what is no mistake; sums stay finite
_FIELDS = ("kind", "version", "cost", "device", "runtime", "about", "fixed", "entries")
_MEASURED = ("repeats", "spread")  # of an entry, besides its value
_CHECK_HEAD = records.table(
    {
        "device": records.text,
        "runtime": records.text,
        "about": records.table(
            {
                "threads": records.whole(),
                "precision": records.text,
                "overhead": records.table({}),
                "teachers": records.mapping_of(records.number(0)),
            }
        ),
    }
)
_HINT = "A file of op costs is JSON; the documentation of dna_tf.space.op_costs shows its form."


def space_keys(space, task):
    """The keys of all parts that networks of a space have: what a table must contain.

    Args:
        space: a `spaces.SearchSpace`.
        task: the `tasks.Task`: size of the images and number of classes.

    Returns:
        A list of `part_keys.LayerKey`, stem first, each once.
    """
    layers = network_layers.space_layers(space, task).all()
    return list(dict.fromkeys(map(part_keys.layer_key, layers)))


def network_keys(architecture):
    """The keys of the parts of an `architectures.Architecture` in order, stem first.

    Returns:
        A list of `part_keys.LayerKey`; equal ones are in it as often as they occur.
    """
    return [part_keys.layer_key(layer) for layer in network_layers.layers(architecture)]


class MissingParts(ValueError):
    """A table of op costs does not contain parts of a network or a space.

    Args:
        table: the `OpCosts`.
        parts: the `part_keys.LayerKey`s of all parts that are needed.
        owner: what they belong to, such as `"the space 'dna' at 224 px"`.
        hint: a sentence about the reason, after a space; `""` for none.

    Attributes:
        table: the `OpCosts`.
        parts: a list of the `part_keys.LayerKey`s that it does not contain.
    """

    def __init__(self, table, parts, owner, hint=""):
        needed = dict.fromkeys(parts)
        self.table = table
        self.parts = [key for key in needed if key not in table.entries]
        super().__init__(
            f"The file of {table.cost!r} is missing {len(self.parts)} of {len(needed)} parts of "
            f"{owner}: {checks.some([str(key) for key in self.parts], separator='; ')}. It has "
            f"{len(table.entries)} parts, for images of {table.sizes_text()} px.{hint}"
        )


@dataclasses.dataclass(frozen=True)
class CostEntry:
    """The cost of a part or of a whole network.

    Args:
        value: the cost, at least 0.
        repeats: how often it was measured; `None` if that is not known.
        spread: spread of the measurements, in the unit of the cost; `None` if not known.
    """

    value: float
    repeats: int | None = None
    spread: float | None = None


@dataclasses.dataclass(frozen=True)
class OpCosts:
    """The content of a file of op costs.

    Args:
        cost: the cost's name with its unit, such as `"latency_ms"`.
        entries: a dict from `part_keys.LayerKey` or `teacher_parts.TeacherKey` to `CostEntry`.
        fixed: the cost of every network besides its parts.
        device: where it was measured.
        runtime: what ran it.
        about: more about how it was made, JSON-able.
    """

    cost: str
    entries: dict
    fixed: float = 0.0
    device: str = ""
    runtime: str = ""
    about: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if not isinstance(self.cost, str) or not cost_limits.is_cost_name(self.cost):
            raise ValueError(
                "The name of a cost is lower case and ends in its unit, such as 'latency_ms'. "
                f"Received: {self.cost!r}"
            )
        if self.cost in cost_tables.COSTS:
            raise ValueError(f"{self.cost!r} is counted by dna_tf. Give the cost another name.")
        if not _is_cost(self.fixed):
            raise ValueError(f"fixed must be finite and at least 0. Received: {self.fixed!r}")
        bad = [f"{key}: {entry.value!r}" for key, entry in self.entries.items() if not _ok(entry)]
        if bad:
            raise ValueError(
                f"Costs {self.cost!r} must be finite numbers of at least 0, repeats and spreads "
                f"too. Received for {checks.some(bad, separator='; ')}"
            )

    def sizes_text(self):
        """The sizes in pixels of the images that it has parts for, as text."""
        sizes = sorted({key.size for key in self.entries if key.part == "stem"})
        return ", ".join(map(str, sizes)) or "no known"

    def path_costs(self, space, task):
        """The cost of every path of a space, for a search problem.

        Args:
            space: a `spaces.SearchSpace`.
            task: the `tasks.Task`: size of the images and number of classes.

        Returns:
            A `cost_tables.PathCosts`.

        Raises:
            MissingParts: parts of the space are not in the table.
        """
        layers = network_layers.space_layers(space, task)
        owner = f"the space {space.name!r} at {task.image_size} px with {task.num_classes} classes"
        self.check_contains(map(part_keys.layer_key, layers.all()), owner)
        paths = {}
        for key, cell in layers.cells.items():
            costs = [[self._cost(layer) for layer in candidates] for candidates in cell]
            paths[key] = cost_tables.path_sums(costs, np.float64)
        stem = self.fixed
        for layer in layers.stem:
            stem = stem + self._cost(layer)
        heads = {width: self._cost(head) for width, head in layers.heads.items()}
        return cost_tables.PathCosts(self.cost, paths, float(stem), heads)

    def network_cost(self, architecture):
        """The cost of one network.

        Args:
            architecture: an `architectures.Architecture`.

        Raises:
            MissingParts: parts of it are not in the table.
        """
        keys = network_keys(architecture)
        self.check_contains(keys, f"the architecture {architecture.name!r}")
        return self.sum_of(keys)

    def sum_of(self, keys):
        """The cost of a network with parts of these keys, all of which are in the table."""
        return self.fixed + sum(self.entries[key].value for key in keys)

    def check_contains(self, keys, owner, hint=""):
        """Checks that the table has an entry for each key.

        Args:
            keys: `part_keys.LayerKey`s and `teacher_parts.TeacherKey`s.
            owner, hint: for the message, as `MissingParts` takes them.

        Raises:
            MissingParts: it has not.
        """
        keys = list(keys)
        if not self.entries.keys() >= set(keys):
            raise MissingParts(self, keys, owner, hint)

    def _cost(self, layer):
        return self.entries[part_keys.layer_key(layer)].value


def identity(table):
    """A fingerprint of everything that a search reads from an `OpCosts`."""
    entries = [[*part_keys.fields_of(key).values(), e.value] for key, e in table.entries.items()]
    return files.fingerprint([table.cost, table.fixed, sorted(entries)])


def save(table, path):
    """Writes an `OpCosts` to a file, atomically."""
    entries = []
    for key, entry in table.entries.items():
        values = {k: v for k, v in dataclasses.asdict(entry).items() if v is not None}
        entries.append({**part_keys.fields_of(key), **values})
    head = {k: getattr(table, k) for k in ("cost", "device", "runtime", "about", "fixed")}
    version = part_keys.version_of(table.entries)
    files.write_json(path, {"kind": KIND, "version": version, **head, "entries": entries})


def load(path):
    """Reads a file of op costs.

    Returns:
        An `OpCosts`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, foreign or of another version; an entry is unknown,
            repeated, negative or not a number.
    """
    data = files.read_json(path, KIND, _HINT)
    try:
        part_keys.check_version(data)
        data = checks.check_keys("file", data, ("kind", "version", "cost", "entries"), _FIELDS)
        entries = {}
        for number, item in enumerate(checks.check_sequence("entries", data["entries"]), 1):
            key, entry = _read_entry(number, item)
            if key in entries:
                raise ValueError(f"Entry {number} repeats {key}.")
            entries[key] = entry
        _CHECK_HEAD(data, "")
        rest = {k: data[k] for k in ("fixed", "device", "runtime", "about") if k in data}
        return OpCosts(data["cost"], entries, **rest)
    except ValueError as error:
        raise ValueError(f"The file of op costs {path} cannot be used. {checks.cut(error)}") from (
            error
        )


def _read_entry(number, item):
    what = f"entry {number}"
    item = checks.check_keys(what, item, ("part", "value"), (*part_keys.FIELDS, *_MEASURED))
    values = {name: item.get(name) for name in ("value", *_MEASURED)}
    fields = {name: value for name, value in item.items() if name not in values}
    return part_keys.read_key(fields, what), CostEntry(**values)


def _is_cost(value):
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return good and 0 <= value <= _MOST_COST  # NaN fails this comparison too


def _ok(entry):
    rest = [v for v in (entry.repeats, entry.spread) if v is not None]
    return all(_is_cost(value) for value in (entry.value, *rest))
