"""Validation: random students, errors against measurements, and the plot."""

import itertools
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dna_tf.latency import validation
from dna_tf.search import problem_building
from dna_tf.space import cost_tables
from tests.helpers.fake_meter import SPACE, TASK


def test_students_spread_over_the_range():
    students = validation.random_architectures(SPACE, TASK, 20, seed=0)
    macs = [student.costs()["macs"] for student in students]
    assert len({validation.network_key(student) for student in students}) == 20
    assert macs == sorted(macs)
    assert students == validation.random_architectures(SPACE, TASK, 20, seed=0)
    uniform = cost_tables.cost_table(SPACE, TASK)
    problem = problem_building.build_problem(
        SPACE, {(b, c): np.zeros(SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}, uniform
    )
    low, high = problem.lowest("macs"), problem.highest("macs")
    assert macs[0] < low + 0.15 * (high - low) and macs[-1] > high - 0.15 * (high - low)
    others = validation.random_architectures(SPACE, TASK, 20, seed=0, without=students)
    assert not {validation.network_key(o) for o in others} & {
        validation.network_key(s) for s in students
    }
    assert validation.network_key(students[0]) != validation.network_key(
        students[0].adapted(image_size=64)
    )


def test_comparison_by_hand():
    measured, macs = [1.0, 2.0, 4.0, 5.0], [1e6, 2e6, 3e6, 4e6]
    result = validation.compare([1.1, 2.0, 3.6, 6.0], measured, macs)
    assert result["median_error"] == pytest.approx(0.1)
    assert result["worst_error"] == pytest.approx(0.2)
    assert result["bias"] == pytest.approx(0.05)
    assert result["rank_correlation"] == 1.0 == result["macs_rank_correlation"]
    assert result["rank_interval"] == [1.0, 1.0]
    # The weighted fit by its normal equations.
    w = 1 / np.square(measured)
    x, y = np.array([1.0, 2, 3, 4]), np.array(measured)
    mean_x, mean_y = np.average(x, weights=w), np.average(y, weights=w)
    slope = np.sum(w * (x - mean_x) * (y - mean_y)) / np.sum(w * (x - mean_x) ** 2)
    expected = mean_y + slope * (x - mean_x)
    np.testing.assert_allclose(validation.fit_macs(macs, measured), expected)
    macs_error = np.median(np.abs(expected / y - 1))
    assert result["error_over_macs_error"] == pytest.approx(0.1 / macs_error)
    assert any("median error 10.0 %" in line for line in validation.lines(result))
    drawn = validation.svg([1.1, 2.0, 3.6, 6.0], measured, macs, "a < b")
    assert drawn.count('fill="#2563a8"/>') == 4 and "a &lt; b" in drawn
    json.dumps(result, allow_nan=False)


def _drawn(references):
    drawn = validation.svg([1.1, 2.0, 3.6], [1.0, 2.0, 4.0], [1e6, 2e6, 3e6], "made", references)
    root, ns = ElementTree.fromstring(drawn), "{http://www.w3.org/2000/svg}"
    lines = [line for line in root.iter(f"{ns}line") if line.get("stroke-dasharray")]
    texts = {t.text: t for t in root.iter(f"{ns}text") if t.get("paint-order") == "stroke"}
    ticks = [t for t in root.iter(f"{ns}text") if t.get("text-anchor") == "middle" and t.text]
    ticks = [(float(t.get("x")), float(t.text)) for t in ticks if re.fullmatch(r"[\d.]+", t.text)]
    return root, lines, texts, ticks


def test_references_are_lines_at_their_measured_latency():
    names = ["a < b & c", "dna_b", "dna_c", "mobilenet_v3_large", f"{'folder/' * 9}mine.tflite"]
    references = list(zip(names, [3.0, 3.01, 3.02, 2.5, 9.0], strict=True))
    root, lines, texts, ticks = _drawn(references)
    # 9 ms is beyond all students: the axis goes on to it.
    (x0, ms0), (x1, ms1) = ticks[0], ticks[-1]
    assert ms0 <= 1.0 and ms1 >= 9.0
    latencies = sorted(
        ms0 + (float(element.get("x1")) - x0) / (x1 - x0) * (ms1 - ms0) for element in lines
    )
    assert latencies == pytest.approx([2.5, 3.0, 3.01, 3.02, 9.0], abs=0.03)
    assert all(element.get("x1") == element.get("x2") for element in lines)
    assert list(texts)[:2] == ["mobilenet_v3_large 2.5 ms", "a < b & c 3 ms"]
    assert list(texts)[4] == "...der/folder/folder/mine.tflite 9 ms"
    left, top, width, height = map(float, root.get("viewBox").split())
    boxes = []
    for label, element in texts.items():
        x, y, half = float(element.get("x")), float(element.get("y")), 5.5 * len(label) / 2
        boxes.append((x - half, x + half, y - 10, y))
    for box in boxes:
        assert 62 <= box[0] and box[1] <= left + width and top + 12 <= box[2], box
    for (left0, right0, top0, low0), (left1, right1, top1, low1) in itertools.combinations(
        boxes, 2
    ):
        assert right0 <= left1 or right1 <= left0 or low0 <= top1 or low1 <= top0
    root, lines, texts, _ = _drawn([])
    assert (lines, texts, root.get("viewBox")) == ([], {}, "0 0 420 420")
