"""Named arrays in .npz files: they come back, and whatever damages them is told."""

import itertools

import numpy as np
import pytest

from dna_tf.common import files

ARRAYS = {
    "a": np.arange(300, dtype=np.float32).reshape(3, 100),
    "b": np.array(7),
    "c/d": np.zeros((0, 2), np.int64),
}


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
