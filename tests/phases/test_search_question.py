"""Questions to the search from the command line: files, names, story and refusals."""

import dataclasses
import re

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.phases import search_inputs, search_question, searching
from dna_tf.search import exact
from dna_tf.space import architectures, cost_limits, op_costs, ratings, spaces, tasks
from tests.helpers import op_cost_tables, rated_runs, search_cases, tool_runs


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    """The folder of a rated run and latency files, and what all questions printed."""
    folder = tmp_path_factory.mktemp("questions")
    workdir, config, _ = rated_runs.rated_run(folder / "run")
    space, task = search_inputs.SearchInputs(workdir, config).space, tasks.Task(16, 3, 10)
    rng = np.random.default_rng(0)
    latency = op_cost_tables.from_function("latency_ms", lambda p: rng.uniform(1, 3), space, task)
    op_costs.save(latency, folder / "latency.json")
    other = op_cost_tables.from_function("latency_ms", lambda p: 1.0, space, tasks.Task(32, 3, 10))
    op_costs.save(other, folder / "other.json")
    about = {"overhead": {}, "threads": 2, "cores": [1]}  # as tools.latency_table writes
    op_costs.save(dataclasses.replace(other, about=about), folder / "made.json")
    mine = dataclasses.replace(latency, cost="my_latency_ms", device="board", about=about)
    op_costs.save(mine, folder / "mine.json")
    before = rated_runs.snapshot(folder)
    refused = tool_runs.run_all(_words(folder, REFUSED))
    # A failed search writes nothing.
    assert rated_runs.snapshot(folder) == before
    answers = tool_runs.run_all(_words(folder, ASKED))
    refused = dict(zip([f"no {name}" for name in REFUSED], refused, strict=True))
    return folder, {**refused, **dict(zip(ASKED, answers, strict=True))}


def _words(folder, cases):
    commands = []
    for words in cases.values():
        words = words if isinstance(words, str) else words[0]
        filled = [word.format(folder=folder) for word in words.split()]
        commands.append(["search", f"--workdir={folder}/run", *filled])
    return commands


LATENCY = "--cost_file={folder}/latency.json"
ASKED = {
    "top": "--max_macs=16k --top=3",
    "window": "--max_macs=16k --min_macs=14k --max_params=1300",
    "latency": f"{LATENCY} --max_latency_ms=9.5 --max_macs=17k",
    "measured": f"{LATENCY} --cost_file={{folder}}/mine.json --max_my_latency_ms=9.5 --top=2",
    "share": "--top=3 --max_shared_ops=1",
    "penalty": "--penalty=macs=1e-4@14k --penalty=params=1e-5",
    "front": "--max_macs=17k --front=macs,params --name=mine",
    "rounded": "--front=macs --round=0.3 --name=other",
    "weights": "--weights=0,2 --name=weighted --max_macs=16k",
}
REFUSED = {
    "no cost": ("--max_latency_ms=9", r"no cost 'latency_ms'\. Known: .*--cost_file"),
    "typo": ("--max_late_ms=9 " + LATENCY, r"no cost 'late_ms'\. Did you mean 'latency_ms'"),
    "unit": ("--max_macs=16km", r"such as 350M\. Received: '16km'"),
    "contradicting": ("--max_macs=1k --min_macs=2k", "min_macs=2k lies above max_macs=1k"),
    "nothing": (
        "--max_macs=1k --max_params=900",
        r"params 979 at least, macs 12,884 at least \(each alone\)\. The nearest miss has "
        r"params 979, macs 12,884\. Loosen",
    ),
    "front": ("--front=mac", "no cost 'mac'. Did you mean 'macs'"),
    "top 0": ("--top=0", r"from 1 to 1,000,000\. Received: 0"),
    "top huge": ("--top=1000000000", r"Received: 1000000000"),
    "top text": ("--top=few", r"--top takes whole numbers.*'few'"),
    "share alone": ("--max_shared_ops=3", "needs several architectures"),
    "share -1": ("--top=3 --max_shared_ops=-1", "--max_shared_ops takes whole numbers"),
    "round alone": ("--round=0.1", "--round needs a front"),
    "round 2": ("--front=macs --round=2", "a share from 0 to 1"),
    "round text": ("--front=macs --round=little", "--round takes numbers.*'little'"),
    "weights": ("--weights=1,1,1", "there is no block 3"),
    "weights text": ("--weights=1,x", "--weights takes numbers.*'x'"),
    "weights few": ("--weights=1", r"weights must be 2 finite numbers.*Received: \[1\.0\]"),
    "penalty": ("--penalty=macs", "written as a cost and what one unit of it adds"),
    "penalty text": ("--penalty=macs=dear", "such as macs=1e-9.*Received: 'macs=dear'"),
    "penalty cost": ("--penalty=mac=1", "no cost 'mac'. Did you mean 'macs'"),
    "penalty twice": ("--penalty=macs=1 --penalty=macs=2", "One cost has two penalties"),
    "penalty below 0": ("--penalty=macs=-1", "finite factor of at least 0"),
    "name": ("--name=../up", "names files. Received: '../up'"),
    "name front": ("--name=front", "is that of the front's file"),
    "file": ("--cost_file={folder}/no.json", r"no file .*no\.json"),
    "file foreign": ("--cost_file={folder}/run/config.json", "dna_tf.op_costs"),
    "file size": ("--cost_file={folder}/other.json", r"is missing .* at 16 px .* images of 32 px"),
    "file made": (
        "--cost_file={folder}/made.json",
        r"is missing .* at 16 px .* tools\.latency_table --workdir=\S+/run --cost=latency_ms "
        r"--threads=2 --cores=1 --output=FILE$",
    ),
    "file twice": (f"{LATENCY} {LATENCY}", "two costs of the name 'latency_ms'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(searches, case):
    result = searches[1][f"no {case}"]
    lines = result["stderr"].strip().splitlines()
    assert result["returncode"] == 1 and len(lines) == 1
    assert lines[0].startswith("error: ")
    with pytest.raises(ValueError, match=REFUSED[case][1]):
        raise ValueError(lines[0])


@pytest.fixture(scope="module")
def problem(searches):
    folder, _ = searches
    workdir, config = workdirs.open_workdir(folder / "run")
    files_of = [str(folder / "latency.json")]
    return search_inputs.SearchInputs(workdir, config, cost_files=files_of).problem


def _choice(folder, name):
    architecture = architectures.load(folder / "run" / "architectures" / f"{name}.json")
    assert architecture.name == name
    cells = tuple(block.cell for block in architecture.blocks)
    shapes = [[2] * len(block.path) for block in architecture.blocks]
    paths = zip(architecture.blocks, shapes, strict=True)
    return architecture, cells, tuple(int(np.ravel_multi_index(b.path, s)) for b, s in paths)


CASES = {
    "top": ("max_macs_16k", {"max_macs": 16e3}, {}, 3),
    "window": (
        "max_params_1300_max_macs_16k_min_macs_14k",
        {"max_params": 1300.0, "max_macs": 16e3, "min_macs": 14e3},
        {},
        1,
    ),
    "latency": (
        "max_macs_17k_max_latency_ms_9.5",
        {"max_macs": 17e3, "max_latency_ms": 9.5},
        {},
        1,
    ),
    "penalty": (
        "penalty_macs_1e_4_14k_penalty_params_1e_5",
        {},
        {"macs": (1e-4, 14e3), "params": (1e-5, 0.0)},
        1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_equal_brute_force(searches, problem, case):
    folder, results = searches
    name, limits, penalties, top = CASES[case]
    assert (results[case]["returncode"], results[case]["stderr"]) == (0, "")
    listed = search_cases.all_architectures(problem)
    allowed = search_cases.allowed(listed, limits)
    assert case == "penalty" or 0 < len(allowed) < len(listed)
    expected = search_cases.in_order(allowed, penalties)[:top]
    names = [name, *(f"{name}_{i}" for i in range(2, top + 1))]
    for one, other in zip(names, expected, strict=True):
        architecture, cells, paths = _choice(folder, one)
        assert (cells, paths) == (other.cells, other.paths)
        assert architecture.rating == other.rating
        assert architecture.origin["limits"] == {key: value for key, value in limits.items()}
        assert architecture.origin.get("penalties", {}) == {
            k: list(v) for k, v in penalties.items()
        }
        assert f"{one}: rating {other.rating:.4f}" in results[case]["stdout"]
    last = results[case]["stdout"].splitlines()[-1]
    assert last == f"Next: python -m tools.retrain --workdir={folder}/run --arch={name}"
    assert not {"tensorflow", "keras"} & set(results[case]["imported"])


def test_costs_from_files_are_in_the_architecture_file(searches, problem):
    folder, results = searches
    architecture, cells, paths = _choice(folder, CASES["latency"][0])
    latency = problem.evaluate(cells, paths)[1]["latency_ms"]
    assert architecture.origin["costs"] == {"latency_ms": latency}
    identity = op_costs.identity(op_costs.load(folder / "latency.json"))
    assert architecture.origin["cost_files"] == {"latency_ms": identity}
    assert f"{latency:.4g} latency_ms" in results["latency"]["stdout"]


def test_what_was_found_by_a_measured_table_is_measured_next(searches):
    folder, results = searches
    lines = results["measured"]["stdout"].splitlines()
    name, words = "max_my_latency_ms_9.5", "--cost=my_latency_ms --threads=2 --cores=1"
    assert lines[-2:] == [
        f"Next: python -m tools.latency_table --workdir={folder}/run --output={folder}/mine.json "
        f"--arch={name},{name}_2 {words}    # on board",
        f"Next: python -m tools.retrain --workdir={folder}/run --arch={name}",
    ]
    # Of latency.json nothing says that the tool made it.
    assert sum("latency_table" in line for line in lines) == 1
    assert "latency_table" not in results["latency"]["stdout"]


def test_the_story_tells_how_tight_each_limit_is(searches, problem):
    _, results = searches
    story = results["window"]["stdout"]
    listed = search_cases.all_architectures(problem)
    limits = CASES["window"][1]
    best = search_cases.in_order(search_cases.allowed(listed, limits))[0]
    for key, value in limits.items():
        line = next(line for line in story.splitlines() if line.startswith(f"  {key}="))
        sign = 1 if key.startswith("max_") else -1
        for share in (0.01, 0.05, 0.1):
            loose = {**limits, key: value + sign * share * value}
            gain = best.rating - min(o.rating for o in search_cases.allowed(listed, loose))
            text = f"rating {-gain:.4f}" if gain else "nothing"
            assert f"{'+' if sign > 0 else '-'}{share:.0%}: {text}" in line


def test_differing_ones_and_fewer_than_asked(searches):
    folder, results = searches
    choices = [_choice(folder, f"share_1{end}")[1:] for end in ("", "_2", "_3")]
    assert len(set(choices)) == 3
    assert not (folder / "run/architectures/share_1_4.json").exists()
    architecture, *_ = _choice(folder, "share_1_2")
    assert architecture.origin["max_shared"] == 1 and architecture.origin["rank"] == 2
    assert "There are only" not in results["share"]["stdout"]


def test_fronts_are_written(searches, problem):
    folder, results = searches
    front = files.read_json(folder / "run/fronts/macs_params.json", workdirs.FRONT_KIND, "")
    allowed = search_cases.allowed(search_cases.all_architectures(problem), {"max_macs": 17e3})
    rows = [(one.rating, one.costs["macs"], one.costs["params"]) for one in allowed]
    expected = sorted(
        row
        for row in rows
        if not any(
            other != row and all(a <= b for a, b in zip(other, row, strict=True)) for other in rows
        )
    )
    entries = [(e["rating"], e["costs"]["macs"], e["costs"]["params"]) for e in front["entries"]]
    assert entries == expected and len(entries) > 1
    assert front["front_costs"] == ["macs", "params"] and front["limits"] == {"max_macs": 17_000}
    assert f"({len(entries)} entries, exact)" in results["front"]["stdout"]
    assert _choice(folder, "mine")[0].origin["limits"] == {"max_macs": 17_000}
    rounded = files.read_json(folder / "run/fronts/macs.json", workdirs.FRONT_KIND, "")
    assert rounded["rounding"] == 0.3
    assert "dearer by less than 30.000%" in results["rounded"]["stdout"]


def test_weights_of_a_question(searches, problem):
    folder, _ = searches
    architecture, cells, paths = _choice(folder, "weighted")
    assert architecture.origin["weights"] == [0.0, 2.0]
    allowed = search_cases.allowed(search_cases.all_architectures(problem), {"max_macs": 16e3})
    last = problem.ratings[1, 0]
    assert last[paths[1]] == min(last[one.paths[1]] for one in allowed)


def test_another_architecture_of_the_name_is_kept(searches):
    folder, _ = searches
    before = rated_runs.snapshot(folder / "run")
    words = [f"--workdir={folder}/run", "--max_macs=14k", "--name=mine"]
    (done,) = tool_runs.run_all([["search", *words]])
    assert done["returncode"] == 1 and "another name with --name" in done["stderr"]
    assert rated_runs.snapshot(folder / "run") == before
    (done,) = tool_runs.run_all(
        [["search", f"--workdir={folder}/run", "--max_macs=16k", "--top=3"]]
    )
    assert done["returncode"] == 0
    assert rated_runs.snapshot(folder / "run") == before  # equal files are left


def test_nothing_is_written_if_one_file_is_in_the_way(tmp_path):
    workdir, config, _ = rated_runs.rated_run(tmp_path / "run")
    inputs = search_inputs.SearchInputs(workdir, config)
    question = search_question.Question("mine", cost_limits.Limits(max_macs=16_000), top=3)
    for last, search in (
        ("mine_3", lambda: search_question.answer(inputs, question)),
        ("max_macs_15k_control", lambda: searching.search_budgets(workdir, config)),
    ):
        path = workdir.architecture(last)
        files.write_json(path, {})
        before = rated_runs.snapshot(workdir.path)
        with pytest.raises(ValueError, match=rf"{last}\.json contains something else.*--name"):
            search()
        assert rated_runs.snapshot(workdir.path) == before
        path.unlink()


def test_a_question_may_skip_what_is_not_rated(tmp_path, problem):
    workdir, _, _ = rated_runs.rated_run(tmp_path / "run")
    (workdir.ratings / "block1_cell2.json").unlink()
    words = ["search", f"--workdir={workdir}", "--max_macs=17k"]
    refused, done = tool_runs.run_all([words, [*words, "--skip_missing"]])
    assert refused["returncode"] == 1
    assert re.search(r"^error: Not rated: block1_cell2 \(no file .*skip_m", refused["stderr"])
    assert (done["returncode"], done["stderr"]) == (0, "")
    within = search_cases.allowed(search_cases.all_architectures(problem), {"max_macs": 17e3})
    rated = [one for one in within if one.cells[0] == 0]
    best = search_cases.in_order(rated)[0]
    assert len(rated) < len(within)
    architecture, cells, paths = _choice(tmp_path, "max_macs_17k")
    assert (cells, paths, architecture.rating) == (best.cells, best.paths, best.rating)
    assert architecture.origin["left_out"] == {"block1_cell2": problem.space.num_paths(0, 1)}


def test_the_config_can_name_cost_files(searches):
    folder, _ = searches
    workdir, config = workdirs.open_workdir(folder / "run")
    config.search.cost_files = (str(folder / "latency.json"),)
    inputs = search_inputs.SearchInputs(workdir, config)
    assert inputs.problem.names[-1] == "latency_ms"


def test_parse_penalty():
    Limits = cost_limits.Limits
    assert search_question.parse_penalty("macs=1e-9") == ("macs", (1e-9, 0.0))
    assert search_question.parse_penalty(" macs = 2@1.5k ") == ("macs", (2.0, 1500.0))
    assert search_question.name_of(Limits(), ("macs=1e-9",), 3) == "penalty_macs_1e_9_share_3"
    assert search_question.name_of(Limits("max_macs=4.5k")) == "max_macs_4.5k"
    assert search_question.name_of(Limits()) == "best"


def test_runner_ups_that_cannot_be_told_from_the_best_are_named(tmp_path, capsys):
    workdir, config, rated = rated_runs.rated_run(tmp_path / "run")
    space = search_inputs.SearchInputs(workdir, config).space
    question = search_question.Question("best", cost_limits.Limits(), top=4)
    search_question.answer(search_inputs.SearchInputs(workdir, config), question)
    assert "the ratings are from a single batch of images" in capsys.readouterr().out
    for b, c, _ in space.cells():
        path = workdir.ratings / f"{spaces.cell_name(b, c)}.json"
        means = rated[b, c]
        pairs = {"relative_l1": np.stack([means, np.full(len(means), 1e-3)])}
        made_from = workdir.ratings_made_from(config, spaces.cell_name(b, c))
        ratings.save(path, space, b, c, ratings.RatedCell(pairs, 9), made_from)
    inputs = search_inputs.SearchInputs(workdir, config)
    search_question.answer(inputs, question)
    best, *others = exact.best(inputs.problem, k=4)
    out = capsys.readouterr().out
    assert "How far the runner-ups are from best" in out
    unclear = 0
    for number, other in enumerate(others, 2):
        places = zip(best.cells, best.path_indices, other.cells, other.path_indices, strict=True)
        count = 2 * sum((c, p) != (d, q) for c, p, d, q in places)
        error = 2.306 * 1e-3 * np.sqrt(count / 9)  # Student's t for 8 degrees of freedom
        gap = other.rating - best.rating
        line = f"  best_{number}: {gap:+.4f} ± {error:.4f}"
        is_unclear = gap <= error
        unclear += is_unclear
        assert line + (": cannot be told from best" if is_unclear else "") + "\n" in out
    assert f"{unclear} of 3 cannot be told from it by their ratings." in out
    assert "--supernet_seed=1" in out and "supernets" not in out.replace("--supernet_seed=1", "")

    # Ratings of a second supernet: its spread is in the intervals.
    draws = np.random.default_rng(0)
    for b, c, _ in space.cells():
        moved = rated[b, c] + draws.normal(0, 0.01, len(rated[b, c]))
        path = workdir.path / "seeds" / "5" / "ratings" / f"{spaces.cell_name(b, c)}.json"
        ratings.save(path, space, b, c, rated_runs.rated_cell(moved), "of seed 5")
        if (b, c) == (0, 0):
            search_question.answer(inputs, question)  # not all cells are rated yet
            assert "--supernet_seed=1" in capsys.readouterr().out
    search_question.answer(inputs, question)
    wider = capsys.readouterr().out
    assert "The spread between 2 supernets is in them as well (seeds 0, 5)." in wider
    errors = [
        [float(line.split("±")[1].split(":")[0]) for line in text.splitlines() if "±" in line]
        for text in (out, wider)
    ]
    assert all(new > old for old, new in zip(*errors, strict=True))
