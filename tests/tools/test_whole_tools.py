"""The tools of whole networks: from labels to an architecture file, and what they refuse."""

import ast
import json
import re
import shutil

import pytest

from dna_tf import workdirs
from dna_tf.phases import whole
from dna_tf.space import architectures, cost_tables, presets
from tests.helpers import tool_runs

CONFIG = "--config=tests/helpers/whole_runs.py"
RANDOM = "--config.whole.labels=random"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Results of the tools over several runs, one after another in one process."""
    folder = tmp_path_factory.mktemp("runs")
    first, other = f"--workdir={folder / 'whole'}", f"--workdir={folder / 'random'}"
    limit = ["--max_macs=18k", "--budget=12"]
    cases = {
        "early": ["search_whole", f"--workdir={folder / 'none'}"],
        "train": ["train_whole", first, CONFIG],
        "again": ["train_whole", first],
        "changed": ["train_whole", first, "--config.whole.epochs=3"],
        "search": ["search_whole", first, *limit],
        "angle": ["search_whole", first, "--by=angle", "--max_macs=18k", "--top=2"],
        "none": ["search_whole", first, "--max_macs=1k"],
        "zero": ["search_whole", first, "--max_macs=18k", "--budget=0"],
        "top": ["search_whole", first, "--top=2"],
        "train_random": ["train_whole", other, CONFIG, RANDOM],
        "accuracy_of_random": ["search_whole", other, *limit],
        "angle_of_random": ["search_whole", other, "--by=angle"],
        "cells": ["train_whole", f"--workdir={folder / 'cells'}", "--config.space=digits"],
    }
    return folder, dict(zip(cases, tool_runs.run_all(cases.values()), strict=True))


def _good(run):
    assert run["returncode"] == 0, run["stderr"]
    return run["stdout"]


def test_training_tells_the_next_command_and_is_done_once(runs):
    folder, results = runs
    text = _good(results["train"])
    assert "Whole networks, true labels" in text
    assert f"Next: python -m tools.search_whole --workdir={folder / 'whole'}" in text
    assert "is there already" in _good(results["again"])
    assert "--by=angle" in _good(results["train_random"])


def test_a_search_writes_an_architecture_that_retrains_beside_its_control(runs):
    folder, results = runs
    text = _good(results["search"])
    name = "whole_max_macs_18k"
    for part in ("control: the most MACs", f"{name}_control: accuracy", "Kendall's tau-b"):
        assert part in text
    assert f"--arch={name},{name}_control" in text
    architecture = architectures.load(folder / "whole" / "architectures" / f"{name}.json")
    costs = cost_tables.network_costs(architecture)
    assert costs["macs"] <= 18_000 and architecture.origin["evaluations"] <= 12
    content = json.loads((folder / "whole" / "whole" / "scores.json").read_text())
    path = ",".join(str(op) for block in architecture.blocks for op in block.path)
    origin = architecture.origin
    assert content["scores"][path] == [origin["correct"], origin["cross_entropy"]]
    assert content["images"] == origin["images"] == 60
    arch = f"--arch={name}"
    run = tool_runs.run("retrain", f"--workdir={folder / 'whole'}", arch)
    assert run.returncode == 0, run.stderr
    assert (folder / "whole" / "students" / name / "seed0" / "model.keras").exists()


def test_a_killed_search_ends_with_the_same_scores(runs, tmp_path):
    folder, results = runs
    _good(results["search"])
    scores = folder / "whole" / "whole" / "scores.json"
    copy = tmp_path / "copy"
    shutil.copytree(folder / "whole", copy)
    again = copy / "whole" / "scores.json"
    again.unlink()
    shutil.rmtree(copy / "architectures")
    command = ["search_whole", f"--workdir={copy}", "--max_macs=18k", "--budget=12"]

    def count():
        return len(json.loads(again.read_text())["scores"]) if again.exists() else 0

    tool_runs.kill_in_the_middle(
        tool_runs.command(*command), lambda: count() >= 3, lambda: count() >= 13
    )
    assert 3 <= count() < 13
    run = tool_runs.run(*command)
    assert run.returncode == 0, run.stderr
    assert again.read_bytes() == scores.read_bytes()
    for path in (folder / "whole" / "architectures").glob("whole_max*.json"):
        assert (copy / "architectures" / path.name).read_bytes() == path.read_bytes()


def test_all_networks_of_a_small_space_are_rated(runs, tmp_path):
    folder, results = runs
    _good(results["search"])
    shutil.copytree(folder / "whole", tmp_path / "copy")
    workdir, config = workdirs.open_workdir(tmp_path / "copy")
    before = json.loads((workdir.whole / "scores.json").read_text())["scores"]
    rated = whole.rate_all(workdir, config)
    space = presets.get_space(config.space)
    assert len(rated) == space.num_architectures()
    after = json.loads((workdir.whole / "scores.json").read_text())["scores"]
    assert len(after) == len(rated) and before.items() <= after.items()
    assert sorted(score.correct for score in rated.values()) == sorted(c for c, _ in after.values())
    with pytest.raises(ValueError, match="learned random labels"):
        whole.rate_all(*workdirs.open_workdir(folder / "random"))


def test_angles_are_searched_exactly_and_stand_beside_their_controls(runs):
    folder, results = runs
    text = _good(results["angle"])
    for part in ("certified", "control: shapes alone", "control: MACs", "moved as far at random"):
        assert part in text
    assert "block-wise" not in text
    content = json.loads((folder / "whole" / "whole" / "angles" / "rlnas.json").read_text())
    assert [row["name"] for row in content["best"]] == [
        "whole_angle_max_macs_18k",
        "whole_angle_max_macs_18k_2",
    ]
    assert "whole_angle_max_macs_16k" in _good(results["angle_of_random"])


def test_the_tool_offers_all_searches_of_the_phase():
    text = (tool_runs.ROOT / "tools" / "search_whole.py").read_text()
    listed = re.search(r'"search",\s+"evolution",\s+(\[.*?\])', text, re.S)[1]
    assert ast.literal_eval(listed) == list(whole.SEARCHES)


@pytest.mark.parametrize(
    ("case", "texts"),
    [
        ("early", ["contains no run"]),
        ("changed", ["whole.epochs: 2 there, 3 now"]),
        ("none", ["meets macs <= 1k", "Possible: macs 12,884 at least"]),
        ("zero", ["budget must be", "at least 1"]),
        ("top", ["add --by=angle"]),
        ("accuracy_of_random", ["learned random labels", "--by=angle"]),
        ("cells", ["one cell in each block", "digits_single"]),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(runs, case, texts):
    folder, results = runs
    run = results[case]
    assert run["returncode"] == 1, run["stdout"]
    assert all(text in run["stderr"] for text in texts), run["stderr"]
    # Nothing was trained, and nothing was rated.
    assert not (folder / "none").exists() and not (folder / "cells" / "whole").exists()
    assert not (folder / "random" / "whole" / "scores.json").exists()
