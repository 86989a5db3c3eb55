"""The search phase: which files it writes, what is in them, and what it refuses."""

import itertools
import json

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.phases import search_inputs, searching
from dna_tf.search import exact, fronts, problem_building, problems
from dna_tf.space import architectures, cost_tables, op_costs, presets, tasks
from tests.helpers import op_cost_tables, rated_runs, tiny_config, tool_runs

NAMES = ["max_macs_15k", "max_macs_17k_max_params_1300", "max_macs_15k_control"]


@pytest.fixture
def run(tmp_path):
    """A rated run: `(Workdir, config, ratings)`."""
    return rated_runs.rated_run(tmp_path)


def _everything(config, ratings):
    """All architectures of the space: (rating, costs, cells, paths), by brute force."""
    space = presets.get_space(config.space)
    table = cost_tables.cost_table(space, tasks.Task(16, 3, 10))
    problem = problem_building.build_problem(space, ratings, table)
    rows = []
    for cells in itertools.product(*(range(len(block.cells)) for block in space.blocks)):
        counts = [range(space.num_paths(b, c)) for b, c in enumerate(cells)]
        for paths in itertools.product(*counts):
            choice = problems.Choice(cells, paths, 0.0, {})
            architecture = problem.architecture(choice, "any", {})
            rating = sum(
                ratings[b, c][p] for b, (c, p) in enumerate(zip(cells, paths, strict=True))
            )
            rows.append((rating, architecture.costs(), cells, paths))
    return rows


def _choice(architecture):
    cells = tuple(block.cell for block in architecture.blocks)
    counts = [[2] * len(block.ops) for block in architecture.blocks]
    paths = tuple(
        int(np.ravel_multi_index(b.path, n))
        for b, n in zip(architecture.blocks, counts, strict=True)
    )
    return cells, paths


def test_the_best_under_each_budget_is_found_and_written(run):
    workdir, config, ratings = run
    assert searching.search_budgets(workdir, config) == NAMES
    assert searching.all_names(config) == NAMES
    assert searching.chosen_name(config) == NAMES[0]
    there = sorted(path.stem for path in workdir.architectures.iterdir())
    assert there == sorted([*NAMES, "front"])
    everything = _everything(config, ratings)
    assert len(everything) == 24
    for name, limits in (
        (NAMES[0], {"macs": 15_000}),
        (NAMES[1], {"macs": 17_000, "params": 1300}),
    ):
        architecture = architectures.load(workdir.architecture(name))
        assert architecture.name == name
        assert (architecture.image_size, architecture.channels, architecture.num_classes) == (
            16,
            3,
            10,
        )
        allowed = [r for r in everything if all(r[1][k] <= v for k, v in limits.items())]
        assert 0 < len(allowed) < len(everything)  # the budget is one that decides something
        best = min(allowed, key=lambda row: row[0])
        assert _choice(architecture) == best[2:]
        assert architecture.rating == pytest.approx(best[0], rel=1e-12)
        assert architecture.costs() == best[1]
        expected = {f"max_{cost}": value for cost, value in limits.items()}
        assert architecture.origin["by"] == "search" and architecture.origin["limits"] == expected
        assert architecture.origin["space"] == "tiny" and architecture.origin["seed"] == 0
        cells = ("block1_cell1", "block1_cell2", "block2_cell1")
        fresh = [workdir.ratings_made_from(config, cell) for cell in cells]
        assert architecture.origin["ratings"] == files.fingerprint(fresh)


def test_settings_without_effect_neither_outdate_ratings_nor_change_architectures(tmp_path):
    config = tiny_config.get_config()
    config.rating.checkpoint_seconds = 60.0
    workdir, config, _ = rated_runs.rated_run(tmp_path, config)
    for path in workdir.ratings.iterdir():  # as earlier versions wrote them
        content = json.loads(path.read_text())
        content["made_from"] = workdir.ratings_fingerprints(config, path.stem)[1]
        path.write_text(json.dumps(content))
    searching.search_budgets(workdir, config)
    before = rated_runs.snapshot(workdir.architectures)
    config.supernet.cache_folder = "/elsewhere"
    workdir, config = workdirs.open_workdir(tmp_path, config)
    assert searching.search_budgets(workdir, config) == NAMES
    assert rated_runs.snapshot(workdir.architectures) == before
    config.search.chosen = 1
    config.rating.batches += 1
    with pytest.raises(ValueError, match="are stale: they were made from another supernet"):
        searching.search_budgets(workdir, config)


def test_the_control_costs_about_as_much_and_is_another_one(run):
    workdir, config, ratings = run
    drawn = set()
    for seed in range(6):
        config.seed = seed
        rated_runs.write_ratings(workdir, config)  # the seed is part of what ratings are made from
        for path in workdir.architectures.glob("*.json") if seed else ():
            path.unlink()
        searching.search_budgets(workdir, config)
        chosen = architectures.load(workdir.architecture(NAMES[0]))
        control = architectures.load(workdir.architecture(NAMES[2]))
        assert control.origin["by"] == "control" and control.origin["control_of"] == NAMES[0]
        assert _choice(control) != _choice(chosen)
        distance = abs(control.costs()["macs"] / chosen.costs()["macs"] - 1)
        assert distance <= config.search.control_tolerance
        assert control.rating == pytest.approx(
            sum(ratings[b, c][p] for b, (c, p) in enumerate(zip(*_choice(control), strict=True)))
        )
        drawn.add(_choice(control))
    assert len(drawn) > 1  # the seed decides


def test_the_control_is_never_the_searched_one(run):
    workdir, config, ratings = run
    problem = search_inputs.SearchInputs(workdir, config).problem
    chosen = exact.best(problem, {"max_macs": 15_000})[0]
    same = [row for row in _everything(config, ratings) if row[1]["macs"] == chosen.costs["macs"]]
    assert len(same) == 1  # nothing else costs exactly as much
    config.search.control_tolerance = 0.0
    with pytest.raises(
        ValueError, match=r"forbidden.*larger tolerance.*config\.search\.control_tolerance"
    ):
        searching.search_budgets(workdir, config)
    assert not workdir.architectures.exists()


def test_the_chosen_budget_is_the_one_of_the_config(run):
    workdir, config, _ = run
    config.search.chosen = 1
    names = searching.search_budgets(workdir, config)
    assert names == [*NAMES[:2], f"{NAMES[1]}_control"] == searching.all_names(config)
    assert searching.chosen_name(config) == NAMES[1]
    control = architectures.load(workdir.architecture(names[2]))
    chosen = architectures.load(workdir.architecture(NAMES[1]))
    assert control.origin["control_of"] == NAMES[1]
    assert abs(control.costs()["macs"] / chosen.costs()["macs"] - 1) <= 0.2


def test_several_controls_differ_and_cost_as_much_for_each_budget(run):
    workdir, config, ratings = run
    config.search.update(controls=2, controls_of="all", control_tolerance=0.25)
    names = searching.search_budgets(workdir, config)
    expected = [f"{name}_control{end}" for name in NAMES[:2] for end in ("", "2")]
    assert names == [*NAMES[:2], *expected] == searching.all_names(config)
    for name in NAMES[:2]:
        searched = architectures.load(workdir.architecture(name))
        drawn = [architectures.load(workdir.architecture(f"{name}_control{n}")) for n in ("", "2")]
        assert len({_choice(one) for one in (searched, *drawn)}) == 3
        for one in drawn:
            assert one.origin["control_of"] == name
            assert abs(one.costs()["macs"] / searched.costs()["macs"] - 1) <= 0.25
    config.search.controls = 0
    assert searching.all_names(config) == NAMES[:2]


def test_the_first_control_does_not_depend_on_how_many_there_are(run):
    workdir, config, _ = run
    config.search.control_tolerance = 0.25
    searching.search_budgets(workdir, config)
    alone = _choice(architectures.load(workdir.architecture(NAMES[2])))
    for path in workdir.architectures.glob("*.json"):
        path.unlink()
    config.search.controls = 2
    searching.search_budgets(workdir, config)
    assert _choice(architectures.load(workdir.architecture(NAMES[2]))) == alone
    assert workdir.architecture(f"{NAMES[2]}2").exists()


def test_own_budgets_add_architectures_and_leave_the_rest(run):
    workdir, config, _ = run
    searching.search_budgets(workdir, config)
    before = rated_runs.snapshot(workdir.path)
    names = searching.search_budgets(workdir, config, ["max_macs=14k"], with_control=False)
    assert names == ["max_macs_14k"]
    after = rated_runs.snapshot(workdir.path)
    assert after.pop("architectures/max_macs_14k.json")
    assert after == before
    assert architectures.load(workdir.architecture("max_macs_14k")).costs()["macs"] <= 14_000
    names = searching.search_budgets(workdir, config, ["max_params=1200", "max_macs=16k"])
    assert names == ["max_params_1200", "max_macs_16k", "max_params_1200_control"]


def test_searching_again_leaves_equal_files(run):
    workdir, config, _ = run
    searching.search_budgets(workdir, config)
    before = rated_runs.snapshot(workdir.path)
    assert searching.search_budgets(workdir, config) == NAMES
    assert rated_runs.snapshot(workdir.path) == before


def test_a_different_file_of_the_same_name_is_refused(run):
    workdir, config, _ = run
    searching.search_budgets(workdir, config)
    path = workdir.architecture(NAMES[0])
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "origin": {"by": "hand"}}))
    before = rated_runs.snapshot(workdir.path)
    with pytest.raises(ValueError, match=rf"{NAMES[0]}\.json contains something else.*Move it"):
        searching.search_budgets(workdir, config)
    assert rated_runs.snapshot(workdir.path) == before
    path.write_text("{")
    with pytest.raises(ValueError, match="truncated"):
        searching.search_budgets(workdir, config)


def test_the_front_file_holds_the_front_of_rating_and_macs(run):
    workdir, config, ratings = run
    searching.search_budgets(workdir, config)
    front = files.read_json(workdir.front, workdirs.FRONT_KIND, "")
    assert front["space"] == "tiny" and front["num_architectures"] == 24
    assert front["front_costs"] == ["macs"]
    # By brute force: kept is what nothing beats or equals at no higher cost.
    rows = sorted(_everything(config, ratings), key=lambda row: (row[0], row[1]["macs"]))
    expected, lowest = [], float("inf")
    for rating, costs, _, _ in rows:
        if costs["macs"] < lowest:
            expected.append((rating, costs))
            lowest = costs["macs"]
    assert len(expected) > 2
    assert [entry["costs"] for entry in front["entries"]] == [costs for _, costs in expected]
    sums = [entry["rating"] for entry in front["entries"]]
    assert sums == pytest.approx([rating for rating, _ in expected], rel=1e-12)
    space = presets.get_space(config.space)
    table = cost_tables.cost_table(space, tasks.Task(16, 3, 10))
    problem = problem_building.build_problem(space, ratings, table)
    searched = fronts.front(problem)
    assert [s.rating for s in searched] == sums
    for entry, one in zip(front["entries"], searched, strict=True):
        assert entry["blocks"] == problem.architecture(one, "front", {}).describe()


def test_weights_decide_what_is_best(run):
    workdir, config, ratings = run
    config.search.weights = (0.0, 1.0)
    searching.search_budgets(workdir, config)
    architecture = architectures.load(workdir.architecture(NAMES[0]))
    allowed = [r for r in _everything(config, ratings) if r[1]["macs"] <= 15_000]
    assert ratings[1, 0][_choice(architecture)[1][1]] == min(
        ratings[1, 0][r[3][1]] for r in allowed
    )
    # The file has the ratings as they are, not weighted.
    assert (
        architecture.blocks[0].rating
        == ratings[0, architecture.blocks[0].cell][_choice(architecture)[1][0]]
    )
    assert architecture.origin["weights"] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("max_macs=1k", "Possible: macs 12,884 at least"),  # the cheapest possible
        ("max_macs=20k,max_params=10", "979"),
        ("max_macs=1X", "such as 350M. Received: '1X'"),
        ("macs=1k", "Did you mean 'max_macs'"),
    ],
)
def test_budgets_that_cannot_be_met_or_read_write_nothing(run, budget, message):
    workdir, config, _ = run
    before = rated_runs.snapshot(workdir.path)
    with pytest.raises(ValueError, match=message):
        searching.search_budgets(workdir, config, ["max_macs=15k", budget])
    assert rated_runs.snapshot(workdir.path) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": ("max_late_ms=9",)}, r"no cost 'late_ms'\..*Known: .*'macs'"),
        ({"cost_files": ("no.json",)}, r"no file .*no\.json"),
        ({"cost_files": ("{there}",), "budgets": ("min_late_ms=9",)}, "Did you mean 'latency_ms'"),
        ({"cost_files": ("{there}",), "budgets": ("max_latency_ms=9",)}, None),
    ],
)
def test_costs_are_checked_before_a_long_run(tmp_path, changes, message):
    config = tiny_config.get_config()
    costs = op_cost_tables.from_function(
        "latency_ms", lambda _: 1.0, presets.get_space(config.space), tasks.Task(16, 3, 10)
    )
    op_costs.save(costs, tmp_path / "latency.json")
    for field, values in changes.items():
        values = tuple(text.replace("{there}", str(tmp_path / "latency.json")) for text in values)
        config.search[field] = values
    config.search.chosen = 0
    if message is None:
        searching.check_costs(config)
        return
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        searching.check_costs(config)


def test_the_whole_pipeline_checks_costs_first(tmp_path):
    budget = "--config.search.budgets=('max_latency_ms=9',)"
    words = ["--config=tests/helpers/tiny_config.py", budget, f"--workdir={tmp_path}/run"]
    (done,) = tool_runs.run_all([["quickstart", *words]])
    assert done["returncode"] == 1 and "There is no cost 'latency_ms'" in done["stderr"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    assert "tensorflow" not in done["imported"]


def test_stale_missing_and_partial_ratings_are_refused(run):
    workdir, config, _ = run
    config.rating.batches = 1
    with pytest.raises(ValueError, match="stale"):
        searching.search_budgets(workdir, config)
    config = tiny_config.get_config()
    path = workdir.ratings / "block1_cell2.json"
    content = json.loads(path.read_text())
    columns = {part: values[:-1] for part, values in content["metrics"]["relative_l1"].items()}
    path.write_text(json.dumps({**content, "metrics": {"relative_l1": columns}}))
    with pytest.raises(ValueError, match="block1_cell2 has 3 of 4 paths rated"):
        searching.search_budgets(workdir, config)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"block1_cell2\.json\).*tools\.rate"):
        searching.search_budgets(workdir, config)
    assert not workdir.architectures.exists()


def test_the_story_names_architectures_costs_and_files(run, capsys):
    workdir, config, _ = run
    searching.search_budgets(workdir, config)
    story = capsys.readouterr().out
    assert story.startswith("Searched all 24 architectures of 'tiny':")
    for name in NAMES:
        architecture = architectures.load(workdir.architecture(name))
        assert f"{name}: rating {architecture.rating:.4f}" in story
        assert architecture.describe() in story
        assert str(workdir.architecture(name)) in story


def test_a_later_phase_of_the_config_does_not_change_what_is_found(run):
    """Another export or retraining leaves the architecture files as they are."""
    workdir, config, _ = run
    searching.search_budgets(workdir, config)
    before = {path.name: path.read_bytes() for path in workdir.architectures.iterdir()}
    config.export.least_agreement = 0.5
    config.retrain.epochs += 1
    searching.search_budgets(workdir, config)
    assert {path.name: path.read_bytes() for path in workdir.architectures.iterdir()} == before


def test_a_front_of_other_ratings_is_written_anew(run):
    workdir, config, _ = run
    searching.search_budgets(workdir, config)
    before = workdir.front.read_bytes()
    rated_runs.write_ratings(workdir, config, seed=1)
    for path in workdir.architectures.glob("max_*.json"):
        path.unlink()
    searching.search_budgets(workdir, config)
    assert workdir.front.read_bytes() != before
    workdir.front.write_text("{")
    searching.search_budgets(workdir, config)
    assert files.read_json(workdir.front, workdirs.FRONT_KIND, "")["entries"]


def test_every_cell_without_ratings_is_named_and_the_rest_can_be_searched(run):
    workdir, config, ratings = run
    (workdir.ratings / "block1_cell2.json").unlink()
    path = workdir.ratings / "block2_cell1.json"
    content = json.loads(path.read_text())
    columns = {part: values[:3] for part, values in content["metrics"]["relative_l1"].items()}
    path.write_text(json.dumps({**content, "metrics": {"relative_l1": columns}}))
    with pytest.raises(FileNotFoundError, match="cell2 .*cell1 has 3 of 4 .*--skip_missing"):
        search_inputs.SearchInputs(workdir, config)
    inputs = search_inputs.SearchInputs(workdir, config, skip_missing=True)
    names = searching.search_budgets(workdir, config, inputs=inputs)
    architecture = architectures.load(workdir.architecture(names[0]))
    assert architecture.origin["left_out"] == {"block1_cell2": 4, "block2_cell1": 1}
    allowed = [
        row
        for row in _everything(config, ratings)
        if row[1]["macs"] <= 15_000 and row[2][0] == 0 and row[3][1] < 3
    ]
    assert _choice(architecture) == min(allowed)[2:]
