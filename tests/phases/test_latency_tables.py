"""Tables in files: measured, resumed, extended, validated; whole networks; refused conditions."""

import dataclasses
import json

import pytest

from dna_tf.latency import graphs, measurements, sessions, validation
from dna_tf.phases import latency_tables
from dna_tf.space import op_costs, presets, tasks

SPACE = presets.PRESETS["digits"]
TASK = tasks.Task(32, 3, 10)


def _part_ms(key):
    # Not a function of MACs: kernels cost, small maps cost as much as large ones.
    return 0.003 + 0.002 * key.kernel * key.expand + 0.0002 * key.out_width


class FakeMeter:
    """Takes graphs that are latencies, and gets slower by `drift` from call to call."""

    def __init__(self, drift=0.0):
        self.asked, self.drift, self.slower = [], drift, 1.0

    def conditions(self):
        return {"device": "made up", "runtime": "none 1", "threads": 1, "cores": "any"}

    def state(self):
        return {"load_average": 0.1}

    def measure(self, latencies):
        self.asked.extend(key for key in latencies if key != measurements.REFERENCE)
        self.slower += self.drift
        return {key: op_costs.CostEntry(ms * self.slower, 9, 0.0) for key, ms in latencies.items()}


@pytest.fixture
def fake_graphs(monkeypatch):
    """Replaces TFLite files by latencies: of networks 0.1 ms and 90 % of the sum of the parts."""

    def network_ms(architecture, precision):
        return 0.1 + 0.9 * sum(map(_part_ms, op_costs.network_keys(architecture)))

    monkeypatch.setattr(graphs, "part_graph", lambda key, precision: _part_ms(key))
    monkeypatch.setattr(graphs, "student_graph", network_ms)
    monkeypatch.setattr(graphs, "keras_graph", lambda name, task, precision: 3.5)
    monkeypatch.setattr(graphs, "keras_macs", lambda name, task: 3e8)


def _table_file(path, meter, space=SPACE, task=TASK, cost="latency_ms", seed=0):
    students = None if space is None else sessions.RandomStudents(space, task, seed)
    return latency_tables.TableFile(path, meter, cost, 0.05, students)


def test_table_validation_and_networks(tmp_path, fake_graphs, capsys):
    path, meter = tmp_path / "latency.json", FakeMeter()
    table_file = _table_file(path, meter)
    table_file.make_table(fit=15)
    assert "not fitted" not in capsys.readouterr().err
    table = op_costs.load(path)
    assert table == table_file.table and table.device == "made up"
    assert list(table.entries) == op_costs.space_keys(SPACE, TASK)
    assert table.about["overhead"]["networks"] == 15
    errors = table_file.validate(20)
    assert errors["networks"] == 20 and errors["median_error"] < 0.005
    assert errors["error_over_macs_error"] < 0.2 and errors["rank_correlation"] > 0.97
    # No student that the fit saw is in the check.
    networks = [key for key in meter.asked if isinstance(key, str)]
    assert len(networks) == len(set(networks)) == 35
    written = json.loads((tmp_path / "latency.validation.json").read_text())
    assert written["median_error"] == errors["median_error"] and len(written["students"]) == 20
    assert "<svg" in (tmp_path / "latency.validation.svg").read_text()
    assert "20 students, predicted against measured" in capsys.readouterr().out

    again = FakeMeter()
    repeated = _table_file(path, again)
    repeated.make_table(fit=15)
    assert repeated.validate(20) == errors and again.asked == []  # all of it was there

    student = validation.random_architectures(SPACE, TASK, 1, seed=9)[0]
    networks = latency_tables.find_networks(["mobilenet_v2"], None, 96, 3, 10)
    networks.append(
        dataclasses.replace(sessions.TimedNetwork.of_architecture(student), name="mine")
    )
    later = FakeMeter()
    alone = _table_file(path, later, None, None)  # without a space the fit that is there stays
    alone.make_table(networks)
    assert alone.table == table
    rows = alone.measure_networks(networks)
    assert rows[0] == {
        "name": "mobilenet_v2",
        "measured_ms": 3.5,
        "spread_ms": 0.0,
        "predicted_ms": None,
        "macs": 300_000_000,
    }
    assert rows[1]["predicted_ms"] == pytest.approx(rows[1]["measured_ms"], rel=0.01)
    again = _table_file(path, FakeMeter(), None, None)
    again.make_table(networks)
    assert again.measure_networks(networks) == rows  # MACs too, with nothing to measure
    output = capsys.readouterr().out
    assert "mobilenet_v2 at 96 px, 10 classes: measured 3.5 ms (spread 0), 300M MACs" in output
    assert "mine at 32 px, 10 classes: measured " in output and ", predicted " in output


def test_tables_are_of_one_precision(tmp_path, fake_graphs):
    path = tmp_path / "latency.json"
    _table_file(path, FakeMeter()).make_table(fit=3)
    message = "precision: 'float32' there, 'int8' now"
    with pytest.raises(ValueError, match=message):
        latency_tables.TableFile(path, FakeMeter(), "latency_ms", 0.05, precision="int8")


def test_files_are_measured_as_they_are(tmp_path, fake_graphs, monkeypatch, capsys):
    file = tmp_path / "mine.tflite"
    with pytest.raises(FileNotFoundError, match="no TFLite file .*mine.tflite"):
        latency_tables.find_networks([str(file)])
    file.write_bytes(b"two")
    networks = latency_tables.find_networks([str(file)])
    meter = FakeMeter()
    monkeypatch.setattr(graphs, "file_graph", lambda path: float(len(file.read_bytes())))
    table_file = _table_file(tmp_path / "latency.json", meter, None, None)
    table_file.make_table(networks)
    (row,) = table_file.measure_networks(networks)
    assert (row["measured_ms"], row["predicted_ms"], row["macs"]) == (3.0, None, None)
    assert "mine.tflite: measured 3 ms" in capsys.readouterr().out
    file.write_bytes(b"other")  # another file of that name is measured anew
    table_file.measure_networks(networks)
    assert len(meter.asked) == 1
    monkeypatch.undo()
    assert latency_tables.find_networks([str(file)])[0].key != networks[0].key


def _values(path, parts):
    table = op_costs.load(path)
    return [table.fixed, *(table.entries[part].value for part in parts)]


def test_a_table_grows_and_its_fit_stays(tmp_path, fake_graphs, capsys):
    path = tmp_path / "latency.json"
    _table_file(path, FakeMeter()).make_table(fit=8)
    first = op_costs.load(path)
    before, content = _values(path, first.entries), path.read_bytes()
    fitted_to = {"space": "digits", "image_size": 32, "channels": 3, "num_classes": 10}
    assert first.about["fitted_to"] == {**fitted_to, "students": 8, "seed": 0}
    # Networks of any size.
    dna_a = latency_tables.find_networks(["dna_a"])
    _table_file(path, FakeMeter(), None, None).make_table(dna_a)
    needed = op_costs.network_keys(dna_a[0].architecture)
    grown = op_costs.load(path)
    assert set(grown.entries) == set(first.entries) | set(needed)
    assert _values(path, first.entries) == before
    assert grown.about["fitted_to"] == first.about["fitted_to"]
    # The space again: as many students as before, of the same seed.
    capsys.readouterr()
    again = FakeMeter()
    repeated = _table_file(path, again, seed=5)
    repeated.make_table()
    assert again.asked == [] and op_costs.load(path) == grown
    students = "fitted to 8 students of the space 'digits' at 32 px with 3 channels and 10 classes"
    assert students in capsys.readouterr().out
    # A part of that space: all is there.
    part = presets.variant(SPACE, single=True)
    _table_file(path, again, part).make_table(dna_a)
    assert again.asked == [] and op_costs.load(path) == grown
    # Another size: its parts are added, and nothing else changes.
    more = FakeMeter()
    _table_file(path, more, task=tasks.Task(64, 3, 10)).make_table(fit=0)
    assert set(op_costs.load(path).entries) - set(grown.entries) == set(more.asked)
    assert set(op_costs.space_keys(SPACE, tasks.Task(64, 3, 10))) <= set(
        op_costs.load(path).entries
    )
    assert _values(path, first.entries) == before and path.read_bytes() != content


@pytest.mark.parametrize(
    ("space", "task", "fit"),
    [
        (SPACE, tasks.Task(64, 3, 10), None),
        (SPACE, tasks.Task(64, 3, 10), 3),
        (SPACE, tasks.Task(32, 1, 10), None),
        (SPACE, tasks.Task(32, 3, 11), None),
        (presets.variant(SPACE, lite=True), TASK, None),
        (presets.variant(SPACE, single=True), TASK, 3),
    ],
)
def test_a_fit_to_other_students_is_refused(tmp_path, fake_graphs, space, task, fit):
    path = tmp_path / "latency.json"
    _table_file(path, FakeMeter()).make_table(fit=3)
    before, meter = path.read_bytes(), FakeMeter()
    present = "is fitted to students of the space 'digits' at 32 px with 3 channels and 10 classes"
    new = f"'{space.name}' at {task} its sums"
    with pytest.raises(ValueError, match=f"{present}. Fitted to .* {new} .* another --output, or"):
        _table_file(path, meter, space, task).make_table(fit=fit)
    assert (path.read_bytes(), meter.asked) == (before, [])


def test_a_table_without_its_measurements_is_kept(tmp_path, fake_graphs):
    path = tmp_path / "latency.json"
    _table_file(path, FakeMeter()).make_table(fit=3)
    beside, before = measurements.path_beside(path), path.read_bytes()
    count = len(op_costs.load(path).entries)
    message = (
        rf"The table \S+latency.json of made up would lose {count} of its {count} parts: .* in "
        r"\S+latency.measured.json, .* Put that file beside it again, or give another --output"
    )
    away = beside.rename(tmp_path / "away.json")
    with pytest.raises(ValueError, match=message):
        _table_file(path, FakeMeter())
    assert path.read_bytes() == before and not beside.exists()
    content = json.loads(away.read_text())
    beside.write_text(json.dumps({**content, "parts": content["parts"][2:]}))
    with pytest.raises(ValueError, match=f"would lose 2 of its {count} parts"):
        _table_file(path, FakeMeter())
    away.replace(beside)
    _table_file(path, FakeMeter()).make_table(fit=3)
    assert path.read_bytes() == before


def test_noise_is_told_with_both_files(tmp_path, fake_graphs, capsys):
    class Noisy(FakeMeter):
        def measure(self, latencies):
            entries = super().measure(latencies)
            return {
                key: op_costs.CostEntry(e.value, 9, 0.2 * e.value) for key, e in entries.items()
            }

    path = tmp_path / "latency.json"
    _table_file(path, Noisy()).make_table(fit=0)
    output = capsys.readouterr().err
    assert f"delete both {path} and {measurements.path_beside(path)} first" in output


def test_measured_networks_are_references_of_the_validation(tmp_path, fake_graphs):
    path = tmp_path / "latency.json"
    table_file = _table_file(path, FakeMeter())
    networks = latency_tables.find_networks(
        ["mobilenet_v2", "dna_a"], None, **dataclasses.asdict(TASK)
    )
    table_file.make_table(networks, fit=3)
    rows = table_file.measure_networks(networks)
    table_file.validate(5, rows)
    written = json.loads((tmp_path / "latency.validation.json").read_text())
    assert written["references"] == rows
    drawn = (tmp_path / "latency.validation.svg").read_text()
    assert ">mobilenet_v2 3.5 ms</text>" in drawn
    assert f">dna_a {rows[1]['measured_ms']:.4g} ms</text>" in drawn
    table_file.validate(5)
    assert json.loads((tmp_path / "latency.validation.json").read_text())["references"] == []


def test_a_machine_that_gets_slower(tmp_path, fake_graphs):
    """Twice as slow in the end: the reference, timed in turns, takes that out."""
    steady = _table_file(tmp_path / "steady.json", FakeMeter())
    steady.make_table(fit=15)
    table_file = _table_file(tmp_path / "latency.json", FakeMeter(drift=0.2))
    table_file.make_table(fit=15)
    for part, entry in steady.table.entries.items():
        assert table_file.table.entries[part].value == pytest.approx(1.2 * entry.value)
    resumed = _table_file(tmp_path / "latency.json", FakeMeter(drift=2.0))
    resumed.make_table(fit=15)
    assert resumed.validate(20)["median_error"] < 0.005
    measured = measurements.Measurements(measurements.path_beside(tmp_path / "latency.json"))
    assert measured.drift[:3] == [1.0, 1.1667, 1.3333] and measured.drift[-1] > 2
    assert table_file.table.about["drift"] == [1.0, measured.drift[4]]


def test_other_cost_names_and_unknown_networks(tmp_path, fake_graphs, capsys):
    path = tmp_path / "latency.json"
    _table_file(path, FakeMeter()).make_table(fit=0)
    assert op_costs.load(path).fixed == 0
    assert "not fitted to whole networks" in capsys.readouterr().err
    with pytest.raises(ValueError, match="is of 'latency_ms', asked for is 'b_latency_ms'"):
        _table_file(path, FakeMeter(), cost="b_latency_ms")
    with pytest.raises(ValueError, match="no network named 'dna_e'. Did you mean 'dna_"):
        latency_tables.find_networks(["dna_e"])
    with pytest.raises(FileNotFoundError):
        latency_tables.find_networks([str(tmp_path / "absent.json")])
