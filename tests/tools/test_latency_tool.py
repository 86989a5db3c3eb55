"""The tool that measures latency tables: of a run, on a phone, and with wrong flags."""

import dataclasses
import hashlib
import json

import pytest

from dna_tf.latency import measurements
from dna_tf.space import op_costs
from tests.helpers import fake_adb, rated_runs, tool_runs


def test_a_table_is_measured_searched_with_and_its_result_is_measured(tmp_path):
    run, config, _ = rated_runs.rated_run(tmp_path / "run")
    table_path, other_path = tmp_path / "latency.json", tmp_path / "other.json"
    words = [f"--workdir={run}", f"--output={table_path}", "--rounds=2", "--fit=2", "--noise=9"]
    process = tool_runs.run("latency_table", *words)
    assert process.returncode == 0, process.stderr
    next_line = process.stdout.splitlines()[-1]
    assert next_line.endswith(
        f"tools.search --workdir={run} --cost_file={table_path} --max_latency_ms=MS"
    )
    table = op_costs.load(table_path)
    assert table.about["overhead"]["networks"] == 2 and len(table.about["drift"]) == 2
    # Another device, twice as slow.
    entries = {p: dataclasses.replace(e, value=2 * e.value) for p, e in table.entries.items()}
    other = dataclasses.replace(table, cost="slow_latency_ms", entries=entries, device="slow")
    op_costs.save(other, other_path)
    files = [f"--cost_file={table_path}", f"--cost_file={other_path}"]
    limits = ["--max_latency_ms=100", "--max_slow_latency_ms=100", "--name=fast"]
    process = tool_runs.run("search", f"--workdir={run}", *files, *limits)
    assert process.returncode == 0, process.stderr
    costs = json.loads(run.architecture("fast").read_text())["origin"]["costs"]
    assert set(costs) == {"latency_ms", "slow_latency_ms"}
    # Both tables were made by the tool; the first of the two commands is run as it is.
    commands = [line for line in process.stdout.splitlines() if "tools.latency_table" in line]
    assert [line.split("--output=")[1].split()[0] for line in commands] == [
        str(table_path),
        str(other_path),
    ]
    command = commands[0].partition("tools.latency_table ")[2].partition(" #")[0].split()
    process = tool_runs.run("latency_table", *command, "--rounds=2", "--noise=9", "--validate=3")
    assert process.returncode == 0, process.stderr
    checked = json.loads((tmp_path / "latency.validation.json").read_text())
    assert [network["name"] for network in checked["references"]] == ["fast"]
    assert "(0 new)" in process.stdout
    line = next(line for line in process.stdout.splitlines() if line.startswith("  fast at "))
    assert f"predicted {costs['latency_ms']:.4g} ms" in line and "measured " in line
    again = op_costs.load(table_path)
    assert again.entries == table.entries and again.fixed == table.fixed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"--output names the table, such as --output=latency.json. Received: ''"),
        (["--output=a.json"], "Give --space=NAME or --workdir=FOLDER for a table, or --arch"),
        (["--output=a.json", "--arch=dna_a", "--validate=9"], "--validate takes at least 3 random"),
        (["--output=a.json", "--space=digits", "--validate=2"], "--validate takes at least 3"),
        (["--output=a.json", "--space=digit"], "There is no search space 'digit'. Did you mean"),
        (["--output=a.json", "--cost=latency"], "--cost is in milliseconds"),
        (["--output=a.json", "--cost=Phone_ms"], "lower case, a quantity that ends in _ms"),
        (["--output=a.json", "--noise=0"], "--noise must be above 0. Received: 0"),
        (["--output=a.json", "--cores=a"], "--cores takes whole numbers"),
        (["--output=a.json", "--space=dna", "--workdir=x"], "both name a space. Give one"),
        (
            ["--output=a.json", "--teacher_parts"],
            "--teacher_parts takes the teacher, the space and",
        ),
        (["--output=a.json", "--space=dna", "--serial=x"], "--serial is for --device=adb: give"),
        (["--output=a.json", "--space=dna", "--device=adb", "--adb=/no"], "no command '/no'"),
        (["--output=a.json", "--space=dna", "--accelerator=gpu"], "--accelerator is for --device="),
        (["--output=a.json", "--space=dna", "--times=t.csv"], "--times is for --device=files"),
        (["--output=a.json", "--space=dna", "--device=files"], "needs --graphs=FOLDER, into which"),
    ],
)
def test_wrong_flags_are_refused(tmp_path, words, message):
    words = [word.replace("=a.json", f"={tmp_path}/a.json") for word in words]
    process = tool_runs.run("latency_table", *words)
    assert process.returncode == 1 and message in process.stderr, process.stderr
    assert len(process.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_the_tool_measures_a_network_on_a_phone(tmp_path):
    binary = tmp_path / "benchmark_model"
    binary.write_bytes(b"made up")
    adb, calls = fake_adb.make(tmp_path, hash=hashlib.sha256(b"made up").hexdigest())
    words = ["--device=adb", f"--adb={adb}", f"--benchmark_binary={binary}", "--cores=7"]
    words += ["--arch=mobilenet_v3_small", "--image_size=32", "--num_classes=10", "--rounds=2"]
    path = tmp_path / "phone.json"
    process = tool_runs.run("latency_table", f"--output={path}", "--cost=phone_ms", *words)
    assert process.returncode == 0, process.stderr
    assert "Measuring on Maker Phone 9 (8A1X0000), Android 15, benchmark_model sha256" in (
        process.stdout
    )
    assert "mobilenet_v3_small at 32 px, 10 classes: measured 1.15 ms (spread 0)" in process.stdout
    assert sum("taskset 80 " in call[-1] for call in calls()) == 2
    measured = measurements.Measurements(measurements.path_beside(path))
    assert measured.networks == {"mobilenet_v3_small 32x3x10": op_costs.CostEntry(1.15, 1724, 0.0)}
    assert measured.states[0]["powered_by"] == "USB" and measured.conditions["cores"] == [7]
    # The same file with other threads would mix what cannot be added up.
    process = tool_runs.run("latency_table", f"--output={path}", *words, "--threads=4")
    assert process.returncode == 1 and "threads: 1 there, 4 now" in process.stderr


@pytest.mark.slow
def test_graphs_are_timed_elsewhere(tmp_path):
    run, _, _ = rated_runs.rated_run(tmp_path / "run")
    table, graphs = tmp_path / "ios.json", tmp_path / "graphs"
    words = [f"--workdir={run}", f"--output={table}", "--cost=ios_ms", "--fit=3", "--validate=3"]
    words += ["--device=files", f"--graphs={graphs}", "--device_name=iPhone"]
    process = tool_runs.run("latency_table", *words)
    assert process.returncode == 0, process.stderr
    assert not table.exists() and "have no times yet" in process.stdout
    listed = (graphs / "graphs.csv").read_text().splitlines()[1:]
    names = [line.partition(",")[0] for line in listed]
    assert sorted(names) == sorted(path.name for path in graphs.glob("*.tflite"))
    # A device that needs a microsecond for each byte of a graph.
    sizes = {name: (graphs / name).stat().st_size / 1e3 for name in names}
    times = tmp_path / "times.csv"
    times.write_text("\n".join(["file,ms", *(f"{name},{ms}" for name, ms in sizes.items())]))
    process = tool_runs.run("latency_table", *words, f"--times={times}")
    assert process.returncode == 0, process.stderr
    read = op_costs.load(table)
    assert read.device == "iPhone" and read.about["overhead"]["networks"] == 3
    measured = measurements.Measurements(measurements.path_beside(table))
    values = [entry.value for entry in [*measured.parts.values(), *measured.networks.values()]]
    assert set(values) <= set(sizes.values()) and len(values) == len(names) - 1  # the reference
