"""Tables of op costs: added up like counted costs, saved, checked, and missing parts named."""

import dataclasses
import json

import numpy as np
import pytest

from dna_tf.search import exact, problem_building
from dna_tf.space import architectures, cost_tables, op_costs, part_keys, presets, tasks
from tests.helpers import op_cost_tables

SPACE = presets.PRESETS["digits"]
TASK = tasks.Task(32, 3, 10)
TABLE = cost_tables.cost_table(SPACE, TASK)


def _macs(key):
    """MACs of a part, counted from its own spec: independent of how they are added up."""
    return key.spec().macs(key.size, key.size) + key.out_width * key.num_classes


@pytest.mark.parametrize("name", ["digits", "dna", "dna_single_lite"])
def test_costs_that_are_macs_equal_the_counted_macs(name):
    space = presets.get_space(name)
    task = tasks.Task(space.image_size, 3, 7)
    counted = cost_tables.cost_table(space, task)
    table = op_cost_tables.from_function("work_macs", _macs, space, task, fixed=5.0)
    paths = table.path_costs(space, task)
    assert set(paths.paths) == set(counted.paths)
    for key, columns in counted.paths.items():
        np.testing.assert_array_equal(paths.paths[key], columns["macs"])
    assert paths.stem == counted.stem["macs"] + 5
    assert paths.heads == {width: head["macs"] for width, head in counted.heads.items()}
    keys = op_costs.space_keys(space, task)
    assert len(keys) == len(set(keys)) == len(table.entries)


def test_a_cost_from_a_file_limits_a_search(tmp_path):
    rng = np.random.default_rng(0)
    table = op_cost_tables.from_function("latency_ms", lambda key: rng.uniform(0.1, 2), SPACE, TASK)
    op_costs.save(table, tmp_path / "latency.json")
    loaded = op_costs.load(tmp_path / "latency.json")
    assert loaded == table and op_costs.identity(loaded) == op_costs.identity(table)
    ratings = {(b, c): rng.random(SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}
    extra = [loaded.path_costs(SPACE, TASK)]
    problem = problem_building.build_problem(SPACE, ratings, TABLE, extra)
    free = exact.best(problem)[0]
    most = 0.5 * (problem.lowest("latency_ms") + free.costs["latency_ms"])
    limited = exact.best(problem, {"max_latency_ms": most})[0]
    assert limited.costs["latency_ms"] <= most < free.costs["latency_ms"]
    assert limited.rating > free.rating


def test_what_tells_of_a_measurement_is_kept(tmp_path):
    part = part_keys.LayerKey("layer", 3, 6, 16, 24, 2, 112, "swish", 0.25)
    entry = op_costs.CostEntry(1.31, repeats=50, spread=0.02)
    table = op_costs.OpCosts("latency_ms", {part: entry}, 0.4, "phone", "litert", {"threads": 1})
    op_costs.save(table, tmp_path / "latency.json")
    assert op_costs.load(tmp_path / "latency.json") == table
    content = json.loads((tmp_path / "latency.json").read_text())
    assert content["entries"][0]["spread"] == 0.02 and content["device"] == "phone"
    assert str(part) == "k3e6 16->24 stride 2 at 112 px"
    # How it was measured does not change what a search finds.
    other = dataclasses.replace(table, device="board")
    assert op_costs.identity(other) == op_costs.identity(table)
    cheaper = dataclasses.replace(table, fixed=0.3)
    assert op_costs.identity(cheaper) != op_costs.identity(table)


def test_missing_parts_and_other_sizes_are_listed():
    table = op_cost_tables.from_function("latency_ms", lambda key: 1.0, SPACE, TASK)
    with pytest.raises(
        ValueError,
        match=r"is missing \d+ of \d+ parts .* at 64 px .*stem 3->.* at 64 px;"
        r".* and \d+ more\. It has \d+ parts, for images of 32 px",
    ):
        table.path_costs(SPACE, tasks.Task(64, 3, 10))
    with pytest.raises(
        ValueError, match=r"is missing 1 of .* with 11 classes: head .*, 11 classes\. "
    ):
        table.path_costs(SPACE, tasks.Task(32, 3, 11))
    with pytest.raises(ValueError, match=r"is missing .* of the space 'dna'"):
        table.path_costs(presets.PRESETS["dna"], tasks.Task(32, 3, 10))
    with pytest.raises(ValueError, match="It has 0 parts, for images of no known px"):
        op_costs.OpCosts("latency_ms", {}).path_costs(SPACE, TASK)
    with pytest.raises(op_costs.MissingParts) as caught:
        table.path_costs(SPACE, tasks.Task(32, 3, 11))
    assert caught.value.table is table
    assert [(key.part, key.num_classes) for key in caught.value.parts] == [("head", 11)]


def test_the_cost_of_a_network_is_that_of_its_parts():
    table = op_cost_tables.from_function("work_macs", _macs, SPACE, TASK, fixed=2.5)
    blocks = tuple(
        architectures.BlockChoice(block.stride, block.cells[0].width, (SPACE.ops[b % 2],) * 2)
        for b, block in enumerate(SPACE.blocks)
    )
    network = architectures.Architecture("net", blocks, SPACE.frame, TASK)
    assert table.network_cost(network) == 2.5 + network.costs()["macs"]
    with pytest.raises(op_costs.MissingParts, match="parts of the architecture 'net': head"):
        table.network_cost(network.adapted(num_classes=11))


ENTRY = {"part": "layer", "kernel": 3, "expand": 6, "in_width": 16, "out_width": 24, "stride": 2}
ENTRY |= {"size": 112, "activation": "swish", "se_ratio": 0.25, "value": 1.0}
FILE = {"kind": op_costs.KIND, "version": 1, "cost": "latency_ms", "fixed": 0.4, "entries": [ENTRY]}


def _entry(**changes):
    return {**FILE, "entries": [{**ENTRY, **changes}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**FILE, "kind": "other"}, 'expected to be of kind "dna_tf.op_costs"'),
        ({**FILE, "version": 3}, "It has version 3; this reads 1 and 2"),
        ({k: v for k, v in FILE.items() if k != "cost"}, "The file is missing 'cost'"),
        ({**FILE, "entrys": []}, "unknown key 'entrys'. Did you mean 'entries'"),
        ({**FILE, "entries": {}}, "The entries must be a list"),
        ({**FILE, "entries": [3]}, "The entry 1 must be a mapping"),
        ({**FILE, "entries": [ENTRY, ENTRY]}, "Entry 2 repeats k3e6 16->24 stride 2 at 112 px"),
        ({**FILE, "cost": "macs"}, "lower case and ends in its unit"),
        ({**FILE, "cost": "authors_flops"}, "counted by dna_tf"),
        ({**FILE, "cost": "Latency ms"}, "lower case and ends in its unit, such as 'latency_ms'"),
        ({**FILE, "fixed": -1}, "fixed must be finite and at least 0. Received: -1"),
        (_entry(value=-1), "finite numbers of at least 0.*k3e6 16->24 stride 2 at 112 px: -1"),
        (_entry(value="1 ms"), "Received for k3e6 .*: '1 ms'"),
        (_entry(value=None), "Received for k3e6 .*: None"),
        (_entry(spread=-1), "repeats and spreads"),
        (_entry(part="tail"), r"part of entry 1 must be one of \['stem', 'layer', 'head'\]"),
        (_entry(size=0), "size of entry 1 must be a whole number of at least 1"),
        (_entry(kernel=3.5), "kernel of entry 1 must be a whole number"),
        (_entry(num_classes=1.5), "num_classes of entry 1 must be a whole number"),
        (_entry(kind="plain"), "There is no kind of op in entry 1 'plain'"),
        (_entry(valu=1), "entry 1 has an unknown key 'valu'. Did you mean 'value'"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, message):
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        op_costs.load(path)


def test_nan_truncated_and_absent_files(tmp_path):
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(_entry(value=float("nan"))))
    with pytest.raises(ValueError, match="'NaN' is not a number of JSON"):
        op_costs.load(path)
    path.write_text(json.dumps(FILE)[:50])
    with pytest.raises(ValueError, match="truncated"):
        op_costs.load(path)
    with pytest.raises(FileNotFoundError, match=r"no file .*absent\.json\. A file of op costs"):
        op_costs.load(tmp_path / "absent.json")
