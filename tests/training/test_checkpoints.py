"""Checkpoints: any damage is noticed, and the checkpoint before is used."""

import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.training import checkpoints

DATA, INDEX = ".data-00000-of-00001", ".index"


class Saved:
    """Two variables whose values tell which save they are of."""

    def __init__(self, folder, keep=2):
        self.variables = [tf.Variable(tf.zeros(5)), tf.Variable(0, dtype=tf.int64)]
        self.checkpoint = checkpoints.Checkpoint(folder, self.variables, keep)

    def save(self, value):
        self.variables[0].assign(tf.fill(5, value / 3.0))
        self.variables[1].assign(value)
        self.checkpoint.save({"value": value})

    def restore(self):
        """Restores, and checks that state and variables are of one save; returns its value."""
        for variable in self.variables:
            variable.assign(tf.zeros_like(variable))
        state = self.checkpoint.restore()
        if state is None:
            return None
        expected = np.full(5, np.float32(state["value"] / 3.0))
        assert self.variables[0].numpy().tobytes() == expected.tobytes()
        assert int(self.variables[1]) == state["value"]
        return state["value"]


def _files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "checkpoint")


def _numbers(folder):
    return sorted({int(re.match(r"ckpt-(\d+)\.", name)[1]) for name in _files(folder)})


def _warned(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if "warning: " in line]


@pytest.mark.parametrize("suffix", [DATA, INDEX])
def test_no_flipped_byte_and_no_cut_gives_other_values(tmp_path, capsys, suffix):
    for value in (1, 2):
        Saved(tmp_path).save(value)
    path = tmp_path / f"ckpt-2{suffix}"
    whole = path.read_bytes()
    flipped = [whole[:i] + bytes([whole[i] ^ 0x41]) + whole[i + 1 :] for i in range(len(whole))]
    cut = [whole[:length] for length in range(len(whole))]
    saved = Saved(tmp_path)
    noticed = {}
    for kind, contents in (("flipped", flipped), ("cut", cut)):
        noticed[kind] = 0
        for content in contents:
            path.write_bytes(content)
            value = saved.restore()
            warned = _warned(capsys)
            assert value == (1 if warned else 2), warned
            if warned:
                assert len(warned) == 1 and f"{tmp_path / 'ckpt-2'} cannot be used: " in warned[0]
            noticed[kind] += len(warned)
    assert noticed["cut"] == len(whole)
    # Some bytes of the index mean nothing: the padding of its footer, among others.
    assert noticed["flipped"] >= len(whole) * (1.0 if suffix == DATA else 0.8)
    path.write_bytes(whole)
    assert saved.restore() == 2 and not _warned(capsys)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("damage", [_flip, _truncate, pathlib.Path.unlink])
@pytest.mark.parametrize("suffix", [DATA, INDEX])
def test_the_one_before_a_damaged_one_is_used_and_the_next_save_wins(
    tmp_path, capsys, suffix, damage
):
    for value in (1, 2, 3):
        Saved(tmp_path).save(value)
    damage(tmp_path / f"ckpt-3{suffix}")
    for _ in range(2):  # looking changes nothing
        assert Saved(tmp_path).restore() == 2
        [warning] = _warned(capsys)
        assert f"warning: checkpoint {tmp_path / 'ckpt-3'} cannot be used: " in warning
    again = Saved(tmp_path)
    assert again.restore() == 2
    capsys.readouterr()
    again.save(30)
    assert _numbers(tmp_path) == [2, 4]
    assert Saved(tmp_path).restore() == 30 and not _warned(capsys)
    again.save(40)
    assert _numbers(tmp_path) == [4, 5]
    assert Saved(tmp_path).restore() == 40 and not _warned(capsys)


def test_a_damaged_one_that_can_be_read_again_is_not_the_newest_again(tmp_path):
    for value in (1, 2):
        Saved(tmp_path).save(value)
    kept = {path: path.read_bytes() for path in tmp_path.glob("ckpt-2.*")}
    shutil.copytree(tmp_path, tmp_path / "copy")
    _flip(tmp_path / f"ckpt-2{DATA}")
    again = Saved(tmp_path)
    assert again.restore() == 1
    for path, content in kept.items():
        path.write_bytes(content)
    again.save(20)
    assert Saved(tmp_path).restore() == 20
    for path, content in kept.items():  # deleted by then
        path.write_bytes(content)
    assert Saved(tmp_path).restore() == 20


@pytest.mark.parametrize("damaged", [(5,), (4, 5), (3, 4, 5), (4,)])
def test_any_of_several_may_be_damaged(tmp_path, capsys, damaged):
    saved = Saved(tmp_path, keep=4)
    for value in range(1, 6):
        saved.save(value)
    assert _numbers(tmp_path) == [2, 3, 4, 5]
    for number in damaged:
        _truncate(tmp_path / f"ckpt-{number}{INDEX}")
    again = Saved(tmp_path, keep=4)
    newest = max({2, 3, 4, 5} - set(damaged))
    assert again.restore() == newest
    assert len(_warned(capsys)) == sum(number > newest for number in damaged)
    again.save(6)
    assert len(_numbers(tmp_path)) <= 4 and _numbers(tmp_path)[-1] == 6
    # What was found damaged made room, and not what can still be used.
    assert set(_numbers(tmp_path)) >= {newest, 6}
    assert Saved(tmp_path).restore() == 6


def test_never_more_stay_than_requested(tmp_path):
    saved = Saved(tmp_path, keep=3)
    for value in range(1, 7):
        saved.save(value)
        assert _numbers(tmp_path) == list(range(max(1, value - 2), value + 1))
    (tmp_path / "checkpoint").unlink()  # nor when TensorFlow's list of them is gone
    fewer = Saved(tmp_path, keep=2)
    assert fewer.restore() == 6
    fewer.save(7)
    assert _numbers(tmp_path) == [6, 7]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b'model_checkpoint_path: "ckpt-9"'])
def test_they_are_found_without_tensorflows_list_of_them(tmp_path, content):
    for value in (1, 2):
        Saved(tmp_path).save(value)
    listing = tmp_path / "checkpoint"
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-2")
    listing.unlink()
    if content is not None:
        listing.write_bytes(content)
    again = Saved(tmp_path)
    assert again.restore() == 2
    again.save(3)
    assert Saved(tmp_path).restore() == 3 and _numbers(tmp_path) == [2, 3]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-3")


def test_only_damaged_checkpoints_are_an_error(tmp_path, capsys):
    for value in (1, 2):
        Saved(tmp_path).save(value)
    for path in tmp_path.glob("*.data-*"):
        _flip(path)
    before = _files(tmp_path)
    with pytest.raises(ValueError, match=r"None of the 2 checkpoints in .* Delete that folder"):
        Saved(tmp_path).restore()
    assert len(_warned(capsys)) == 2 and _files(tmp_path) == before


def test_a_first_save_that_was_cut_off_is_not_a_checkpoint(tmp_path, capsys):
    Saved(tmp_path).save(1)
    (tmp_path / "ckpt-1.index").unlink()  # written last
    again = Saved(tmp_path)
    assert again.restore() is None
    [warning] = _warned(capsys)
    assert "ckpt-1 cannot be used: its index is missing" in warning
    again.save(2)
    assert _numbers(tmp_path) == [2] and Saved(tmp_path).restore() == 2
    (tmp_path / "ckpt-2.index").unlink()  # no first save: there were others before
    with pytest.raises(ValueError, match="None of the 1 checkpoints"):
        Saved(tmp_path).restore()


@pytest.mark.parametrize(("suffix", "share"), [(INDEX, 0.5), (INDEX, 0.0), (DATA, 0.0)])
def test_a_first_save_that_is_half_on_the_disk_is_not_a_checkpoint(tmp_path, suffix, share):
    """A kill while the index is written, and a power cut, which leaves empty files."""
    Saved(tmp_path).save(1)
    path = tmp_path / f"ckpt-1{suffix}"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    again = Saved(tmp_path)
    assert again.restore() is None
    again.save(2)
    assert Saved(tmp_path).restore() == 2


def test_what_a_save_left_that_was_cut_off_goes_with_the_next(tmp_path):
    Saved(tmp_path).save(1)
    for number in (2, 7):
        (tmp_path / f"ckpt-{number}_temp").mkdir()
        (tmp_path / f"ckpt-{number}_temp" / f"part-00000-of-00001{DATA}").write_bytes(b"half")
    again = Saved(tmp_path)
    assert again.restore() == 1
    again.save(2)
    expected = [f"ckpt-{number}{suffix}" for number in (1, 2) for suffix in (DATA, INDEX)]
    assert _files(tmp_path) == expected


def test_an_error_that_is_not_of_the_files_is_not_taken_for_damage(tmp_path, capsys, monkeypatch):
    saved = Saved(tmp_path)
    for value in (1, 2):
        saved.save(value)

    def fail(*_):
        raise tf.errors.UnavailableError(None, None, "the bucket does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(tf.train.Checkpoint, "restore", fail)
        with pytest.raises(tf.errors.UnavailableError, match="the bucket"):
            Saved(tmp_path).restore()
    assert not _warned(capsys) and Saved(tmp_path).restore() == 2


def test_checkpoints_of_other_variables_are_an_error(tmp_path):
    checkpoints.Checkpoint(tmp_path, [tf.Variable(tf.zeros(3))]).save({})
    for others in (
        [tf.Variable(tf.zeros(4))],
        [],
        [tf.Variable(tf.zeros(3)), tf.Variable(tf.zeros(3))],
    ):
        with pytest.raises(ValueError, match="None of the 1 checkpoints .* can be read"):
            checkpoints.Checkpoint(tmp_path, others).restore()


def test_a_state_and_variables_come_back_bit_by_bit(tmp_path):
    variable = tf.Variable([0.1, -0.0, 1e-42, np.float32(np.pi)])
    saver = checkpoints.Checkpoint(tmp_path / "new", [variable])
    assert saver.restore() is None
    state = {"sum": 0.1 + 0.2, "tiny": 5e-324, "history": [{"loss": 1 / 3}], "name": "größer"}
    bits = variable.numpy().tobytes()
    saver.save(state)
    variable.assign(tf.ones(4))
    assert saver.restore() == state and variable.numpy().tobytes() == bits
    other = tf.Variable(tf.zeros(4))
    assert checkpoints.Checkpoint(tmp_path / "new", [other]).restore() == state
    assert other.numpy().tobytes() == bits


def test_a_state_with_what_json_has_no_form_for_is_refused(tmp_path):
    saved = Saved(tmp_path)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="JSON compliant"):
            saved.checkpoint.save({"sum": bad})
    assert not list(tmp_path.iterdir())


_FULL = """
import os, pathlib, resource, signal, sys
import tensorflow as tf
from dna_tf.training import checkpoints

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
variable = tf.Variable(tf.zeros(50_000))
saver = checkpoints.Checkpoint(sys.argv[1], [variable])
for value in (1, 2):
    variable.assign(tf.fill(50_000, float(value)))
    saver.save({"value": value})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    saver.save({"value": 3})
except OSError as error:
    print("said:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
half = [path for path in pathlib.Path(sys.argv[1]).rglob("ckpt-3*") if path.is_file()]
half += [path for path in pathlib.Path(sys.argv[1]).glob("ckpt-3_temp/*")]
print("half:", half)
print("restored:", saver.restore(), float(variable[7]), sorted(os.listdir(sys.argv[1])))
saver.save({"value": 4})
print("then:", saver.restore(), sorted(os.listdir(sys.argv[1])))
"""


def test_a_save_for_which_there_is_no_room_leaves_the_one_before(tmp_path):
    # A limit on the size of files fails a write as a full disk does.
    root = pathlib.Path(__file__).resolve().parents[2]
    words = [sys.executable, "-c", _FULL, str(tmp_path)]
    run = subprocess.run(words, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    said, half, restored, then = run.stdout.splitlines()
    assert half == "half: []"  # what was written of it takes no room
    assert f"The checkpoint {tmp_path}/ckpt-3 could not be written: " in said
    assert "File too large If the disk is full, make room, then run again: it resumes" in said
    assert restored.startswith("restored: {'value': 2} 2.0 ")
    assert "'ckpt-3." not in restored and "'ckpt-1.index'" in restored
    assert then.startswith("then: {'value': 4} ") and "temp" not in then
