"""Trained cells in a folder: they come back bit by bit, or are refused by name."""

import shutil

import numpy as np
import pytest

from dna_tf.common import files
from dna_tf.supernet import cell_files, cell_models, trained_cells
from tests.helpers.small_cells import SHAPES, SPACE


def _trained(cell, result):
    weights = trained_cells.weights_of(cell)
    return trained_cells.TrainedCell(SPACE, cell.block, cell.cell, weights, result)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """`(folder, cells)`: a folder with trained cells, and the cells as they were built."""
    folder = files.as_path(tmp_path_factory.mktemp("saved"))
    cells = cell_models.build_cells(SPACE, SHAPES, seed=9)
    for cell in cells:
        cell_files.save(_trained(cell, {"teacher": "t", "losses": [1.0]}), folder)
    return folder, cells


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the folder, to be damaged."""
    shutil.copytree(saved[0], tmp_path / "cells")
    return files.as_path(tmp_path / "cells")


def test_cells_come_back_bit_by_bit(saved):
    folder, cells = saved
    loaded = cell_files.load(folder, SPACE, SHAPES)
    assert [cell.name for cell in loaded] == [cell.name for cell in cells]
    for cell, trained in zip(cells, loaded, strict=True):
        again = trained.build(SHAPES)
        for row, same, array in zip(cell.rows, again.rows, trained.weights, strict=True):
            assert row.numpy().tobytes() == same.numpy().tobytes() == array.tobytes()
        assert trained.fingerprint == trained_cells.fingerprint(trained_cells.weights_of(cell))
        assert trained.losses == [1.0]
    for cell in cells:
        with np.load(folder / f"{cell.name}.npz", allow_pickle=False) as arrays:
            assert list(arrays) == [f"unit{u}" for u in range(len(cell.rows))]


def test_the_fingerprint_sees_one_bit():
    cell = cell_models.build_cells(SPACE, SHAPES, seed=0, names=["block2_cell2"])[0]
    weights = trained_cells.weights_of(cell)
    first = trained_cells.fingerprint(weights)
    weights[1][3, 0] = np.nextafter(weights[1][3, 0], np.float32(9))
    assert trained_cells.fingerprint(weights) != first


def test_a_cell_that_is_not_trained_is_named(folder):
    (folder / "block2_cell1.json").unlink()
    assert cell_files.trained_names(folder, SPACE) == ["block1_cell1", "block2_cell2"]
    loaded = cell_files.load(folder, SPACE, SHAPES, ["block2_cell2"])
    assert [cell.name for cell in loaded] == ["block2_cell2"]
    with pytest.raises(FileNotFoundError, match=r"block2_cell1\.json\. Train the cell first"):
        cell_files.load(folder, SPACE, SHAPES)


def test_a_failed_cell_is_forgotten_when_it_is_trained(folder):
    name = "block2_cell1"
    cell_files.save_failed(folder, name, {"reason": "why", "losses": [], "rate_factor": 0.5})
    (folder / f"{name}.json").unlink()
    assert name not in cell_files.trained_names(folder, SPACE)
    assert cell_files.failure(folder, name)["reason"] == "why"
    assert cell_files.next_retry_factor(folder, [name, "block1_cell1"]) == 0.25
    cell = cell_models.build_cells(SPACE, SHAPES, seed=0, names=[name])[0]
    cell_files.save(_trained(cell, {"teacher": "t"}), folder)
    assert not cell_files.has_failed(folder, name)


def test_a_missing_cell_is_named(folder):
    (folder / "block2_cell2.npz").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no weights .*block2_cell2\.npz\. Delete .*block2_cell2\.json"
    ):
        cell_files.load(folder, SPACE, SHAPES)


def test_a_kill_while_a_cell_is_replaced_leaves_the_old_cell_or_the_new_one(folder, monkeypatch):
    """Strategy S1 saves earlier cells again: every write and rename may be the last one."""
    name = "block2_cell1"
    cells = cell_files.load(folder, SPACE, SHAPES, [name])
    for number in range(1, 4):
        cell = cell_models.build_cells(SPACE, SHAPES, seed=9 + number, names=[name])[0]
        cells.append(_trained(cell, {"teacher": "t", "losses": [float(number)]}))
    outcomes, replace = [], type(folder).replace
    for at in range(4):
        calls = 0

        def killed(path, target, at=at):
            nonlocal calls
            calls += 1
            if calls > at:
                raise KeyboardInterrupt
            return replace(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(type(folder), "replace", killed)
            try:
                cell_files.save(cells[1 + at % 3], folder)
            except KeyboardInterrupt:
                pass
        received = cell_files.load(folder, SPACE, SHAPES, [name])[0]
        assert received.losses in ([1.0], [float(1 + at % 3)], [2.0], [3.0])
        same = [cell for cell in cells if cell.fingerprint == received.fingerprint]
        assert [cell.losses for cell in same] == [received.losses]
        outcomes.append(received.losses[0])
    assert outcomes == [1.0, 1.0, 3.0, 1.0]  # the last save was whole
    assert sorted(path.name for path in folder.glob(f"{name}.*")) == [
        f"{name}.json",
        f"{name}.npz",
    ]


def test_weights_of_another_shape_are_refused(folder):
    wider = [SHAPES[0], SHAPES[1], (2, 2, 7)]
    with pytest.raises(ValueError, match=r"block2_cell1\.npz do not fit the space 'tiny': unit 0"):
        cell_files.load(folder, SPACE, wider)
    path = folder / "block1_cell1.npz"
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays if name != "unit3"}
    np.savez(path, **kept)
    with pytest.raises(ValueError, match=r"block1_cell1\.npz do not fit .* unit 3 has shape \(0,"):
        cell_files.load(folder, SPACE, SHAPES)


def test_changed_weights_are_refused(folder):
    path = folder / "block1_cell1.npz"
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays}
    kept["unit2"][1, 0] += 1e-3
    np.savez(path, **kept)
    with pytest.raises(ValueError, match="not those that block1_cell1.json beside it describes"):
        cell_files.load(folder, SPACE, SHAPES)


def _flip(content):
    content = bytearray(content)
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: b"no zip", lambda content: content[:-30], _flip],
    ids=["empty", "text", "truncated", "flipped"],
)
def test_damaged_files_are_refused_by_name(folder, damage):
    path = folder / "block2_cell1.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"block2_cell1\.npz (is|are) .*rain the supernet again"):
        cell_files.load(folder, SPACE, SHAPES)


def test_pickles_are_never_loaded(folder):
    path = folder / "block2_cell1.npz"
    np.savez(path, unit0=np.array([{"code": "of a stranger"}], object))
    with pytest.raises(ValueError, match=r"block2_cell1\.npz (is|are) .*rain the supernet again"):
        cell_files.load(folder, SPACE, SHAPES)


def test_cells_of_another_teacher_are_refused(folder):
    assert len(cell_files.load(folder, SPACE, SHAPES, teacher="t")) == 3
    with pytest.raises(ValueError, match="block1_cell1 in .* imitates another teacher"):
        cell_files.load(folder, SPACE, SHAPES, teacher="new")


def test_a_folder_of_another_training_is_refused(tmp_path):
    folder = files.as_path(tmp_path)
    identity = {"space": SPACE.to_dict(), "epochs": 3, "data": "d"}
    for _ in range(2):
        cell_files.identify(folder, identity)
    with pytest.raises(ValueError, match="another training. Differing: epochs: 3 there, 4 now; da"):
        cell_files.identify(folder, {**identity, "epochs": 4, "data": "e"})
