"""The tools quantize and prune: help, a run of each, and wrong input that ends before work."""

import re

import pytest

from tests.helpers import rated_runs, student_runs, tool_runs

# Each case: the tool, its arguments, and a pattern of the message. {run} has no students.
WRONG = {
    "no student": (
        "quantize",
        ["--workdir={run}", "--arch=max_macs_15k"],
        r"There is no file .*students/max_macs_15k/seed0/result\.json\. Train the student first: "
        r"python -m tools\.retrain --workdir=.* --arch=max_macs_15k",
    ),
    "no student of a seed": (
        "prune",
        ["--workdir={run}", "--arch=max_macs_15k", "--seed=3"],
        r"seed3/result\.json\. Train the student first",
    ),
    "the default is the chosen one": (
        "prune",
        ["--workdir={run}", "--config.search.chosen=1"],
        r"students/max_macs_17k_max_params_1300/seed0",
    ),
    "no run": (
        "quantize",
        ["--workdir={run}/nothing", "--arch=a"],
        r"contains no run \(no config\.json\)",
    ),
    "out of range": (
        "prune",
        ["--workdir={run}", "--config.prune.sparsity=1.5"],
        r"config\.prune\.sparsity must be in \[0\.01, 0\.99\]\. Received: 1\.5",
    ),
    "too few calibration images": (
        "quantize",
        ["--workdir={run}", "--config.quantize.calibration_images=3"],
        r"config\.quantize\.calibration_images must be at least 10\. Received: 3",
    ),
    "unknown field": (
        "quantize",
        ["--workdir={run}", "--config.quantize.epoch=3"],
        r"Unknown key config\.quantize\.epoch\. Did you mean 'epochs'",
    ),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    run = rated_runs.rated_run(tmp_path_factory.mktemp("runs") / "run")[0]
    before = rated_runs.snapshot(run.path)
    cases = [
        [tool, *(word.format(run=run.path) for word in words)] for tool, words, _ in WRONG.values()
    ]
    results = tool_runs.run_all([*cases, ["quantize", "--help"], ["prune", "--help"]])
    return dict(zip([*WRONG, "quantize", "prune"], results, strict=True)), before, run.path


@pytest.mark.parametrize("case", list(WRONG))
def test_wrong_input_ends_with_one_message(ended, case):
    result = ended[0][case]
    assert result["returncode"] == 1
    (line,) = [line for line in result["stderr"].splitlines() if line.startswith("error: ")]
    assert re.search(WRONG[case][2], line)
    assert "Traceback" not in result["stderr"]


def test_wrong_input_leaves_no_files_and_loads_no_tensorflow(ended):
    results, before, run = ended
    assert set(rated_runs.snapshot(run)) == set(before)
    assert "tensorflow" not in results["prune"]["imported"]


@pytest.mark.parametrize("tool", ["quantize", "prune"])
def test_help_teaches(ended, tool):
    result = ended[0][tool]
    assert result["returncode"] == 0
    for text in (f"python -m tools.{tool} --workdir=", "Reads:", "Writes:", "--seed"):
        assert text in result["stdout"]


OUTPUTS = {"quantize": "qat_int8.tflite", "prune": "pruned.keras"}


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """A run with a student, and the results of both tools on it."""
    workdir, _, name = student_runs.trained_run(tmp_path_factory.mktemp("student") / "run", 1)
    words = [f"--workdir={workdir}", f"--arch={name}"]
    results = tool_runs.run_all([[tool, *words, f"--config.{tool}.epochs=1"] for tool in OUTPUTS])
    return workdir, name, dict(zip(OUTPUTS, results, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("tool", OUTPUTS)
def test_a_student_becomes_a_file_that_the_next_command_takes(compressed, tool):
    workdir, name, results = compressed
    result = results[tool]
    assert result["returncode"] == 0, result["stderr"]
    path = workdir.exports / name / OUTPUTS[tool]
    assert path.is_file()
    last = result["stdout"].splitlines()[-1]
    assert last == f"Next: python -m tools.evaluate --workdir={workdir} --model={path}"
