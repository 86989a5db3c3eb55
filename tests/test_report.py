"""The report: its parts, its numbers against the JSON files, and that it loads nothing."""

import base64
import html.parser
import json
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import scipy.stats

from dna_tf import (
    architecture,
    control,
    cost,
    diagram,
    figures,
    files,
    limits,
    map_images,
    ratings,
    report,
    report_comparison,
    report_data,
    report_results,
    search,
    search_front,
    search_problem,
    search_space,
    zoo,
)
from tests import made_runs

ROOT = pathlib.Path(__file__).absolute().parent.parent
ANCHORS = (
    "summary", "teacher", "supernet", "ratings", "front", "student", "maps", "results",
    "difference",
)  # fmt: skip
BUDGETS = ("max_macs=1M", "max_macs=1.3M", "max_macs=1.7M")
CHOSEN = "max_macs_1.3M"
SPACE = search_space.get_space("digits")
CONFIG = {
    "seed": 7,
    "data": {"source": "digits", "image_size": 32, "channels": 3},
    "teacher": {"model": "residual_cnn", "cuts": ["stage1_out", "stage2_out", "stage3_out"]},
    "space": "digits",
    "supernet": {"epochs": 20},
    "search": {"budgets": list(BUDGETS), "chosen": 1},
    "retrain": {"epochs": 30, "seeds": 3},
}


def make_workdir(folder, control_name="control_1.3M", searched_better_by=4):
    """Fills a folder as the tools do, with random ratings and a real search over them."""
    draws = np.random.RandomState(0)
    files.write_json(folder / "config.json", {"kind": "dna_tf.config", "config": CONFIG})
    write_teacher(folder / "teacher", draws)
    cells = {ratings.cell_name(b, c): c for b, c, _ in SPACE.cells()}
    losses = [
        {name: 0.9 / (1 + c) * 0.8**e + 0.02 * draws.rand() for name, c in cells.items()}
        for e in range(20)
    ]
    for name in cells:
        files.write_json(folder / "supernet" / f"{name}.json", {
            "kind": "dna_tf.cell", "cell": name, "losses": [epoch[name] for epoch in losses],
        })  # fmt: skip
    rated = {}
    for b, c, cell in SPACE.cells():
        base = np.array([sum(p) for p in SPACE.paths(b, c)]) * 0.02 + 0.5 - 0.05 * cell.layers
        rated[b, c] = base + 0.05 * draws.rand(len(base))
        path = folder / "ratings" / f"{ratings.cell_name(b, c)}.json"
        ratings.save(path, SPACE, b, c, made_runs.rated_cell(rated[b, c]), "0123")
    names = write_architectures(folder / "architectures", rated, control_name)
    for name in names:
        right = 345 + (searched_better_by if name == CHOSEN else 0)
        write_student(folder, name, [right + k for k in (0, -3, 2)], draws)
    for name in names[:3]:
        write_export(folder / "exports" / name, name)
    return folder


def write_teacher(folder, draws):
    cuts = zip(
        (1, 2, 3), ([16, 16, 32], [8, 8, 64], [8, 8, 96]), (28_000, 88_000, 201_000), strict=True
    )
    files.write_json(folder / "result.json", {
        "kind": "dna_tf.teacher", "model": "residual_cnn", "params": 345_678,
        "test_accuracy": 353 / 360, "test_correct": 353, "test_images": 360, "num_classes": 10,
        "class_names": [str(i) for i in range(10)], "image_shape": [32, 32, 3],
        "cuts": [{"layer": f"stage{i}_out", "shape": s, "params": p} for i, s, p in cuts],
        "counts": {"train": 1237, "rating": 200, "test": 360}, "fingerprint": "abcd",
    })  # fmt: skip
    losses = 2.2 * 0.75 ** np.arange(15) + 0.5 + 0.02 * draws.rand(15)
    write_history(folder, [{"loss": float(v), "accuracy": 0.9} for v in losses])


def write_architectures(folder, rated, control_name):
    table = cost.cost_table(SPACE, 32, 3, 10)
    problem = search_problem.make(SPACE, rated, table)
    front = search_front.front(problem)
    entries = []
    for found in front:
        one = to_architecture(found, rated, "x", {})
        entries.append({"rating": found.rating, "costs": one.costs(), "blocks": one.describe()})
    files.write_json(folder / "front.json", {
        "kind": "dna_tf.front", "space": "digits", "front_costs": ["macs"], "entries": entries,
        "num_architectures": SPACE.num_architectures(),
    })  # fmt: skip
    names = []
    for budget in BUDGETS:
        found = search_front.best_under(front, limits.parse_limits(budget))
        origin = {"by": "search", "limits": limits.parse_limits(budget)}
        names.append(limits.budget_name(budget))
        one = to_architecture(found, rated, names[-1], origin)
        architecture.save(one, folder / f"{names[-1]}.json")
    macs = architecture.load(folder / f"{CHOSEN}.json").costs()["macs"]
    picked = control.random_within(problem, macs, 0.02, seed=7)
    rating = sum(float(rated[b, c][p]) for b, (c, p) in enumerate(zip(*picked, strict=True)))
    found = search_problem.Found(*picked, rating, {})
    origin = {"by": "control", "control_of": CHOSEN}
    one = to_architecture(found, rated, control_name, origin)
    architecture.save(one, folder / "control.json")
    return [*names, control_name]


def to_architecture(found, rated, name, origin):
    return search.to_architecture(found, rated, SPACE, name, 32, 3, 10, origin)


def write_student(folder, name, right, draws):
    for seed, correct in enumerate(right):
        place = folder / "students" / name.replace("/", "_") / f"seed{seed}"
        files.write_json(place / "result.json", {
            "kind": "dna_tf.student", "architecture": name, "seed": seed, "seconds": 12.5,
            "test_accuracy": correct / 360, "test_correct": correct, "test_images": 360,
            "params": 1, "macs": 1,
        })  # fmt: skip
        losses = 2.3 * 0.9 ** np.arange(30) + 0.55 + 0.03 * draws.rand(30)
        write_history(place, [{"loss": float(v), "accuracy": 0.9} for v in losses])


def write_export(folder, name):
    good = {"file": "float32.tflite", "bytes": 212_340, "agreement": 1.0, "good": True}
    poor = {"file": "int8.tflite", "bytes": 98_700, "agreement": 0.925, "good": False}
    files.write_json(folder / "result.json", {
        "kind": "dna_tf.export", "architecture": name, "seed": 0, "keras_accuracy": 0.95,
        "images": 360, "files": {
            "float32": {**good, "largest_difference": 1e-6, "accuracy": 0.95},
            "int8": {**poor, "largest_difference": 0.3, "accuracy": 0.91},
        },
    })  # fmt: skip


def write_history(folder, epochs):
    files.write_json(folder / "history.json", {"kind": "dna_tf.history", "epochs": epochs})


def make_maps(shapes=((16, 16, 32), (8, 8, 64), (8, 8, 96))):
    """Maps of smooth stripes; the student's are the teacher's with noise."""
    draws = np.random.RandomState(1)
    maps = []
    for number, (height, width, channels) in enumerate(shapes, 1):
        y, x = np.mgrid[:height, :width] / height
        waves = np.sin(
            6 * (x[..., None] * draws.randn(channels) + y[..., None]) + np.arange(channels)
        )
        teacher = np.stack([waves, -waves]) * draws.rand(channels)
        maps.append({
            "block": number, "layer": f"stage{number}_out", "rating": 0.2 + number / 10,
            "teacher": teacher, "student": teacher + 0.2 * draws.randn(*teacher.shape),
            "images": 255 * draws.rand(2, 32, 32, 3),
        })  # fmt: skip
    return maps


class Page(html.parser.HTMLParser):
    """What stands in a page: elements, text by section, tables, and whether tags balance."""

    VOID = ("meta", "img", "br", "hr", "input", "link")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts, self.tables = [], [], {}, {}
        self.section, self.scripts = "", {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attrs["id"]
        if tag == "script":
            self.script = attrs.get("id", f"script {len(self.scripts)}")
        if tag == "table":
            self.tables.setdefault(self.section, []).append([])
        if tag == "tr":
            self.tables[self.section][-1].append([])
        if tag in ("td", "th"):
            self.tables[self.section][-1][-1].append(["", attrs.get("title", "")])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[self.script] = data
            return
        self.texts[self.section] = self.texts.get(self.section, "") + data
        if {"td", "th"} & set(self.open):
            self.tables[self.section][-1][-1][-1][0] += data + "|"

    def row(self, section, start, table=0):
        """The cells, as `(text, title)`, of the one row that starts with `start`."""
        rows = [r for r in self.tables[section][table] if r[0][0].startswith(start + "|")]
        assert len(rows) == 1, (start, self.tables[section][table])
        return [(text.rstrip("|"), title) for text, title in rows[0]]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = make_workdir(tmp_path_factory.mktemp("run"))
    report.write_report(folder, make_maps())
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
    assert report.write_report(str(other), make_maps()) == other / "report.html"
    assert (other / "report.html").read_bytes() == (workdir / "report.html").read_bytes()


@pytest.mark.parametrize("name", [limits.budget_name(b) for b in BUDGETS] + ["control_1.3M"])
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
    chosen = architecture.load(workdir / f"architectures/{CHOSEN}.json").costs()["macs"]
    assert chosen in front["x"]


def test_within_noise_is_said_and_a_clear_difference_too(workdir, page, tmp_path):
    assert "+1.11 percentage points" in page.texts["summary"]
    assert "within noise" in page.texts["summary"] and "within noise" in page.texts["difference"]
    for better_by, words in ((12, "better by more than"), (-12, "control is better by more than")):
        folder = make_workdir(tmp_path / words, searched_better_by=better_by)
        texts = Page(report.write_report(folder).read_text()).texts
        assert words in texts["summary"] and words in texts["difference"]
        assert "within noise" not in texts["summary"] + texts["difference"]


def test_several_controls_count_once_each(tmp_path):
    folder = make_workdir(tmp_path, searched_better_by=0)
    run = report_data.read_run(folder)
    first = run.controls()[0]
    for number, right in ((2, 330), (3, 352)):
        name = f"{first}{number}"
        data = json.loads((folder / "architectures" / "control.json").read_text())
        files.write_json(folder / "architectures" / f"{name}.json", {**data, "name": name})
        write_student(folder, name, [right, right + 1], np.random.RandomState(number))
    run = report_data.read_run(folder)
    (found,) = report_comparison.comparisons(run)
    ours = [n / 360 for n in (345, 342, 347)]
    theirs = [np.mean([345, 342, 347]) / 360, 330.5 / 360, 352.5 / 360]
    np.testing.assert_allclose(found.searched_accuracies, ours)
    np.testing.assert_allclose(found.control_accuracies, theirs)
    expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose((found.difference.low, found.difference.high), expected)
    assert found.beaten == 1
    count, taus = report_comparison.rank_agreement(run)
    assert count == 6
    names = report_results.ordered_names(run)
    means = [np.mean(report_results.accuracies(run, name)) for name in names]
    for cost_name in ("macs", "params"):
        costs = [run.architectures[name].costs()[cost_name] for name in names]
        np.testing.assert_allclose(taus[cost_name], scipy.stats.kendalltau(means, costs)[0])
    rated = [-run.architectures[name].rating for name in names]
    np.testing.assert_allclose(taus["rating"], scipy.stats.kendalltau(means, rated)[0])
    text = Page(report.write_report(folder).read_text()).texts["difference"]
    assert "3 random ones" in text and f"{taus['rating']:+.2f}".replace("-", "−") in text


def test_one_seed_gives_no_interval(workdir, tmp_path):
    folder = shutil.copytree(workdir, tmp_path / "run")
    for name in (CHOSEN, "control_1.3M"):
        for seed in (1, 2):
            shutil.rmtree(folder / "students" / name / f"seed{seed}")
    one = Page(report.write_report(folder).read_text())
    assert "no conclusion" in one.texts["summary"]
    assert one.row("results", CHOSEN)[4][0] == "96.94 %|1 seed"


def test_a_student_whose_architecture_file_is_gone_keeps_its_row(workdir, tmp_path):
    folder = shutil.copytree(workdir, tmp_path / "run")
    (folder / "architectures/control.json").unlink()
    result = read(folder / "students/control_1.3M/seed0/result.json")
    files.write_json(
        folder / "students/control_1.3M/seed0/result.json", {**result, "params": 54_321}
    )
    one = Page(report.write_report(folder).read_text())
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
    one = Page(report.write_report(folder, maps).read_text())
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
    one = Page(report.write_report(copy, make_maps()).read_text())
    assert f"python -m tools.{tool} --workdir=..." in one.texts[section]
    assert tuple(a["id"] for tag, a in one.elements if tag == "section") == ANCHORS


def test_an_empty_workdir_gives_a_page_of_hints(tmp_path):
    one = Page(report.write_report(tmp_path).read_text())
    texts = " ".join(one.texts.values())
    for tool in ("train_teacher", "train_supernet", "rate", "search", "retrain", "export_tflite"):
        assert f"python -m tools.{tool}" in texts
    assert "python -m tools.report" in one.texts["maps"]
    assert "script" not in [tag for tag, _ in one.elements]


def test_broken_and_interrupted_files_are_said_in_their_section(workdir, tmp_path):
    copy = shutil.copytree(workdir, tmp_path / "run")
    (copy / "teacher/result.json").write_text('{"kind": "dna_tf.tea')
    some = made_runs.rated_cell([0.5] * 10)
    ratings.save(copy / "ratings/block1_cell2.json", SPACE, 0, 1, some, "0123")
    (copy / "ratings/block2_cell1.json").write_text("[]")
    one = Page(report.write_report(copy).read_text())
    assert "not complete JSON" in one.texts["teacher"]
    assert "block1_cell2 has 10 of 64 paths rated" in one.texts["ratings"]


def test_no_such_workdir(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        report.write_report(tmp_path / "nowhere")


def test_maps_of_a_pair_share_their_colours():
    teacher, student = np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 3))
    teacher[0, :, :, 1] = [[0, 1], [2, 4]]
    student[0, :, :, 1] = [[0, 1], [2, 2]]
    entry = {"block": 1, "layer": "a", "rating": 0.1, "teacher": teacher, "student": student}
    entry["images"] = np.array([[[[0, 128, 255]]]])
    text = map_images.maps_html(entry, num_channels=1)
    assert ">ch 1<" in text and "scale 0 to 4" in text
    image, left, right = (decode_png(base64.b64decode(d)) for d in re.findall(r"64,([^\"]+)", text))
    assert image.tolist() == [[[0, 128, 255]]]
    assert left[0, 0].tolist() == [0x44, 0x01, 0x54]  # viridis from its dark end
    assert left[1, 1].tolist() == [0xFD, 0xE7, 0x25]  # to its bright end
    assert (left[:, 0] == right[:, 0]).all() and (left[1, 0] == right[1, 1]).all()


def decode_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert zlib.crc32(name + body) == check
        chunks[name], place = body, place + 12 + length
    width, height, depth, color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, color, list(chunks)[-1]) == (8, 2, b"IEND")
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_the_channels_shown_are_those_of_highest_variance():
    teacher = np.random.RandomState(0).randn(4, 5, 6, 8) * [1, 9, 2, 8, 3, 7, 4, 6] + 100
    assert map_images.strongest_channels(teacher, 6) == [1, 3, 5, 7, 6, 4]


def test_maps_that_do_not_fit_are_refused_before_anything_is_read(tmp_path):
    maps = make_maps()
    maps[1]["student"] = maps[1]["student"][..., :-1]
    with pytest.raises(ValueError, match=r"block 2 do not fit.*student \(2, 8, 8, 63\)"):
        report.write_report(tmp_path / "nowhere", maps)
    with pytest.raises(ValueError, match="lack .'rating'."):
        report.write_report(tmp_path, [{k: v for k, v in make_maps()[0].items() if k != "rating"}])


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_diagram_shows_every_layer_and_its_costs_add_up(name):
    one = zoo.get_architecture(name)
    rows = diagram.block_rows(one)
    assert sum(row.macs for row in rows) == one.costs()["macs"]
    assert sum(row.params for row in rows) == one.costs()["params"]
    # dna.md, teacher's cut at 224x224: the students' blocks have the same resolutions.
    assert [row.size for row in rows[1:-1]] == [56, 28, 14, 14, 7, 7]
    svg = diagram.student_svg(one)
    drawn = re.findall(r'class="dg-op"[^>]*>(k\de\d)<', svg)
    assert drawn == ["k3e1"] + [op.name for block in one.blocks for op in block.ops]
    boxes = {}
    for points, text in re.findall(r'points="([^"]+)"/><text[^>]*>(\w+)<', svg):
        (x1, y1), (x2, y2), (_, y3), (_, y4) = (map(float, p.split(",")) for p in points.split())
        boxes.setdefault(text, set()).add((round(x2 - x1, 6), round(y4 - y1, 6)))
        boxes.setdefault("narrowing", []).append(y3 - y2 < y4 - y1)
    assert all(len(sizes) == 1 for text, sizes in boxes.items() if text != "narrowing")
    assert sum(boxes["narrowing"]) == 1 + 4  # the stem and the four blocks of stride 2
    widths = [{w for t, s in boxes.items() if f"k{k}" in t for w, _ in s} for k in (3, 5, 7)]
    assert all(len(w) <= 1 for w in widths) and sorted(map(max, filter(None, widths))) == [
        max(w) for w in widths if w
    ]
    residual = sum(len(block.ops) - 1 for block in one.blocks)
    assert len(re.findall(r'class="dg-wire" d="M[\d.]+ [\d.]+V', svg)) == residual


def test_rating_figure_marks_best_and_chosen_path_of_a_large_cell():
    space = search_space.get_space("dna")
    rated = {(b, c): np.full(space.num_paths(b, c), 0.5) for b, c, _ in space.cells()}
    rated[4, 1][1234] = 0.25
    rated[4, 1][np.ravel_multi_index((0, 1, 2, 3, 4), (6,) * 5)] = 0.375
    choice = architecture.BlockChoice(2, 192, space.ops[:5], 1, (0, 1, 2, 3, 4), 0.375)
    blocks = [architecture.BlockChoice(1, 8, (space.ops[0],))] * 4 + [choice]
    one = architecture.Architecture("<n>", tuple(blocks))
    drawn = figures.rating_distribution(rated, space, one)
    best, taken = drawn.data[-2:]
    row = [name for name in drawn.layout.yaxis.ticktext].index("5.2  5 × 192")
    path = np.base_repr(1234, 6).zfill(5)
    ops = " ".join(space.ops[int(digit)].name for digit in path)
    assert (best.x[row], best.y[row]) == (0.25, row)
    assert best.text[row] == f"block5 cell2: <b>{ops}</b><br>rank 1 of 7,776"
    assert taken.name == "path in &lt;n&gt;" and list(taken.y) == [row]
    assert list(taken.x) == [0.375] and "rank 2 of 7,776" in taken.text[0]
    assert max(len(t.x) for t in drawn.data if t.type == "scatter") == figures.MOST_POINTS


def test_loss_figure_has_a_line_for_each_cell_in_order():
    epochs = [{"block2_cell10": 2.0, "block2_cell9": 1.0}, {"block2_cell9": 0.5}]
    drawn = figures.loss_curves(epochs)
    assert [t.name for t in drawn.data] == ["block2 cell9", "block2 cell10"]
    assert drawn.data[0].y == (1.0, 0.5) and drawn.data[1].y == (2.0, None)


def test_the_front_of_a_huge_search_is_thinned_and_keeps_its_indices():
    entries = [
        {"rating": i / 1e4, "costs": {"macs": 10**6 - i}, "blocks": "8: k3e3"} for i in range(5000)
    ]
    front = figures.pareto_front(entries, []).data[0]
    assert len(front.x) <= 2000
    assert [entries[i]["costs"]["macs"] for i in front.customdata] == list(front.x)


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
    program = "import sys, dna_tf.report; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout == "[]\n", run.stderr
