"""Files of assemblies: round trips to the bit, and messages for what cannot be used."""

import json
import re

import pytest

from dna_tf.space import assemblies, part_costs
from tests.helpers import small_cells

SPACE, SHAPES = small_cells.SPACE, tuple(map(tuple, small_cells.SHAPES))
FACTS = assemblies.TeacherFacts(
    fingerprint="0123456789abcdef",
    cuts=("end1", "end2"),
    shapes=SHAPES,
    num_classes=4,
    blocks=(
        {"params": 100, "macs": 4_000, "int8_kb": 0.34, "peak_kb": 0.5},
        {"params": 80, "macs": 320, "int8_kb": 0.36, "peak_kb": 0.06},
    ),
    head={"params": 24, "macs": 20, "int8_kb": 0.068, "peak_kb": 0.025},
)


def _assembly(choices=((0, (1, 3)), None)):
    parts = []
    for b, choice in enumerate(choices):
        if choice is None:
            parts.append(assemblies.Part(None, None, 0.0, FACTS.blocks[b]))
        else:
            costs = part_costs.path_costs(SPACE, b, *choice, SHAPES)
            parts.append(assemblies.Part(*choice, 1 / 3, costs))
    return assemblies.Assembly("half", SPACE, FACTS, tuple(parts), {"by": "search", "note": "ä"})


def _refused(tmp_path, change):
    """The message about a file with something changed in its JSON."""
    data = json.loads(json.dumps(_assembly().to_dict()))
    change(data)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"changed\.json") as error:
        assemblies.load(path)
    return str(error.value)


def test_save_and_load_give_an_equal_assembly(tmp_path):
    for choices in (((0, (1, 3)), None), (None, (1, (0, 2))), (None, None)):
        assembly = _assembly(choices)
        assemblies.save(assembly, tmp_path / "one.json")
        loaded = assemblies.load(tmp_path / "one.json")
        assert loaded == assembly
        assert loaded.costs() == assembly.costs()
        assemblies.save(loaded, tmp_path / "two.json")
        assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_costs_rating_and_text():
    assembly = _assembly()
    path = part_costs.path_costs(SPACE, 0, 0, (1, 3), SHAPES)
    costs = assembly.costs()
    assert costs["params"] == path["params"] + 80 + 24
    assert costs["macs"] == path["macs"] + 320 + 20
    assert costs["peak_kb"] == max(path["peak_kb"], 0.06)
    assert (assembly.rating, assembly.describe()) == (1 / 3, "k5e1 k3e3 | own")
    assert [part.is_own for part in assembly.parts] == [False, True]
    whole = {"params": 204, "macs": 4_340, "int8_kb": 0.768, "peak_kb": 0.5}
    assert _assembly((None, None)).costs() == FACTS.costs() == whole


def test_an_assembly_needs_a_part_for_each_block():
    with pytest.raises(ValueError, match="'half' needs one part for each block.*1 parts, 2 blocks"):
        assemblies.Assembly("half", SPACE, FACTS, _assembly().parts[:1])
    with pytest.raises(ValueError, match="The name of an assembly"):
        assemblies.Assembly("../half", SPACE, FACTS, _assembly().parts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(version=2), "has version 2, and this dna_tf reads version 1"),
        (lambda data: data.update(more=1), "unknown key 'more'"),
        (lambda data: data.pop("head"), "is missing 'head'"),
        (lambda data: data["costs"].update(macs=1), "The costs in the assembly are not those"),
        (lambda data: data["blocks"].pop(), "The assembly has 1 blocks, its space 2"),
        (lambda data: data["blocks"][0].update(path=[1]), "has 2 op indices from 0 to 3"),
        (lambda data: data["blocks"][0].update(path=[1, 9]), r"Received: \(1, 9\)"),
        (lambda data: data["blocks"][0].update(cell=-1), "The cell of block 1.*at least 0"),
        (lambda data: data["blocks"][0].update(cell=None), "The cell of block 1.*Received: None"),
        (lambda data: data["blocks"][0].update(rating="a"), "The rating of block 1.*finite number"),
        (lambda data: data["blocks"][0]["costs"].update(macs=7), "costs of block 1 .*not those"),
        (lambda data: data["blocks"][1]["costs"].update(macs=7), "costs of block 2 .*not those"),
        (lambda data: data["blocks"][1]["costs"].update(macs=-7), "macs.*at least 0"),
        (lambda data: data["teacher"].update(shapes=[[8, 8, 3]]), "The teacher has 1 shapes"),
        (lambda data: data["teacher"].update(shapes=[[8, 8]] * 3), "list of 3 values"),
        (lambda data: data["teacher"].update(cuts=[1, 2]), r"cuts\[0\] must be text"),
        (lambda data: data["teacher"].update(blocks=3), "The blocks of the teacher must be a list"),
        (lambda data: data.update(origin=[]), "The origin of an assembly must be a mapping"),
        (lambda data: data["space"].update(ops=["k3e1"]), r"from 0 to 0"),
        (lambda data: data.update(name="a/b"), "The name of an assembly"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, change, message):
    received = _refused(tmp_path, change)
    assert re.search(message, received), received


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.json\. Assemblies are written"):
        assemblies.load(tmp_path / "none.json")
    (tmp_path / "other.json").write_text('{"kind": "dna_tf.architecture"}')
    with pytest.raises(
        ValueError, match=r"kind \"dna_tf\.assembly\"\. Received: kind='dna_tf\.arch"
    ):
        assemblies.load(tmp_path / "other.json")
