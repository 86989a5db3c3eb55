"""The inherited student of a run: when there is none and why, and the lines beside the others."""

import dataclasses
import types

import pytest

import dna_tf
from dna_tf import workdirs
from dna_tf.common import formatting
from dna_tf.phases import compressing, inheriting, runs
from dna_tf.space import architectures
from tests.helpers import small_assemblies, small_cells, small_images


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose teacher and space are those of `small_assemblies`."""
    teacher, _, _ = small_assemblies.all_of_it()
    config = dna_tf.default_config()
    config.space = small_cells.SPACE.to_dict()
    opened = types.SimpleNamespace(teacher=teacher)
    monkeypatch.setattr(runs, "open_run", lambda *_: opened)
    return workdirs.Workdir(tmp_path), config


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        ("max_macs=10", "No architecture of the space .* meets"),
        ("max_macs=1G", "There is nothing to compress"),
        ("max_macs=1M,max_latency_ms=5", "limits max_latency_ms, which is not measured"),
    ],
)
def test_why_there_is_none(run, budget, reason, capsys, monkeypatch):
    workdir, config = run
    config.search.budgets = (budget,)
    config.search.chosen = 0
    monkeypatch.setattr(compressing, "compress", lambda *_: pytest.fail("compressed"))
    assert inheriting.inherit(workdir, config) is None
    assert "No inherited student within the chosen budget." in capsys.readouterr().out
    with pytest.raises(ValueError, match=reason):
        raise ValueError(inheriting.why_not(workdir, config))


def test_it_is_compressed_to_the_chosen_budget(run, monkeypatch):
    workdir, config = run
    config.search.budgets = ("max_macs=1", "max_macs=1.5M, max_params=1M")
    config.search.chosen = 1
    monkeypatch.setattr(inheriting, "why_not", lambda *_: "")
    monkeypatch.setattr(compressing, "compress", lambda *arguments: ("name", arguments[2]))
    assert inheriting.inherit(workdir, config) == {"max_macs": "1.5M", "max_params": "1M"}


def test_the_lines_beside_the_others(tmp_path, capsys, monkeypatch):
    config, workdir = dna_tf.default_config(), workdirs.Workdir(tmp_path)
    config.retrain.seeds, config.retrain.control_seeds = 2, 1
    monkeypatch.setattr(
        workdirs.Workdir, "student_result", lambda _, name, seed: results[name][seed]
    )
    results = {}
    for number, name in enumerate(("max_macs_1.5M", "max_macs_1.5M_control")):
        origin = {"by": "control" if number else "search"}
        one = dataclasses.replace(small_images.architecture_of(name=name), origin=origin)
        architectures.save(one, workdir.architecture(name))
        results[name] = [
            {"test_correct": 300 + number, "test_images": 359},
            {"test_correct": 310 + number, "test_images": 359},
        ]
    row = {"costs": {"macs": 1_480_000, "params": 74_000}, "correct": 355, "images": 359}
    inheriting.print_comparison(workdir, config, {"table": [{}, {}, row]})
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    costs = {name: formatting.format_count(one.costs()[name]) for name in ("macs", "params")}
    counts = f"{costs['macs']} {costs['params']}"
    assert lines[1:] == [
        f"max_macs_1.5M, from scratch, seed 0 {counts} 83.6% 79.4-87.0 15",
        f"max_macs_1.5M, from scratch, seed 1 {counts} 86.4% 82.4-89.5 15",
        f"max_macs_1.5M_control, from scratch, seed 0 {counts} 83.8% 79.7-87.3 15",
        "max_macs_1.5M, inherited, seed 0 1.48M 74k 98.9% 97.2-99.6 5",
    ]
