"""Table 2: the numbers of runs and evaluations, published ones apart."""

import csv
import dataclasses
import io
import json
import re
import shutil

import numpy as np
import pytest

from dna_tf.common import files
from dna_tf.report import result_tables
from dna_tf.space import zoo
from tests.helpers import evaluated_runs, tool_runs
from tests.helpers.evaluated_runs import NAME


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return evaluated_runs.write_run(tmp_path_factory.mktemp("tables") / "run")


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return evaluated_runs.write_evaluation(tmp_path_factory.mktemp("evaluation"))


def test_a_run_gives_the_mean_over_seeds(run):
    workdir, arch = run
    (row,) = result_tables.run_rows(workdir.path)
    assert (row.name, row.seeds, row.images, row.data) == (NAME, 2, 359, "digits")
    assert row.top1 == pytest.approx(305 / 359) and row.top5 == pytest.approx(345 / 359)
    assert row.spread == pytest.approx(((305 - 300) ** 2 * 2) ** 0.5 / 359)
    assert row.params == arch.costs()["params"] and row.macs == arch.costs()["macs"]
    assert row.authors_flops == arch.costs()["authors_flops"]
    # The ends of the interval are the shares that are just z standard errors off.
    shares = np.linspace(0, 1, 200_001)[1:-1]
    inside = shares[np.abs(305 / 359 - shares) <= 1.959964 * np.sqrt(shares * (1 - shares) / 359)]
    assert row.interval == pytest.approx((inside.min(), inside.max()), abs=1e-5)


def test_top5_is_left_out_unless_all_seeds_were_evaluated(run):
    workdir, _ = run
    path = workdir.evaluations / "1_0.json"
    text = path.read_text()
    path.unlink()
    try:
        assert result_tables.run_rows(workdir.path)[0].top5 is None
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    "name",
    [
        f"students/{NAME}/seed1/result.json",
        f"architectures/{NAME}.json",
        "evaluations/0_0.json",
    ],
)
def test_a_broken_file_is_an_error_and_not_left_out(run, tmp_path, name):
    copy = shutil.copytree(run[0].path, tmp_path / "run")
    (copy / name).write_text('{"kind": ')
    with pytest.raises(ValueError, match=f"{re.escape(str(copy))} are broken.*{name}"):
        result_tables.run_rows(copy)


def test_runs_and_models_have_different_names(run, evaluation):
    (row,) = result_tables.run_rows(run[0].path)
    paths = ["runs/c10.1", "runs/c10.2", "/eval/lite.json"]
    runs = [dataclasses.replace(row, path=path).run for path in paths]
    assert runs == ["c10.1", "c10.2", "lite"]
    content, names = json.loads(evaluation.read_text()), []
    for model in (
        *("students/a/seed0/model.keras", "students/a/seed1/best.keras", "teacher/model.keras"),
        *("exports/a/int8.tflite", "/model.keras", "model.keras", "/m/lite0.keras", "b/c.tflite"),
    ):
        path = evaluation.with_name("named.json")
        files.write_json(path, {**content, "model": model})
        names.append(result_tables.evaluation_row(path).name)
    assert names == ["a/seed0", "a/seed1/best", "teacher", "a/int8", "model", "model", "lite0", "c"]


def test_the_table_keeps_published_numbers_apart(run, evaluation):
    rows = [*result_tables.run_rows(run[0].path), result_tables.evaluation_row(evaluation)]
    text = result_tables.markdown(rows)
    digits, lite, other = re.split(r"^## ", text, flags=re.M)[1:]
    assert digits.startswith("Measured here on digits") and f"| {NAME} | searched, " in digits
    assert "| 84.96 ± 1.97 % | 80.89–88.28 % | 96.10 % | 359 | 2 |" in digits
    assert lite.startswith("Measured here on folder:/data") and "| 87.50 % | 85.31–" in lite
    assert other.startswith("Published, not measured here: DNA Table 2")
    assert "| DNA-d | 6.4M | 611M | 78.4 % | 94.0 % |" in other
    assert "| FBNet-C | – | 375M | 74.9 % | – |" in other
    assert "DNA-d" not in digits + lite and other.count("\n| ") == len(zoo.TABLE_2) + 1
    read = list(csv.DictReader(io.StringIO(result_tables.csv_text(rows))))
    assert [row["kind"] for row in read].count("published") == len(zoo.TABLE_2)
    measured = [row for row in read if row["kind"] == "measured"]
    assert [row["top1_percent"] for row in measured] == ["84.9582", "87.5"]
    assert measured[1]["macs"] == "385000000" and measured[1]["flops_published"] == ""


def test_published_numbers_are_those_that_the_zoo_has():
    names = {"efficientnet_b0": "EfficientNet-B0", **{f"dna_{x}": f"DNA-{x}" for x in "abcd"}}
    rows = {row.name: row for row in zoo.TABLE_2}
    for name, published_name in names.items():
        costs, row = zoo.get_architecture(name).costs(), rows[published_name]
        assert row.top1 == zoo.PUBLISHED_TOP1_PERCENT[name]
        assert abs(costs["params"] - row.params) < 0.06e6
        assert abs(costs["authors_flops"] - row.flops) < 0.6e6
    assert [row.top5 for row in zoo.TABLE_2 if row.is_ours] == [93.3, 93.3, 93.7, 94.0]


def test_the_tool_writes_all_three_or_says_what_is_wrong(run, evaluation, tmp_path):
    workdir, _ = run
    (tmp_path / "empty").mkdir()
    out = f"--output={tmp_path}/out"
    cases = (
        (["tables", f"--workdir={workdir}", f"--evaluation={evaluation}", out], None),
        (["tables", out], "Give the results"),
        (["tables", f"--workdir={tmp_path}/no", out], "There is no workdir"),
        (["tables", f"--workdir={tmp_path}/empty", out], "contains no trained network"),
        (["tables", f"--evaluation={workdir.config}", out], 'of kind "dna_tf.evaluation"'),
        (["tables", f"--workdir={workdir}", f"--workdir={workdir}", out], None),
        (["tables", f"--workdir={workdir}"], None),  # into the workdir
    )
    for result, (_, message) in zip(
        tool_runs.run_all([words for words, _ in cases]), cases, strict=True
    ):
        assert (result["returncode"] == 0) == (message is None), result["stderr"]
        assert message is None or message in result["stderr"]
        assert not {"tensorflow", "keras"} & set(result["imported"])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("figure3.svg", "table2.csv", "table2.md"),
    ]
    assert sorted(p.name for p in workdir.tables.iterdir()) == [
        *("figure3.svg", "table2.csv", "table2.md"),
    ]
    assert (tmp_path / "out" / "table2.md").read_text().count(f"| {NAME} |") == 2
