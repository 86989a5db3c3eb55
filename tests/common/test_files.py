"""Atomic writes, checked JSON, fingerprints and arrays."""

import errno
import hashlib
import itertools
import json
import os
import pathlib

import numpy as np
import pytest
from etils import epath

from dna_tf.common import files
from tests.helpers import killed_writer

HINT = "Make it again with tools/make.py."
ARRAYS = {
    "a": np.arange(300, dtype=np.float32).reshape(3, 100),
    "b": np.array(7),
    "c/d": np.zeros((0, 2), np.int64),
}


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "note.txt"
    files.write_text(path, "one")
    files.write_text(str(path), "zwei ä")
    assert path.read_bytes() == "zwei ä".encode()
    assert _names(path.parent) == ["note.txt"]


class _Killed(BaseException):
    """Like KeyboardInterrupt: no subclass of Exception."""


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_failing_write_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch, step):
    path = tmp_path / "note.json"
    files.write_json(path, {"kind": "old"})
    before = path.read_bytes()
    kind = type(epath.Path(path))
    real = getattr(kind, step)

    def fails(self, *args, **kwargs):
        if step == "write_bytes":  # half of the file is there when the disk is full
            real(self, b'{"kind": "ne')
        raise _Killed

    monkeypatch.setattr(kind, step, fails)
    with pytest.raises(_Killed):
        files.write_json(path, {"kind": "new"})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert _names(tmp_path) == ["note.json"]


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    """Otherwise a power cut could leave the name without the content."""
    order, sync, replace = [], os.fsync, os.replace

    def synced(number):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
        sync(number)

    def replaced(source, target):
        order.append(f"{os.path.basename(source)} -> {os.path.basename(target)}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    files.write_text(tmp_path / "note.txt", "one")
    content, rename, folder = order
    assert rename == f"{content} -> note.txt"
    assert folder == tmp_path.name


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    path = tmp_path / "note.txt"
    killed_writer.write_half_and_die(path)
    (left,) = _names(tmp_path)
    assert left.startswith(".note.txt.") and left.endswith(".tmp")
    with files.replacing(path) as at_work:  # another thread that writes the same file now
        at_work.write_bytes(b"other")
        files.write_text(path, "whole")
        assert _names(tmp_path) == sorted([at_work.name, "note.txt"])
    assert path.read_bytes() == b"other"
    assert _names(tmp_path) == ["note.txt"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Make room on its disk"), (errno.EACCES, "Allow writing into its folder")],
)
def test_an_error_says_which_file_could_not_be_written(tmp_path, monkeypatch, number, advice):
    path = tmp_path / "note.txt"

    def fails(self, content):
        raise OSError(number, os.strerror(number))  # as a write does: without a name

    monkeypatch.setattr(type(epath.Path(path)), "write_bytes", fails)
    with pytest.raises(OSError) as caught:
        files.write_text(path, "one")
    assert str(caught.value).startswith(
        f"The file {path} could not be written: {os.strerror(number)}. {advice}"
    )
    assert caught.value.errno == number


def test_readers_never_see_a_half_written_file(tmp_path, monkeypatch):
    path = tmp_path / "note.json"
    files.write_json(path, {"kind": "old"})
    kind = type(epath.Path(path))
    real, seen = kind.write_bytes, []

    def watched(self, content):
        real(self, content[:5])
        seen.append(json.loads(path.read_text())["kind"])
        return real(self, content)

    monkeypatch.setattr(kind, "write_bytes", watched)
    files.write_json(path, {"kind": "new"})
    assert seen == ["old"]
    assert json.loads(path.read_text())["kind"] == "new"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_write_json_refuses_what_is_no_json_and_keeps_the_old_file(tmp_path, bad):
    path = tmp_path / "note.json"
    files.write_json(path, {"loss": 1.0})
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"loss": [1.0, bad]})
    assert json.loads(path.read_text()) == {"loss": 1.0}
    assert _names(tmp_path) == ["note.json"]


def test_floats_keep_all_their_bits(tmp_path):
    path = tmp_path / "note.json"
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 2.0**53 + 2]
    files.write_json(path, {"kind": "k", "values": values})
    read = files.read_json(path, "k", HINT)["values"]
    assert [v.hex() for v in read] == [v.hex() for v in values]


def test_read_json_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.json.*make\.py"):
        files.read_json(tmp_path / "none.json", "k", HINT)


@pytest.mark.parametrize("keep", [0, 1, 20])
def test_read_json_of_a_truncated_file(tmp_path, keep):
    path = tmp_path / "note.json"
    files.write_json(path, {"kind": "k", "values": list(range(20))})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"note\.json is not complete JSON.*make\.py"):
        files.read_json(path, "k", HINT)


def test_read_json_of_foreign_files(tmp_path):
    path = tmp_path / "note.json"
    path.write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(ValueError, match="not complete JSON"):
        files.read_json(path, "k", HINT)
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"JSON object, and has a list\. Make it"):
        files.read_json(path, "k", HINT)
    path.write_text('{"kind": "other"}')
    with pytest.raises(ValueError, match=r"of kind \"k\"\. Received: kind='other'\. Make it"):
        files.read_json(path, "k", HINT)
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="Received: kind=None"):
        files.read_json(path, "k", HINT)
    assert files.read_json(path, None, HINT) == {"a": 1}


def test_fingerprint_golden():
    # Pinned: fingerprints of old workdirs must still match after an update.
    assert files.fingerprint({"b": [1, 2.5], "a": None}) == "6b1d84977084473f"
    by_hand = hashlib.sha256(b'{"a": null, "b": [1, 2.5]}').hexdigest()[:16]
    assert files.fingerprint({"a": None, "b": [1, 2.5]}) == by_hand
    assert files.fingerprint(b"abc") == "ba7816bf8f01cfea"  # SHA-256's own test vector


def test_fingerprint_tells_values_apart():
    values = [{}, {"a": 1}, {"a": "1"}, {"a": 1.0000000000000002}, {"a": [1]}, b"{}x", 0, False]
    assert len({files.fingerprint(value) for value in values}) == len(values)
    with pytest.raises(ValueError, match="JSON compliant"):
        files.fingerprint({"a": float("nan")})


def test_as_path_expands_the_home_folder_and_keeps_remote_paths():
    assert files.as_path("~/x") == epath.Path(pathlib.Path.home() / "x")
    assert str(files.as_path("gs://bucket/x")) == "gs://bucket/x"


def test_arrays_come_back_as_numpy_reads_them(tmp_path):
    path = tmp_path / "deep" / "arrays.npz"
    files.write_arrays(path, ARRAYS)
    arrays = files.read_arrays(path, "")
    with np.load(path) as archive:
        expected = dict(archive)
    assert list(arrays) == list(expected) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == expected[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_byte_that_is_wrong_is_an_error_that_names_the_file_or_changes_nothing(tmp_path, save):
    path = tmp_path / "arrays.npz"
    save(path, **ARRAYS)
    whole, refused = path.read_bytes(), 0
    contents = {array.tobytes() for array in ARRAYS.values()}
    for place, mask in itertools.product(range(len(whole)), (0xFF, 1)):
        content = bytearray(whole)
        content[place] ^= mask
        path.write_bytes(content)
        try:
            arrays = files.read_arrays(path, "Make it again.")
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f"The file {path} is truncated or damaged: ")
            assert str(error).endswith(". Make it again.")
        else:  # in a name, in the list of names, or in what no reader looks at
            assert {x.tobytes() for x in arrays.values()} <= contents
    assert refused > 0.7 * 2 * len(whole)


def test_cut_off_files_and_python_objects_are_refused(tmp_path):
    path = tmp_path / "arrays.npz"
    files.write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"arrays\.npz is truncated or damaged: .* Again\.$"):
            files.read_arrays(path, "Again.")
    np.savez(path, a=np.array([print], object))
    with pytest.raises(ValueError, match=r"damaged: Object arrays cannot be loaded .* Again\.$"):
        files.read_arrays(path, "Again.")
    with pytest.raises(FileNotFoundError):
        files.read_arrays(tmp_path / "none.npz", "Again.")
