"""The tool report: the page, the next command, and maps that cannot be drawn."""

import pytest

from dna_tf.phases import searching
from tests.helpers import rated_runs, tool_runs


def test_the_report_tool_writes_the_page_and_says_what_is_next(tmp_path):
    workdir, _, _ = rated_runs.rated_run(tmp_path / "run")
    (before,) = tool_runs.run_all([["report", f"--workdir={workdir}"]])
    assert before["returncode"] == 0 and workdir.report.exists(), before
    assert f"Next: python -m tools.search --workdir={workdir}" in before["stdout"]
    assert tool_runs.run_all([["search", f"--workdir={workdir}"]])[0]["returncode"] == 0
    (after,) = tool_runs.run_all([["report", f"--workdir={workdir}", "--maps=no"]])
    assert "Next: python -m tools.retrain" in after["stdout"]
    assert not {"tensorflow", "keras"} & set(after["imported"])
    assert "What wins as the budget grows" in workdir.report.read_text()


@pytest.mark.parametrize("gone", ["teacher/model.keras", "supernet/block2_cell1.json"])
def test_the_report_tool_leaves_out_maps_that_cannot_be_drawn(tmp_path, gone):
    workdir, config, _ = rated_runs.rated_run(tmp_path / "run")
    searching.search_budgets(workdir, config)
    (workdir.teacher / "model.keras").write_bytes(b"")
    (workdir.path / gone).unlink()
    (result,) = tool_runs.run_all([["report", f"--workdir={workdir}"]])
    assert (result["returncode"], result["stderr"]) == (0, "")
    assert "Feature maps need a trained teacher" in workdir.report.read_text()
