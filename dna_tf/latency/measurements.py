"""The measurements behind a latency table, saved as they are made, so that measuring can resume.

The file lies beside the table (`latency.json`: `latency.measured.json`). It holds the medians as
they were measured, of parts and of whole networks, with the conditions of all of them.

Machines and phones drift: they get hot, and other programs run. So one network, the reference,
is timed in turns with every group of graphs. The latencies of a group are multiplied by the
latency of the reference in the first group over its latency in this one.
"""

import dataclasses

import numpy as np

from dna_tf.common import checks, files, progress, records
from dna_tf.space import op_costs, part_keys

KIND = "dna_tf.latency_measurements"
GROUP = 16  # graphs that are loaded and timed in turns; the file is written after each group
REFERENCE = "reference"
_TRIES = 2  # how often a noisy measurement is repeated
_FIELDS = ("kind", "version", "conditions", "states", "parts", "networks", "noisy")
_FIELDS += ("reference", "drift")
_ENTRY = {
    "value": records.number(0),
    "repeats": records.optional(records.whole()),
    "spread": records.optional(records.number(0)),
}
_CHECK = records.table(
    {
        "conditions": records.mapping_of(records.anything),
        "states": records.list_of(records.mapping_of(records.anything)),
        "parts": records.list_of(records.table(_ENTRY)),
        "networks": records.mapping_of(records.table(_ENTRY)),
        "noisy": records.mapping_of(records.number(0)),
        "reference": records.table(
            {"architecture": records.mapping_of(records.anything), "value": records.number(0)}
        ),
        "drift": records.list_of(records.number(0)),
    }
)


def path_beside(table_path):
    """The path of the measurements of a table."""
    table_path = files.as_path(table_path)
    return table_path.parent / f"{table_path.stem}.measured.json"


class Measurements:
    """Latencies measured so far under one set of conditions, in milliseconds.

    Args:
        path: the file; it is read if it exists.
        conditions: as `conditions()` of a meter returns them; `None` takes those of the file.

    Attributes:
        parts: a dict from the key of a part to `op_costs.CostEntry`.
        networks: a dict from the name of a network to its `op_costs.CostEntry`.
        noisy: a dict from the text of a part or the name of a network to its relative spread,
            for those that stayed noisy.
        states: for each group, what `state()` of the meter returned.
        reference: `{"architecture": ..., "value": ...}`: the dict of an
            `architectures.Architecture` and its latency in the first group; or empty.
        drift: for each group, the latency of the reference over that of the first group.

    Raises:
        FileNotFoundError: neither a file nor conditions exist.
        ValueError: the file is broken, or was measured under other conditions.
    """

    def __init__(self, path, conditions=None):
        self.path, self.conditions = files.as_path(path), conditions
        self.parts, self.networks, self.noisy, self.states = {}, {}, {}, []
        self.reference, self.drift = {}, []
        self._make_reference, self._reference_graph = None, None
        if conditions is None or self.path.exists():
            self._read(conditions)

    def set_reference(self, architecture, make_graph):
        """Sets the reference of everything that is measured from now on.

        Args:
            architecture: the dict of an `architectures.Architecture`; if the file has a
                reference already, it must be that one.
            make_graph: a function that returns its TFLite file; called when first needed.
        """
        self.reference.setdefault("architecture", architecture)
        self._make_reference = make_graph

    def reference_graph(self):
        """A dict from `REFERENCE` to the function that makes its graph; empty without one."""
        return {} if self._make_reference is None else {REFERENCE: self._make_reference}

    def measure_parts(self, keys, meter, make_graph, noise):
        """Measures the parts that are not measured yet.

        Args:
            keys: keys of parts, as `part_keys` has them.
            meter: a `host.HostMeter` or `phones.AdbMeter`.
            make_graph: a function from a key to a TFLite file, as bytes.
            noise: largest spread over median that is not measured again.
        """
        todo = [key for key in dict.fromkeys(keys) if key not in self.parts]
        self._measure("op", todo, meter, make_graph, noise, self.parts)

    def measure_networks(self, names, meter, make_graph, noise):
        """Measures the networks, under any names, that are not measured yet.

        The arguments are those of `measure_parts`, with names in place of keys.
        """
        todo = [name for name in dict.fromkeys(names) if name not in self.networks]
        self._measure("network", todo, meter, make_graph, noise, self.networks)

    def _measure(self, unit, todo, meter, make_graph, noise, entries):
        """Measures in groups and writes the file after each.

        A measurement with more noise is repeated up to `_TRIES` times; the steadiest one is
        kept, and listed in `noisy` if it has still more.
        """
        if not todo:
            return
        with progress.bar("latency", len(todo), unit) as bar:
            for start in range(0, len(todo), GROUP):
                graphs = {key: make_graph(key) for key in todo[start : start + GROUP]}
                group = self._in_turns(meter, graphs)
                for _ in range(_TRIES):
                    noisy = [key for key in group if relative_spread(group[key]) > noise]
                    if not noisy:
                        break
                    repeated = self._in_turns(meter, {key: graphs[key] for key in noisy})
                    for key, entry in repeated.items():
                        group[key] = min(group[key], entry, key=relative_spread)
                for key, entry in group.items():
                    entries[key] = entry
                    if relative_spread(entry) > noise:
                        self.noisy[str(key)] = round(relative_spread(entry), 4)
                self.states.append(meter.state())
                self.save()
                bar.update(len(graphs))

    def _in_turns(self, meter, graphs):
        """Times graphs together with the reference, and divides by its drift."""
        if self._make_reference is None:
            return meter.measure(graphs)
        if self._reference_graph is None:
            self._reference_graph = self._make_reference()
        entries = meter.measure({REFERENCE: self._reference_graph, **graphs})
        now = entries.pop(REFERENCE).value
        drift = now / self.reference.setdefault("value", now)
        self.drift.append(round(drift, 4))
        return {
            key: op_costs.CostEntry(entry.value / drift, entry.repeats, entry.spread / drift)
            for key, entry in entries.items()
        }

    def save(self):
        """Writes the file, atomically."""
        content = {
            "kind": KIND,
            "version": part_keys.version_of(self.parts),
            "conditions": self.conditions,
            "states": self.states[-100:],
            "noisy": self.noisy,
            "reference": self.reference,
            "drift": self.drift[-1000:],
            "parts": [
                {**dataclasses.asdict(key), **dataclasses.asdict(entry)}
                for key, entry in self.parts.items()
            ],
            "networks": {name: dataclasses.asdict(e) for name, e in self.networks.items()},
        }
        files.write_json(self.path, content)

    def _read(self, conditions):
        hint = "Delete it and measure again, or measure into another file."
        data = files.read_json(self.path, KIND, hint)
        try:
            part_keys.check_version(data)
            data = checks.check_keys("file", data, _FIELDS)
            _CHECK(data, "")
            for item in data["parts"]:
                entry = {name: item.pop(name) for name in ("value", "repeats", "spread")}
                self.parts[part_keys.read_key(item, "a part")] = op_costs.CostEntry(**entry)
            self.networks = {k: op_costs.CostEntry(**e) for k, e in data["networks"].items()}
            # The checks of a table apply to these entries too.
            op_costs.OpCosts("latency_ms", {**self.parts, **self.networks})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"The measurements {self.path} cannot be used: {checks.cut(error)} {hint}"
            ) from error
        self.noisy, self.states = data["noisy"], data["states"]
        self.reference, self.drift = data["reference"], data["drift"]
        _check_same(self.path, data["conditions"], conditions or data["conditions"], hint)
        self.conditions = data["conditions"]


def summarize(values_ms, repeats):
    """Summarises the values of several rounds.

    Returns:
        An `op_costs.CostEntry` with the median, the repeats, and half the interquartile range.
    """
    low, middle, high = np.percentile(values_ms, (25, 50, 75))
    return op_costs.CostEntry(float(middle), repeats, float(high - low) / 2)


def relative_spread(entry):
    """The spread of an `op_costs.CostEntry` over its median."""
    return entry.spread / entry.value if entry.value else 0.0


def _check_same(path, old, new, hint):
    differences = [
        f"{name}: {old.get(name)!r} there, {new.get(name)!r} now"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if differences:
        raise ValueError(
            f"The measurements {path} were made under other conditions "
            f"({'; '.join(differences)}): their latencies cannot be added to new ones. {hint}"
        )
