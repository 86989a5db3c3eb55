"""The space tool and the table of published networks: what they show, and what they refuse.

Wrong input must end with status 1, one message, and nothing written.
"""

import json
import re

import pytest

from dna_tf import workdirs
from dna_tf.common import files, formatting
from dna_tf.space import presets, space_table, zoo
from tests.helpers import rated_runs, tiny_config, tool_runs

HEAVY = {"tensorflow", "keras", "tensorflow_datasets", "sklearn", "plotly"}

# Arguments, and what the message must say. {run} is a run with a teacher, {new} a folder that
# is not there.
WRONG = {
    "unknown space": (["--space=dnaa"], r"no search space 'dnaa'\. Did you mean 'dna'.*endings"),
    "space with wrong endings": (["--space=digits_four_ops"], r"without _four_ops if a space has"),
    "image of no pixels": (["--space=dna", "--image_size=0"], r"--image_size .* Received: 0"),
    "image size that is no number": (["--space=dna", "--image_size=x"], r"--image_size=x"),
    "teacher without a space": (
        ["--teacher=residual_cnn"],
        r"--teacher needs a space: give --spac",
    ),
    "image size without a space": (["--image_size=32"], r"--image_size needs a space"),
    "cuts without a teacher": (["--space=dna", "--cuts=a,b"], r"--cuts .* give --teacher"),
    "two spaces": (["--space=dna", "--workdir={run}"], r"Received: --space and --workdir"),
    "three spaces": (
        ["--space=dna", "--workdir={run}", "--config.space=dna"],
        r"Received: --space and --workdir and --config",
    ),
    "workdir without a run": (["--workdir={new}"], r"{new} contains no run"),
    "another image size than the run's": (
        ["--workdir={run}", "--image_size=32"],
        r"an image of 16x16\. Received: image_size=32",
    ),
    "width of zero in a config": (
        ["--config=tests/helpers/tiny_config.py", "--config.space={zero}"],
        r"Block 2 of the search space: width must be .* at least 1\. Received: 0",
    ),
}
WRONG_SUMMARIES = {
    "no classes": (["--arch=dna_a", "--num_classes=0"], r"num_classes .* above 0\. Received: 0"),
    "image of no pixels": (
        ["--arch=dna_a", "--image_size=0", "--json"],
        r"image_size must be a whole number above 0\. Received: 0",
    ),
    "no channels": (["--arch=all", "--channels=0"], r"channels must be .* Received: 0"),
    "all of a run": (["--arch=all", "--workdir={run}"], r"--arch=all shows the published network"),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Writes a run with a teacher, one with a teacher that does not fit, one without a teacher."""
    folder = tmp_path_factory.mktemp("runs")
    paths = {name: folder / name for name in ("run", "misfit", "empty", "new")}
    teacher = {
        "kind": "dna_tf.teacher",
        "image_shape": [16, 16, 3],
        "cuts": [
            {"layer": "stage1_out", "shape": [4, 4, 32]},
            {"layer": "stage2_out", "shape": [2, 2, 64]},
        ],
    }
    for name in ("run", "misfit", "empty"):
        workdir, _ = workdirs.open_workdir(paths[name], tiny_config.get_config())
        if name != "empty":
            teacher["cuts"][1]["shape"][:2] = [2, 2] if name == "run" else [4, 4]
            files.write_json(workdir.teacher / "result.json", teacher)
    return paths


def _wrong(paths, case):
    blocks = [tiny_config.SPACE["blocks"][0], {"stride": 2, "cells": [[2, 0]]}]
    words, message = case
    zero = json.dumps({**tiny_config.SPACE, "blocks": blocks})
    return tool_runs.filled({**paths, "zero": zero}, words, message)


@pytest.fixture(scope="module")
def quick(paths):
    """Results by name of all cases without TensorFlow, run in one process."""
    cases = {
        "list": ["space"],
        "list as JSON": ["space", "--json"],
        "dna": ["space", "--space=dna"],
        "dna as JSON": ["space", "--space=dna", "--json"],
        "other image": ["space", "--space=small_images_lite", "--image_size=64", "--json"],
        "config": ["space", "--config=tests/helpers/tiny_config.py", "--json"],
        "override": ["space", "--config.space=dna_lite", "--config.data.image_size=0", "--json"],
        "run": ["space", f"--workdir={paths['run']}"],
        "run as JSON": ["space", f"--workdir={paths['run']}", "--json"],
        "empty": ["space", f"--workdir={paths['empty']}", "--json"],
        "all": ["summary", "--arch=all"],
        "all as JSON": ["summary", "--arch=all", "--json"],
        "all for CIFAR": ["summary", "--arch=all", "--json", "--num_classes=10", "--image_size=32"],
        "grey": ["summary", "--arch=dna_b", "--json", "--channels=1"],
    }
    cases |= {name: ["space", *_wrong(paths, case)[0]] for name, case in WRONG.items()}
    for name, case in WRONG_SUMMARIES.items():
        cases[f"summary: {name}"] = ["summary", *_wrong(paths, case)[0]]
    before = {name: rated_runs.snapshot(path) for name, path in paths.items()}
    results = dict(zip(cases, tool_runs.run_all(list(cases.values())), strict=True))
    assert {name: rated_runs.snapshot(path) for name, path in paths.items()} == before
    assert not HEAVY & set(list(results.values())[-1]["imported"])
    return results


def _printed(result):
    assert (result["returncode"], result["stderr"]) == (0, ""), result
    return result["stdout"]


@pytest.mark.parametrize("name", [*WRONG, *(f"summary: {name}" for name in WRONG_SUMMARIES)])
def test_wrong_input_is_answered_with_one_message(quick, paths, name):
    case = WRONG.get(name) or WRONG_SUMMARIES[name.removeprefix("summary: ")]
    result, (_, message) = quick[name], _wrong(paths, case)
    assert (result["returncode"], result["stdout"]) == (1, "")
    assert re.fullmatch(f"error: .*{message}.*\n", result["stderr"]), result["stderr"]


def test_without_flags_all_ready_made_spaces_are_listed(quick):
    text = _printed(quick["list"])
    for name, space in presets.PRESETS.items():
        (line,) = re.findall(rf"^{name} .*", text, re.M)
        assert line.endswith(space.description)
        assert f" {formatting.scientific(space.num_architectures())} " in line
    assert "_four_ops, _single, _lite" in text
    assert text.endswith("Next: python -m tools.space --space=dna\n")
    printed = json.loads(_printed(quick["list as JSON"]))
    assert [entry["name"] for entry in printed] == list(presets.PRESETS)
    assert printed[0]["num_architectures"] == 195_898_498_887_057_408


def test_a_space_by_name(quick):
    space = presets.PRESETS["dna"]
    assert _printed(quick["dna"]).splitlines() == space_table.lines(space)
    assert json.loads(_printed(quick["dna as JSON"])) == space_table.table(space)
    other = json.loads(_printed(quick["other image"]))
    assert other == space_table.table(presets.get_space("small_images_lite"), 64)
    assert other["blocks"][-1]["size"][1] == [8, 8]


def test_the_space_of_a_config(quick):
    tiny = presets.get_space(tiny_config.SPACE)
    assert json.loads(_printed(quick["config"])) == space_table.table(tiny, 16)
    printed = json.loads(_printed(quick["override"]))
    assert (printed["name"], printed["image"]) == ("dna_lite", [224, 224])


def test_the_space_of_a_run_with_its_teacher(quick, paths):
    printed = json.loads(_printed(quick["run as JSON"]))
    rows = [row["teacher"] for row in printed["blocks"]]
    assert rows == [
        {"layer": "stage1_out", "reads": [16, 16, 3], "gives": [4, 4, 32], "fits": True},
        {"layer": "stage2_out", "reads": [4, 4, 32], "gives": [2, 2, 64], "fits": True},
    ]
    assert "4x4x32 -> 2x2x64 stage2_out" in _printed(quick["run"])
    empty = json.loads(_printed(quick["empty"]))
    assert empty["name"] == "tiny" and "teacher" not in empty["blocks"][0]


def test_the_published_networks_in_one_table(quick):
    printed = json.loads(_printed(quick["all as JSON"]))
    top1 = [77.1, 77.5, 77.8, 78.4, 76.3]
    assert printed == [
        {"name": name, **zoo.get_architecture(name).costs(), "published_top1_percent": percent}
        for name, percent in zip(zoo.NAMES, top1, strict=True)
    ]
    lines = _printed(quick["all"]).splitlines()
    assert lines[0].split() == [
        *("network", "params", "macs", "authors_flops", "published", "top-1")
    ]
    assert lines[1].split() == ["dna_a", "4,243,318", "335,141,728", "348,161,054", "77.1"]
    assert lines[5].split()[0] == "efficientnet_b0" and lines[5].endswith(" 76.3")
    assert "not\nmeasured here" in "\n".join(lines)


def test_other_data_has_other_costs_and_no_published_accuracy(quick):
    for row in json.loads(_printed(quick["all for CIFAR"])):
        costs = zoo.get_architecture(row["name"]).adapted(10, 32).costs()
        assert row == {"name": row["name"], **costs, "published_top1_percent": None}
        # 1280 widths of the head to 10 classes instead of 1000.
        fewer = zoo.get_architecture(row["name"]).costs()["params"] - row["params"]
        assert fewer == 990 * 1281
    grey = json.loads(_printed(quick["grey"]))
    assert grey["image"] == {"size": 224, "channels": 1}
    assert grey["costs"]["params"] == 4_918_180 - 2 * 9 * 32


@pytest.fixture(scope="module")
def with_teacher(paths):
    """What builds a teacher, or has to tell why one does not fit: one process."""
    return tool_runs.run_all(
        [
            ["space", "--space=digits", "--teacher=residual_cnn", "--json"],
            ["space", "--space=dna", "--teacher=efficientnet_b0", "--image_size=64", "--json"],
            [
                *("space", "--space=digits", "--teacher=residual_cnn"),
                "--cuts=stage1_out,stage3_unit1_add,stage3_out",
            ],
            ["space", "--space=digits", "--teacher=residual_cnn", "--cuts=stage1_out"],
            ["space", "--space=digits", "--teacher=residual_cn"],
            ["space", f"--workdir={paths['misfit']}"],
            ["summary", "--arch=dna_a", "--num_classes=10", "--image_size=32", "--channels=1"],
        ]
    )


def test_a_teacher_is_built_and_cut(with_teacher):
    residual, efficientnet, chosen = with_teacher[:3]
    assert (residual["returncode"], efficientnet["returncode"]) == (0, 0), residual["stderr"]
    rows = [row["teacher"] for row in json.loads(residual["stdout"])["blocks"]]
    gives = [[8, 8, 32], [4, 4, 64], [4, 4, 96]]
    assert [row["gives"] for row in rows] == gives
    assert [row["layer"] for row in rows] == ["stage1_out", "stage2_out", "stage3_out"]
    printed = json.loads(efficientnet["stdout"])
    rows = [row["teacher"] for row in printed["blocks"]]
    assert printed["image"] == [64, 64] and all(row["fits"] for row in rows)
    assert [row["gives"][2] for row in rows] == [24, 40, 80, 112, 192, 320]  # the paper's cut
    assert rows[0]["layer"] == "block2b_add"
    assert "8x8x32 -> 4x4x96 stage3_unit1_add " in chosen["stdout"]


def test_a_teacher_that_does_not_fit(with_teacher):
    cuts, unknown, misfit = with_teacher[3:6]
    for result, message in (
        (cuts, r"cut at 1 layers \['stage1_out'\], and the space 'digits' has 3 blocks"),
        (unknown, r"no teacher named 'residual_cn'\. Did you mean 'residual_cnn'"),
        (misfit, r"Block 2 of the space 'tiny' .*turns 4x4x32 into 2x2x64, .* gives 4x4x64"),
    ):
        assert result["returncode"] == 1
        assert re.search(rf"^error: .*{message}", result["stderr"], re.M), result["stderr"]
    assert "4x4x32 -> 4x4x64 stage2_out (does not fit)" in misfit["stdout"]
    assert cuts["stdout"] == unknown["stdout"] == ""


def test_summary_for_other_data(with_teacher):
    result = with_teacher[-1]
    assert result["returncode"] == 0, result
    costs = zoo.get_architecture("dna_a").adapted(10, 32, 1).costs()
    assert f"macs: {costs['macs']:,} (" in result["stdout"]
    trainable = re.search(r"Trainable params: ([\d,]+)", result["stdout"])
    assert int(trainable[1].replace(",", "")) == costs["params"]
    assert re.search(r"image \(InputLayer\).*\(None, 32, 32, 1\)", result["stdout"])
