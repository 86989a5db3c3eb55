"""Rating against cost: every path is drawn where its rating and its cost are."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dna_tf.common import formatting, rank_correlation
from dna_tf.report import rating_plots, run_data
from dna_tf.space import cost_tables, spaces, tasks
from tests.helpers import paper_ratings
from tests.helpers.report_runs import CHOSEN, SPACE, make_workdir


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
        tau = f"{rank_correlation.kendall_tau(values, macs):+.2f}".replace("-", "−")
        assert f"{cell.layers} × {cell.width}, {len(values):,} pathsτ with MACs {tau}," in caption
    assert ringed == len(SPACE.blocks)


def test_many_paths_are_counted_in_bins_where_they_lie():
    html = rating_plots.panels(paper_ratings.SPACE, paper_ratings.RATINGS, tasks.Task())
    assert len(html) < 1_200_000
    for (b, c, _), (svg, _) in zip(paper_ratings.SPACE.cells(), figures_of(html), strict=True):
        values = paper_ratings.RATINGS[b, c]
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


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_workdir(tmp_path_factory.mktemp("run"))
