"""The real tools: their help, and the summary."""

import ast
import json
import os
import pathlib
import re

import pytest

from dna_tf import cli
from dna_tf.phases import searching
from dna_tf.space import architectures, zoo
from tests.helpers import rated_runs, tool_runs

TOOLS = (
    "train_teacher", "train_supernet", "rate", "search", "retrain", "export_tflite", "evaluate",
    "convert", "tables", "summary", "space", "teacher", "scale", "compare_searches",
    "latency_table", "quantize", "prune",
    "quantization_report", "report", "quickstart",
)  # fmt: skip


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The folder of a searched run."""
    run, config, _ = rated_runs.rated_run(tmp_path_factory.mktemp("cli") / "run")
    searching.search_budgets(run, config)
    return run.path


@pytest.fixture(scope="module")
def no_tensorflow(searched):
    """Help of all tools, then summaries as JSON, in one process."""
    cases = [[tool, "--help"] for tool in TOOLS]
    cases += [["summary", f"--arch={name}", "--json"] for name in _summaries(searched)]
    return tool_runs.run_all(cases)


def _summaries(searched):
    return ["dna_a", str(searched / "architectures" / "max_macs_15k.json")]


# Flags that tools define by a call.
SHARED = {
    "define_run_flags": ("workdir", "config", "traceback"),
    "define_student_flags": ("arch", "seed"),
    "define_strategy_flags": ("strategy", "tpu"),
    "define_model_flags": ("model", "output", "data", "image_size"),
    "define_limit_flags": ("max_macs", "min_macs", "max_params", "min_params"),
}


def test_help_prints_what_the_tool_says_of_itself(no_tensorflow):
    assert {name for name in vars(cli) if name.startswith("define_")} == set(SHARED)
    for tool, result in zip(TOOLS, no_tensorflow, strict=False):
        source = (tool_runs.ROOT / "tools" / f"{tool}.py").read_text()
        story = ast.get_docstring(ast.parse(source), clean=False)
        assert result["returncode"] == 0 and result["stderr"] == ""
        assert result["stdout"].startswith(story)
        assert f"python -m tools.{tool} " in story
        own = re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source)
        own += [
            name for call, names in SHARED.items() if f"cli.{call}(" in source for name in names
        ]
        for flag in ("workdir", "config", "traceback", *own):
            assert re.search(rf"^  --(\[no\])?{flag}:", result["stdout"], re.M), (tool, flag)


def test_help_exits_with_status_0_in_a_process_of_its_own():
    process = tool_runs.run("search", "--help")
    assert process.returncode == 0 and process.stdout.startswith("Finds the best architecture")


def test_summary_as_json_is_the_file_and_loads_no_tensorflow(searched, no_tensorflow):
    results = no_tensorflow[len(TOOLS) :]
    assert len(results) == 2
    for name, result in zip(_summaries(searched), results, strict=True):
        assert (result["returncode"], result["stderr"]) == (0, "")
        summary = json.loads(result["stdout"])
        if os.path.exists(name):
            assert summary.pop("rating") == architectures.load(name).rating
            assert summary == json.loads(pathlib.Path(name).read_text())
        else:
            assert summary["costs"] == zoo.get_architecture("dna_a").costs()
            assert summary["rating"] is None
        heavy = {"tensorflow", "keras", "tensorflow_datasets", "sklearn", "plotly"}
        assert not heavy & set(result["imported"])


def test_summary_of_a_searched_architecture(searched):
    words = ["summary", "--arch=max_macs_15k", f"--workdir={searched}"]
    (result,) = tool_runs.run_all([words])
    assert result["returncode"] == 0, result
    architecture = architectures.load(searched / "architectures" / "max_macs_15k.json")
    costs = architecture.costs()
    lines = result["stdout"].splitlines()
    assert f"max_macs_15k: {architecture.describe()}" in lines
    for name, count in costs.items():
        assert any(line.startswith(f"{name}: {count:,} (") for line in lines)
    assert "block2_layer1_dw_conv" in result["stdout"]
    # Keras counts the trainable parameters on its own.
    trainable = re.search(r"Trainable params: ([\d,]+)", result["stdout"])
    assert int(trainable[1].replace(",", "")) == costs["params"]
