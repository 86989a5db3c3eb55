"""The estimate of a compression: arithmetic by hand, and the text."""

import numpy as np
import pytest

from dna_tf.inheritance import duration
from dna_tf.space import part_costs
from tests.helpers import small_assemblies

WORK = duration.Work(
    images=1000, rating_images=100, cell_epochs=3, student_epochs=2, measured_paths=2, realised=1
)


def _times(work, macs=1000.0, image_seconds=1e-3):
    _, facts, cells = small_assemblies.all_of_it()
    return cells[0].space, facts, duration.seconds(cells[0].space, facts, work, macs, image_seconds)


def test_the_slow_way():
    space, facts, times = _times(WORK)
    whole = facts.costs()["macs"]
    per_mac = 1e-3 / whole / duration.RATE_OF_CELLS
    cells, ratings = 1000 * 1e-3, 0.0
    for b, c, _ in space.cells():
        macs = [
            part_costs.path_costs(space, b, c, p, facts.shapes)["macs"] for p in space.paths(b, c)
        ]
        mean = sum(macs) / len(macs)
        cells += 5.0 + 3 * 1000 * 3 * mean * per_mac
        behind = sum(block["macs"] for block in facts.blocks[b + 1 :]) + facts.head["macs"]
        for _ in macs:
            ratings += 0.07 + 100 * mean * per_mac
        for _ in macs[:2]:
            ratings += 0.07 + 100 * (mean * per_mac + behind / whole * 1e-3)
    student = 2 * (1000 * 1e-3 + 1000 * 3 * 1000.0 * per_mac) + 25.0 + 4.0
    expected = {"cells": cells, "ratings": ratings, "student": student}
    assert times == pytest.approx(expected)


def test_what_makes_it_longer():
    _, _, times = _times(WORK)
    import dataclasses

    online = _times(dataclasses.replace(WORK, online=True))[2]
    assert online["cells"] == pytest.approx(times["cells"] + 2 * 1.0)
    twice = _times(dataclasses.replace(WORK, students=2))[2]
    assert twice["student"] == pytest.approx(2 * times["student"])
    assert _times(WORK, macs=2000.0)[2]["student"] > times["student"]


def test_the_time_of_an_image_is_that_of_the_calls(monkeypatch):
    teacher, facts, _ = small_assemblies.all_of_it()
    times = iter(np.cumsum([0, 50, 0, 3.2, 0, 6.4, 0, 320]))  # compiling is left out
    monkeypatch.setattr(duration.time, "perf_counter", lambda: next(times))
    assert duration.time_of_image(teacher.model, facts.shapes[0]) == pytest.approx(0.2)


def test_as_text():
    assert duration.text({"cells": 20.0, "student": 31.0}) == "about 50 seconds"
    parts = {"cells": 540.0, "ratings": 180.0, "student": 135.0}
    assert duration.text(parts) == "about 14 minutes (cells 9.0, ratings 3.0, student 2.2)"
    assert duration.text({"cells": 36000.0}) == "about 10 hours (cells 10)"
