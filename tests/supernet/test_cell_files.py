"""Trained cells in a workdir: they come back bit by bit, or are refused by name."""

import shutil

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.supernet import cell_files, cell_models
from tests.helpers.small_cells import SHAPES, SPACE


def _save(folder):
    """A workdir with trained cells, as `train_supernet` leaves it."""
    run = workdirs.Workdir(folder)
    cells = cell_models.build_cells(SPACE, SHAPES, seed=9)
    files.write_json(run.teacher / "result.json", {"kind": "dna_tf.teacher", "fingerprint": "t"})
    for cell in cells:
        cell_files.save(cell, run, {"teacher": "t", "losses": [1.0]})
    return run, cells


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return _save(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def run(saved, tmp_path):
    """A copy of the workdir, to be damaged."""
    shutil.copytree(saved[0].path, tmp_path / "run")
    return workdirs.Workdir(tmp_path / "run")


def test_cells_come_back_bit_by_bit(saved):
    run, cells = saved
    loaded = cell_files.load(run, SPACE, SHAPES)
    assert [cell.name for cell in loaded] == [cell.name for cell in cells]
    for one, other in zip(cells, loaded, strict=True):
        for row, same in zip(one.rows, other.rows, strict=True):
            assert row.numpy().tobytes() == same.numpy().tobytes()
        assert cell_files.fingerprint(one) == cell_files.fingerprint(other)
    for cell in cells:
        with np.load(run.supernet / f"{cell.name}.npz", allow_pickle=False) as arrays:
            assert list(arrays) == [f"unit{u}" for u in range(len(cell.rows))]


def test_the_fingerprint_sees_one_bit():
    cell = cell_models.build_cells(SPACE, SHAPES, seed=0, names=["block2_cell2"])[0]
    first = cell_files.fingerprint(cell)
    value = cell.rows[1].numpy()
    value[3, 0] = np.nextafter(value[3, 0], np.float32(9))
    cell.rows[1].assign(value)
    assert cell_files.fingerprint(cell) != first


def test_a_cell_that_is_not_trained_is_named_with_its_tool(run):
    run.cell("block2_cell1").unlink()
    assert cell_files.trained_cells(run, SPACE) == ["block1_cell1", "block2_cell2"]
    loaded = cell_files.load(run, SPACE, SHAPES, ["block2_cell2"])
    assert [cell.name for cell in loaded] == ["block2_cell2"]
    with pytest.raises(FileNotFoundError, match=r"block2_cell1\.json.*tools\.train_supernet"):
        cell_files.load(run, SPACE, SHAPES)


def test_a_failed_cell_is_forgotten_when_it_is_trained(run):
    cell_files.save_failed("block2_cell1", run, {"reason": "why", "losses": []})
    run.cell("block2_cell1").unlink()
    assert "block2_cell1" not in cell_files.trained_cells(run, SPACE)
    cell = cell_models.build_cells(SPACE, SHAPES, seed=0, names=["block2_cell1"])[0]
    cell_files.save(cell, run, {"teacher": "t"})
    assert not run.failed_cell("block2_cell1").exists()


def test_a_missing_cell_is_named(run):
    (run.supernet / "block2_cell2.npz").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no weights .*block2_cell2\.npz\. Delete .*block2_cell2\.json"
    ):
        cell_files.load(run, SPACE, SHAPES)


def test_weights_of_another_shape_are_refused(run):
    wider = [SHAPES[0], SHAPES[1], (2, 2, 7)]
    with pytest.raises(ValueError, match=r"block2_cell1\.npz do not fit the space 'tiny': unit 0"):
        cell_files.load(run, SPACE, wider)
    path = run.supernet / "block1_cell1.npz"
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays if name != "unit3"}
    np.savez(path, **kept)
    with pytest.raises(ValueError, match=r"block1_cell1\.npz do not fit .* unit 3 has shape \(0,"):
        cell_files.load(run, SPACE, SHAPES)


def test_changed_weights_are_refused(run):
    path = run.supernet / "block1_cell1.npz"
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays}
    kept["unit2"][1, 0] += 1e-3
    np.savez(path, **kept)
    with pytest.raises(ValueError, match="not those that block1_cell1.json beside it describes"):
        cell_files.load(run, SPACE, SHAPES)


def _flip(content):
    content = bytearray(content)
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: b"no zip", lambda content: content[:-30], _flip],
    ids=["empty", "text", "truncated", "flipped"],
)
def test_damaged_files_are_refused_by_name(run, damage):
    path = run.supernet / "block2_cell1.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"block2_cell1\.npz (is|are) .*rain the supernet again"):
        cell_files.load(run, SPACE, SHAPES)


def test_pickles_are_never_loaded(run):
    path = run.supernet / "block2_cell1.npz"
    np.savez(path, unit0=np.array([{"code": "of a stranger"}], object))
    with pytest.raises(ValueError, match=r"block2_cell1\.npz (is|are) .*rain the supernet again"):
        cell_files.load(run, SPACE, SHAPES)


def test_a_supernet_of_another_teacher_is_refused(run):
    files.write_json(run.teacher / "result.json", {"kind": "dna_tf.teacher", "fingerprint": "new"})
    with pytest.raises(ValueError, match="imitates another teacher"):
        cell_files.load(run, SPACE, SHAPES)
