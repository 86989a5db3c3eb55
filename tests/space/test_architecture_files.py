"""Finding architectures by file, by name in a run, by published name."""

import json
import re

import pytest

from dna_tf.phases import searching
from dna_tf.space import architectures, zoo
from tests.helpers import rated_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A searched run's `Workdir`; not to be changed."""
    workdir, config, _ = rated_runs.rated_run(tmp_path_factory.mktemp("run"))
    searching.search_budgets(workdir, config)
    return workdir


def test_a_file_is_found_with_and_without_a_run(run):
    path = str(run.architecture("max_macs_15k"))
    found = zoo.find(path)
    assert found == architectures.load(path) == zoo.find(path, run.architectures)
    assert found.name == "max_macs_15k"


def test_names_of_a_run_and_published_names(run):
    for name in ("max_macs_15k", "max_macs_15k_control"):
        assert zoo.find(name, run.architectures) == architectures.load(run.architecture(name))
    for name in zoo.NAMES:
        expected = zoo.get_architecture(name)
        assert zoo.find(name) == zoo.find(name, run.architectures) == expected


def test_a_run_comes_before_what_is_published(run, tmp_path):
    own, _, _ = rated_runs.rated_run(tmp_path)
    content = json.loads(run.architecture("max_macs_15k").read_text())
    own.architectures.mkdir()
    own.architecture("dna_a").write_text(json.dumps({**content, "name": "dna_a"}))
    assert zoo.find("dna_a", own.architectures).num_classes == 10
    assert zoo.find("dna_a").num_classes == 1000


def test_unknown_names(run, tmp_path):
    with pytest.raises(ValueError, match="no network named 'dna_e'. Did you mean 'dna_"):
        zoo.find("dna_e")
    with pytest.raises(ValueError) as caught:
        zoo.find("max_macs_15", run.architectures)
    message = str(caught.value)
    assert f"no architecture 'max_macs_15' in {run.architectures}" in message
    assert "Did you mean 'max_macs_15k'" in message
    listed = "['max_macs_15k', 'max_macs_15k_control', 'max_macs_17k_max_params_1300']"
    assert f"Present: {listed}. A search adds more." in message
    # front.json lies beside them and is none.
    with pytest.raises(ValueError, match="no architecture 'front'"):
        zoo.find("front", run.architectures)
    unsearched, _, _ = rated_runs.rated_run(tmp_path)
    with pytest.raises(ValueError, match=r"Present: \[\]"):
        zoo.find("anything", unsearched.architectures)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "truncated"),
        (lambda text: text.replace('"dna_tf.architecture"', '"other"'), "kind='other'"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version 2"),
        (lambda text: text.replace('"stride": 2', '"stride": 1', 1), "changed by hand or damaged"),
        (lambda text: "[]", "holds a list"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(run, tmp_path, change, message):
    path = tmp_path / "own.json"
    path.write_text(change(run.architecture("max_macs_15k").read_text()))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        zoo.find(str(path))


def test_a_missing_file_is_named(tmp_path):
    path = str(tmp_path / "nothing.json")
    with pytest.raises(FileNotFoundError, match=re.escape(path)):
        zoo.find(path)
    assert not list(tmp_path.iterdir())
