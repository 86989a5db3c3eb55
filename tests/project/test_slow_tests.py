"""The list of slow tests names tests that exist, and follows from measured times."""

import pathlib

from tests.project import slow_tests

_ROOT = pathlib.Path(__file__).parents[2]
_LOG = """
12.50s setup    tests/runs/test_pipeline.py::test_first
12.50s call     tests/runs/test_pipeline.py::test_second
5.00s call     tests/a/test_b.py::test_of_parts[one two]
4.99s call     tests/a/test_b.py::test_quick
9.00s call     tests/phases/test_compressing.py::test_shared
"""


def test_every_listed_test_exists():
    missing = []
    for line in slow_tests.listed() | set(slow_tests.FAST) | set(slow_tests.WHOLE):
        path, _, name = line.partition("::")
        text = (_ROOT / path).read_text() if (_ROOT / path).exists() else None
        function = name.split("[")[0]
        if text is None or (function and f"def {function}(" not in text):
            missing.append(line)
    assert not missing


def test_the_exceptions_are_not_listed():
    assert not [line for line in slow_tests.listed() if line.startswith(slow_tests.FAST)]


def test_what_takes_five_seconds_is_slow_but_for_the_exceptions():
    expected = {"tests/a/test_b.py::test_of_parts[one two]", *slow_tests.WHOLE}
    assert slow_tests.slow(_LOG) == sorted(expected)
