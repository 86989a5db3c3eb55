"""Latency tables: kept and resumed measurements, the fit of what sums leave out, the sums."""

import dataclasses
import itertools
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dna_tf.latency import measurements, tables, validation
from dna_tf.search import exact, problems
from dna_tf.space import cost_tables, op_costs, presets, tasks, zoo

SPACE = presets.PRESETS["digits"]
TASK = tasks.Task(32, 3, 10)
PARTS = op_costs.needed_parts(SPACE, TASK)
CONDITIONS = {"device": "made up", "runtime": "none 1.0", "threads": 1, "cores": [0]}
MACS = op_costs.from_function("work_macs", lambda part: part.out_width * part.size, SPACE, TASK)


class MadeMeter:
    """Says made-up latencies, and counts what it was asked."""

    def __init__(self, truth, spread=lambda key, time: 0.0, fails_at=None):
        self.truth, self.spread, self.fails_at = truth, spread, fails_at
        self.asked, self.calls = [], 0

    def conditions(self):
        return CONDITIONS

    def state(self):
        return {"load_average": 0.5}

    def measure(self, graphs):
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        found = {}
        for key, content in graphs.items():
            assert content == str(key).encode()
            self.asked.append(key)
            times = self.asked.count(key)
            value = self.truth(key)
            found[key] = op_costs.Entry(value, 30, value * self.spread(key, times))
        return found


def _content(key):
    return str(key).encode()


def _alone(part):
    """A made-up latency of a part timed alone: 2 us of every call are not in a network."""
    return 0.002 + 0.01 * part.expand * part.kernel + 0.001 * part.out_width


def _measured(path, meter):
    measured = measurements.Measured(path, CONDITIONS)
    measured.measure_parts(PARTS, meter, _content, bound=0.1)
    return measured


def test_interrupted_measuring_goes_on_where_it_stopped(tmp_path):
    path, meter = tmp_path / "a.measured.json", MadeMeter(_alone, fails_at=3)
    with pytest.raises(KeyboardInterrupt):
        _measured(path, meter)
    first = list(meter.asked)
    assert len(first) == 2 * measurements.GROUP
    again = MadeMeter(_alone)
    done = _measured(path, again)
    assert first + again.asked == PARTS
    assert list(done.parts) == PARTS
    assert done.parts[PARTS[3]] == op_costs.Entry(_alone(PARTS[3]), 30, 0.0)
    read = measurements.Measured(path)
    assert (read.parts, read.conditions) == (done.parts, CONDITIONS)
    once_more = MadeMeter(_alone)
    _measured(path, once_more)
    assert once_more.calls == 0


def test_noise_is_measured_again_and_then_told(tmp_path):
    shaky, hopeless, worse = PARTS[1], PARTS[5], PARTS[7]

    def spread(key, times):
        noisy = {shaky: 0.5 if times < 2 else 0.01, hopeless: 0.6 / times, worse: 0.15 * times}
        return noisy.get(key, 0.02)

    meter = MadeMeter(_alone, spread)
    done = _measured(tmp_path / "a.json", meter)
    assert meter.asked.count(shaky) == 2 and meter.asked.count(hopeless) == 3
    assert meter.asked.count(PARTS[2]) == 1
    assert done.noisy == {str(hopeless): 0.2, str(worse): 0.15}  # the steadiest stays
    assert done.parts[shaky].spread == pytest.approx(0.01 * _alone(shaky))
    assert tables.make(done, tables.Overhead()).about["noisy"] == done.noisy


def test_summary_is_median_and_half_the_quartile_distance():
    found = measurements.summarize([1.0, 2.0, 3.0, 4.0, 100.0], 7)
    assert found == op_costs.Entry(3.0, 7, 1.0)


def test_parts_of_an_architecture_are_those_of_its_space():
    students = validation.random_architectures(SPACE, TASK, 12, seed=3)
    assert {p for one in students for p in tables.architecture_parts(one)} <= set(PARTS)
    paths = MACS.path_costs(SPACE, TASK)
    fast = tables.predictor(MACS, SPACE, TASK)
    for one in students:
        by_parts = tables.predict(MACS, one)
        total, width = paths.stem + paths.heads[one.blocks[-1].width], SPACE.input_widths(0)[0]
        choice = [(b.cell, SPACE.path_index(i, b.cell, b.path)) for i, b in enumerate(one.blocks)]
        for b, (cell, path) in enumerate(choice):
            total += paths.paths[b, cell, width][path]
            width = one.blocks[b].width
        assert by_parts == pytest.approx(total) == pytest.approx(fast(*zip(*choice, strict=True)))
    wanted = op_costs.needed_parts(presets.PRESETS["dna"], tasks.Task(224, 3, 1000))
    for name in zoo.NAMES:  # all can be found in the space
        parts = tables.architecture_parts(zoo.get_architecture(name))
        assert set(parts) <= set(wanted), name
        assert len(parts) == 3 + sum(len(b.ops) for b in zoo.get_architecture(name).blocks)


@pytest.mark.parametrize("count", [6, 20])
def test_what_sums_leave_out_is_found(tmp_path, count):
    """Networks made with known numbers: 0.3 ms each, 0.9 of the medians, 2 us off each part."""
    truth = tables.Overhead(0.9, -0.002, 0.3)

    def whole(one):
        parts = tables.architecture_parts(one)
        return 0.3 + sum(0.9 * _alone(part) - 0.002 for part in parts)

    students = validation.random_architectures(SPACE, TASK, count, seed=1)
    names = [validation.network_key(one) for one in students]
    by_name = dict(zip(names, students, strict=True))
    measured = _measured(tmp_path / "a.json", MadeMeter(_alone))
    measured.measure_networks(names, MadeMeter(lambda n: whole(by_name[n])), _content, 0.1)
    overhead = tables.fit(measured, students, names)
    assert overhead.networks == count
    assert overhead.scale == pytest.approx(truth.scale, abs=0.1)
    table = tables.make(measured, overhead)
    others = validation.random_architectures(SPACE, TASK, 15, seed=2, without=students)
    for one in others:
        assert tables.predict(table, one) == pytest.approx(whole(one), rel=0.02)
    plain = tables.make(measured, tables.Overhead())
    assert tables.predict(plain, others[0]) < 0.95 * whole(others[0])


def test_a_fixed_cost_is_never_negative(tmp_path):
    students = validation.random_architectures(SPACE, TASK, 8, seed=1)
    names = [validation.network_key(one) for one in students]
    by_name = dict(zip(names, students, strict=True))
    measured = _measured(tmp_path / "a.json", MadeMeter(_alone))

    def whole(name):
        parts = tables.architecture_parts(by_name[name])
        return sum(map(_alone, parts)) - 0.2

    measured.measure_networks(names, MadeMeter(whole), _content, 0.1)
    overhead = tables.fit(measured, students, names)
    assert overhead.fixed_ms == 0.0
    table = tables.make(measured, overhead)
    errors = [
        tables.predict(table, by_name[name]) / measured.networks[name].value - 1 for name in names
    ]
    assert np.median(np.abs(errors)) < 0.1


def test_the_table_is_a_file_of_op_costs_for_searches_on_two_devices(tmp_path):
    one = tables.make(
        _measured(tmp_path / "a.json", MadeMeter(_alone)), tables.Overhead(), "a_latency_ms"
    )
    other = tables.make(
        _measured(tmp_path / "b.json", MadeMeter(lambda part: 1.0 / part.kernel)),
        tables.Overhead(fixed_ms=0.5),
        "b_latency_ms",
    )
    loaded = []
    for table in (one, other):
        op_costs.save(table, tmp_path / f"{table.cost}.json")
        loaded.append(op_costs.load(tmp_path / f"{table.cost}.json"))
        assert loaded[-1] == table
    assert (one.device, one.runtime) == ("made up", "none 1.0")
    assert one.about["threads"] == 1 and one.about["cores"] == [0]
    rng = np.random.default_rng(0)
    ratings = {(b, c): rng.random(SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}
    extra = [table.path_costs(SPACE, TASK) for table in loaded]
    problem = problems.make(SPACE, ratings, cost_tables.cost_table(SPACE, TASK), extra)
    free = exact.best(problem)[0]
    names = ("a_latency_ms", "b_latency_ms")
    most = {f"max_{n}": 0.3 * problem.lowest(n) + 0.7 * problem.highest(n) for n in names}
    most["max_a_latency_ms"] = 0.9 * free.costs["a_latency_ms"]
    found = exact.best(problem, most)[0]
    assert all(found.costs[n] <= most[f"max_{n}"] for n in names)


def test_students_spread_over_the_range():
    students = validation.random_architectures(SPACE, TASK, 20, seed=0)
    macs = [one.costs()["macs"] for one in students]
    assert len({validation.network_key(one) for one in students}) == 20
    assert macs == sorted(macs)
    assert students == validation.random_architectures(SPACE, TASK, 20, seed=0)
    uniform = cost_tables.cost_table(SPACE, TASK)
    problem = problems.make(
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
    found = validation.compare([1.1, 2.0, 3.6, 6.0], measured, macs)
    assert found["median_error"] == pytest.approx(0.1)
    assert found["worst_error"] == pytest.approx(0.2)
    assert found["bias"] == pytest.approx(0.05)
    assert found["rank_correlation"] == 1.0 == found["macs_rank_correlation"]
    # The weighted fit by its normal equations.
    w = 1 / np.square(measured)
    x, y = np.array([1.0, 2, 3, 4]), np.array(measured)
    mean_x, mean_y = np.average(x, weights=w), np.average(y, weights=w)
    slope = np.sum(w * (x - mean_x) * (y - mean_y)) / np.sum(w * (x - mean_x) ** 2)
    expected = mean_y + slope * (x - mean_x)
    np.testing.assert_allclose(validation.fit_macs(macs, measured), expected)
    macs_error = np.median(np.abs(expected / y - 1))
    assert found["error_over_macs_error"] == pytest.approx(0.1 / macs_error)
    assert any("median error 10.0 %" in line for line in validation.lines(found))
    drawn = validation.svg([1.1, 2.0, 3.6, 6.0], measured, macs, "a < b")
    assert drawn.count('fill="#2563a8"/>') == 4 and "a &lt; b" in drawn
    json.dumps(found, allow_nan=False)


def test_other_conditions_and_broken_files_are_refused(tmp_path):
    path = tmp_path / "a.measured.json"
    _measured(path, MadeMeter(_alone))
    for name, value in (("runtime", "none 2.0"), ("threads", 2), ("device", "other")):
        with pytest.raises(ValueError, match=f"other conditions .{name}: .* there, .* now"):
            measurements.Measured(path, {**CONDITIONS, name: value})
    good = json.loads(path.read_text())
    for change, message in (
        ({"version": 9}, "version 9; this reads 1"),
        ({"kind": "x"}, "expected to be of kind"),
        ({"parts": [{**good["parts"][0], "value": -1.0}]}, "must be finite numbers"),
        ({"parts": [{"value": 1.0}]}, "cannot be used"),
    ):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ValueError, match=message):
            measurements.Measured(path, CONDITIONS)
    path.write_text(json.dumps(good)[:300])
    with pytest.raises(ValueError, match="truncated.*Delete it and measure again"):
        measurements.Measured(path, CONDITIONS)
    with pytest.raises(FileNotFoundError, match="no file"):
        measurements.Measured(tmp_path / "absent.json")


def test_missing_parts_are_listed_with_the_command(tmp_path):
    table = tables.make(_measured(tmp_path / "a.json", MadeMeter(_alone)), tables.Overhead())
    with pytest.raises(
        ValueError,
        match=r"lacks \d+ of \d+ parts of the space 'digits' at 64 px with 10 classes: stem .* at "
        r"64 px; .* more\. It has \d+ parts, for images of 32 px\. Measure them on made up too, to "
        r"this FILE: .* --space=digits --image_size=64 --num_classes=10 --cost=latency_ms "
        r"--threads=1 --cores=0 --output=FILE$",
    ):
        tables.predictor(table, SPACE, tasks.Task(64, 3, 10))
    one = validation.random_architectures(SPACE, TASK, 1, seed=0)[0]
    last = tables.architecture_parts(one)[-1]
    rest = {part: entry for part, entry in table.entries.items() if part != last}
    message = r"lacks 1 of \d+ parts of the architecture 'random': head .* --arch=NAME --cost="
    with pytest.raises(ValueError, match=message):
        tables.predict(dataclasses.replace(table, entries=rest), one)


def _drawn(references):
    drawn = validation.svg([1.1, 2.0, 3.6], [1.0, 2.0, 4.0], [1e6, 2e6, 3e6], "made", references)
    root, ns = ElementTree.fromstring(drawn), "{http://www.w3.org/2000/svg}"
    lines = [line for line in root.iter(f"{ns}line") if line.get("stroke-dasharray")]
    texts = {t.text: t for t in root.iter(f"{ns}text") if t.get("paint-order") == "stroke"}
    ticks = [t for t in root.iter(f"{ns}text") if t.get("text-anchor") == "middle" and t.text]
    ticks = [(float(t.get("x")), float(t.text)) for t in ticks if re.fullmatch(r"[\d.]+", t.text)]
    return root, lines, texts, ticks


def test_references_are_lines_at_what_they_were_measured():
    names = ["a < b & c", "dna_b", "dna_c", "mobilenet_v3_large", f"{'folder/' * 9}mine.tflite"]
    references = list(zip(names, [3.0, 3.01, 3.02, 2.5, 9.0], strict=True))
    root, lines, texts, ticks = _drawn(references)
    # 9 ms is beyond all students: the axis goes on to it.
    (x0, ms0), (x1, ms1) = ticks[0], ticks[-1]
    assert ms0 <= 1.0 and ms1 >= 9.0
    found = sorted(ms0 + (float(one.get("x1")) - x0) / (x1 - x0) * (ms1 - ms0) for one in lines)
    assert found == pytest.approx([2.5, 3.0, 3.01, 3.02, 9.0], abs=0.03)
    assert all(one.get("x1") == one.get("x2") for one in lines)
    assert list(texts)[:2] == ["mobilenet_v3_large 2.5 ms", "a < b & c 3 ms"]
    assert list(texts)[4] == "...der/folder/folder/mine.tflite 9 ms"
    left, top, width, height = map(float, root.get("viewBox").split())
    boxes = []
    for text, one in texts.items():
        x, y, half = float(one.get("x")), float(one.get("y")), 5.5 * len(text) / 2
        boxes.append((x - half, x + half, y - 10, y))
    for box in boxes:
        assert 62 <= box[0] and box[1] <= left + width and top + 12 <= box[2], box
    for one, other in itertools.combinations(boxes, 2):
        apart = one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
        assert apart, (one, other)
    root, lines, texts, _ = _drawn([])
    assert (lines, texts, root.get("viewBox")) == ([], {}, "0 0 420 420")
