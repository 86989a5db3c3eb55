"""Random networks drawn, rated and compared with invented accuracies; one run from end to end."""

import dataclasses
import math
import re

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files, rank_correlation
from dna_tf.phases import drawn_networks, network_scores, ranking, search_inputs
from dna_tf.report import ranking_page
from dna_tf.search import drawing
from dna_tf.space import architectures, presets, zoo
from tests.helpers import ranked_runs, rated_runs, run_files, tool_runs

EIGHT = drawn_networks.Draw(networks=8)


@pytest.fixture
def run(tmp_path):
    return ranked_runs.ranked_run(tmp_path, EIGHT, noise=0.003)


def test_names_of_sets_and_networks():
    assert drawn_networks.Draw().names[:2] == ["rank_01", "rank_02"]
    assert len(drawn_networks.Draw().names) == 16
    band = drawn_networks.Draw(band=drawing.Band(350_000_000, 0.03), fixed={6: "k3e6"})
    assert band.names[-1] == "rank_350M_16"
    assert band.text() == (
        "16 networks drawn uniformly from 344.9M to 355.2M MACs, block 6 fixed to k3e6"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": 2}, "At least 3 networks can be ranked: .* no interval. Received: 2. DNA"),
        ({"networks": 0}, "must be a whole number of at least 1. Received: 0"),
        ({"networks": 100}, "must be at most 99"),
        ({"name": "../x"}, "a set of networks"),
    ],
)
def test_sets_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        drawn_networks.Draw(**changes)


def test_a_draw_looks_at_no_rating_and_comes_out_the_same_again(tmp_path):
    workdir, config, _ = rated_runs.rated_run(tmp_path)
    drawn = drawn_networks.draw(workdir, config, EIGHT)
    before = rated_runs.snapshot(workdir.architectures)
    rated_runs.write_ratings(workdir, config, seed=5)
    assert drawn_networks.draw(workdir, config, EIGHT) == drawn
    assert rated_runs.snapshot(workdir.architectures) == before
    assert all(arch.rating is None and arch.origin["by"] == "draw" for arch in drawn)
    assert drawn_networks.draw(workdir, config, drawn_networks.Draw(networks=12))[:8] == drawn
    with pytest.raises(ValueError, match="contains something else, and is not overwritten"):
        drawn_networks.draw(workdir, config, drawn_networks.Draw(networks=8, seed=9))


def test_a_rating_is_the_exact_sum_over_the_paths(run):
    workdir, config = run
    content = network_scores.add_up(workdir, config, EIGHT)
    problem = search_inputs.SearchInputs(workdir, config).problem
    for name, score in content["scores"].items():
        arch = zoo.find(name, workdir.architectures)
        chosen = [
            problem.measured[b, block.cell][problem.space.path_index(b, block.cell, block.path)]
            for b, block in enumerate(arch.blocks)
        ]
        assert score == {
            "blocks": arch.describe(),
            "rating": math.fsum(chosen),
            "untrained": None,
        }


def test_weights_of_blocks_count(run):
    workdir, config = run
    plain = network_scores.add_up(workdir, config, EIGHT)["scores"]
    config.search.weights = (2.0, 2.0)
    twice = network_scores.add_up(workdir, config, EIGHT)["scores"]
    for name, score in plain.items():
        assert twice[name]["rating"] == pytest.approx(2 * score["rating"], rel=1e-15)


def test_the_result_has_each_score_with_intervals_beside_its_controls(run):
    workdir, config = run
    measured = search_inputs.SearchInputs(workdir, config).problem.measured
    network_scores.add_up(workdir, config, EIGHT, {key: v[::-1] for key, v in measured.items()})
    result = ranking.compare(workdir, config, EIGHT)
    by_name = {row["score"]: row for row in result["rows"]}
    assert list(by_name) == [
        *("rating", "macs", "params", "layers with expansion 2", "untrained cells")
    ]
    ratings = np.array([network["rating"] for network in result["networks"]])
    truth = np.array([np.mean(network["accuracies"]) for network in result["networks"]])
    value, low, high = by_name["rating"]["tau"]
    assert value == rank_correlation.kendall_tau(-ratings, truth)
    assert low <= value <= high
    assert set(by_name["rating"]["partial"]) == set(by_name) - {"rating"}
    assert "2 trainings of each" in " ".join(result["lines"])
    path = workdir.ranking / "rank.json"
    assert files.read_json(path, workdirs.RANKING_KIND, "") == result
    page = (workdir.ranking / "rank.html").read_text()
    assert page.count('class="sp"') == 4 and "rank_08" in page
    assert not re.search(r'(src|href)="http', page)
    assert ranking.compare(workdir, config, EIGHT) == result


def test_names_in_a_page_are_escaped(run):
    workdir, config = run
    network_scores.add_up(workdir, config, EIGHT)
    result = ranking.compare(workdir, config, EIGHT)
    result["draw"] = result["networks"][0]["blocks"] = "<script>alert(1)</script>"
    result["left_out"] = ["<b>"]
    page = ranking_page.page_html(result)
    assert "<script>alert" not in page and "<b>" not in page


def test_a_control_that_is_equal_for_all_networks_is_left_out(run):
    workdir, config = run
    zero = {key: 0.0 * v for key, v in _measured(workdir, config).items()}
    network_scores.add_up(workdir, config, EIGHT, zero)
    result = ranking.compare(workdir, config, EIGHT)
    assert result["left_out"] == ["Not compared with untrained cells: all networks have 0."]


def test_equal_ratings_or_accuracies_cannot_be_ranked(run):
    workdir, config = run
    network_scores.add_up(workdir, config, EIGHT)
    for name in EIGHT.names:
        arch = zoo.find(name, workdir.architectures)
        for seed in range(2):
            ranked_runs.write_student(workdir, arch, seed, 500)
    with pytest.raises(ValueError, match=r"All numbers of 'truth' are equal \(0.5\)"):
        ranking.compare(workdir, config, EIGHT)
    path = workdir.ranking / "rank_scores.json"
    scores = files.read_json(path, workdirs.SCORES_KIND, "")
    for score in scores["scores"].values():
        score["rating"] = 1.0
    files.write_json(path, scores)
    ranked_runs.write_student(workdir, zoo.find("rank_01", workdir.architectures), 0, 900)
    with pytest.raises(ValueError, match="All numbers of 'rating' are equal"):
        ranking.compare(workdir, config, EIGHT)


def test_what_is_missing_is_named_with_the_step_that_makes_it(tmp_path):
    workdir, config, _ = rated_runs.rated_run(tmp_path)
    for step in (network_scores.add_up, ranking.compare, ranking.retrain):
        with pytest.raises(FileNotFoundError, match="Not drawn yet: rank_01, rank_02, rank_03 .*"):
            step(workdir, config, EIGHT)
    drawn_networks.draw(workdir, config, EIGHT)
    with pytest.raises(FileNotFoundError, match="Rate the networks first: --step=rate"):
        ranking.compare(workdir, config, EIGHT)
    network_scores.add_up(workdir, config, EIGHT)
    with pytest.raises(FileNotFoundError, match="tools.retrain .*--arch=rank_01"):
        ranking.compare(workdir, config, EIGHT)


def test_scores_of_other_ratings_and_of_other_networks_are_refused(run):
    workdir, config = run
    network_scores.add_up(workdir, config, EIGHT)
    config.search.weights = (1.0, 3.0)
    with pytest.raises(ValueError, match="are of other ratings than those of this run. Rate"):
        ranking.compare(workdir, config, EIGHT)
    config.search.weights = ()
    others = drawn_networks.Draw(networks=3, seed=8, name="other")
    arch = drawn_networks.draw(workdir, config, others)[0]
    origin = {"by": "draw"}
    named = dataclasses.replace(arch, name="rank_01", origin=origin)
    architectures.save(named, workdir.architecture("rank_01"))
    with pytest.raises(ValueError, match="are not of the network rank_01"):
        ranking.compare(workdir, config, EIGHT)


def test_a_network_of_another_origin_is_not_taken_for_a_drawn_one(run):
    workdir, config = run
    arch = zoo.get_architecture("dna_a")
    named = dataclasses.replace(arch, name="rank_02")
    architectures.save(named, workdir.architecture("rank_02"))
    with pytest.raises(ValueError, match="rank_02 in .* was not drawn"):
        ranking.compare(workdir, config, EIGHT)
    with pytest.raises(ValueError, match="has no paths of the space 'tiny'"):
        network_scores.network_rating({}, named, presets.get_space(config.space))


def _measured(workdir, config):
    return search_inputs.SearchInputs(workdir, config).problem.measured


@pytest.mark.slow
def test_the_tool_runs_step_by_step_and_at_once_and_killed_to_the_same_bits(tmp_path):
    config = tmp_path / "tiny.py"
    config.write_text("from tests.helpers.tiny_config import get_config\n")
    first, again = (f"--workdir={tmp_path / name}" for name in ("first", "again"))
    start = ["rank", f"--config={config}", "--networks=3", "--strategy=cpu"]
    tool_runs.kill_in_the_middle(
        tool_runs.command(*start, first),
        has_begun=(tmp_path / "first" / "students" / "rank_02").exists,
        is_over=(tmp_path / "first" / "ranking" / "rank.json").exists,
    )
    bad = [
        (["--networks=2"], "At least 3 networks can be ranked"),
        (["--band=0.03"], "needs both flags, such as --band=0.03 --macs=350M"),
        (["--band=x", "--macs=15k"], "--band takes a share, such as 0.03. Received: 'x'"),
        (["--fix=7:k3e1"], "Received: block 7"),
        (["--step=report", "--networks=4"], "Not drawn yet: rank_04"),
    ]
    results = tool_runs.run_all(
        [
            [*start, first],
            *[["rank", first, "--networks=3", "--strategy=cpu", *words] for words, _ in bad],
            [*start, again, "--step=draw"],
            [*start, again, "--step=rate"],
            [*start, again, "--step=retrain"],
            ["train_teacher", again],
            ["train_supernet", again],
            [*start, again, "--step=rate"],
            [*start, again, "--step=report"],
        ]
    )
    whole, *refused = results[: 1 + len(bad)]
    assert whole["returncode"] == 0, whole["stderr"]
    assert re.search(
        r"Next: .*tools.rank --workdir=\S+ --networks=3 --band=0.03 --macs=", whole["stdout"]
    )
    for result, (words, message) in zip(refused, bad, strict=True):
        assert result["returncode"] == 1 and message in result["stderr"], (words, result)
    drawn, unrated, *others = results[1 + len(bad) :]
    assert "--step=retrain" in drawn["stdout"]
    assert unrated["returncode"] == 1 and "train_teacher" in unrated["stderr"]
    for result in others:
        assert result["returncode"] == 0, result["stderr"]
    students = [run_files.results(tmp_path / name / "students") for name in ("first", "again")]
    assert not run_files.differing(*students)
    contents = [
        files.read_json(tmp_path / name / "ranking" / "rank.json", workdirs.RANKING_KIND, "")
        for name in ("first", "again")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]["networks"]) == 3 and contents[0]["networks"][0]["untrained"] > 0
