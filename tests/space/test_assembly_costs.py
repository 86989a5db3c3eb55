"""Latencies of assemblies: sums of parts, files, and tables of other teachers that are refused."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from dna_tf.search import assembly_problem, finding
from dna_tf.space import assembly_costs, op_costs, part_keys, teacher_parts
from tests.helpers import part_tables, small_cells
from tests.space.test_assemblies import FACTS

SPACE = small_cells.SPACE
TABLE = part_tables.table(SPACE, FACTS)


def _ratings(seed):
    draws = np.random.default_rng(seed)
    return {(b, c): draws.uniform(0.01, 1.0, SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}


def _all(ratings):
    """Every assembly as `(rating, latency, choices)`, its latency added up part by part."""
    options = []
    for b, block in enumerate(SPACE.blocks):
        here = [(0.0, part_tables.part_ms(teacher_parts.block_keys(FACTS)[b]), None)]
        for c in range(len(block.cells)):
            for index, path in enumerate(SPACE.paths(b, c)):
                keys = part_tables.keys_by_hand(SPACE, FACTS.shapes, b, c, path)
                here.append((ratings[b, c][index], sum(map(part_tables.part_ms, keys)), (c, path)))
        options.append(here)
    rest = part_tables.FIXED + part_tables.part_ms(teacher_parts.head_key(FACTS))
    for chosen in itertools.product(*options):
        ratings_of, latencies, choices = zip(*chosen, strict=True)
        yield sum(ratings_of), sum(latencies) + rest, choices


@pytest.mark.parametrize("seed", range(3))
def test_the_best_within_a_latency_is_that_of_brute_force(seed):
    ratings = _ratings(seed)
    extra = assembly_costs.extra(TABLE, SPACE, FACTS)
    problem = assembly_problem.build_problem(SPACE, FACTS, ratings, [extra])
    listed = sorted(_all(ratings), key=lambda each: each[0])
    latencies = [latency for _, latency, _ in listed]
    for most in np.quantile(latencies, (0.02, 0.3, 0.7)):
        within = [each for each in listed if each[1] <= most]
        best = finding.find_best(problem, count=3, max_latency_ms=float(most), name="fast")
        for assembly, (rating, latency, choices) in zip(best, within, strict=False):
            received = tuple((p.cell, p.path) if p.path else None for p in assembly.parts)
            assert received == choices and assembly.rating == pytest.approx(rating)
            # The sum that the search reports, and the sum over the parts.
            assert assembly.origin["costs"]["latency_ms"] == pytest.approx(latency)
            assert assembly_costs.network_cost(TABLE, assembly) == pytest.approx(latency)


def test_the_teacher_costs_what_was_measured_or_the_sum_of_its_parts():
    own = [*teacher_parts.block_keys(FACTS), teacher_parts.head_key(FACTS)]
    total = part_tables.FIXED + sum(map(part_tables.part_ms, own))
    assert assembly_costs.teacher_cost(TABLE, FACTS) == pytest.approx(total)
    about = {"teachers": {"0123456789abcdef 8x8x3": 7.5}}
    measured = dataclasses.replace(TABLE, about=about)
    assert assembly_costs.teacher_cost(measured, FACTS) == 7.5
    assert assembly_costs.sum_of_own(measured, FACTS) == pytest.approx(total)
    further = {"latency_ms": assembly_costs.teacher_cost(measured, FACTS)}
    limits = assembly_problem.limits_of({"max_latency_ms": "50%"}, FACTS, further)
    assert dict(limits) == {"max_latency_ms": 3.75}


def test_a_latency_that_the_teacher_has_or_nothing_reaches_is_refused_at_once():
    extra = [assembly_costs.extra(TABLE, SPACE, FACTS)]
    for most, message in ((1e3, "latency_ms. There is nothing to compress"), (1e-6, "latency_ms")):
        limits = assembly_problem.limits_of({"max_latency_ms": most}, FACTS)
        with pytest.raises(ValueError, match=message):
            assembly_problem.check_reachable(SPACE, FACTS, limits, extra)


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": "f" * 16},
        {"cuts": ("end0", "end2")},
        {"shapes": ((16, 16, 3), *FACTS.shapes[1:])},
    ],
    ids=str,
)
def test_parts_of_another_teacher_are_not_taken(changes):
    other = dataclasses.replace(FACTS, **changes)
    with pytest.raises(
        op_costs.MissingParts, match="is missing .* the teacher's part from"
    ) as caught:
        assembly_costs.extra(TABLE, SPACE, other)
    missing = [key for key in caught.value.parts if key.part == teacher_parts.PART]
    assert teacher_parts.block_keys(other)[0] in missing
    text = str(caught.value)
    assert ("Its parts of a teacher are of another one: 0123456789abcdef." in text) == (
        "fingerprint" in changes
    )
    with pytest.raises(op_costs.MissingParts):
        assembly_costs.teacher_cost(TABLE, other)


def test_two_tables_of_one_cost_and_costs_without_a_table():
    assert assembly_costs.check_names({"max_latency_ms": 3, "max_macs": "50%"}, [TABLE]) == []
    assert assembly_costs.check_names({"max_phone_ms": 3, "max_mac": 3}, [TABLE]) == ["phone_ms"]
    with pytest.raises(ValueError, match="Two tables have the cost 'latency_ms'"):
        assembly_costs.check_names({}, [TABLE, TABLE])


def test_files_with_parts_of_a_teacher_are_of_another_version(tmp_path):
    path = tmp_path / "latency.json"
    op_costs.save(TABLE, path)
    content = json.loads(path.read_text())
    assert content["version"] == 2 and op_costs.load(path) == TABLE
    assert op_costs.identity(op_costs.load(path)) == op_costs.identity(TABLE)
    # Without them a file is as it always was.
    layers = {key: e for key, e in TABLE.entries.items() if key.part != teacher_parts.PART}
    op_costs.save(dataclasses.replace(TABLE, entries=layers), path)
    assert json.loads(path.read_text())["version"] == 1
    assert op_costs.load(path).entries == layers
    for change, message in (
        ({"teacher": 3}, "The teacher of entry .* must be text"),
        ({"height": 0}, "height of entry .* must be a whole number of at least 1"),
        ({"kernel": 3}, "unknown key 'kernel'"),
    ):
        entries = [*content["entries"][1:], {**content["entries"][0], **change}]
        path.write_text(json.dumps({**content, "entries": entries}))
        with pytest.raises(ValueError, match=message):
            op_costs.load(path)
    entry = {name: v for name, v in content["entries"][0].items() if name != "start"}
    path.write_text(json.dumps({**content, "entries": [entry]}))
    with pytest.raises(ValueError, match="missing 'start'"):
        op_costs.load(path)


def test_keys_say_what_they_are():
    first, second = teacher_parts.block_keys(FACTS)
    assert (first.start, first.end, second.start) == ("", "end1", "end1")
    assert str(second) == (
        "the teacher's part from end1 to end2 at 2x2x6 (teacher 0123456789abcdef)"
    )
    assert "from end2 to the answers at 2x2x5" in str(teacher_parts.head_key(FACTS))
    fields = part_keys.fields_of(second)
    assert part_keys.read_key(fields, "a part") == second
