"""A latency table of a run: measured, searched with for two devices, validated on the result."""

import dataclasses
import json

from dna_tf.space import op_costs
from tests.helpers import rated_runs, tool_runs


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
