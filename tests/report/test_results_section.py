"""The tables of results have the numbers of the files."""

import json
import re
import shutil
import statistics

import pytest

from dna_tf.common import files
from dna_tf.report import report_page
from dna_tf.space import cost_limits
from tests.helpers.report_runs import BUDGETS, CHOSEN, Page, make_maps, make_workdir


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = make_workdir(tmp_path_factory.mktemp("run"))
    report_page.write_report(folder, make_maps())
    return folder


@pytest.fixture(scope="module")
def page(workdir):
    return Page((workdir / "report.html").read_text())


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", [cost_limits.Limits(b).name() for b in BUDGETS] + ["control_1.3M"])
def test_results_are_those_of_the_files(workdir, page, name):
    results = [read(workdir / f"students/{name}/seed{k}/result.json") for k in range(3)]
    file = workdir / f"architectures/{'control' if name.startswith('c') else name}.json"
    one, shares = read(file), [r["test_accuracy"] for r in results]
    cells = page.row("results", name)
    assert [title for _, title in cells[1:3]] == [
        f"{one['costs'][key]:,}" for key in ("params", "macs")
    ]
    assert cells[1][0] == f"{one['costs']['params'] / 1000:.2f}k"
    assert float(cells[3][1]) == pytest.approx(sum(b["rating"] for b in one["blocks"]))
    mean, std = 100 * statistics.mean(shares), 100 * statistics.stdev(shares)
    assert cells[4][0] == f"{mean:.2f} % ± {std:.2f}|3 seeds"
    low, high = (float(v) for v in re.findall(r"[\d.]+", cells[5][0])[:2])
    correct = sum(r["test_correct"] for r in results)
    assert cells[5][0].endswith(f"|{correct:,} of 1,080 right")
    for end in (low / 100, high / 100):
        error = 1.96 * (end * (1 - end) / 1080) ** 0.5
        assert abs(correct / 1080 - end) == pytest.approx(error, abs=1e-4)
    if name.startswith("control"):
        assert (cells[0][0], cells[6][0]) == (f"{name}|random control of {CHOSEN}", "–")
    else:
        assert cells[6] == ("212.3 kB|100.0 % agree", "212,340 bytes")
        assert cells[7] == ("98.7 kB|⚠ 92.5 % agree", "98,700 bytes")


def test_the_teacher_and_its_cut_are_those_of_the_file(page):
    cells = page.row("results", "teacher: residual_cnn")
    assert [cells[i][0] for i in (1, 2, 4)] == ["345.7k", "–", "98.06 %"]
    assert "353 of 360 right" in cells[5][0] and cells[1][1] == "345,678"
    cut = [[text for text, _ in row] for row in page.tables["teacher"][0][1:]]
    assert cut[1] == ["block 2|", "stage2_out|", "8×8×64|", "88k|"]
    assert len(cut) == 3


def test_a_student_whose_architecture_file_is_gone_keeps_its_row(workdir, tmp_path):
    folder = shutil.copytree(workdir, tmp_path / "run")
    (folder / "architectures/control.json").unlink()
    result = read(folder / "students/control_1.3M/seed0/result.json")
    files.write_json(
        folder / "students/control_1.3M/seed0/result.json", {**result, "params": 54_321}
    )
    one = Page(report_page.write_report(folder).read_text())
    assert one.row("results", "control_1.3M")[1] == ("54.32k", "54,321")
    assert "no trained control" in one.texts["summary"]
