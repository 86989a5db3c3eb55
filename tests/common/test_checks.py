"""Checks of values that users give."""

import pytest

from dna_tf.common import checks


def test_shares_are_read():
    assert checks.parse_share("--share", "2/3") == (1, 3)
    assert checks.parse_share("--share", "1/1") == (0, 1)
    for bad in ("0/3", "4/3", "2", "a/b", "1/2/3", "", "-1/2"):
        with pytest.raises(ValueError, match=r"--share is written as NUMBER/COUNT"):
            checks.parse_share("--share", bad)
