"""Cells and ops along a front: the best architecture below each budget is drawn."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dna_tf.report import choice_plot
from tests.helpers import paper_ratings


def drawn_choice(svg, entries, macs):
    """From block and layer to the op that is drawn where the budget is `macs`."""
    tree = ET.fromstring(svg)
    budgets = sorted(entry["costs"]["macs"] for entry in entries)
    rects = [r for r in tree.findall("rect") if r.find("title") is not None]
    left = min(float(r.get("x")) for r in rects)
    right = max(float(r.get("x")) + float(r.get("width")) for r in rects)
    end = budgets[-1] + 0.02 * (budgets[-1] - budgets[0])
    x = left + (right - left) * (macs - budgets[0]) / (end - budgets[0])
    choices = {}
    for r in rects:
        if float(r.get("x")) <= x < float(r.get("x")) + float(r.get("width")):
            place, _, rest = r.find("title").text.partition(": ")
            choices[place.removesuffix(", cell")] = rest.partition(" from ")[0]
    return choices


@pytest.mark.parametrize("thinned", [False, True])
def test_choices_are_those_of_the_best_entry_under_each_budget(thinned, monkeypatch):
    front = paper_ratings.front_entries()
    if thinned:
        monkeypatch.setattr(choice_plot, "COLUMNS", 100)
    svg = choice_plot.svg(front)
    assert len(svg) < 1_000_000
    costs = [entry["costs"]["macs"] for entry in front]
    budgets = np.sort(costs)
    # `(best under, drawn at)`: a column stands for the budget at its left end.
    places = [((low + high) / 2,) * 2 for low, high in zip(budgets, budgets[1:], strict=False)]
    if thinned:
        step = (budgets[-1] - budgets[0]) / 99
        places = [(budgets[0] + step * i, budgets[0] + step * (i + 0.3)) for i in range(99)]
    for macs, at in places[::7]:
        best = next(e for e in front if e["costs"]["macs"] <= macs)
        expected = {}
        for b, text in enumerate(best["blocks"].split(" | "), 1):
            width, _, ops = text.partition(": ")
            expected[f"block {b}"] = f"{len(ops.split())} × {width}"
            expected |= {f"block {b}, layer {k}": op for k, op in enumerate(ops.split(), 1)}
        assert drawn_choice(svg, front, at) == expected


def test_each_op_has_one_colour_and_no_two_share_one():
    tree = ET.fromstring(choice_plot.svg(paper_ratings.front_entries()))
    colors, legend = {}, {}
    for r in tree.findall("rect"):
        op = r.find("title").text.partition(": ")[2].partition(" from ")[0]
        if r.get("fill"):
            colors.setdefault(op, set()).add((r.get("fill"), r.get("fill-opacity")))
    for r, t in zip(tree.find("g").findall("rect"), tree.find("g").findall("text"), strict=True):
        legend[t.text] = {(r.get("fill"), r.get("fill-opacity"))}
    assert colors == legend and set(legend) == {op.name for op in paper_ratings.SPACE.ops}
    assert len(set.union(*colors.values())) == len(paper_ratings.SPACE.ops)


def test_a_front_of_one_entry_draws_no_choices():
    assert choice_plot.svg(paper_ratings.front_entries()[:1]) == choice_plot.svg([]) == ""
