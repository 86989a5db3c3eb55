"""Finding architectures by file, by name in a folder, and by published name."""

import dataclasses
import json
import re

import pytest

from dna_tf.space import architectures, spaces, tasks, zoo

NAMES = ["max_macs_15k", "max_macs_15k_control", "max_macs_17k_max_params_1300"]


def _architecture(name):
    ops = (spaces.Op(3, 2), spaces.Op(5, 1))
    block = architectures.BlockChoice(2, 4, ops, 0, (0, 1), 0.25)
    frame = spaces.Frame(stem_width=4, stem_output_width=4, head_width=8)
    return architectures.Architecture(name, (block,), frame, tasks.Task(16, 3, 10))


@pytest.fixture
def folder(tmp_path):
    """A folder with three architectures, and the file of a front beside them."""
    folder = tmp_path / "architectures"
    for name in NAMES:
        architectures.save(_architecture(name), folder / f"{name}.json")
    (folder / "front.json").write_text(json.dumps({"kind": "dna_tf.front"}))
    return folder


def test_a_file_is_found_with_and_without_a_folder(folder):
    path = str(folder / "max_macs_15k.json")
    expected = _architecture("max_macs_15k")
    assert zoo.find(path) == zoo.find(path, folder) == zoo.load_architecture(path) == expected


def test_names_in_a_folder_and_published_names(folder):
    for name in NAMES:
        assert zoo.find(name, folder) == zoo.find(name, str(folder)) == _architecture(name)
    for name in zoo.NAMES:
        expected = zoo.get_architecture(name)
        assert zoo.find(name) == zoo.find(name, folder) == zoo.load_architecture(name) == expected


def test_a_folder_comes_before_what_is_published(folder):
    architectures.save(_architecture("dna_a"), folder / "dna_a.json")
    assert zoo.find("dna_a", folder).num_classes == 10
    assert zoo.find("dna_a").num_classes == 1000


def test_unknown_names(folder, tmp_path):
    with pytest.raises(ValueError, match="no network named 'dna_e'. Did you mean 'dna_"):
        zoo.find("dna_e")
    with pytest.raises(ValueError) as caught:
        zoo.find("max_macs_15", folder)
    message = str(caught.value)
    assert f"no architecture 'max_macs_15' in {folder}" in message
    assert "Did you mean 'max_macs_15k'" in message
    assert f"Present: {NAMES}. A search adds more." in message
    # front.json is not an architecture.
    with pytest.raises(ValueError, match="no architecture 'front'"):
        zoo.find("front", folder)
    with pytest.raises(ValueError, match=r"Present: \[\]"):
        zoo.find("anything", tmp_path / "absent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "truncated"),
        (lambda text: text.replace('"dna_tf.architecture"', '"other"'), "kind='other'"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version 2"),
        (lambda text: text.replace('"stride": 2', '"stride": 1', 1), "changed by hand or damaged"),
        (lambda text: "[]", "has a list"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder, tmp_path, change, message):
    path = tmp_path / "mine.json"
    path.write_text(change((folder / "max_macs_15k.json").read_text()))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        zoo.find(str(path))


def test_a_missing_file_is_named(tmp_path):
    path = str(tmp_path / "nothing.json")
    with pytest.raises(FileNotFoundError, match=re.escape(path)):
        zoo.find(path)
    assert not list(tmp_path.iterdir())


def test_an_equal_architecture_is_saved_already_and_another_is_kept(folder):
    path, architecture = folder / "max_macs_15k.json", _architecture("max_macs_15k")
    assert architectures.is_saved(architecture, path, "Move it.")
    assert not architectures.is_saved(architecture, folder / "new.json", "Move it.")
    other = dataclasses.replace(architecture, origin={"by": "hand"})
    for used in (path, folder / "front.json"):
        with pytest.raises(ValueError, match=r"contains something else, .* not overwritten.*Move"):
            architectures.is_saved(other, used, "Move it.")
