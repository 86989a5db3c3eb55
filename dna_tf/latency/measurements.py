"""Measured latencies as a file that grows: measuring may stop and go on at any time.

It lies beside the table that is made from it (`latency.json`: `latency.measured.json`) and
holds medians as they were measured, of parts and of whole networks, with the conditions
under which all of them were.

Machines and phones drift: by heat, by what else runs. So one network, the reference, is timed
in turns with every group of graphs, and a group's latencies are multiplied by what the
reference took in the first group over what it takes now. Our choice.
"""

import dataclasses

import numpy as np

from dna_tf.common import checks, files, progress
from dna_tf.space import op_costs

KIND = "dna_tf.latency_measurements"
VERSION = 1
GROUP = 16  # graphs that are loaded and timed in turns; after each group the file is written
REFERENCE = "reference"
_TRIES = 2  # how often what is noisy is measured again
_FIELDS = ("kind", "version", "conditions", "states", "parts", "networks", "noisy")
_FIELDS += ("reference", "drift")


def path_beside(table_path):
    """Where the measurements of a table lie."""
    table_path = files.as_path(table_path)
    return table_path.parent / f"{table_path.stem}.measured.json"


class Measured:
    """Latencies measured so far under one set of conditions, in milliseconds.

    Args:
        path: the file; it is read if it is there.
        conditions: as a meter's `conditions()` gives them; `None` takes those of the file.

    Raises:
        FileNotFoundError: there is no file, and no conditions either.
        ValueError: the file is broken, or was measured under other conditions.

    `reference` is `{"architecture": ..., "value": ...}`: the dict of an
    `architectures.Architecture` and what it took in the first group, or empty; `drift` has
    for each group what it took over that.
    """

    def __init__(self, path, conditions=None):
        self.path, self.conditions = files.as_path(path), conditions
        self.parts, self.networks, self.noisy, self.states = {}, {}, {}, []
        self.reference, self.drift = {}, []
        self._make_reference, self._reference_graph = None, None
        if conditions is None or self.path.exists():
            self._read(conditions)

    def set_reference(self, architecture, make_graph):
        """Sets the reference of all that is measured from now on.

        Args:
            architecture: the dict of an `architectures.Architecture`; where the file has a
                reference already it must be that one.
            make_graph: a function that returns its TFLite file; called when it is needed.
        """
        self.reference.setdefault("architecture", architecture)
        self._make_reference = make_graph

    def measure_parts(self, parts, meter, graph_of, bound):
        """Measures the parts that are not there yet; see `_measure`."""
        todo = [part for part in dict.fromkeys(parts) if part not in self.parts]
        self._measure("op", todo, meter, graph_of, bound, self.parts)

    def measure_networks(self, names, meter, graph_of, bound):
        """Measures networks, by any names, that are not there yet."""
        todo = [name for name in dict.fromkeys(names) if name not in self.networks]
        self._measure("network", todo, meter, graph_of, bound, self.networks)

    def _measure(self, unit, todo, meter, graph_of, bound, into):
        """Measures in groups and writes the file after each.

        What spreads by more than `bound` of its median is measured again, up to `_TRIES`
        times; the steadiest measurement stays, and is noted as noisy if it still does.
        """
        if not todo:
            return
        with progress.bar("latency", len(todo), unit) as shown:
            for start in range(0, len(todo), GROUP):
                graphs = {key: graph_of(key) for key in todo[start : start + GROUP]}
                found = self._in_turns(meter, graphs)
                for _ in range(_TRIES):
                    again = [key for key in found if relative_spread(found[key]) > bound]
                    if not again:
                        break
                    repeated = self._in_turns(meter, {key: graphs[key] for key in again})
                    for key, entry in repeated.items():
                        found[key] = min(found[key], entry, key=relative_spread)
                for key, entry in found.items():
                    into[key] = entry
                    if relative_spread(entry) > bound:
                        self.noisy[str(key)] = round(relative_spread(entry), 4)
                self.states.append(meter.state())
                self.save()
                shown.update(len(graphs))

    def _in_turns(self, meter, graphs):
        """Times graphs beside the reference, and takes out by how much that has drifted."""
        if self._make_reference is None:
            return meter.measure(graphs)
        if self._reference_graph is None:
            self._reference_graph = self._make_reference()
        found = meter.measure({REFERENCE: self._reference_graph, **graphs})
        now = found.pop(REFERENCE).value
        drift = now / self.reference.setdefault("value", now)
        self.drift.append(round(drift, 4))
        return {
            key: op_costs.Entry(entry.value / drift, entry.repeats, entry.spread / drift)
            for key, entry in found.items()
        }

    def save(self):
        """Writes the file, atomically."""
        content = {
            "kind": KIND,
            "version": VERSION,
            "conditions": self.conditions,
            "states": self.states[-100:],
            "noisy": self.noisy,
            "reference": self.reference,
            "drift": self.drift[-1000:],
            "parts": [
                {**dataclasses.asdict(part), **dataclasses.asdict(entry)}
                for part, entry in self.parts.items()
            ],
            "networks": {name: dataclasses.asdict(e) for name, e in self.networks.items()},
        }
        files.write_json(self.path, content)

    def _read(self, conditions):
        hint = "Delete it and measure again, or give another --output."
        data = files.read_json(self.path, KIND, hint)
        try:
            if data.get("version") != VERSION:
                raise ValueError(f"It has version {data.get('version')!r}; this reads {VERSION}.")
            data = checks.check_keys("file", data, _FIELDS)
            for given in data["parts"]:
                entry = {name: given.pop(name) for name in ("value", "repeats", "spread")}
                self.parts[op_costs.Part(**given)] = op_costs.Entry(**entry)
            self.networks = {k: op_costs.Entry(**e) for k, e in data["networks"].items()}
            # The checks of op costs hold for these entries as well.
            op_costs.OpCosts("latency_ms", {**self.parts, **self.networks})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"The measurements {self.path} cannot be used: {error} {hint}") from (
                error
            )
        self.noisy, self.states = data["noisy"], data["states"]
        self.reference, self.drift = data["reference"], data["drift"]
        _check_same(self.path, data["conditions"], conditions or data["conditions"], hint)
        self.conditions = data["conditions"]


def summarize(values_ms, repeats):
    """An `op_costs.Entry` of the rounds' values: median, half quartile distance, repeats."""
    low, middle, high = np.percentile(values_ms, (25, 50, 75))
    return op_costs.Entry(float(middle), repeats, float(high - low) / 2)


def relative_spread(entry):
    """The spread of an entry over its median."""
    return entry.spread / entry.value if entry.value else 0.0


def _check_same(path, held, asked, hint):
    names = sorted({*held, *asked})
    other = [f"{n}: {held.get(n)!r} there, {asked.get(n)!r} now" for n in names]
    other = [t for t, n in zip(other, names, strict=True) if held.get(n) != asked.get(n)]
    if other:
        raise ValueError(
            f"The measurements {path} were made under other conditions ({'; '.join(other)}): "
            f"their latencies cannot be added up with new ones. {hint}"
        )
