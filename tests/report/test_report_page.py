"""The report: its parts, its numbers against the JSON files, and that it loads nothing."""

import json
import re
import shutil
import statistics
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from dna_tf.common import files
from dna_tf.report import comparison, report_page, run_data
from dna_tf.space import architectures, cost_limits, ratings
from tests.helpers import rated_runs
from tests.helpers.report_runs import (
    ANCHORS,
    BUDGETS,
    CHOSEN,
    ROOT,
    SPACE,
    Page,
    make_maps,
    make_workdir,
    write_student,
)


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


def test_all_sections_are_there_and_nothing_is_missing(page):
    assert tuple(a["id"] for tag, a in page.elements if tag == "section") == ANCHORS
    assert "tools." not in "".join(page.texts.values())
    drawn = {a["id"] for tag, a in page.elements if a.get("class") == "figure"}
    assert drawn == {f"figure-{n}" for n in ("teacher", "supernet", "ratings", "front", "students")}
    for _, attrs in page.elements:
        if attrs.get("class") == "figure":
            assert json.loads(page.scripts[attrs["data-figure"]])["data"]
    # The student, a panel for each cell, and the choices along the front.
    assert [tag for tag, _ in page.elements].count("svg") == 1 + len(list(SPACE.cells())) + 1
    images = [a for tag, a in page.elements if tag == "img"]
    assert len(images) == 3 * 2 * (1 + 2 * 6)


def test_the_page_loads_nothing(workdir, page):
    text = (workdir / "report.html").read_text()
    assert len(text.encode()) < 8_000_000
    assert text.count("plotly.js v") == 1
    for tag, attrs in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value.startswith(("#", "data:image/png;base64,"))
    library = next(s for s in page.scripts.values() if "plotly.js v" in s)
    own = text.replace(library, "")
    assert not re.search(r"https?://|@import|url\(|fetch\(|import\(", own)
    policy = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'; img-src data: blob:;")


def test_the_same_run_gives_the_same_page(workdir, tmp_path):
    other = shutil.copytree(workdir, tmp_path / "elsewhere")
    (other / "report.html").unlink()
    assert report_page.write_report(str(other), make_maps()) == other / "report.html"
    assert (other / "report.html").read_bytes() == (workdir / "report.html").read_bytes()


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


def test_the_front_figure_and_panel_hold_the_front_file(workdir, page):
    entries = read(workdir / "architectures/front.json")["entries"]
    traces = {t.get("name"): t for t in json.loads(page.scripts["data-front"])["data"]}
    front = traces["Pareto front"]
    assert front["x"] == [e["costs"]["macs"] for e in entries]
    assert front["y"] == [e["rating"] for e in entries]
    data = json.loads(page.scripts["networks"])
    for role, count in (("searched", 3), ("control", 1)):
        trace = traces[role]
        assert len(trace["x"]) == count
        for x, y, index in zip(trace["x"], trace["y"], trace["customdata"], strict=True):
            assert (data["networks"][index]["macs"], data["networks"][index]["rating"]) == (x, y)
    for entry, network in zip(entries, data["networks"], strict=False):
        text = " | ".join(f"{width}: {' '.join(ops)}" for width, ops in network["blocks"])
        assert text == entry["blocks"]
    assert data["networks"][data["first"]]["title"] == CHOSEN
    assert data["sizes"] == [8, 4, 4]
    chosen = architectures.load(workdir / f"architectures/{CHOSEN}.json").costs()["macs"]
    assert chosen in front["x"]


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
    (found,) = comparison.comparisons(run)
    ours = [n / 360 for n in (345, 342, 347)]
    theirs = [np.mean([345, 342, 347]) / 360, 330.5 / 360, 352.5 / 360]
    np.testing.assert_allclose(found.searched_accuracies, ours)
    np.testing.assert_allclose(found.control_accuracies, theirs)
    expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose((found.difference.low, found.difference.high), expected)
    assert found.beaten == 1
    count, taus = comparison.rank_agreement(run)
    assert count == 6
    names = run_data.ordered_names(run)
    means = [np.mean(run_data.accuracies(run, name)) for name in names]
    for cost_name in ("macs", "params"):
        costs = [run.architectures[name].costs()[cost_name] for name in names]
        np.testing.assert_allclose(taus[cost_name], scipy.stats.kendalltau(means, costs)[0])
    rated = [-run.architectures[name].rating for name in names]
    np.testing.assert_allclose(taus["rating"], scipy.stats.kendalltau(means, rated)[0])
    page = Page(report_page.write_report(folder).read_text())
    searched, controls = page.row("difference", f"{CHOSEN} − 3 random ones")[2:4]
    assert searched[0].endswith("|3 seeds") and controls[0].endswith("|3 controls")
    text = page.texts["difference"]
    assert "3 random ones" in text and f"{taus['rating']:+.2f}".replace("-", "−") in text


def test_one_seed_gives_no_interval(workdir, tmp_path):
    folder = shutil.copytree(workdir, tmp_path / "run")
    for name in (CHOSEN, "control_1.3M"):
        for seed in (1, 2):
            shutil.rmtree(folder / "students" / name / f"seed{seed}")
    one = Page(report_page.write_report(folder).read_text())
    assert "no conclusion" in one.texts["summary"]
    assert one.row("results", CHOSEN)[4][0] == "96.94 %|1 seed"


def test_a_student_whose_architecture_file_is_gone_keeps_its_row(workdir, tmp_path):
    folder = shutil.copytree(workdir, tmp_path / "run")
    (folder / "architectures/control.json").unlink()
    result = read(folder / "students/control_1.3M/seed0/result.json")
    files.write_json(
        folder / "students/control_1.3M/seed0/result.json", {**result, "params": 54_321}
    )
    one = Page(report_page.write_report(folder).read_text())
    assert one.row("results", "control_1.3M")[1] == ("54.32k", "54,321")
    assert "No trained control" in one.texts["summary"]


def test_names_are_escaped_everywhere(tmp_path):
    name = "<img src=x onerror=alert(1)>\"'&"
    folder = make_workdir(tmp_path, control_name=name)
    config = read(folder / "config.json")
    config["config"]["data"]["source"] = "</script><script>alert(2)</script>"
    files.write_json(folder / "config.json", config)
    maps = make_maps()
    maps[0]["layer"] = name
    one = Page(report_page.write_report(folder, maps).read_text())
    assert all(a["src"].startswith("data:") for tag, a in one.elements if tag == "img")
    assert [tag for tag, _ in one.elements].count("script") == 5 + 1 + 2
    assert name in one.texts["results"] and name in one.texts["maps"]
    assert "alert(2)" in one.texts[""]
    for key in ("data-front", "data-students", "networks"):
        assert "<" not in one.scripts[key]
    # Plotly reads a part of HTML in names and hover texts.
    assert "&lt;img src=x" in one.scripts["data-students"]


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


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser chromium")
def test_a_click_on_the_front_shows_its_architecture(workdir, tmp_path):
    click = (
        'document.getElementById("figure-front").emit("plotly_click",{points:[{customdata:2}]});'
        'document.title = document.getElementById("architecture").innerText;'
    )
    text = (workdir / "report.html").read_text()
    (tmp_path / "page.html").write_text(text.replace("</body>", f"<script>{click}</script></body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    command += [
        "--disable-background-networking",
        "--disable-component-update",
        "--dump-dom",
        "--enable-logging=stderr",
    ]
    run = subprocess.run([*command, (tmp_path / "page.html").as_uri()], capture_output=True)
    title = re.search(r"<title>(.*?)</title>", run.stdout.decode(), re.DOTALL)[1].split()
    entry = read(workdir / "architectures/front.json")["entries"][2]
    assert title[:5] == ["entry", "3", "of", "the", "front"]
    assert f"{entry['rating']:.4f}" in title
    assert title[-1] == entry["blocks"].split()[-1]
    assert b"Content Security Policy" not in run.stderr


def test_the_report_starts_without_tensorflow():
    program = (
        "import sys, dna_tf.report.report_page; "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout == "[]\n", run.stderr
