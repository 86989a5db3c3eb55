"""Searches side by side: the figures, the tool, its files; and the tool that writes the report."""

import json
import math

import numpy as np
import pytest

from dna_tf.phases import search_inputs
from dna_tf.search import comparison, exact, trial_search
from dna_tf.space import cost_tables, presets, tasks
from tests.helpers import drawn_tables, rated_runs, search_cases, tool_runs

TRYING = ["random", "evolution", "evolution, SPOS", "evolution, regularised", "REINFORCE"]
TRYING += ["Q-learning"]
NAMES = ["exact", *(f"{name}, {budget}" for name in TRYING for budget in ("1,000", "10,000"))]
NAMES += ["beam of 1", "beam of 10", "beam of 100", "authors' traversal"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return rated_runs.rated_run(tmp_path_factory.mktemp("run"))[:2]


def tool(*arguments):
    (result,) = tool_runs.run_all([["compare_searches", *map(str, arguments)]])
    return result


def test_gaps_evaluations_and_seconds_are_medians_over_the_seeds():
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    best = exact.best(problem)[0]
    gaps = {0: 0.5, 1: 0.125, 2: None, 3: 0.25, 4: 0.375}

    def seeded(problem, limits, seed):
        assert limits == {}
        gap = gaps[seed]
        if gap is None:
            return trial_search.Outcome(None, math.inf, 7, ())
        value = best.rating + gap
        return trial_search.Outcome(best, value, 10 * seed, ((3, value),), seed == 0)

    def rare(problem, limits, seed):
        return seeded(problem, limits, 2 if seed else 1)

    searches = {"seeded": (seeded, True), "rare": (rare, True)}
    first, second = comparison.compare(problem, {}, 5, searches)
    assert (first["gap"], first["worst_gap"]) == (
        pytest.approx(0.375), pytest.approx(0.5)
    )  # of 0.125, 0.25, 0.375, 0.5 and none  # fmt: skip
    assert (first["within_limits"], first["runs"], first["finished"]) == (4, 5, 1)
    assert first["evaluations"] == 10 and first["seconds"] >= 0
    assert first["curves"][1] == [[3, best.rating + 0.125]] and first["curves"][2] == []
    assert (second["gap"], second["worst_gap"]) == (None, pytest.approx(0.125))
    lines = comparison.table([first, second])
    assert "none found" in lines[2] and "4 of 5" in lines[1] and "0.3750" in lines[1]
    assert f"{100 * 0.375 / best.rating:.2f}" in lines[1]
    json.dumps([first, second], allow_nan=False)


def test_all_searches_are_compared_under_a_run_s_budgets(run):
    workdir, config = run
    result = tool(f"--workdir={workdir}", "--seeds=2", "--budgets=5,40", "--beams=1,500")
    assert result["returncode"] == 0, result
    assert f"Next: python -m tools.search --workdir={workdir}" in result["stdout"]
    content = json.loads((workdir.comparisons / "budgets.json").read_text())
    problem = search_inputs.SearchInputs(workdir, config).problem
    assert content["num_architectures"] == problem.num_architectures()
    assert len(content["comparisons"]) == len(config.search.budgets)
    for one in content["comparisons"]:
        optimum = exact.best(problem, one["limits"])[0].rating
        rows = {row["search"]: row for row in one["searches"]}
        assert list(rows) == [
            "exact", *(f"{name}, {budget}" for name in TRYING for budget in (5, 40)), "beam of 1",
            "beam of 500", "authors' traversal",
        ]  # fmt: skip
        for row in rows.values():
            assert row["optimum"] == optimum and (row["gap"] is None or row["gap"] >= 0)
            assert row["runs"] == (2 if row["search"].startswith(tuple(TRYING)) else 1)
            assert f"{row['search']}  " in result["stdout"]
        assert (rows["exact"]["gap"], rows["beam of 500"]["gap"]) == (0, 0)
        assert rows["random, 40"]["evaluations"] <= 40


def test_made_up_ratings_need_no_workdir(tmp_path):
    words = ["--space=digits", "--ratings=made", "--seed=3", "--max_macs=1.4M", "--seeds=1"]
    words += ["--budgets=50", "--beams=1", "--traversal_budget=1k"]
    result = tool(*words, f"--output={tmp_path / 'one.json'}")
    assert result["returncode"] == 0, result
    assert "digits, 1,105,920 architectures, macs <= 1.4M" in result["stdout"]
    content = json.loads((tmp_path / "one.json").read_text())
    assert (content["ratings"], content["seed"]) == ("made up, plausible", 3)
    assert not {"tensorflow", "keras"} & set(result["imported"])
    space = presets.get_space("digits")
    table = cost_tables.cost_table(space, tasks.Task(32, 3, 10))
    rated = comparison.draw_ratings(space, table, "plausible", 3)
    rows = content["comparisons"][0]["searches"]
    lowest = sum(
        min(rated[b, c].min() for c in range(len(block.cells)))
        for b, block in enumerate(space.blocks)
    )
    assert rows[0]["optimum"] > lowest


def test_searches_on_a_table(tmp_path):
    table = drawn_tables.table()
    rows = table.rows()
    arrays = {
        "ops": rows,
        "macs": table.values("macs", rows).astype(int),
        "signal": table.values("signal", rows),
        "test": table.values("truth", rows),
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    words = ["--table=mine", f"--folder={tmp_path}", "--signal=signal", "--report=test"]
    words += ["--seeds=2", "--budgets=5,20", "--max_macs=20", f"--output={tmp_path / 'one.json'}"]
    result = tool(*words)
    assert result["returncode"] == 0, result
    assert "random, closed form" in result["stdout"] and "macs <= 20" in result["stdout"]
    assert "The noise of a training is not known here." in result["stdout"]
    assert "Next: python -m tools.compare_searches --table=mine" in result["stdout"]
    assert not {"tensorflow", "keras"} & set(result["imported"])
    (entry,) = json.loads((tmp_path / "one.json").read_text())["questions"].values()
    assert entry["limits"] == {"max_macs": 20} and entry["budgets"] == [5, 20]
    assert len(entry["results"]) == len(TRYING) * 2 * 2 + 1
    again = tool(*words)
    assert again["stdout"] == result["stdout"]


REFUSED = {
    "needs a space: add --space=dna": ["--ratings=made"],
    "dno": ["--ratings=made", "--space=dno"],
    "no kind of made-up ratings 'rough'": ["--ratings=made", "--space=digits", "--kind=rough"],
    "No architecture of the space": ["--ratings=made", "--space=digits", "--max_macs=1"],
    "needs no --workdir": ["--ratings=made", "--space=digits", "--workdir=x"],
    "--space is for --ratings=made": ["--space=digits"],
    "--budgets takes whole numbers": ["--budgets=1,x", "--ratings=made", "--space=digits"],
    "such as 350M": ["--traversal_budget=many", "--ratings=made", "--space=digits"],
    "--workdir=FOLDER": [],
    "There is no table 'nb201': expected nas_tables/nb201.npz": ["--table=nb201"],
    "--signal is for a table": ["--signal=val12", "--ratings=made", "--space=digits"],
    "--table has its own networks": ["--table=nb201", "--space=digits"],
}


@pytest.fixture(scope="module")
def refused():
    results = tool_runs.run_all([["compare_searches", *words] for words in REFUSED.values()])
    return dict(zip(REFUSED, results, strict=True))


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_compared(refused, message):
    result = refused[message]
    assert result["returncode"] == 1 and message in result["stderr"], result
    assert result["stderr"].count("\n") == 1


def test_the_names_of_the_usual_searches():
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    assert list(comparison.methods(problem)) == NAMES


def test_made_up_ratings_fall_with_cost_or_do_not():
    space = presets.get_space("digits")
    table = cost_tables.cost_table(space, tasks.Task(32, 3, 10))
    for kind, low, high in (("plausible", -1, -0.8), ("smooth", -1, -0.97), ("noise", -0.4, 0.4)):
        drawn = comparison.draw_ratings(space, table, kind, 0)
        macs = np.log(table.paths[0, 1, 8]["macs"])
        assert low <= np.corrcoef(drawn[0, 1], macs)[0, 1] <= high
        assert all(len(drawn[b, c]) == space.num_paths(b, c) for b, c, _ in space.cells())
    with pytest.raises(ValueError, match="no kind of made-up ratings 'rough'"):
        comparison.draw_ratings(space, table, "rough")
