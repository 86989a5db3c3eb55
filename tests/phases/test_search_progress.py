"""Ratings during the training: curves from invented ratings, and one run from end to end."""

import re

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files, rank_correlation
from dna_tf.phases import search_inputs, search_progress
from dna_tf.report import progress_page
from dna_tf.search import drawing, exact
from dna_tf.space import cost_limits
from tests.helpers import rated_runs, tool_runs

LIMITS = cost_limits.Limits("max_macs=16k")


@pytest.fixture
def case(tmp_path):
    """`(config, inputs, problems)` with ratings that come nearer to the final ones."""
    workdir, config, _ = rated_runs.rated_run(tmp_path)
    inputs = search_inputs.SearchInputs(workdir, config)
    rng, problems = np.random.default_rng(0), {}
    final = inputs.problem.measured
    for epochs, noise in ((0, 5.0), (2, 0.2), (4, 1e-9)):
        measured = {key: v + noise * rng.standard_normal(len(v)) for key, v in final.items()}
        problems[epochs] = search_progress.with_ratings(inputs.problem, measured)
    return config, inputs, {**problems, 6: inputs.problem}


def test_each_copy_is_compared_with_the_final_ratings(case):
    config, inputs, problems = case
    points, searched = search_progress.winners(config, inputs, problems, LIMITS)
    assert [point["epochs"] for point in points] == [0, 2, 4, 6]
    final = inputs.problem
    drawn = drawing.draw(final, final.num_architectures(), config.seed)
    for point, problem in zip(points, problems.values(), strict=True):
        sums = [problem.evaluate(c.cells, c.path_indices)[0] for c in drawn]
        tau = rank_correlation.kendall_tau(np.array(sums), np.array([c.rating for c in drawn]))
        assert point["tau"][0] == pytest.approx(tau)
        arch = searched[point["winner"]]
        assert point["blocks"] == arch.describe() and point["macs"] == arch.costs()["macs"] <= 16e3
        assert point["rating"] == pytest.approx(arch.rating)
    assert points[-1]["tau"][0] == points[-1]["cells_tau"] == 1.0
    assert points[0]["tau"][0] < points[2]["tau"][0]
    (best,) = exact.best(final, LIMITS, 1)
    assert points[-1]["rating"] == best.rating == min(point["rating"] for point in points)


def test_equal_winners_have_one_name_that_of_the_first(case):
    config, inputs, problems = case
    points, searched = search_progress.winners(config, inputs, problems, LIMITS)
    assert points[2]["winner"] == points[3]["winner"]
    assert set(searched) == {point["winner"] for point in points}
    for name, arch in searched.items():
        assert name == arch.name == f"progress_max_macs_16k_epoch{arch.origin['epochs']:03d}"


def test_untrained_cells_that_rate_all_paths_alike_have_no_tau(case):
    config, inputs, problems = case
    zero = {key: 0.0 * v for key, v in inputs.problem.measured.items()}
    points, _ = search_progress.winners(
        config, inputs, {0: search_progress.with_ratings(inputs.problem, zero)}, LIMITS
    )
    assert points[0]["tau"] == [None] * 3 and points[0]["cells_tau"] is None
    content = _content(points)
    assert " -  " in search_progress.lines(content)[2]
    assert "progress" in progress_page.page_html(content)


def _content(points):
    return {
        "kind": workdirs.PROGRESS_KIND,
        "space": "tiny",
        "metric": "relative_l1",
        "limits": dict(LIMITS),
        "training": [0.9, 0.6, 0.5, 0.45, 0.42, 0.41],
        "drawn": 24,
        "points": [{**point, "accuracies": [0.5, 0.52]} for point in points],
    }


def test_the_page_has_four_curves_loads_nothing_and_escapes_text(case):
    config, inputs, problems = case
    points, _ = search_progress.winners(config, inputs, problems, LIMITS)
    content = _content(points)
    content["points"][0]["blocks"] = content["space"] = "<script>alert(1)</script>"
    page = progress_page.page_html(content)
    assert page.count('class="sp"') == 4 and page.count('class="line front"') == 3
    assert "<script>alert" not in page and not re.search(r'(src|href)="http', page)
    for point in content["points"]:
        point["accuracies"] = []
    assert progress_page.page_html(content).count('class="sp"') == 3


@pytest.mark.slow
def test_the_tool_rates_and_searches_copies_and_trains_winners_once(tmp_path):
    config = tmp_path / "tiny.py"
    config.write_text(
        "from tests.helpers import tiny_config\n\n\n"
        "def get_config():\n"
        "    config = tiny_config.get_config()\n"
        "    config.supernet.epochs = 3\n"
        "    return config\n"
    )
    run, plain = f"--workdir={tmp_path / 'run'}", f"--workdir={tmp_path / 'plain'}"
    results = tool_runs.run_all(
        [
            ["train_teacher", f"--config={config}", run],
            ["progress", run],
            ["train_supernet", run, "--config.supernet.snapshots=1"],
            ["progress", run, "--max_macs=10"],
            ["progress", run, "--max_macs=16k"],
            ["progress", run, "--max_macs=16k", "--retrain"],
            ["progress", run, "--max_macs=16k", "--retrain"],
            ["train_teacher", f"--config={config}", plain],
            ["train_supernet", plain],
            ["progress", plain],
        ]
    )
    codes = [result["returncode"] for result in results]
    assert codes == [0, 1, 0, 1, 0, 0, 0, 0, 0, 1], [result["stderr"] for result in results]
    assert "train_supernet" in results[1]["stderr"]
    assert "has macs <= 10: the smallest has 12.88k macs. Raise" in results[3]["stderr"]
    assert "rating:" not in results[3]["stderr"]
    assert "--max_macs=16k --retrain" in results[4]["stdout"]
    assert "trained without copies" in results[9]["stderr"]
    path = tmp_path / "run" / "progress" / "progress.json"
    content = files.read_json(path, workdirs.PROGRESS_KIND, "")
    assert [point["epochs"] for point in content["points"]] == [0, 1, 2, 3]
    assert len(content["training"]) == 3
    students = {p.name for p in (tmp_path / "run" / "students").iterdir()}
    assert students == {point["winner"] for point in content["points"]}
    assert "is there already" in results[6]["stdout"]
    tables = [re.sub(r"not trained|[\d.]+ %", "", r["stdout"]) for r in results[4:7]]
    assert (
        tables[1].split("Copies of")[1].split("Next")[0]
        == (tables[2].split("Copies of")[1].split("Next")[0])
    )
