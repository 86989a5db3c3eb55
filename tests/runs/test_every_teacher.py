"""Every model that may teach comes through cut, supernet, rating and export, or is refused.

The tables of docs/guide/teacher.md say which; they are compared here row by row.
"""

import pytest

from dna_tf.teachers import application_names
from tests.helpers import every_teacher, tool_runs

_GUIDE = (tool_runs.ROOT / "docs/guide/teacher.md").read_text().splitlines()
_FAST = ("a nested backbone", "mixed_float16", "subclassed")


def _marked(names):
    return [name if name in _FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", _marked(every_teacher.FORMS))
def test_models_of_other_forms(name):
    assert every_teacher.form(name).row() in _GUIDE


def _tried(names):
    """The names that have a row in the guide."""
    return [name for name in names if any(row.startswith(f"| `{name}` | ") for row in _GUIDE)]


@pytest.mark.slow
@pytest.mark.parametrize("name", _tried(application_names.NAMES))
def test_models_of_keras(name):
    assert every_teacher.application(name).row() in _GUIDE
