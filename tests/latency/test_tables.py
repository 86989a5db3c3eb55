"""Latency tables: the fit of the overhead, the sums, and tables of two devices in one search."""

import dataclasses

import numpy as np
import pytest

from dna_tf.latency import tables, validation
from dna_tf.search import exact, problem_building
from dna_tf.space import cost_tables, op_costs, presets, tasks, zoo
from tests.helpers import op_cost_tables
from tests.helpers.fake_meter import KEYS, SPACE, TASK, FakeMeter, graph_of, measured_parts, part_ms

MACS = op_cost_tables.from_function("work_macs", lambda key: key.out_width * key.size, SPACE, TASK)


def test_parts_of_an_architecture_are_those_of_its_space():
    students = validation.random_architectures(SPACE, TASK, 12, seed=3)
    assert {p for student in students for p in op_costs.network_keys(student)} <= set(KEYS)
    paths = MACS.path_costs(SPACE, TASK)
    fast = tables.latency_function(MACS, SPACE, TASK)
    for student in students:
        by_parts = MACS.network_cost(student)
        total, width = (
            paths.stem + paths.heads[student.blocks[-1].width],
            SPACE.input_widths(0)[0],
        )
        choice = [
            (b.cell, SPACE.path_index(i, b.cell, b.path)) for i, b in enumerate(student.blocks)
        ]
        for b, (cell, path) in enumerate(choice):
            total += paths.paths[b, cell, width][path]
            width = student.blocks[b].width
        assert by_parts == pytest.approx(total) == pytest.approx(fast(*zip(*choice, strict=True)))
    needed = op_costs.space_keys(presets.PRESETS["dna"], tasks.Task(224, 3, 1000))
    for name in zoo.NAMES:  # all can be found in the space
        parts = op_costs.network_keys(zoo.get_architecture(name))
        assert set(parts) <= set(needed), name
        assert len(parts) == 3 + sum(len(b.ops) for b in zoo.get_architecture(name).blocks)


@pytest.mark.parametrize("count", [6, 20])
def test_what_sums_leave_out_is_found(tmp_path, count):
    """Networks made with known numbers: 0.3 ms each, 0.9 of the medians, 2 us off each part."""
    truth = tables.Overhead(0.9, -0.002, 0.3)

    def whole(student):
        parts = op_costs.network_keys(student)
        return 0.3 + sum(0.9 * part_ms(part) - 0.002 for part in parts)

    students = validation.random_architectures(SPACE, TASK, count, seed=1)
    names = [validation.network_key(student) for student in students]
    by_name = dict(zip(names, students, strict=True))
    measured = measured_parts(tmp_path / "a.json", FakeMeter(part_ms))
    measured.measure_networks(names, FakeMeter(lambda n: whole(by_name[n])), graph_of, 0.1)
    overhead = tables.fit(measured, map(op_costs.network_keys, students), names)
    assert overhead.networks == count
    assert overhead.scale == pytest.approx(truth.scale, abs=0.1)
    table = tables.make_table(measured, overhead)
    others = validation.random_architectures(SPACE, TASK, 15, seed=2, without=students)
    for student in others:
        assert table.network_cost(student) == pytest.approx(whole(student), rel=0.02)
    plain = tables.make_table(measured, tables.Overhead())
    assert plain.network_cost(others[0]) < 0.95 * whole(others[0])


def test_a_fixed_cost_is_never_negative(tmp_path):
    students = validation.random_architectures(SPACE, TASK, 8, seed=1)
    names = [validation.network_key(student) for student in students]
    by_name = dict(zip(names, students, strict=True))
    measured = measured_parts(tmp_path / "a.json", FakeMeter(part_ms))

    def whole(name):
        parts = op_costs.network_keys(by_name[name])
        return sum(map(part_ms, parts)) - 0.2

    measured.measure_networks(names, FakeMeter(whole), graph_of, 0.1)
    overhead = tables.fit(measured, map(op_costs.network_keys, students), names)
    assert overhead.fixed_ms == 0.0
    table = tables.make_table(measured, overhead)
    errors = [
        table.network_cost(by_name[name]) / measured.networks[name].value - 1 for name in names
    ]
    assert np.median(np.abs(errors)) < 0.1


def test_the_table_is_a_file_of_op_costs_for_searches_on_two_devices(tmp_path):
    first = tables.make_table(
        measured_parts(tmp_path / "a.json", FakeMeter(part_ms)),
        tables.Overhead(),
        "a_latency_ms",
    )
    second = tables.make_table(
        measured_parts(tmp_path / "b.json", FakeMeter(lambda part: 1.0 / part.kernel)),
        tables.Overhead(fixed_ms=0.5),
        "b_latency_ms",
    )
    loaded = []
    for table in (first, second):
        op_costs.save(table, tmp_path / f"{table.cost}.json")
        loaded.append(op_costs.load(tmp_path / f"{table.cost}.json"))
        assert loaded[-1] == table
    assert (first.device, first.runtime) == ("made up", "none 1.0")
    assert first.about["threads"] == 1 and first.about["cores"] == [0]
    rng = np.random.default_rng(0)
    ratings = {(b, c): rng.random(SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}
    extra = [table.path_costs(SPACE, TASK) for table in loaded]
    counted = cost_tables.cost_table(SPACE, TASK)
    problem = problem_building.build_problem(SPACE, ratings, counted, extra)
    free = exact.best(problem)[0]
    names = ("a_latency_ms", "b_latency_ms")
    most = {f"max_{n}": 0.3 * problem.lowest(n) + 0.7 * problem.highest(n) for n in names}
    most["max_a_latency_ms"] = 0.9 * free.costs["a_latency_ms"]
    limited = exact.best(problem, most)[0]
    assert all(limited.costs[n] <= most[f"max_{n}"] for n in names)


def test_missing_parts_are_listed(tmp_path):
    measured = measured_parts(tmp_path / "a.json", FakeMeter(part_ms))
    table = tables.make_table(measured, tables.Overhead())
    with pytest.raises(
        op_costs.MissingParts,
        match=r"is missing \d+ of \d+ parts of the space 'digits' at 64 px with 10 classes: stem "
        r".* at 64 px; .* more\. It has \d+ parts, for images of 32 px\.$",
    ):
        tables.latency_function(table, SPACE, tasks.Task(64, 3, 10))
    (student,) = validation.random_architectures(SPACE, TASK, 1, seed=0)
    last = op_costs.network_keys(student)[-1]
    rest = {key: entry for key, entry in table.entries.items() if key != last}
    message = r"is missing 1 of \d+ parts of the architecture 'random': head "
    with pytest.raises(op_costs.MissingParts, match=message) as caught:
        dataclasses.replace(table, entries=rest).network_cost(student)
    assert caught.value.parts == [last]
