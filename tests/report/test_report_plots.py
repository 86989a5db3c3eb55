"""Ratings against cost, choices along the front, published networks: what is drawn is the data."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files, formatting, statistics
from dna_tf.report import choice_plot, front_section, rating_plots, report_page, run_data
from dna_tf.search import comparison, fronts, problem_building
from dna_tf.space import cost_tables, presets, ratings, spaces, tasks, zoo
from tests.helpers import rated_runs
from tests.helpers.report_runs import CHOSEN, SPACE, Page, make_workdir

DNA = presets.get_space("dna")
DNA_TABLE = cost_tables.cost_table(DNA, tasks.Task(224, 3, 1000))
DNA_RATINGS = comparison.draw_ratings(DNA, DNA_TABLE, "plausible", 3)


@pytest.fixture(scope="module")
def dna_front():
    """The front over the paper's space with made-up ratings, as its file has it."""
    problem = problem_building.build_problem(DNA, DNA_RATINGS, DNA_TABLE)
    return [
        {"rating": one.rating, "costs": one.costs, "blocks": problem.describe(one)}
        for one in fronts.front(problem)
    ]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_workdir(tmp_path_factory.mktemp("run"))


def figures_of(html):
    """Of each panel: its SVG, its caption."""
    grid = ET.fromstring(html.replace("&nbsp;", " "))
    return [(figure.find("svg"), "".join(figure.find("figcaption").itertext())) for figure in grid]


def rating_scale(svg):
    """A function from y in a panel to the rating, by the grid's labels."""
    texts = [
        t for t in svg.findall("text") if t.get("text-anchor") == "end" and float(t.get("x")) < 44
    ]
    places = [(float(t.get("y")) - 4, float(t.text)) for t in texts]
    (y1, v1), (y2, v2) = places[0], places[-1]
    return lambda y: v1 + (y - y1) * (v2 - v1) / (y2 - y1)


def test_every_path_is_a_point_at_its_rating_and_macs(digits):
    run = run_data.read_run(digits)
    chosen = run.architectures[CHOSEN]
    panels = figures_of(rating_plots.panels(SPACE, run.ratings, tasks.Task(32, 3, 10), chosen))
    table = cost_tables.cost_table(SPACE, tasks.Task(32, 3, 10))
    assert len(panels) == len(list(SPACE.cells()))
    ringed = 0
    for (b, c, cell), (svg, caption) in zip(SPACE.cells(), panels, strict=True):
        values = run.ratings[b, c]
        macs = table.paths[b, c, SPACE.input_widths(b)[0]]["macs"]
        names = [" ".join(SPACE.ops[i].name for i in path) for path in SPACE.paths(b, c)]
        rating_at, points = rating_scale(svg), svg.findall("circle")
        of_look = {
            look: [p for p in points if p.get("class") == look] for look in ("p", "best", "taken")
        }
        drawn = {p.find("title").text for p in of_look["p"]}
        assert drawn == {
            f"{name}: rating {value:.4f}, {formatting.format_count(int(m))} MACs"
            for name, value, m in zip(names, values, macs, strict=True)
        }
        assert len(of_look["p"]) == len(values)
        by_macs = sorted((float(p.get("cx")), p.find("title").text) for p in of_look["p"])
        order = np.argsort(macs, kind="stable")
        assert by_macs[0][1].startswith(names[order[0]] + ":")
        for p in of_look["p"][::7]:
            rating = float(re.search(r"rating ([\d.]+)", p.find("title").text)[1])
            assert rating_at(float(p.get("cy"))) == pytest.approx(rating, abs=0.006)
        not_beaten = set()
        for i, name in enumerate(names):
            before = [k for k in range(len(names)) if k != i and macs[k] <= macs[i]]
            if not any((values[k], k) < (values[i], i) for k in before):
                not_beaten.add(name)
        assert {p.find("title").text.partition(":")[0] for p in of_look["best"]} == not_beaten
        for p in of_look["taken"]:
            ringed += 1
            ops = " ".join(op.name for op in chosen.blocks[b].ops)
            assert p.find("title").text.startswith(ops + ":")
        tau = f"{statistics.kendall_tau(values, macs):+.2f}".replace("-", "−")
        assert f"{cell.layers} × {cell.width}, {len(values):,} pathsτ with MACs {tau}," in caption
    assert ringed == len(SPACE.blocks)


def test_many_paths_are_counted_in_bins_where_they_lie():
    html = rating_plots.panels(DNA, DNA_RATINGS, tasks.Task())
    assert len(html) < 1_200_000
    for (b, c, _), (svg, _) in zip(DNA.cells(), figures_of(html), strict=True):
        values = DNA_RATINGS[b, c]
        rects = [r for r in svg.findall("rect") if r.get("class").startswith("b ")]
        if len(values) <= rating_plots.MOST_POINTS:
            assert not rects
            continue
        counts = [int(r.find("title").text.replace(",", "")) for r in rects]
        assert sum(counts) == len(values)
        assert (
            max(zip(counts, rects, strict=True), key=lambda pair: pair[0])[1].get("class") == "b b5"
        )
        rating_at = rating_scale(svg)
        ends = [
            rating_at(float(r.get("y")) + s * float(r.get("height"))) for r in rects for s in (0, 1)
        ]
        middle = np.average(np.mean(np.reshape(ends, (-1, 2)), axis=1), weights=counts)
        assert middle == pytest.approx(values.mean(), abs=0.004)
        assert len([p for p in svg.findall("circle") if p.get("class") == "p"]) == 0


def test_constant_ratings_and_one_path_are_drawn():
    space = spaces.SearchSpace("one", (spaces.Op(3, 1),), (spaces.Block(1, (spaces.Cell(1, 8),)),))
    html = rating_plots.panels(space, {(0, 0): np.array([0.5])}, tasks.Task(32, 3, 10))
    assert "τ with MACs –, with parameters –" in html and "nan" not in html


def drawn_choice(svg, front, macs):
    """From block and layer to the op that is drawn where the budget is `macs`."""
    tree = ET.fromstring(svg)
    budgets = sorted(entry["costs"]["macs"] for entry in front)
    rects = [r for r in tree.findall("rect") if r.find("title") is not None]
    left = min(float(r.get("x")) for r in rects)
    right = max(float(r.get("x")) + float(r.get("width")) for r in rects)
    end = budgets[-1] + 0.02 * (budgets[-1] - budgets[0])
    x = left + (right - left) * (macs - budgets[0]) / (end - budgets[0])
    found = {}
    for r in rects:
        if float(r.get("x")) <= x < float(r.get("x")) + float(r.get("width")):
            where, _, rest = r.find("title").text.partition(": ")
            found[where.removesuffix(", cell")] = rest.partition(" from ")[0]
    return found


@pytest.mark.parametrize("thinned", [False, True])
def test_choices_are_those_of_the_best_entry_under_each_budget(dna_front, thinned, monkeypatch):
    if thinned:
        monkeypatch.setattr(choice_plot, "COLUMNS", 100)
    svg = choice_plot.svg(dna_front)
    assert len(svg) < 1_000_000
    costs = [entry["costs"]["macs"] for entry in dna_front]
    budgets = np.sort(costs)
    # `(best under, drawn at)`: a column stands for the budget at its left end.
    places = [((low + high) / 2,) * 2 for low, high in zip(budgets, budgets[1:], strict=False)]
    if thinned:
        step = (budgets[-1] - budgets[0]) / 99
        places = [(budgets[0] + step * i, budgets[0] + step * (i + 0.3)) for i in range(99)]
    for macs, at in places[::7]:
        best = next(e for e in dna_front if e["costs"]["macs"] <= macs)
        expected = {}
        for b, text in enumerate(best["blocks"].split(" | "), 1):
            width, _, ops = text.partition(": ")
            expected[f"block {b}"] = f"{len(ops.split())} × {width}"
            expected |= {f"block {b}, layer {k}": op for k, op in enumerate(ops.split(), 1)}
        assert drawn_choice(svg, dna_front, at) == expected


def test_each_op_has_one_colour_and_no_two_share_one(dna_front):
    tree = ET.fromstring(choice_plot.svg(dna_front))
    colors, legend = {}, {}
    for r in tree.findall("rect"):
        what = r.find("title").text.partition(": ")[2].partition(" from ")[0]
        if r.get("fill"):
            colors.setdefault(what, set()).add((r.get("fill"), r.get("fill-opacity")))
    for r, t in zip(tree.find("g").findall("rect"), tree.find("g").findall("text"), strict=True):
        legend[t.text] = {(r.get("fill"), r.get("fill-opacity"))}
    assert colors == legend and set(legend) == {op.name for op in DNA.ops}
    assert len(set.union(*colors.values())) == len(DNA.ops)


def test_a_front_of_one_entry_draws_no_choices(dna_front):
    assert choice_plot.svg(dna_front[:1]) == choice_plot.svg([]) == ""


def dna_run(**changes):
    teacher = {"image_shape": [224, 224, 3], "num_classes": 1000, **changes}
    return run_data.Run(space=DNA, ratings=DNA_RATINGS, teacher=teacher)


def test_published_networks_stand_at_the_ratings_of_their_paths():
    found = {one["name"].partition(",")[0]: one for one in front_section.published(dna_run())}
    assert tuple(found) == zoo.NAMES
    # dna.md, by hand: dna_c's block 1 is cell 1 (2 x 24) with k5e6 k3e6, ops 1 and 0 of six.
    choices = [(0, (1, 0)), (2, (1, 1, 0, 1)), (2, (1, 0, 1, 1)), (1, (0, 1, 1, 4))]
    choices += [(0, (1, 4, 1, 1)), (0, (0,))]
    rating = sum(
        DNA_RATINGS[b, c][int("".join(map(str, path)), 6)] for b, (c, path) in enumerate(choices)
    )
    assert found["dna_c"]["rating"] == pytest.approx(rating, rel=1e-12)
    assert found["dna_c"]["costs"]["macs"] == 450_138_976  # dna.md
    assert found["dna_c"]["role"] == "published" and "published" in found["dna_c"]["name"]
    assert "77.8 % on ImageNet, published, not measured here" in found["dna_c"]["note"]


def test_the_page_goes_by_the_metric_and_the_weights_of_the_search(tmp_path):
    folder = make_workdir(tmp_path)
    held = json.loads((folder / "config.json").read_text())
    held["config"]["search"]["metric"] = "mse"
    files.write_json(folder / "config.json", held)
    front = json.loads((folder / "architectures/front.json").read_text())
    files.write_json(folder / "architectures/front.json", {**front, "weights": [1.0, 2.0, 1.0]})
    squared = {}
    for b, c, _ in SPACE.cells():
        path = folder / "ratings" / f"{spaces.cell_name(b, c)}.json"
        one = ratings.load_cell(path, SPACE, b, c)
        # The worst in relative L1 is the best in squared error.
        squared[b, c] = 0.01 / one.metrics["relative_l1"][0]
        metrics = {**one.metrics, "mse": np.stack([squared[b, c], 0.0 * squared[b, c]])}
        ratings.save(path, SPACE, b, c, ratings.RatedCell(metrics, 1), "0123")
    page = Page(report_page.write_report(folder).read_text())
    assert "rated by mse: mean squared error." in page.texts["ratings"]
    for b, c, _ in SPACE.cells():
        name = spaces.cell_name(b, c).replace("_", " ")
        row = [text for text, _ in page.row("ratings", name)]
        values = squared[b, c]
        best = " ".join(SPACE.ops[i].name for i in SPACE.paths(b, c)[values.argmin()])
        shown = [f"{v:.4f}" for v in (values.min(), np.median(values), values.max())]
        assert row[4:] == [*shown, best]
    marks = next(
        t
        for t in json.loads(page.scripts["data-ratings"])["data"]
        if t.get("name") == "best path of the cell"
    )
    assert marks["x"] == [squared[b, c].min() for b, c, _ in SPACE.cells()]
    assert "beaten by none in both weighted rating and cost" in page.texts["front"]
    assert "weighted 1, 2, 1;" in page.texts["front"]


def test_published_networks_stay_out_where_they_do_not_compare():
    assert front_section.published(dna_run(image_shape=[192, 192, 3])) == []
    lite = run_data.Run(
        space=presets.get_space("dna_lite"), ratings=DNA_RATINGS, teacher=dna_run().teacher
    )
    assert front_section.published(lite) == []
    four = presets.get_space("dna_four_ops")
    rated = {(b, c): np.zeros(four.num_paths(b, c)) for b, c, _ in four.cells()}
    some = run_data.Run(space=four, ratings=rated, teacher=dna_run().teacher)
    names = [one["name"] for one in front_section.published(some)]
    assert names == ["dna_c, published", "efficientnet_b0, published"]  # the others have k7


def test_the_page_has_the_plots_and_other_fronts(digits):
    files.write_json(digits / "fronts" / "macs_params.json", {
        "kind": workdirs.FRONT_KIND, "front_costs": ["macs", "params"], "rounding": 0.001,
        "limits": {"max_macs": 1_500_000},
        "entries": [{"rating": 1.25}, {"rating": 1.5}, {"rating": 2.0}],
    })  # fmt: skip
    page = Page(report_page.write_report(digits).read_text())
    row = [text for text, _ in page.row("front", "macs, params", table=0)]
    assert row == [
        "macs, params",
        "3",
        "1.2500",
        "2.0000",
        "macs <= 1.5M",
        "costs rounded, by less than 0.1 %",
    ]
    assert "Rating against cost" in page.texts["ratings"]
    assert "What wins as the budget grows" in page.texts["front"]
    assert "published" not in page.texts["front"]  # 32x32 images compare with none


def test_the_page_of_the_paper_s_space_marks_published_networks(tmp_path, dna_front):
    workdir = tmp_path
    config = {"space": "dna", "search": {"budgets": []}}
    files.write_json(workdir / "config.json", {"kind": "dna_tf.config", "config": config})
    teacher = {"kind": "dna_tf.teacher", "model": "b7", "params": 1, **dna_run().teacher}
    files.write_json(workdir / "teacher/result.json", teacher)
    for b, c, _ in DNA.cells():
        path = workdir / "ratings" / f"{spaces.cell_name(b, c)}.json"
        ratings.save(path, DNA, b, c, rated_runs.rated_cell(DNA_RATINGS[b, c]), "x")
    front = {"kind": "dna_tf.front", "entries": dna_front, "front_costs": ["macs"]}
    front["num_architectures"] = DNA.num_architectures()
    files.write_json(workdir / "architectures/front.json", front)
    path = report_page.write_report(workdir)
    page = Page(path.read_text())
    assert len(path.read_bytes()) < 8_000_000
    traces = {t.get("name"): t for t in json.loads(page.scripts["data-front"])["data"]}
    known = front_section.published(run_data.read_run(workdir))
    assert traces["published"]["x"] == [one["costs"]["macs"] for one in known]
    assert traces["published"]["y"] == [one["rating"] for one in known]
    for text in traces["published"]["text"]:
        assert "published, not measured here" in text and "rating" in text
    assert "Nothing about them was trained or measured here" in page.texts["front"]
