"""Checks of users' input."""

import numpy as np
import pytest

from dna_tf.common import checks


def test_a_choice_is_returned_or_refused_with_near_names():
    assert checks.choose("dna", {"dna": 1, "digits": 2}, "search space") == "dna"
    with pytest.raises(ValueError) as error:
        checks.choose("digit", ("dna", "digits"), "search space", "Or give a dict.")
    assert str(error.value) == (
        "There is no search space 'digit'. Did you mean 'digits'? Known: ['dna', 'digits']. "
        "Or give a dict."
    )
    with pytest.raises(ValueError, match=r"There is no op 7\. Known: \['k3e6'\]\.$"):
        checks.choose(7, ["k3e6"], "op")


def test_numbers_are_told_from_what_is_not_a_finite_number():
    for value in (0, -1.5, np.float32(2), np.int64(3)):
        assert checks.is_number(value)
    for value in (True, "1", None, float("nan"), float("inf"), 1j, [1]):
        assert not checks.is_number(value)


def test_shares_are_read():
    assert checks.parse_share("--share", "2/3") == (1, 3)
    assert checks.parse_share("--share", "1/1") == (0, 1)
    for text in ("0/3", "4/3", "2", "a/b", "1/2/3", "", "-1/2"):
        with pytest.raises(ValueError, match=r"--share is written as NUMBER/COUNT"):
            checks.parse_share("--share", text)


def test_classes_must_agree_in_their_order():
    checks.check_same_classes("the test images", ["a", "b"], "the data", ["a", "b"])
    checks.check_same_classes("the test images", ["a", "b"], "the data", None)
    checks.check_same_classes("the test images", ["0", "1"], "the data", ["a", "b"])
    with pytest.raises(ValueError, match=r"those of the data.*missing: \['b'\]; unknown: \['c'\]"):
        checks.check_same_classes("the test images", ["a", "c"], "the data", ["a", "b"])
    with pytest.raises(ValueError, match="in the same order"):
        checks.check_same_classes("the test images", ["b", "a"], "the data", ["a", "b"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, r"The space must be a mapping with the keys \['ops', 'name'\]\. Received: 3"),
        ({}, r"The space is missing 'ops'\. Expected the keys \['ops'\]"),
        ({"ops": 1, "nam": 2}, "The space has an unknown key 'nam'. Did you mean 'name'"),
    ],
)
def test_keys_are_checked(data, message):
    assert checks.check_keys("space", {"ops": 1}, ["ops"], ["name"]) == {"ops": 1}
    with pytest.raises(ValueError, match=message):
        checks.check_keys("space", data, ["ops"], ["name"])
