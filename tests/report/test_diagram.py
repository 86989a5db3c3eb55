"""The diagram of a student shows every layer, and its costs add up."""

import re

import pytest

from dna_tf.report import diagram
from dna_tf.space import zoo


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
