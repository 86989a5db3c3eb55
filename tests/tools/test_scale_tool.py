"""The scale tool: what it shows, writes and refuses, and that retrain takes what it wrote.

Wrong input must end with status 1, one message, and nothing written.
"""

import dataclasses
import json
import re

import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.phases import retraining, searching
from dna_tf.space import architectures, scaling, zoo
from tests.helpers import rated_runs, tiny_config, tool_runs

ARCH = "--arch=dna_a"
# Arguments, and what the message must say. {run} is a searched run, {new} a folder that is
# not there.
WRONG = {
    "no architecture": (["--params=5M"], r"--arch=NAME_OR_FILE"),
    "no target": ([ARCH], r"one of --params=64\.9M, .*Received: none of them$"),
    "two costs": ([ARCH, "--params=5M", "--macs=400M"], r"Received: --params, --macs$"),
    "a cost and a width": (
        [ARCH, "--params=5M", "--width=2"],
        r"Received: --params, --width and --depth$",
    ),
    "a width and like": (
        [ARCH, "--depth=2", "--like=efficientnet_b4"],
        r"Received: --like, --width and --depth$",
    ),
    "width of zero": ([ARCH, "--width=0"], r"width coefficient must .* above 0 .*: 0\.0"),
    "negative depth": ([ARCH, "--depth=-2"], r"depth coefficient must .* above 0 .*: -2\.0"),
    "width that is no number": ([ARCH, "--width=nan"], r"width coefficient must .*: nan"),
    "endless depth": ([ARCH, "--depth=inf"], r"depth coefficient must .*: inf"),
    "unreadable width": ([ARCH, "--width=2x"], r"--width=2x"),
    "unreadable params": ([ARCH, "--params=64.9m"], r"--params: .*such as 350M\. .*'64\.9m'"),
    "params of zero": ([ARCH, "--params=0"], r"params must be a whole number of at least 1"),
    "negative macs": ([ARCH, "--macs=-5M"], r"--macs: .*such as 350M\. Received: '-5M'"),
    "below the smallest": (
        [ARCH, "--params=10k"],
        r"'dna_a' cannot be scaled to 10,000 params: the smallest reachable, one layer per block "
        r"of width 8, has 21,630 \(21\.63k\)",
    ),
    "above the largest": ([ARCH, "--macs=900000G"], r"the largest, at phi 20, 547,542,365,624 "),
    "unknown like": (
        [ARCH, "--like=efficientnet_b8"],
        r"no coefficients for 'efficientnet_b8'\. Did you mean 'efficientnet_b7'",
    ),
    "unknown network": (["--arch=dna_e", "--width=2"], r"'dna_e'\. Did you mean 'dna_"),
    "unknown name in the run": (
        ["--arch=max_macs_15", "--workdir={run}", "--width=2"],
        r"'max_macs_15' in {run}/architectures\. Did you mean 'max_macs_15k'",
    ),
    "missing file": (["--arch={new}/no.json", "--width=2"], r"There is no file .*/no\.json"),
    "foreign file": (
        ["--arch={run}/config.json", "--width=2"],
        r'config\.json was expected to be of kind "dna_tf\.architecture"',
    ),
    "workdir without a run": ([ARCH, "--width=2", "--workdir={new}"], r"{new} contains no run"),
    "compound size with a width": (
        [ARCH, "--width=2", "--image_size=compound"],
        r"--image_size=compound goes with --params, --macs or --like",
    ),
    "image size of zero": ([ARCH, "--width=2", "--image_size=0"], r"--image_size is .*: '0'"),
    "image size in words": ([ARCH, "--width=2", "--image_size=big"], r"--image_size is .*: 'big'"),
    "output of another kind": ([ARCH, "--width=2", "--output={new}/a.txt"], r"end in \.json"),
    "name with a folder": (
        [ARCH, "--width=2", "--name=a/b"],
        r"another --name\. .*names files.*'a/b'",
    ),
    "name of another file": ([ARCH, "--width=2", "--name=front"], r"not 'front'"),
    "overwriting the config": (
        [ARCH, "--width=2", "--output={run}/config.json"],
        r"config\.json contains something else, and is not overwritten\. .*--output or --name",
    ),
    "overwriting an architecture": (
        [ARCH, "--width=2", "--workdir={run}", "--name=max_macs_15k"],
        r"max_macs_15k\.json contains something else, and is not overwritten",
    ),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A searched run; returns its workdir."""
    workdir, config, _ = rated_runs.rated_run(tmp_path_factory.mktemp("scale") / "run")
    searching.search_budgets(workdir, config)
    return workdir


@pytest.fixture(scope="module")
def refused(run):
    """Results of all wrong cases by name, and the files before and after."""
    before = rated_runs.snapshot(run.path.parent)
    cases = [["scale", *_filled(run, words)[0]] for words, _ in WRONG.values()]
    results = dict(zip(WRONG, tool_runs.run_all(cases), strict=True))
    return results, before, rated_runs.snapshot(run.path.parent)


def _filled(run, words, message=""):
    return tool_runs.filled({"run": run, "new": run.path.parent / "new"}, words, message)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_answered(run, refused, name):
    result = refused[0][name]
    assert result["returncode"] == 1, result
    (line,) = result["stderr"].strip().splitlines()
    _, expected = _filled(run, *WRONG[name])
    assert line.startswith("error: ") and re.search(expected, line), line
    assert "Wrote" not in result["stdout"]


def test_wrong_input_writes_nothing_and_loads_no_tensorflow(refused):
    results, before, after = refused
    assert before == after
    heavy = {"tensorflow", "keras", "tensorflow_datasets"}
    assert not heavy & {name for result in results.values() for name in result["imported"]}


def test_a_published_network_is_scaled_into_a_file(tmp_path):
    path = tmp_path / "new" / "scaled.json"
    words = ["scale", "--arch=dna_c", "--params=64.9M", f"--output={path}"]
    first, again, other = tool_runs.run_all([words, words, [*words, "--params=64M"]])
    assert (first["returncode"], first["stderr"]) == (0, "")
    scaled = architectures.load(path)
    assert scaled == scaling.scale_to(zoo.get_architecture("dna_c"), params=64_900_000)
    lines = [line.split() for line in first["stdout"].splitlines()]
    costs = scaled.costs()
    for cost_name, before in zoo.get_architecture("dna_c").costs().items():
        (line,) = [words for words in lines if words[0] == cost_name]
        assert (line[1], line[3]) == (f"{before:,}", f"{costs[cost_name]:,}")
    assert "layers 2 4 4 4 4 1 8 15 15 15 15 4".split() in lines
    assert "widths 24 40 80 112 192 320 48 72 152 216 360 608".split() in lines
    assert "image size 224 224".split() in lines
    assert "reached 64,770,552 (-0.199%)" in first["stdout"]
    assert first["stdout"].splitlines()[-2:] == [
        f"Wrote {path}",
        f"Next: python -m tools.summary --arch={path}",
    ]
    assert again["returncode"] == 0 and f"{path} (is there already)" in again["stdout"]
    assert other["returncode"] == 1 and "is not overwritten" in other["stderr"]
    assert architectures.load(path) == scaled


def test_coefficients_of_a_published_network(tmp_path):
    words = ["scale", "--arch=efficientnet_b0", "--like=efficientnet_b4"]
    path = tmp_path / "b4.json"
    printed, written = tool_runs.run_all(
        [words, [*words, "--image_size=compound", "--name=b4", f"--output={path}"]]
    )
    assert (printed["returncode"], written["returncode"]) == (0, 0), (printed, written)
    assert "19,341,616" in printed["stdout"] and "1,503,710,432" in printed["stdout"]
    assert printed["stdout"].splitlines()[-1].startswith("Nothing was written: give --output=")
    scaled = architectures.load(path)
    assert (scaled.name, scaled.image_size, scaled.costs()["params"]) == ("b4", 380, 19_341_616)


def test_one_of_a_run_is_scaled_and_retrained(run, tmp_path):
    of_run = ["scale", "--arch=max_macs_15k", f"--workdir={run}"]
    same, larger = tool_runs.run_all(
        [[*of_run, "--width=1.9", "--depth=1.5"], [*of_run, "--macs=90k", "--image_size=20"]]
    )
    name = "max_macs_15k_w1.9_d1.5"
    assert same["stdout"].splitlines()[-1] == (
        f"Next: python -m tools.retrain --workdir={run} --arch={name}"
    ), same
    path = run.architecture("max_macs_15k_macs_90k_at20")
    assert larger["stdout"].splitlines()[-2:] == [
        "It takes images of 20x20, and this run has 16x16. Retrain it in another workdir, with "
        "the config file of this run:",
        f"Next: python -m tools.retrain --workdir={run}_at20 --arch={path} --config=FILE.py "
        "--config.data.image_size=20",
    ], larger
    config = "--config=tests/helpers/tiny_config.py"
    (trained,) = tool_runs.run_all(
        [["retrain", f"--workdir={tmp_path}/new", config, f"--arch={run.architecture(name)}"]]
    )
    assert trained["returncode"] == 0, trained
    result = json.loads((tmp_path / "new/students" / name / "seed0/result.json").read_text())
    scaled = architectures.load(run.architecture(name))
    assert (result["params"], result["macs"]) == (scaled.costs()["params"], scaled.costs()["macs"])
    assert scaled.frame.stem_layers == 2


def test_a_finished_student_of_another_image_size_is_not_taken(run):
    config = tiny_config.get_config()
    arch = architectures.load(run.architecture("max_macs_15k"))
    folder = run.student(arch.name, 0)
    kept = dataclasses.replace(arch, name="moved", origin={"by": "copy"})
    architectures.save(kept, folder / "architecture.json")
    result = {"kind": workdirs.STUDENT_KIND, "seed": 0, "test_correct": 1, "test_images": 2}
    files.write_json(folder / "result.json", result)
    assert retraining.retrain(run, config, arch) == [result]
    for changed in ({"image_size": 20}, {"num_classes": 3}, {"channels": 4}):
        with pytest.raises(ValueError, match="another architecture than the one to train"):
            retraining.retrain(run, config, arch.adapted(**changed))
