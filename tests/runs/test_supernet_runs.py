"""Supernet training from a teacher to files: modes, subsets, divergence, chains, workers."""

import functools
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from dna_tf import workdirs
from dna_tf.features import feature_batches
from dna_tf.phases import rating, runs, supernet_training, teacher_training
from dna_tf.space import presets
from dna_tf.supernet import cell_files, cell_rating, cell_trainer, cell_training
from tests.helpers import replicas, tiny_config, tool_runs

SPACE = {
    "name": "two",
    "ops": ["k3e1", "k5e1"],
    "blocks": [{"stride": 2, "cells": [[1, 4], [1, 6]]}, {"stride": 2, "cells": [[1, 8]]}],
    "frame": {"stem_width": 4, "stem_output_width": 4, "head_width": 16},
}
CELLS = ["block1_cell1", "block1_cell2", "block2_cell1"]
SINGLE = ["block1_cell1", "block2_cell1"]


def _config(single=False, **supernet):
    config = tiny_config.get_config()
    config.space = SPACE
    if single:
        config.space = {
            **SPACE,
            "blocks": [{**b, "cells": b["cells"][:1]} for b in SPACE["blocks"]],
        }
    config.data.rating_per_class = 8
    for field, value in supernet.items():
        config.supernet[field] = value
    return config


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The folder of a run that has a teacher only."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    teacher_training.train_teacher(*workdirs.open_workdir(folder, _config()))
    return folder


@pytest.fixture
def start(teacher, tmp_path):
    """Makes a run with that teacher: `start(name, config)` gives `(Workdir, config)`."""
    return functools.partial(_start, teacher, tmp_path)


def _start(teacher, folder, name, config):
    run = folder / name
    run.mkdir(exist_ok=True)
    for part in ("teacher", "data.json"):
        if (teacher / part).is_dir():
            shutil.copytree(teacher / part, run / part, dirs_exist_ok=True)
        elif (teacher / part).exists():
            shutil.copy(teacher / part, run)
    return workdirs.open_workdir(run, config)


def _train(opened, **arguments):
    return supernet_training.train_supernet(*opened, **arguments)


@pytest.fixture(scope="module")
def whole(teacher, tmp_path_factory):
    """All cells trained in one call, in memory: the workdir."""
    opened = _start(teacher, tmp_path_factory.mktemp("whole"), "run", _config())
    results = _train(opened)
    assert list(results) == CELLS
    return opened[0]


def _bits(workdir, names=CELLS):
    """What a run says of its cells, to the bit."""
    return {
        name: [(workdir.supernet / f"{name}{end}").read_bytes() for end in (".npz", ".json")]
        for name in names
    }


def _poison(monkeypatch, names, number):
    """Cells of these names see a map that holds NaN in one step."""
    step = cell_trainer.CellTrainer.step

    def poisoned(self, x, target, at, rate):
        if at == number and self.cell.name in names:
            target = target * np.float32(np.nan)
        return step(self, x, target, at, rate)

    monkeypatch.setattr(cell_trainer.CellTrainer, "step", poisoned)


def test_a_result_tells_of_its_training(whole):
    for name in CELLS:
        result = whole.cell_result(name)
        assert result["kind"] == "dna_tf.cell" and result["cell"] == name
        assert result["teacher"] == whole.teacher_result()["fingerprint"]
        assert len(result["losses"]) == len(result["relative_l1"]) == 1
        assert 0 < result["losses"][0] < 100 and 0 < result["relative_l1"][0] < 10
        assert result["rate_factor"] == 1.0
        assert result["steps"] == (1437 - 80) // 64
    assert not list(whole.supernet.glob("*_failed.json"))


def test_cells_by_values_are_those_of_a_run(whole, tmp_path):
    """`train_cells` and `rate_cells` with the config's values, and `rate` of the run."""
    config = _config()
    opened = runs.open_run(whole, config)
    space = presets.get_space(config.space)
    cells = cell_training.train_cells(
        space, opened.teacher, opened.images, epochs=config.supernet.epochs, seed=config.seed
    )
    assert [cell.name for cell in cells] == CELLS
    fingerprints = [whole.cell_result(name)["fingerprint"] for name in CELLS]
    assert [cell.fingerprint for cell in cells] == fingerprints
    run = workdirs.Workdir(shutil.copytree(whole.path, tmp_path / "run"))
    of_run = rating.rate(run, config)
    by_values = cell_rating.rate_cells(
        cells,
        opened.teacher,
        opened.images,
        batch_size=config.rating.batch_size,
        batches=config.rating.batches,
        calibration_images=config.rating.calibration_images,
        seed=config.seed,
    )
    assert list(of_run) == list(by_values)
    for place, rated in of_run.items():
        for name, values in rated.metrics.items():
            np.testing.assert_array_equal(values, by_values[place].metrics[name])


def test_cells_in_any_order_of_calls_are_those_of_one_call(start, whole):
    config = _config(cells=("block2_cell1", "block1_cell1"))
    opened = start("run", config)
    assert list(_train(opened)) == ["block1_cell1", "block2_cell1"]
    assert cell_files.trained_names(opened[0].supernet, presets.get_space(config.space)) == SINGLE
    written = _bits(opened[0], SINGLE)
    config.supernet.cells = ("block1_cell2",)
    opened = start("run", config)  # another choice of cells is no other run
    assert list(_train(opened)) == ["block1_cell2"]
    assert _bits(opened[0], SINGLE) == written
    assert _bits(opened[0]) == _bits(whole)


@pytest.mark.parametrize("mode", ["disk", "online"])
def test_cached_and_fresh_features_train_alike(start, whole, mode):
    opened = start("run", _config(features=mode, cache_dtype="float32", cells=("block2_cell1",)))
    result = _train(opened)["block2_cell1"]
    expected = whole.cell_result("block2_cell1")
    # The same images in another order, or shifted ones.
    assert result["losses"] != expected["losses"]
    assert result["losses"][0] == pytest.approx(expected["losses"][0], rel=0.3)
    assert result["relative_l1"][0] == pytest.approx(expected["relative_l1"][0], rel=0.3)
    assert opened[0].features.exists() == (mode == "disk")


def test_a_cell_that_diverges_stops_alone_and_can_be_trained_again(
    start, whole, monkeypatch, capsys
):
    opened = start("run", _config())
    with monkeypatch.context() as patched:
        _poison(patched, ["block1_cell1"], 7)
        assert list(_train(opened)) == CELLS[1:]
    output = capsys.readouterr().err
    assert "block1_cell1 stopped at step 7 (epoch 1), at learning rate 0.01: its loss was" in output
    workdir = opened[0]
    assert _bits(workdir, CELLS[1:]) == _bits(whole, CELLS[1:])
    assert not workdir.cell("block1_cell1").exists()
    failure = cell_files.failure(workdir.supernet, "block1_cell1")
    assert failure["failed_at_step"] == 7 and failure["losses"] == []
    assert failure["reason"].startswith("block1_cell1 stopped at step 7")
    before = {path: path.read_bytes() for path in workdir.supernet.glob("*.*")}

    assert list(_train(opened)) == CELLS[1:]  # a second call leaves it alone
    output = capsys.readouterr()
    assert "warning: Left out: block1_cell1 stopped at step 7" in output.err
    assert "To train it again: retry_factor=0.5" in output.err and output.out == ""
    assert {path: path.read_bytes() for path in workdir.supernet.glob("*.*")} == before

    with monkeypatch.context() as patched:
        _poison(patched, ["block1_cell1"], 9)
        with pytest.raises(ValueError, match=r"step 9 .* rate 0\.005.* again: retry_factor=0\.2"):
            _train(opened, retry_factor=0.5)
    assert cell_files.failure(workdir.supernet, "block1_cell1")["failed_at_step"] == 9

    result = _train(opened, retry_factor=0.25)["block1_cell1"]
    assert result["rate_factor"] == 0.25
    assert not workdir.failed_cell("block1_cell1").exists()
    slower = start("slower", _config(first_block_learning_rate=0.0025, cells=("block1_cell1",)))
    _train(slower)
    npz = "block1_cell1.npz"
    weights = (workdir.supernet / npz).read_bytes()
    assert weights == (slower[0].supernet / npz).read_bytes()
    assert weights != (whole.supernet / npz).read_bytes()
    assert _bits(workdir, CELLS[1:]) == _bits(whole, CELLS[1:])
    capsys.readouterr()
    _train(opened, retry_factor=0.5)
    assert "No cell diverged" in capsys.readouterr().out


def test_broken_images_stop_the_cells_that_read_them(start, whole, monkeypatch):
    """In memory only block 1 reads them; online the teacher does, and all cells fail."""

    def broken(self, epoch, skip=0, shard=(0, 1)):
        def spoil(number, batch):
            images = tf.where(number == 4, np.float32(np.nan), batch[0])
            return (images, *batch[1:])

        return self._dataset(epoch, skip, shard).enumerate().map(spoil)

    monkeypatch.setattr(feature_batches.FeatureDatasets, "__call__", broken)
    opened = start("memory", _config())
    assert list(_train(opened)) == ["block2_cell1"]
    assert _bits(opened[0], ["block2_cell1"]) == _bits(whole, ["block2_cell1"])
    failed = [cell_files.failure(opened[0].supernet, name)["failed_at_step"] for name in CELLS[:2]]
    assert failed == [4, 4]
    opened = start("online", _config(features="online"))
    with pytest.raises(ValueError, match=r"all figures failed.*block2_cell1 stopped at step 4"):
        _train(opened)
    failed = [cell_files.failure(opened[0].supernet, name)["failed_at_step"] for name in CELLS]
    assert failed == [4, 4, 4]
    assert _train(opened) == {}  # and says so, in place of training to the same end


@pytest.fixture(scope="module")
def chains(teacher, tmp_path_factory):
    """Workdirs of both strategies."""
    workdirs_of = {}
    for inputs in ("S1", "S2"):
        folder = tmp_path_factory.mktemp(inputs)
        opened = _start(teacher, folder, "run", _config(single=True, inputs=inputs))
        assert list(_train(opened)) == SINGLE
        workdirs_of[inputs] = opened[0]
    return workdirs_of


def test_chains_keep_or_train_the_cells_before(chains, whole):
    one, two = chains["S1"], chains["S2"]
    first, last = SINGLE
    # The first stage reads the image in all strategies: the same cell.
    npz = f"{first}.npz"
    alone = (whole.supernet / npz).read_bytes()
    assert (two.supernet / npz).read_bytes() == alone
    assert (one.supernet / npz).read_bytes() != alone
    curves = [run.cell_result(first)["losses"] for run in (whole, one, two)]
    assert curves[0] == curves[1] == curves[2]  # of its own stage
    assert one.cell_result(first)["trained_on_with"] == last
    assert "trained_on_with" not in two.cell_result(first)
    losses = [run.cell_result(last)["losses"] for run in (whole, one, two)]
    assert len({loss[0] for loss in losses}) == 3
    space = presets.get_space(_config(single=True).space)
    for run in (one, two):
        assert cell_files.trained_names(run.supernet, space) == SINGLE
        assert run.cell_result(first)["fingerprint"] != run.cell_result(last)["fingerprint"]
        for name in SINGLE:
            kept = json.loads((run.supernet / "runs" / name / "history.json").read_text())
            assert [epoch[name] for epoch in kept["epochs"]] == run.cell_result(name)["losses"]


@pytest.mark.parametrize("inputs", ["S1", "S2"])
def test_a_chain_ends_at_a_cell_that_diverged(start, monkeypatch, capsys, chains, inputs):
    opened = start("run", _config(single=True, inputs=inputs))
    with monkeypatch.context() as patched:
        _poison(patched, ["block1_cell1"], 2)
        with pytest.raises(ValueError, match="block1_cell1 stopped at step 2"):
            _train(opened)
    assert _train(opened) == {}
    assert "Left out: block1_cell1 stopped at step 2" in capsys.readouterr().err
    for name in SINGLE:
        assert not opened[0].cell(name).exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cells": ("block1_cel2",)}, r"no cell 'block1_cel2'\. Did you mean 'block1_cell2'"),
        ({"cells": ("block1_cell1,block1_cell2",)}, "each with a --config.supernet.cells=NAME of"),
        ({"cells": (1,)}, r"no cell 1\..* Its cells are \['block1_cell1', "),
        ({"inputs": "S1"}, "needs a space with one cell in each block"),
        ({"norm_images": 24}, r"norm_images=24 does not divide the 64 images .*: \[1, 2, 4, 8"),
        ({"batch_size": 2000}, "2000"),
    ],
)
def test_what_does_not_fit_is_told_before_work(start, settings, message, monkeypatch):
    opened = start("run", _config(**settings))
    fails = lambda *_: pytest.fail("It worked already.")  # noqa: E731
    monkeypatch.setattr(feature_batches, "feature_datasets", fails)
    with pytest.raises(ValueError, match=message):
        _train(opened)
    assert not opened[0].supernet.exists()


def test_the_tool_takes_cells_one_by_one(teacher, tmp_path, whole):
    opened = _start(teacher, tmp_path, "run", _config())
    folder, flag = f"--workdir={opened[0]}", "--config.supernet.cells="
    done = tool_runs.run_all(
        [
            ["train_supernet", folder, f"{flag}block1_cell2,block2_cell1"],
            ["train_supernet", folder, f"{flag}block1_cell2"],
            ["train_supernet", folder, f"{flag}block1_cell2", f"{flag}block2_cell1"],
            ["train_supernet", folder, f"{flag}('block1_cell1', 'block2_cell1')"],
            ["train_supernet", folder],
            ["train_supernet", folder, "--retry_factor=0.5"],
            ["rate", folder, "--share=1/2"],
            ["rate", folder, "--share=2/2"],
        ]
    )
    assert [result["returncode"] for result in done] == [1] + [0] * 7, done
    assert "error: The space 'two' has no cell 'block1_cell2,block2_cell1'" in done[0]["stderr"]
    trained = [line for line in done[1]["stdout"].splitlines() if ": loss " in line]
    assert len(trained) == 1 and trained[0].startswith("block1_cell2: loss ")
    assert "1 cells are trained; missing: block1_cell1, block2_cell1" in done[1]["stdout"]
    assert f"Next: python -m tools.train_supernet {folder}\n" in done[1]["stdout"]
    assert "2 cells are trained; missing: block1_cell1" in done[2]["stdout"]
    assert f"Next: python -m tools.rate {folder}" in done[3]["stdout"]
    assert f"The cells are there already: {opened[0].supernet}" in done[4]["stdout"]
    assert done[4]["stdout"].count(": loss ") == 3
    assert "No cell diverged" in done[5]["stdout"]
    assert _bits(opened[0]) == _bits(whole)
    shares = [set(re.findall(r"^(block\d_cell\d)", r["stdout"], re.M)) for r in done[6:]]
    assert shares[0] and shares[1] and sorted([*shares[0], *shares[1]]) == CELLS
    assert f"Not rated here: {', '.join(sorted(shares[1]))}\n" in done[6]["stdout"]
    assert "Not rated here" not in done[7]["stdout"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["memory", "disk"])
def test_two_workers_share_a_workdir(teacher, tmp_path, whole, mode):
    config = _config(features=mode, cache_dtype="float32")
    workdir, _ = _start(teacher, tmp_path, "run", config)
    words = ("train_supernet", f"--workdir={workdir}", "--strategy=multi_worker")
    for output, _ in replicas.run_workers([tool_runs.command(*words)] * 2):
        assert output.count(": loss ") == 3 and "Next: python -m tools.rate" in output
    files_there = sorted(path.name for path in workdir.supernet.iterdir())
    assert files_there == sorted(["runs", *(f"{n}{e}" for n in CELLS for e in (".npz", ".json"))])
    assert list(pathlib.Path(workdir.path).rglob("*.tmp")) == []
    for name in CELLS:
        result, alone = workdir.cell_result(name), whole.cell_result(name)
        assert result["steps"] == alone["steps"]
        assert result["losses"][0] == pytest.approx(alone["losses"][0], rel=0.3)
    assert (
        len(cell_files.load(workdir.supernet, presets.get_space(config.space), _shapes(workdir)))
        == 3
    )
    done = tool_runs.run("train_supernet", f"--workdir={workdir}")
    assert "The cells are there already" in done.stdout, done.stderr
    done = tool_runs.run("rate", f"--workdir={workdir}")
    assert done.returncode == 0 and "Next: python -m tools.search" in done.stdout, done.stderr


def _shapes(workdir):
    return [tuple(shape) for shape in runs.open_run(workdir, _config()).teacher.shapes]
