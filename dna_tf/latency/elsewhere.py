"""Graphs that are timed elsewhere: written into a folder, and their times read back.

For iPhones, farms of devices and microcontrollers: for whatever can time a `.tflite` file. The
name of a file stands for the part or the network in it, so a second start writes nothing again.
"""

import csv
import dataclasses
import io
import json
import math

from dna_tf.common import checks, files
from dna_tf.latency import measurements
from dna_tf.space import op_costs

LIST = "graphs.csv"  # beside the graphs: what each of them is
_MS = ("median_ms", "ms", "mean_ms")  # columns of times; the first that a file has is read
_FIELDS = (*_MS, "runs", "spread_ms")


class TimesMeter:
    """Gives the times that were measured elsewhere, with the methods of `host.HostMeter`.

    Args:
        folder: where the graphs are.
        device: the device in words, such as `"iPhone 15, Core ML"`.
        times: paths of CSV or JSON files with times, as `read_times` reads them. Several times
            of one graph, in one file or in several, are runs of it: their median counts.

    Raises:
        ValueError: a file cannot be read; the message has its name and line.
        FileNotFoundError: a file is missing.
    """

    def __init__(self, folder, device, times=()):
        self._folder, self._device, self._times = files.as_path(folder), device, {}
        for path in times:
            for name, entries in read_times(path).items():
                self._times.setdefault(name, []).extend(entries)

    def conditions(self):
        """A dict of what must be equal for two measurements to belong to one table."""
        return {
            "device": self._device,
            "runtime": "timed elsewhere",
            "threads": "not known",
            "cores": "not known",
        }

    def state(self):
        """A dict of what is known of the device at this moment: nothing."""
        return {}

    def write_missing(self, graphs):
        """Writes the graphs that have no times, and a list of all graphs.

        Args:
            graphs: a dict from the key of a part or the name of a network to a function that
                returns its TFLite file, as bytes.

        Returns:
            The names of the files that have no times.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lines, missing = [("file", "what")], []
        for key, make_graph in graphs.items():
            name = file_name(key)
            lines.append((name, str(key)))
            if name not in self._times:
                missing.append(name)
                if not (self._folder / name).exists():
                    files.write_bytes(self._folder / name, make_graph())
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        files.write_text(self._folder / LIST, text.getvalue())
        return missing

    def measure(self, graphs):
        """Looks up times; see `host.HostMeter.measure`.

        Raises:
            ValueError: a graph has no time.
        """
        missing = [file_name(key) for key in graphs if file_name(key) not in self._times]
        if missing:
            raise ValueError(
                f"{len(missing)} graphs have no time: {checks.some(missing)}. Time the files in "
                f"{self._folder}, and give the times as CSV or JSON."
            )
        return {key: _joined(self._times[file_name(key)]) for key in graphs}


def file_name(key):
    """The name of the file of a part or a network."""
    fields = dataclasses.asdict(key) if dataclasses.is_dataclass(key) else str(key)
    return f"{files.fingerprint(fields)}.tflite"


def read_times(path):
    """Reads times of graphs.

    A CSV file has a header with `file` and one of `median_ms`, `ms` and `mean_ms`, and may have
    `runs` and `spread_ms`; other columns are left alone. A JSON file has for each file a number
    of milliseconds, or an object with these fields.

    Args:
        path: a file that ends in `.csv` or `.json`.

    Returns:
        A dict from the name of a graph's file, without folders, to a list of
        `op_costs.CostEntry` in milliseconds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another form, or a time is no number above 0.
    """
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file of times {str(path)!r}. Expected a CSV file with the columns file "
            "and median_ms, or a JSON file."
        )
    rows = _json_rows(path) if path.suffix == ".json" else _csv_rows(path)
    times = {}
    for place, name, fields in rows:
        name = str(name).replace("\\", "/").rpartition("/")[2]
        name = name if name.endswith(".tflite") else f"{name}.tflite"
        times.setdefault(name, []).append(_entry(f"{path}, {place}", fields))
    return times


def _csv_rows(path):
    """Yields the place, the name and the fields of each row."""
    # Spreadsheets begin a file with a byte order mark.
    reader = csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig")))
    columns = reader.fieldnames or []
    if "file" not in columns or not set(_MS) & set(columns):
        raise ValueError(
            f"{path}: the first line must name the columns, file and median_ms (milliseconds) "
            f"among them. Received: {checks.short_repr(columns)}"
        )
    for row in reader:
        yield f"line {reader.line_num}", row["file"], row


def _json_rows(path):
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} must be an object from file names to milliseconds, or to objects with "
            f"median_ms. Received: {checks.short_repr(content)}"
        )
    for name, value in content.items():
        yield repr(name), name, value if isinstance(value, dict) else {"ms": value}


def _entry(place, fields):
    """A `CostEntry` of the fields of one time; empty fields are left out."""
    texts = {name: fields[name] for name in _FIELDS if fields.get(name) not in (None, "")}
    values = {}
    for name, text in texts.items():
        try:
            values[name] = float(text)
        except (TypeError, ValueError):
            values[name] = math.nan
        if not math.isfinite(values[name]) or values[name] < 0 or isinstance(text, bool):
            raise ValueError(f"{place}: {name} must be a number of at least 0. Received: {text!r}")
    ms = next((values[name] for name in _MS if name in values), 0.0)
    if not ms > 0:
        raise ValueError(
            f"{place}: a time in milliseconds above 0 is needed, in median_ms. Received: {ms}"
        )
    return op_costs.CostEntry(ms, int(values.get("runs", 1)), values.get("spread_ms", 0.0))


def _joined(entries):
    if len(entries) == 1:
        return entries[0]
    repeats = sum(entry.repeats for entry in entries)
    return measurements.summarize([entry.value for entry in entries], repeats)
