"""Weight files: .npz and .safetensors contain the same arrays; damaged files are refused."""

import json

import numpy as np
import pytest

from dna_tf.models import weight_files


def _safetensors(arrays):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        content = array.astype(np.float32).tobytes()
        span = [len(body), len(body) + len(content)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
        body += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_both_kinds_of_files_hold_the_same_arrays(tmp_path):
    arrays = {"a.weight": np.arange(6.0).reshape(2, 3), "b": np.float32(3)}
    np.savez(tmp_path / "w.npz", **arrays)
    (tmp_path / "w.safetensors").write_bytes(_safetensors(arrays | {"b": np.array(3.0)}))
    for name in ("w.npz", "w.safetensors"):
        loaded = weight_files.read(tmp_path / name)
        assert list(loaded) == ["a.weight", "b"] and loaded["b"].shape == ()
        np.testing.assert_array_equal(loaded["a.weight"], arrays["a.weight"])


def test_halves_are_read(tmp_path):
    header = {"h": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}
    header["b"] = {"dtype": "BF16", "shape": [1, 2], "data_offsets": [4, 8]}
    text = json.dumps(header).encode()
    body = np.array([1.5, -2], np.float16).tobytes() + bytes.fromhex("c03f00c0")  # 1.5, -2
    (tmp_path / "w.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    arrays = weight_files.read(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(arrays["h"], [1.5, -2])
    np.testing.assert_array_equal(arrays["b"], [[1.5, -2]])


def test_files_that_cannot_be_read_are_refused(tmp_path):
    np.savez(tmp_path / "object.npz", a=np.array([print], object))
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "cut.npz", a=np.zeros(9))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:60])
    whole = _safetensors({"a": np.zeros(9)})
    (tmp_path / "cut.safetensors").write_bytes(whole[:-5])
    (tmp_path / "head.safetensors").write_bytes(whole[:20])
    (tmp_path / "w.pth").write_bytes(b"x")
    for name, message in (
        ("object.npz", "contains Python objects, which would run code"),
        ("none.npz", "contains no array"),
        ("cut.npz", r"not an \.npz archive, or is truncated"),
        ("cut.safetensors", r"the bytes of a are not those of its shape \(9,\)"),
        ("head.safetensors", "not a safetensors file, or is truncated"),
        ("w.pth", r"from \.npz and \.safetensors files, .*torch\.load"),
        ("no.npz", "There is no weights file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            weight_files.read(tmp_path / name)
