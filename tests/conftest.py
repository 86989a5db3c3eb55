"""Settings that must stand before any test imports TensorFlow; imports none itself."""

import os

import pytest

from tests.project import slow_tests

# Warnings and errors only: 0 is everything, 3 is errors alone.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, a file runs in one process, so that its fixtures, such as cells, are made once."""
    from xdist import scheduler

    return scheduler.LoadFileScheduling(config, log)


@pytest.hookimpl(tryfirst=True)  # before `-m "not slow"` leaves tests out
def pytest_collection_modifyitems(items):
    """Marks the tests that `tests/slow_tests.txt` lists."""
    listed = slow_tests.listed()
    for item in items:
        if item.nodeid in listed or item.nodeid.split("::")[0] in listed:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def seeded():
    """Seeds the first weights of layers that a test makes without a seed of their own."""
    import keras

    keras.utils.set_random_seed(0)
