"""Reading a run: missing, broken and unfinished parts are named with their command."""

import shutil

import pytest

from dna_tf.report import report_page
from dna_tf.space import ratings
from tests.helpers import rated_runs
from tests.helpers.report_runs import ANCHORS, SPACE, Page, make_maps, make_workdir


@pytest.mark.parametrize(
    "folder, section, tool",
    [
        ("teacher", "teacher", "train_teacher"),
        ("supernet", "supernet", "train_supernet"),
        ("ratings", "ratings", "rate"),
        ("architectures/front.json", "front", "search"),
        ("students", "results", "retrain"),
        ("students/max_macs_1M", "results", "retrain"),
        ("exports", "results", "export_tflite"),
    ],
)
def test_a_missing_part_names_the_command_that_makes_it(workdir, tmp_path, folder, section, tool):
    copy = shutil.copytree(workdir, tmp_path / "run")
    shutil.move(copy / folder, tmp_path / "gone")
    one = Page(report_page.write_report(copy, make_maps()).read_text())
    assert f"python -m tools.{tool} --workdir=..." in one.texts[section]
    assert tuple(a["id"] for tag, a in one.elements if tag == "section") == ANCHORS


def test_an_empty_workdir_gives_a_page_of_hints(tmp_path):
    one = Page(report_page.write_report(tmp_path).read_text())
    texts = " ".join(one.texts.values())
    for tool in ("train_teacher", "train_supernet", "rate", "search", "retrain", "export_tflite"):
        assert f"python -m tools.{tool}" in texts
    assert "python -m tools.report" in one.texts["maps"]
    assert "script" not in [tag for tag, _ in one.elements]


def test_broken_and_interrupted_files_are_said_in_their_section(workdir, tmp_path):
    copy = shutil.copytree(workdir, tmp_path / "run")
    (copy / "teacher/result.json").write_text('{"kind": "dna_tf.tea')
    some = rated_runs.rated_cell([0.5] * 10)
    ratings.save(copy / "ratings/block1_cell2.json", SPACE, 0, 1, some, "0123")
    (copy / "ratings/block2_cell1.json").write_text("[]")
    one = Page(report_page.write_report(copy).read_text())
    assert "not complete JSON" in one.texts["teacher"]
    assert "block1_cell2 has 10 of 64 paths rated" in one.texts["ratings"]


def test_no_such_workdir(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        report_page.write_report(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = make_workdir(tmp_path_factory.mktemp("run"))
    report_page.write_report(folder, make_maps())
    return folder
