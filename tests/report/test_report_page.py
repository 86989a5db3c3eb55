"""The report's page: all sections, no request, no surprise in names."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from dna_tf.common import files
from dna_tf.report import report_page
from dna_tf.space import architectures
from tests.helpers.report_runs import ANCHORS, CHOSEN, ROOT, SPACE, Page, make_maps, make_workdir


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


def test_names_are_escaped_everywhere(tmp_path):
    name = "<img src=x onerror=alert(1)>\"'&"
    folder = make_workdir(tmp_path)
    # A file system takes such a name; an architecture does not, and the page says so.
    (folder / "students/control_1.3M").rename(folder / "students" / name)
    received = read(folder / f"architectures/{CHOSEN}.json") | {"name": name}
    files.write_json(folder / "architectures/received.json", received)
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
