"""A run's own table, a search under the latencies of two devices, and what was found, measured."""

import dataclasses
import json

from dna_tf.space import op_costs
from tests.helpers import rated_runs, tool_runs


def test_measure_search_on_two_devices_and_measure_what_was_found(tmp_path):
    run, config, _ = rated_runs.rated_run(tmp_path / "run")
    table_path, other_path = tmp_path / "latency.json", tmp_path / "other.json"
    words = [f"--workdir={run}", f"--output={table_path}", "--rounds=2", "--fit=2", "--noise=9"]
    done = tool_runs.run("latency_table", *words)
    assert done.returncode == 0, done.stderr
    next_line = done.stdout.splitlines()[-1]
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
    done = tool_runs.run("search", f"--workdir={run}", *files, *limits)
    assert done.returncode == 0, done.stderr
    held = json.loads(run.architecture("fast").read_text())["origin"]["costs"]
    assert set(held) == {"latency_ms", "slow_latency_ms"}
    # Both files say that the tool made them; the first of the two commands is run as it is.
    told = [line for line in done.stdout.splitlines() if "tools.latency_table" in line]
    assert [line.split("--output=")[1].split()[0] for line in told] == [
        str(table_path),
        str(other_path),
    ]
    command = told[0].partition("tools.latency_table ")[2].partition(" #")[0].split()
    done = tool_runs.run("latency_table", *command, "--rounds=2", "--noise=9", "--validate=3")
    assert done.returncode == 0, done.stderr
    checked = json.loads((tmp_path / "latency.validation.json").read_text())
    assert [one["name"] for one in checked["references"]] == ["fast"]
    assert "(0 new)" in done.stdout
    shown = next(line for line in done.stdout.splitlines() if line.startswith("  fast at "))
    assert f"predicted {held['latency_ms']:.4g} ms" in shown and "measured " in shown
    again = op_costs.load(table_path)
    assert again.entries == table.entries and again.fixed == table.fixed
