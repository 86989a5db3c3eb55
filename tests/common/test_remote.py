"""A remote folder that cannot be reached is answered in one sentence, whatever its client says."""

import pathlib

import pytest

from dna_tf import workdirs
from dna_tf.common import files, remote


class Unreachable:
    """A remote path whose client raises an error of its own."""

    def __init__(self, error):
        self._error = error

    def __str__(self):
        return "s3://bucket/run"

    def exists(self):
        raise self._error


class ClientError(Exception):
    """An error that is no OSError, as those of TensorFlow and of storage clients are."""


@pytest.mark.parametrize(
    "error",
    [
        ClientError("File system scheme 's3' not implemented\nlines of C++"),
        ClientError(),
        ImportError("x"),
    ],
)
def test_any_error_of_a_client_becomes_one_sentence(error, monkeypatch):
    with pytest.raises(
        OSError, match=r"s3://bucket/run cannot be reached: .*credentials"
    ) as caught:
        remote.reached(Unreachable(error))
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(files, "as_path", lambda path: Unreachable(error))
    with pytest.raises(OSError, match="cannot be reached"):
        workdirs.Workdir("s3://bucket/run")


def test_a_local_path_is_returned_as_it_is(tmp_path):
    path = pathlib.Path(tmp_path / "absent")
    assert remote.reached(path) is path
