"""Graphs are written out, and times that were measured elsewhere are read back."""

import json

import pytest

from dna_tf.latency import elsewhere, measurements
from dna_tf.space import op_costs, part_keys

PART = part_keys.LayerKey("layer", 3, 6, 16, 24, 2, 8, "swish", 0.25)


def _graphs(calls):
    def graph(name):
        calls.append(name)
        return name.encode()

    return {PART: lambda: graph("part"), "net 32x3x10": lambda: graph("net")}


def test_graphs_without_times_are_written_once_and_listed(tmp_path):
    calls, folder = [], tmp_path / "graphs"
    meter = elsewhere.TimesMeter(folder, "a phone")
    missing = meter.write_missing(_graphs(calls))
    assert calls == ["part", "net"] and len(set(missing)) == 2
    assert [(folder / name).read_bytes() for name in missing] == [b"part", b"net"]
    assert (folder / elsewhere.LIST).read_text().splitlines() == [
        "file,what", f"{missing[0]},{PART}", f"{missing[1]},net 32x3x10",
    ]  # fmt: skip
    assert meter.write_missing(_graphs(calls)) == missing and len(calls) == 2
    (tmp_path / "t.csv").write_text(f"file,median_ms\n{missing[0]},1.5\n")
    meter = elsewhere.TimesMeter(folder, "a phone", [tmp_path / "t.csv"])
    assert meter.write_missing(_graphs(calls)) == missing[1:]
    assert meter.measure({PART: b"part"}) == {PART: op_costs.CostEntry(1.5, 1, 0.0)}
    with pytest.raises(ValueError, match=f"1 graphs have no time: {missing[1]}. Time the files"):
        meter.measure({PART: b"part", "net 32x3x10": b"net"})


def test_names_stand_for_parts_and_networks():
    other = part_keys.LayerKey("layer", 3, 6, 16, 24, 2, 4, "swish", 0.25)
    names = {elsewhere.file_name(key) for key in (PART, other, "net", "reference")}
    assert len(names) == 4 and all(name.endswith(".tflite") for name in names)


def test_runs_of_several_devices_are_joined_by_their_median(tmp_path):
    name = elsewhere.file_name(PART)
    (tmp_path / "a.csv").write_text(f"model,file,ms,runs\nX,out/{name},1.0,50\nX,{name},1.2,50\n")
    (tmp_path / "b.json").write_text(json.dumps({name.removesuffix(".tflite"): 1.4}))
    meter = elsewhere.TimesMeter(tmp_path, "farm", [tmp_path / "a.csv", tmp_path / "b.json"])
    # By hand: the median of 1.0, 1.2 and 1.4; half the distance of the quartiles 1.1 and 1.3.
    entry = meter.measure({PART: b""})[PART]
    assert entry.value == pytest.approx(1.2) and entry.spread == pytest.approx(0.1)
    assert entry.repeats == 101


def test_all_fields_are_read(tmp_path):
    (tmp_path / "a.csv").write_text("\ufefffile,median_ms,runs,spread_ms\na,2,30,0.25\nb,3,,\n")
    (tmp_path / "a.json").write_text(
        '{"a.tflite": {"median_ms": 2, "runs": 30, "spread_ms": 0.25}}'
    )
    entry = op_costs.CostEntry(2.0, 30, 0.25)
    assert elsewhere.read_times(tmp_path / "a.csv") == {
        "a.tflite": [entry],
        "b.tflite": [op_costs.CostEntry(3.0, 1, 0.0)],
    }
    assert elsewhere.read_times(tmp_path / "a.json") == {"a.tflite": [entry]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "name,ms\na,1\n", r"t.csv: the first line must name the columns, file and"),
        ("t.csv", "", r"t.csv: the first line must name"),
        ("t.csv", "file,ms\na,1\nb,fast\n", r"t.csv, line 3: ms must be a number.*'fast'"),
        ("t.csv", "file,ms\na,-1\n", r"line 2: ms must be a number of at least 0"),
        ("t.csv", "file,ms\na,0\n", r"line 2: a time in milliseconds above 0 is needed"),
        ("t.csv", "file,ms\na,\n", r"line 2: a time in milliseconds above 0"),
        ("t.csv", "file,ms\na,nan\n", r"line 2: ms must be a number"),
        ("t.json", "[1]", r"t.json must be an object from file names to milliseconds"),
        ("t.json", "{", r"t.json is no JSON file"),
        ("t.json", '{"a": true}', r"t.json, 'a': ms must be a number.*True"),
        ("t.json", '{"a": {"us": 3}}', r"t.json, 'a': a time in milliseconds above 0"),
    ],
)
def test_files_that_are_no_times_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        elsewhere.TimesMeter(tmp_path, "x", [tmp_path / name])
    with pytest.raises(FileNotFoundError, match="no file of times .*absent.csv"):
        elsewhere.TimesMeter(tmp_path, "x", [tmp_path / "absent.csv"])


def test_times_make_measurements(tmp_path):
    calls, folder = [], tmp_path / "graphs"
    all_graphs = {measurements.REFERENCE: lambda: b"ref", **_graphs(calls)}
    names = elsewhere.TimesMeter(folder, "a phone").write_missing(all_graphs)
    lines = [f"{name},{ms}" for name, ms in zip(names, (4.0, 1.0, 5.0), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["file,ms", *lines]))
    meter = elsewhere.TimesMeter(folder, "a phone", [tmp_path / "t.csv"])
    measured = measurements.Measurements(tmp_path / "m.json", meter.conditions())
    measured.set_reference({}, lambda: b"ref")
    measured.measure_parts([PART], meter, lambda key: b"part", noise=0.05)
    measured.measure_networks(["net 32x3x10"], meter, lambda key: b"net", noise=0.05)
    assert measured.parts[PART].value == 1.0 and measured.networks["net 32x3x10"].value == 5.0
    assert measured.drift == [1.0, 1.0]  # a time that is read does not drift
    assert measured.conditions["device"] == "a phone"
