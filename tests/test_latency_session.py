"""From a meter to a table, its validation and whole networks; and the tool's own words."""

import hashlib
import json

import pytest

from dna_tf import (
    latency_check,
    latency_graphs,
    latency_measured,
    latency_session,
    latency_table,
    op_costs,
    search_space,
)
from tests import fake_adb, tool_runs

SPACE = search_space.PRESETS["digits"]
NETWORK = (32, 3, 10)


def _part_ms(part):
    # Not a function of MACs: kernels cost, small maps cost as much as large ones.
    return 0.003 + 0.002 * part.kernel * part.expand + 0.0002 * part.out_width


class MadeMeter:
    """Knows how long each graph takes, and gets slower by `drift` from call to call."""

    def __init__(self, drift=0.0):
        self.asked, self.drift, self.slower = [], drift, 1.0

    def conditions(self):
        return {"device": "made up", "runtime": "none 1", "threads": 1, "cores": "any"}

    def state(self):
        return {"load_average": 0.1}

    def measure(self, graphs):
        self.asked.extend(key for key in graphs if key != latency_measured.REFERENCE)
        self.slower += self.drift
        return {key: op_costs.Entry(ms * self.slower, 9, 0.0) for key, ms in graphs.items()}


@pytest.fixture
def made_graphs(monkeypatch):
    """In place of TFLite files their latencies: networks 0.1 ms and 90 % of their parts'."""

    def whole(one, precision):
        return 0.1 + 0.9 * sum(map(_part_ms, latency_table.architecture_parts(one)))

    monkeypatch.setattr(latency_graphs, "part_graph", lambda part, precision: _part_ms(part))
    monkeypatch.setattr(latency_graphs, "student_graph", whole)
    monkeypatch.setattr(latency_graphs, "keras_graph", lambda name, *sizes, precision: (3.5, 3e8))


def _session(path, meter, space=SPACE, network=NETWORK, cost="latency_ms"):
    return latency_session.Session(path, meter, cost, 0.05, space, network)


def test_table_validation_and_networks(tmp_path, made_graphs, capsys):
    path, meter = tmp_path / "latency.json", MadeMeter()
    session = _session(path, meter)
    session.make_table(fit=15)
    assert "not fitted" not in capsys.readouterr().err
    table = op_costs.load(path)
    assert table == session.table and table.device == "made up"
    assert list(table.entries) == op_costs.needed_parts(SPACE, *NETWORK)
    assert table.about["overhead"]["networks"] == 15
    found = session.validate(20)
    assert found["networks"] == 20 and found["median_error"] < 0.005
    assert found["error_over_macs_error"] < 0.2 and found["rank_correlation"] > 0.97
    # No student that the fit saw is in the check.
    networks = [key for key in meter.asked if isinstance(key, str)]
    assert len(networks) == len(set(networks)) == 35
    written = json.loads((tmp_path / "latency.validation.json").read_text())
    assert written["median_error"] == found["median_error"] and len(written["students"]) == 20
    assert "<svg" in (tmp_path / "latency.validation.svg").read_text()
    assert "20 students, predicted against measured" in capsys.readouterr().out

    again = MadeMeter()
    repeated = _session(path, again)
    repeated.make_table(fit=15)
    assert repeated.validate(20) == found and again.asked == []  # all of it was there

    one = latency_check.random_architectures(SPACE, NETWORK, 1, seed=9)[0]
    networks = latency_session.find_networks(["mobilenet_v2"], None, 96, 3, 10)
    networks.append(latency_session.Network("mine", latency_check.network_key(one), one, NETWORK))
    later = MadeMeter()
    alone = _session(path, later, None, None)  # without a space the fit that is there stays
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
    told = capsys.readouterr().out
    assert "mobilenet_v2 at 96 px, 10 classes: measured 3.5 ms (spread 0), 300M MACs" in told
    assert "mine at 32 px, 10 classes: measured " in told and ", predicted " in told


def test_tables_are_of_one_precision(tmp_path, made_graphs):
    path = tmp_path / "latency.json"
    _session(path, MadeMeter()).make_table(fit=3)
    message = "precision: 'float32' there, 'int8' now"
    with pytest.raises(ValueError, match=message):
        latency_session.Session(path, MadeMeter(), "latency_ms", 0.05, precision="int8")


def test_files_are_measured_as_they_are(tmp_path, made_graphs, monkeypatch, capsys):
    file = tmp_path / "mine.tflite"
    with pytest.raises(FileNotFoundError, match="no TFLite file .*mine.tflite"):
        latency_session.find_networks([str(file)])
    file.write_bytes(b"two")
    networks = latency_session.find_networks([str(file)])
    meter = MadeMeter()
    monkeypatch.setattr(latency_graphs, "file_graph", lambda path: float(len(file.read_bytes())))
    session = _session(tmp_path / "latency.json", meter, None, None)
    session.make_table(networks)
    (row,) = session.measure_networks(networks)
    assert (row["measured_ms"], row["predicted_ms"], row["macs"]) == (3.0, None, None)
    assert "mine.tflite: measured 3 ms" in capsys.readouterr().out
    file.write_bytes(b"other")  # another file of that name is measured anew
    session.measure_networks(networks)
    assert len(meter.asked) == 1
    monkeypatch.undo()
    assert latency_session.find_networks([str(file)])[0].key != networks[0].key


def test_a_table_grows_by_other_sizes_and_networks(tmp_path, made_graphs):
    path, meter = tmp_path / "latency.json", MadeMeter()
    _session(path, meter).make_table(fit=3)
    first = set(op_costs.load(path).entries)
    more = MadeMeter()
    _session(path, more, network=(64, 3, 10)).make_table(fit=3)
    grown = set(op_costs.load(path).entries)
    parts = {key for key in more.asked if not isinstance(key, str)}
    assert first < grown and grown - first == parts
    assert grown == first | set(op_costs.needed_parts(SPACE, 64, 3, 10))
    dna_a = latency_session.find_networks(["dna_a"])
    last = _session(path, MadeMeter(), None, None)
    last.make_table(dna_a)
    needed = latency_table.architecture_parts(dna_a[0].architecture)
    assert set(op_costs.load(path).entries) == grown | set(needed)


def test_a_machine_that_gets_slower(tmp_path, made_graphs):
    """Twice as slow in the end: the reference, timed in turns, takes that out."""
    steady = _session(tmp_path / "steady.json", MadeMeter())
    steady.make_table(fit=15)
    session = _session(tmp_path / "latency.json", MadeMeter(drift=0.2))
    session.make_table(fit=15)
    for part, entry in steady.table.entries.items():
        assert session.table.entries[part].value == pytest.approx(1.2 * entry.value)
    resumed = _session(tmp_path / "latency.json", MadeMeter(drift=2.0))
    resumed.make_table(fit=15)
    assert resumed.validate(20)["median_error"] < 0.005
    held = latency_measured.Measured(latency_measured.path_beside(tmp_path / "latency.json"))
    assert held.drift[:3] == [1.0, 1.1667, 1.3333] and held.drift[-1] > 2
    assert session.table.about["drift"] == [1.0, held.drift[4]]


def test_other_cost_names_and_unknown_networks(tmp_path, made_graphs, capsys):
    path = tmp_path / "latency.json"
    _session(path, MadeMeter()).make_table(fit=0)
    assert op_costs.load(path).fixed == 0
    assert "not fitted to whole networks" in capsys.readouterr().err
    with pytest.raises(ValueError, match="is of 'latency_ms', asked for is 'b_latency_ms'"):
        _session(path, MadeMeter(), cost="b_latency_ms")
    with pytest.raises(ValueError, match="no network named 'dna_e'. Did you mean 'dna_"):
        latency_session.find_networks(["dna_e"])
    with pytest.raises(FileNotFoundError):
        latency_session.find_networks([str(tmp_path / "absent.json")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"--output names the table, such as --output=latency.json. Received: ''"),
        (["--output=a.json"], "Give --space=NAME or --workdir=FOLDER for a table, or --arch"),
        (["--output=a.json", "--arch=dna_a", "--validate=9"], "--validate takes at least 3 random"),
        (["--output=a.json", "--space=digits", "--validate=2"], "--validate takes at least 3"),
        (["--output=a.json", "--space=digit"], "There is no search space 'digit'. Did you mean"),
        (["--output=a.json", "--cost=latency"], "--cost is in milliseconds"),
        (["--output=a.json", "--noise=0"], "--noise must be above 0. Received: 0"),
        (["--output=a.json", "--cores=a"], "--cores takes whole numbers"),
        (["--output=a.json", "--space=dna", "--workdir=x"], "both name a space. Give one"),
        (["--output=a.json", "--space=dna", "--serial=x"], "--serial is for a phone"),
        (["--output=a.json", "--space=dna", "--device=adb", "--adb=/no"], "no command '/no'"),
    ],
)
def test_bad_words(tmp_path, words, message):
    words = [word.replace("=a.json", f"={tmp_path}/a.json") for word in words]
    done = tool_runs.run("latency_table", *words)
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_the_tool_measures_a_network_on_a_phone(tmp_path):
    binary = tmp_path / "benchmark_model"
    binary.write_bytes(b"made up")
    adb, calls = fake_adb.make(tmp_path, hash=hashlib.sha256(b"made up").hexdigest())
    words = ["--device=adb", f"--adb={adb}", f"--benchmark_binary={binary}", "--cores=7"]
    words += ["--arch=mobilenet_v3_small", "--image_size=32", "--num_classes=10", "--rounds=2"]
    path = tmp_path / "phone.json"
    done = tool_runs.run("latency_table", f"--output={path}", "--cost=phone_ms", *words)
    assert done.returncode == 0, done.stderr
    assert "Measuring on Maker Phone 9 (8A1X0000), Android 15, benchmark_model sha256" in (
        done.stdout
    )
    assert "mobilenet_v3_small at 32 px, 10 classes: measured 1.15 ms (spread 0)" in done.stdout
    assert sum("taskset 80 " in call[-1] for call in calls()) == 2
    held = latency_measured.Measured(latency_measured.path_beside(path))
    assert held.networks == {"mobilenet_v3_small 32x3x10": op_costs.Entry(1.15, 1724, 0.0)}
    assert held.states[0]["powered_by"] == "USB" and held.conditions["cores"] == [7]
    # The same file with other threads would mix what cannot be added up.
    done = tool_runs.run("latency_table", f"--output={path}", *words, "--threads=4")
    assert done.returncode == 1 and "threads: 1 there, 4 now" in done.stderr
