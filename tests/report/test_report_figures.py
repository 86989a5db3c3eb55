"""What the report draws: maps, the diagram, curves, ratings and fronts."""

import base64
import re
import struct
import zlib

import numpy as np
import pytest

from dna_tf.common import pictures
from dna_tf.report import diagram, figures, map_images, report_page
from dna_tf.space import architectures, presets, zoo
from tests.helpers.report_runs import make_maps


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
    assert pictures.strongest_channels(teacher, 6) == [1, 3, 5, 7, 6, 4]


def test_maps_that_do_not_fit_are_refused_before_anything_is_read(tmp_path):
    maps = make_maps()
    maps[1]["student"] = maps[1]["student"][..., :-1]
    with pytest.raises(ValueError, match=r"block 2 do not fit.*student \(2, 8, 8, 63\)"):
        report_page.write_report(tmp_path / "nowhere", maps)
    with pytest.raises(ValueError, match="lack .'rating'."):
        report_page.write_report(
            tmp_path, [{k: v for k, v in make_maps()[0].items() if k != "rating"}]
        )


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
    space = presets.get_space("dna")
    rated = {(b, c): np.full(space.num_paths(b, c), 0.5) for b, c, _ in space.cells()}
    rated[4, 1][1234] = 0.25
    rated[4, 1][np.ravel_multi_index((0, 1, 2, 3, 4), (6,) * 5)] = 0.375
    choice = architectures.BlockChoice(2, 192, space.ops[:5], 1, (0, 1, 2, 3, 4), 0.375)
    blocks = [architectures.BlockChoice(1, 8, (space.ops[0],))] * 4 + [choice]
    one = architectures.Architecture("<n>", tuple(blocks))
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
