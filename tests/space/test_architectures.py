"""Architecture files: round trips to the bit, and messages for what cannot be read."""

import dataclasses
import json
import re

import pytest

from dna_tf.space import architectures, presets, tasks, zoo
from dna_tf.space.architectures import Architecture, BlockChoice
from dna_tf.space.spaces import Frame, Op

SEARCHED = Architecture(
    "max_macs_450k",
    (
        BlockChoice(2, 8, (Op(3, 6), Op(5, 3)), 1, (0, 3), 0.1 + 0.2),
        BlockChoice(1, 12, (Op(5, 6),), 0, (1,), 5e-324),
        BlockChoice(2, 12, (Op(7, 1),), 0, (2,), 1 / 3),
    ),
    Frame(8, 1, 4, 32, "relu6", 0.0),
    task=tasks.Task(image_size=20, channels=1, num_classes=7),
    origin={"by": "search", "limits": {"macs": 450_000}, "note": "ä", "seed": [1, None, 0.1]},
)


def _write(tmp_path, change, base=SEARCHED):
    """Writes a file with something changed in its JSON; `change` works in place."""
    data = json.loads(json.dumps(base.to_dict()))
    change(data)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize(
    "architecture", [SEARCHED, zoo.get_architecture("dna_a")], ids=lambda a: a.name
)
def test_save_and_load_give_an_equal_architecture(tmp_path, architecture):
    path = tmp_path / "new" / "arch.json"
    architectures.save(architecture, path)
    loaded = architectures.load(path)
    assert loaded == architecture
    assert loaded.costs() == architecture.costs()
    for block, expected in zip(loaded.blocks, architecture.blocks, strict=True):
        assert type(block.ops) is tuple
        assert type(block.path) is type(expected.path)
        if expected.rating is not None:
            assert block.rating.hex() == expected.rating.hex()


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path):
    architectures.save(SEARCHED, tmp_path / "one.json")
    architectures.save(architectures.load(tmp_path / "one.json"), tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_rating_is_the_sum_from_left_to_right_or_none():
    assert SEARCHED.rating == ((0.1 + 0.2) + 5e-324) + 1 / 3
    unrated = (*SEARCHED.blocks[:2], dataclasses.replace(SEARCHED.blocks[2], rating=None))
    assert dataclasses.replace(SEARCHED, blocks=unrated).rating is None
    assert zoo.get_architecture("dna_a").rating is None


def test_describe_writes_networks_as_the_zoo_does():
    assert SEARCHED.describe() == "8: k3e6 k5e3 | 12: k5e6 | 12: k7e1"
    assert zoo.get_architecture("dna_c").describe().startswith("24: k5e6 k3e6 | 40: k5e6 k5e6")


def test_load_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.json.*written by a search"):
        architectures.load(tmp_path / "none.json")


def test_load_of_a_truncated_file(tmp_path):
    path = tmp_path / "arch.json"
    architectures.save(SEARCHED, path)
    content = path.read_bytes()
    # The very last byte is the line break, without which the file is still whole.
    for keep in (0, 1, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:keep])
        with pytest.raises(ValueError, match=r"arch\.json is not complete JSON.*truncated"):
            architectures.load(path)


def test_load_of_foreign_json(tmp_path):
    path = tmp_path / "foreign.json"
    for text, message in (
        ("{}", r"of kind \"dna_tf\.architecture\"\. Received: kind=None"),
        ('{"kind": "dna_tf.ratings"}', r"Received: kind='dna_tf\.ratings'"),
        ("[]", "has a list"),
        ("7", "has a int"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            architectures.load(path)


def _set(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(data):
        for key in keys:
            data = data[key]
        data[last] = value

    return change


def _drop(*keys):
    *keys, last = keys

    def change(data):
        for key in keys:
            data = data[key]
        del data[last]

    return change


def _newer_version_with_a_new_key(data):
    data.update(version=2, resolution=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("version", 2), r"version 2, and this dna_tf reads version 1\. Install"),
        (_set("version", None), "version None, and this dna_tf reads version 1"),
        (_newer_version_with_a_new_key, "version 2, and this dna_tf reads version 1"),
        (_drop("version"), r"architecture is missing 'version'"),
        (_drop("blocks"), r"architecture is missing 'blocks'"),
        (_set("block", []), r"unknown key 'block'\. Did you mean 'blocks'\?"),
        (_set("blocks", 1, "with", 8), r"block 2 of the architecture has an unknown key 'with'"),
        (_drop("blocks", 2, "width"), r"block 3 of the architecture is missing 'width'"),
        (_set("blocks", {"0": 1}), "blocks must be a list"),
        (_set("blocks", None), "blocks must be a list"),
        (_set("blocks", []), "at least one block"),
        (_set("blocks", 0, 5), "block 1 of the architecture must be a mapping"),
        (_set("blocks", 0, "ops", "k3e6"), "ops and the path of block 1 must be lists"),
        (
            _set("blocks", 1, "ops", []),
            "Block 2 of the architecture: layers must be a whole number of at least 1",
        ),
        (_set("blocks", 0, "ops", ["k3e6", "k4e3"]), "kernel must be odd"),
        (_set("blocks", 0, "ops", ["k3e6", {}]), r"such as 'k3e6'.* Received: \{\}"),
        (_set("blocks", 0, "path", [0]), r"one op index per layer.*2 ops and the path \[0\]"),
        (_set("blocks", 0, "path", 3), "ops and the path of block 1 must be lists"),
        (_set("blocks", 0, "stride", "2"), r"stride must be a whole number.*Received: '2'"),
        (_set("blocks", 0, "stride", 1.0), "stride must be a whole number"),
        (
            _set("blocks", 2, "width", 0),
            r"Block 3 of the architecture: width must be a whole .* at least 1\. Received: 0",
        ),
        (_set("blocks", 0, "rating", "low"), r"rating must be a finite number\. Received: 'low'"),
        (_set("blocks", 0, "rating", float("nan")), "'NaN' is not a number of JSON"),
        (_set("frame", "se_ratio", 2), "se_ratio must lie"),
        (_set("frame", "se", 0.5), r"frame has an unknown key 'se'"),
        (_drop("frame", "se_ratio"), "frame is missing 'se_ratio'"),
        (_set("image", "size", 0), r"image_size must be a whole number above 0\. Received: 0"),
        (_set("image", "size", "224"), r"image_size must .*Received: '224'"),
        (_set("image", 224), "image must be a mapping"),
        (_set("num_classes", 7.0), "num_classes must be a whole number"),
        (_set("origin", None), "origin a mapping"),
        (_set("costs", "params", 1), "costs .* are not those of its blocks.*counted:"),
        (_set("costs", {}), "are not those of its blocks"),
        (_set("costs", None), "are not those of its blocks"),
        # Consistent in itself, but not with the costs: the file was edited.
        (_set("blocks", 1, "width", 16), "are not those of its blocks"),
        (_set("blocks", 0, "ops", ["k3e6", "k3e3"]), "are not those of its blocks"),
        (_set("num_classes", 8), "are not those of its blocks"),
    ],
)
def test_load_names_what_is_wrong(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        architectures.load(_write(tmp_path, change))
    assert "changed.json cannot be used" in str(caught.value)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="at least one block"):
        Architecture("none", ())
    with pytest.raises(ValueError, match="channels must be a whole number above 0"):
        SEARCHED.adapted(channels=0)


def test_adapted_changes_the_data_and_nothing_else():
    assert SEARCHED.adapted() == SEARCHED
    architecture = SEARCHED.adapted(num_classes=3, image_size=32, channels=3)
    assert (architecture.num_classes, architecture.image_size, architecture.channels) == (3, 32, 3)
    for name in ("name", "blocks", "frame", "origin"):
        assert getattr(architecture, name) == getattr(SEARCHED, name)
    assert architecture.rating == SEARCHED.rating
    # 32 widths of the head to 3 classes instead of 7, and 3x3 kernels to 8 for 2 more channels.
    fewer = SEARCHED.costs()["params"] - architecture.costs()["params"]
    assert fewer == 4 * (32 + 1) - 9 * 8 * 2
    for name in ("num_classes", "image_size", "channels"):
        for bad in (0, -1, 1.5, "10", True):
            message = f"{name} must be a whole number above 0. Received: {bad!r}"
            with pytest.raises(ValueError, match=re.escape(message)):
                SEARCHED.adapted(**{name: bad})


def test_zoo_is_the_table_of_the_paper():
    assert zoo.NAMES == ("dna_a", "dna_b", "dna_c", "dna_d", "efficientnet_b0")
    for name in zoo.NAMES:
        architecture = zoo.get_architecture(name)
        assert architecture.name == name
        assert [block.stride for block in architecture.blocks] == [2, 2, 2, 1, 2, 1]
        assert (architecture.image_size, architecture.channels, architecture.num_classes) == (
            224,
            3,
            1000,
        )
        assert architecture.frame == Frame()
    assert list(zoo.PUBLISHED_TOP1_PERCENT.items()) == [
        ("dna_a", 77.1),
        ("dna_b", 77.5),
        ("dna_c", 77.8),
        ("dna_d", 78.4),
        ("efficientnet_b0", 76.3),
    ]
    assert zoo.get_architecture("dna_a").origin["source"] == "DNA"
    assert zoo.get_architecture("efficientnet_b0").origin["source"] == "EfficientNet"


def test_the_ops_of_dna_students_are_ops_of_the_space():
    ops = set(presets.PRESETS["dna"].ops)
    for name in zoo.NAMES[:4]:
        assert all(set(block.ops) <= ops for block in zoo.get_architecture(name).blocks)


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(ValueError, match=r"named 'dna-a'\. Did you mean 'dna_a'.*Known names"):
        zoo.get_architecture("dna-a")
