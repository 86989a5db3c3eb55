"""Tables of experiments: rows are checked before any work, share runs and teachers, and resume."""

import re

import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.phases import matrix
from dna_tf.report import matrix_page
from dna_tf.space import published_tables
from tests.helpers import rated_runs, tiny_config, tool_runs

SINGLE = {**tiny_config.SPACE, "name": "single", "blocks": [
    {"stride": 2, "cells": [[2, 4]]}, {"stride": 2, "cells": [[2, 8]]},
]}  # fmt: skip


def rows(*data):
    return matrix.read_rows({"rows": list(data)}, tiny_config.get_config())


def test_rows_change_fields_and_share_runs_and_teachers():
    first, second, third, fourth = rows(
        {"name": "a"},
        {"name": "b", "limits": "max_macs=15k"},
        {"name": "c", "changes": {"supernet.inputs": "S1", "space": SINGLE}, "scale_params": "5k"},
        {"name": "d", "changes": {"teacher.cuts": ("stage1_out", "stage3_out"), "seed": 3}},
    )
    assert first.run_key == second.run_key != third.run_key != fourth.run_key
    assert first.teacher_key == third.teacher_key != fourth.teacher_key
    assert third.config.supernet.inputs == "S1" and third.config.space["name"] == "single"
    assert third.scale_params == 5000 and second.limits["max_macs"] == 15_000
    assert fourth.config.teacher.cuts == ("stage1_out", "stage3_out") and fourth.config.seed == 3
    assert first.config.data.image_size == 16


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "rows"),
        ({"rows": []}, "A table needs rows"),
        ({"rows": [{"name": "a"}, {"name": "a"}]}, r"its own name. Received: \['a', 'a'\]"),
        ({"rows": [{"name": "../a"}]}, "a row"),
        ({"rows": [{"limits": "max_macs=1M"}]}, "row 1.*name"),
        ({"rows": [{"name": "a", "limit": "max_macs=1M"}]}, "limit"),
        ({"rows": [{"name": "a", "limits": "max_mac=1M"}]}, r"Row 1 \('a'\): .*max_mac"),
        ({"rows": [{"name": "a", "changes": {"supernet.epoch": 1}}]}, r"Row 1 \('a'\).*epochs"),
        ({"rows": [{"name": "a", "changes": {"supernet.epochs": "1"}}]}, "supernet.epochs"),
        ({"rows": [{"name": "a", "changes": {"supernet.inputs": "S1"}}]}, "one chain of cells"),
        ({"rows": [{"name": "a", "scale_params": "many"}]}, "Row 1.*written as a number"),
        ({"rows": [{"name": "a"}], "published": "table_6"}, "table_4"),
    ],
)
def test_rows_that_cannot_be_run_are_refused_before_any_work(data, message):
    with pytest.raises(ValueError, match=message):
        matrix.read_rows(data, tiny_config.get_config())


def test_limits_that_no_network_meets_and_folders_of_runs_are_refused(tmp_path):
    config = tiny_config.get_config()
    content = {"rows": [{"name": "a"}, {"name": "b", "limits": "max_macs=10"}]}
    with pytest.raises(ValueError, match="Row 'b': No network of the space 'tiny' .* Raise the"):
        matrix.run(tmp_path / "table", content, config)
    assert not (tmp_path / "table" / "runs" / "a" / "teacher").exists()
    rated_runs.rated_run(tmp_path / "run")
    with pytest.raises(ValueError, match="is a run. A table of experiments has several"):
        matrix.run(tmp_path / "run", content, config)


def content_of(name="a", published="table_4"):
    row = {
        "name": name,
        "run": "a",
        "changes": {"supernet.inputs": "S1"},
        "limits": {"max_params": 60_000},
        "blocks": "16: k3e6",
        "params": 59_000,
        "macs": 1_400_000,
        "rating": 1.25,
        "accuracies": [0.98, 0.97],
        "controls": [],
        "test_images": 360,
        "note": "",
    }
    teacher = {"row": "a", "model": "residual_cnn", "params": 345_678, "macs": 9_000_000}
    teacher |= {"test_accuracy": 0.99, "test_images": 360}
    content = {"published": published, "data": "digits", "teachers": [teacher], "rows": [row]}
    return {"kind": workdirs.MATRIX_KIND, **content}


@pytest.mark.parametrize("published", ["table_4", "table_5"])
def test_published_rows_stand_apart_from_measured_ones(published):
    text = "\n".join(matrix_page.lines(content_of(published=published)))
    measured, apart = text.split("Published, not measured here")
    for row in published_tables.TABLES[published]:
        assert row.name in apart and f"{row.top1:g} %" in apart
        assert row.name not in measured and f"{row.top1:g} %" not in measured
    assert "97.50 % ± 0.71" in measured and "97.50" not in apart
    page = matrix_page.page_html(content_of(published=published))
    tables = re.findall("<table.*?</table>", page, re.S)
    assert len(tables) == 3
    assert [("97.50 %" in table, "published row" in table) for table in tables] == [
        *((True, False), (False, False), (False, True))
    ]
    assert "ImageNet, 224x224" in page


def test_without_a_published_table_there_is_none():
    assert "Published" not in matrix_page.page_html(content_of(published=""))
    assert not any("Published" in line for line in matrix_page.lines(content_of(published="")))


def test_text_in_the_page_is_escaped():
    content = content_of("<b>")
    content["rows"][0]["note"] = content["data"] = "<script>"
    page = matrix_page.page_html(content)
    assert "<b>" not in page and "<script>" not in page


def test_published_numbers_are_those_of_the_paper():
    rows_4, rows_5 = published_tables.TABLES.values()
    assert [(row.params, row.top1) for row in rows_4] == [
        *((5.18e6, 77.0), (5.58e6, 77.15), (5.69e6, 77.49)),
        *((6.26e6, 77.84), (5.09e6, 77.21), (5.28e6, 77.38)),
    ]
    assert [row.top1 for row in rows_5] == [76.3, 77.8, 77.8, 77.8, 79.9]


CONFIG = """
from tests.helpers import tiny_config

SINGLE = {single!r}

def get_config():
    config = tiny_config.get_config()
    config.supernet.features = "disk"
    config.search.control_tolerance = 0.5
    return config

def get_matrix():
    changes = {{"space": SINGLE, "supernet.inputs": "S2"}}
    return {{
        "published": "table_4",
        "rows": [
            {{"name": "plain"}},
            {{"name": "limited", "limits": "max_macs=16k"}},
            {{"name": "s2", "changes": changes, "limits": "max_macs=17k"}},
            {{"name": "scaled", "limits": "max_macs=16k", "scale_params": "4k"}},
        ],
    }}
"""


@pytest.mark.slow
def test_the_tool_runs_rows_resumes_and_shares_teacher_and_features(tmp_path):
    path, plain = tmp_path / "rows.py", tmp_path / "plain.py"
    path.write_text(CONFIG.format(single=SINGLE))
    plain.write_text("from tests.helpers.tiny_config import get_config\n")
    table = f"--workdir={tmp_path / 'table'}"
    results = tool_runs.run_all(
        [
            ["matrix", table],
            ["matrix", f"--config={plain}", table],
            ["matrix", f"--config={path}"],
            ["matrix", f"--config={path}", table],
            ["matrix", f"--config={path}", table],
        ]
    )
    codes = [result["returncode"] for result in results]
    assert codes == [1, 1, 1, 0, 0], [result["stderr"] for result in results]
    for result, message in zip(results, ("--config=", "get_matrix()", "--workdir="), strict=False):
        assert message in result["stderr"]
    first, second = (result["stdout"].split("Measured here")[1] for result in results[3:])
    assert first == second and "Published, not measured here: DNA Table 4" in first
    assert "is there already" in results[4]["stdout"]
    folder = tmp_path / "table"
    content = files.read_json(folder / "matrix.json", workdirs.MATRIX_KIND, "")
    assert [row["name"] for row in content["rows"]] == ["plain", "limited", "s2", "scaled"]
    assert [row["run"] for row in content["rows"]] == ["plain", "plain", "s2", "plain"]
    assert len(content["teachers"]) == 1 and len(list((folder / "features").iterdir())) == 1
    teachers = [
        (folder / "runs" / name / "teacher" / "model.keras").read_bytes()
        for name in ("plain", "s2")
    ]
    assert teachers[0] == teachers[1]
    for row in content["rows"][:3]:
        assert row["accuracies"] and (row["controls"] or row["note"])
    assert content["rows"][3]["params"] > content["rows"][1]["params"]
    assert (folder / "matrix.html").exists()
