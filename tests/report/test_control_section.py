"""Searched students against controls: intervals, ranks and what is concluded."""

import json
import shutil

import numpy as np
import pytest
import scipy.stats

from dna_tf.common import files
from dna_tf.report import control_section, report_page, run_data
from tests.helpers.report_runs import CHOSEN, Page, make_maps, make_workdir, write_student


def test_within_noise_is_said_and_a_clear_difference_too(workdir, page, tmp_path):
    assert "+1.11 percentage points" in page.texts["summary"]
    assert "within noise" in page.texts["summary"] and "within noise" in page.texts["difference"]
    for better_by, words in ((12, "better by more than"), (-12, "control is better by more than")):
        folder = make_workdir(tmp_path / words, searched_better_by=better_by)
        texts = Page(report_page.write_report(folder).read_text()).texts
        assert words in texts["summary"] and words in texts["difference"]
        assert "within noise" not in texts["summary"] + texts["difference"]


def test_several_controls_count_once_each(tmp_path):
    folder = make_workdir(tmp_path, searched_better_by=0)
    run = run_data.read_run(folder)
    first = run.controls()[0]
    for number, right in ((2, 330), (3, 352)):
        name = f"{first}{number}"
        data = json.loads((folder / "architectures" / "control.json").read_text())
        files.write_json(folder / "architectures" / f"{name}.json", {**data, "name": name})
        write_student(folder, name, [right, right + 1], np.random.RandomState(number))
    run = run_data.read_run(folder)
    (compared,) = control_section.comparisons(run)
    ours = [n / 360 for n in (345, 342, 347)]
    theirs = [np.mean([345, 342, 347]) / 360, 330.5 / 360, 352.5 / 360]
    np.testing.assert_allclose(compared.searched_accuracies, ours)
    np.testing.assert_allclose(compared.control_accuracies, theirs)
    expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose((compared.difference.low, compared.difference.high), expected)
    assert compared.beaten == 1
    count, taus = control_section.rank_agreement(run)
    assert count == 6
    names = run_data.ordered_names(run)
    means = [np.mean(run_data.accuracies(run, name)) for name in names]
    for cost_name in ("macs", "params"):
        costs = [run.architectures[name].costs()[cost_name] for name in names]
        np.testing.assert_allclose(taus[cost_name].value, scipy.stats.kendalltau(means, costs)[0])
    rated = [-run.architectures[name].rating for name in names]
    np.testing.assert_allclose(taus["rating"].value, scipy.stats.kendalltau(means, rated)[0])
    page = Page(report_page.write_report(folder).read_text())
    searched, controls = page.row("difference", f"{CHOSEN} − 3 random ones")[2:4]
    assert searched[0].endswith("|3 seeds") and controls[0].endswith("|3 controls")
    text = page.texts["difference"]
    assert "3 random ones" in text and f"{taus['rating'].value:+.2f}".replace("-", "−") in text
    assert taus["rating"].low <= taus["rating"].value <= taus["rating"].high
    assert f"{taus['macs'].low:+.2f} to".replace("-", "−") in text


def test_one_seed_gives_no_interval(workdir, tmp_path):
    folder = shutil.copytree(workdir, tmp_path / "run")
    for name in (CHOSEN, "control_1.3M"):
        for seed in (1, 2):
            shutil.rmtree(folder / "students" / name / f"seed{seed}")
    one = Page(report_page.write_report(folder).read_text())
    assert "no conclusion" in one.texts["summary"]
    assert one.row("results", CHOSEN)[4][0] == "96.94 %|1 seed"


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
