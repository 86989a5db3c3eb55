"""The tool of angles: its files and figures, what it does not do twice, and what it refuses."""

import json
import shutil

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.search import finding
from dna_tf.space import angle_sums, architectures, presets, tasks
from dna_tf.supernet import cell_files, cell_models, trained_cells
from tests.helpers import rated_runs, tool_runs

SHAPES = [(16, 16, 3), (8, 8, 6), (4, 4, 10)]


def save_cells(workdir, space, share, seed=0):
    """Writes cells whose first weights, of a seed, moved by a share of their size."""
    rng = np.random.default_rng(7)
    for cell in cell_models.build_cells(space, SHAPES, seed):
        weights = tuple(
            (w + share * np.abs(w) * rng.normal(size=w.shape)).astype(np.float32)
            for w in trained_cells.weights_of(cell)
        )
        result = {"teacher": "teacher", "losses": [1.0]}
        cell_files.save(
            trained_cells.TrainedCell(space, cell.block, cell.cell, weights, result),
            workdir.supernet,
        )


def angle_run(folder, share=0.4, seed=0):
    """A run with a teacher's result, cells, and ratings of them."""
    workdir, config, _ = rated_runs.rated_run(folder)
    result = files.read_json(workdir.teacher / "result.json", "dna_tf.teacher", "")
    cuts = [{"layer": f"cut{n}", "shape": list(s), "params": 1} for n, s in enumerate(SHAPES[1:])]
    files.write_json(workdir.teacher / "result.json", {**result, "cuts": cuts})
    save_cells(workdir, presets.get_space(config.space), share, seed)
    rated_runs.write_ratings(workdir, config)
    return workdir, config


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Results of the tool over several runs, one after another in one process."""
    folder = tmp_path_factory.mktemp("runs")
    for name, share, seed in (("trained", 0.4, 0), ("untrained", 0.0, 0), ("other", 0.4, 8)):
        angle_run(folder / name, share, seed)
    for name in ("missing", "unrated", "damaged"):
        shutil.copytree(folder / "trained", folder / name)
    (folder / "missing/supernet/block2_cell1.json").unlink()
    shutil.rmtree(folder / "unrated/ratings")
    files.write_json(files.as_path(folder / "damaged/angles/rlnas/block1_cell1.json"), {"kind": 1})
    trained = f"--workdir={folder / 'trained'}"
    cases = {
        "first": ["angle", trained],
        "again": ["angle", trained],
        "limited": ["angle", trained, "--max_params=1300", "--top=3", "--name=mine"],
        "kernels": ["angle", trained, "--parts=kernels"],
        "impossible": ["angle", trained, "--max_macs=1"],
        "top": ["angle", trained, "--top=none"],
        "parts": ["angle", trained, "--parts=some"],
        **{
            name: ["angle", f"--workdir={folder / name}"]
            for name in ("untrained", "other", "missing", "unrated", "damaged", "empty")
        },
    }
    return folder, dict(zip(cases, tool_runs.run_all(list(cases.values())), strict=True))


def test_the_tool_writes_angles_and_the_networks_of_the_budgets(runs):
    folder, results = runs
    result, workdir = results["first"], workdirs.Workdir(folder / "trained")
    assert result["returncode"] == 0, result
    content = json.loads((workdir.angles / "rlnas/angles.json").read_text())
    _, config = workdirs.open_workdir(workdir.path)
    space = presets.get_space(config.space)
    computed = {
        (b, c): angle_sums.read(workdir.angle("rlnas", f"block{b + 1}_cell{c + 1}"), space, b, c)[0]
        for b, c, _ in space.cells()
    }
    sums, networks = angle_sums.of_cells(computed), angle_sums.all_networks(space)
    degrees = angle_sums.degrees(sums.cosines(*networks))
    assert content["spread"]["networks"] == len(degrees) == content["drawn"]
    np.testing.assert_allclose(
        content["spread"]["degrees"], [degrees.min(), np.median(degrees), degrees.max()]
    )
    zeros = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
    problem = finding.search_problem(space, zeros, tasks.Task(16, 3, 10))
    _, costs = problem.evaluate_many(*networks)
    params, macs = (costs[problem.names.index(name)] for name in ("params", "macs"))
    best = {row["name"]: row for row in content["best"]}
    assert len(best) == 5  # those of the limits that were asked for later, too
    budgets = {
        "angle_max_macs_15k": macs <= 15_000,
        "angle_max_macs_17k_max_params_1300": (macs <= 17_000) & (params <= 1300),
    }
    for name, within in budgets.items():
        row = best[name]
        assert row["certified"] and row["degrees"]["trained"] == degrees[within].max()
        assert (row["macs"], row["params"]) in set(zip(macs[within], params[within], strict=True))
        architecture = architectures.load(workdir.architecture(row["name"]))
        assert architecture.origin["by"] == "angle" and architecture.origin["certified"]
        assert architecture.costs()["macs"] == row["macs"]
        assert architecture.rating == pytest.approx(row["rating"])
    scores = [row["score"] for row in content["orders"]]
    assert len(scores) == 7 and sum(score.startswith("control: ") for score in scores) == 5
    for row in content["orders"]:
        assert (row["tau"] is None) == (row["score"] == "angle")
        assert row["tau"] is None or row["low"] <= row["tau"] <= row["high"]
        assert row["score"] in result["stdout"]
    assert f"tools.retrain --workdir={folder}" in result["stdout"]
    assert (
        "--arch=angle_max_macs_15k" in result["stdout"]
        and "not RLNAS's own score" in result["stdout"]
    )


def test_finished_work_is_not_done_again(runs):
    folder, results = runs
    assert results["again"]["returncode"] == 0
    assert "angles of all 3 cells are there already" in results["again"]["stdout"]
    lines = [result["stdout"].splitlines()[1:] for result in (results["first"], results["again"])]
    assert lines[0] == lines[1]


def test_limits_names_and_other_weights(runs):
    folder, results = runs
    workdir = workdirs.Workdir(folder / "trained")
    for name in ("limited", "kernels"):
        assert results[name]["returncode"] == 0, results[name]
    mine = [architectures.load(workdir.architecture(n)) for n in ("mine", "mine_2", "mine_3")]
    cosines = [each.origin["cosine"] for each in mine]
    assert cosines == sorted(cosines) and all(each.costs()["params"] <= 1300 for each in mine)
    kernels = architectures.load(workdir.architecture("angle_kernels_max_macs_15k"))
    assert kernels.origin["parts"] == "kernels"
    assert kernels.origin["cosine"] != cosines[0]


def test_a_run_without_ratings_has_angles(runs):
    folder, results = runs
    result = results["unrated"]
    assert result["returncode"] == 0 and "Without the ratings of this run" in result["stdout"]
    architecture = architectures.load(folder / "unrated/architectures/angle_max_macs_15k.json")
    assert architecture.rating is None
    first = json.loads((folder / "trained/angles/rlnas/angles.json").read_text())
    second = json.loads((folder / "unrated/angles/rlnas/angles.json").read_text())
    assert second["orders"] and all(row["tau_of_rating"] is None for row in second["orders"])
    cosines = [{row["name"]: row["cosine"] for row in each["best"]} for each in (first, second)]
    assert cosines[0].items() >= cosines[1].items()


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("untrained", ["block1_cell1", "nothing has been trained", "tools.train_supernet"]),
        ("other", ["nothing in common with the first weights of seed 0"]),
        ("missing", ["block2_cell1.json", "Train it first", "tools.train_supernet"]),
        ("damaged", ["block1_cell1.json"]),
        ("empty", ["contains no run", "tools.train_teacher"]),
        ("impossible", ["No architecture of the space", "Loosen the limits"]),
        ("top", ["--top takes whole numbers"]),
        ("parts", ["--parts", "rlnas"]),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(name, texts, runs):
    result = runs[1][name]
    assert result["returncode"] == 1 and result["stderr"].count("error: ") == 1, result
    for text in texts:
        assert text in result["stderr"]
