"""The data section of a config has the fields, defaults and ranges of `data_settings`."""

import dataclasses
import math

import pytest

from dna_tf.config import run_config
from dna_tf.data import data_settings

DEFAULTS = dataclasses.asdict(data_settings.DataSettings())


def test_fields_and_defaults_are_the_same():
    section = run_config.default_config().data
    assert {name: section[name] for name in section} == DEFAULTS
    assert data_settings.DataSettings(**section) == data_settings.DataSettings()


def _refused(name, value):
    config = run_config.default_config()
    config.data[name] = value
    messages = []
    for check in (
        lambda: run_config.check_config(config),
        lambda: data_settings.from_names(**{name: value}),
    ):
        try:
            check()
            messages.append("")
        except ValueError as error:
            messages.append(str(error))
    return messages


@pytest.mark.parametrize(("name", "lowest", "highest"), data_settings.RANGES)
def test_ranges_are_the_same(name, lowest, highest):
    step = 0.001 if isinstance(DEFAULTS[name], float) else 1
    for value, is_right in ((lowest, True), (highest, True), (lowest - step, False)):
        if value != math.inf:
            assert [not message for message in _refused(name, value)] == [is_right] * 2, value
    if highest != math.inf:
        assert all(_refused(name, highest + step))
    for message in _refused(name, lowest - step):
        assert f"{name} must be" in message


def test_channels_are_the_same():
    for value in range(5):
        assert [not message for message in _refused("channels", value)] == [value in (1, 3)] * 2


def test_interpolations_are_the_same():
    for value in ("bilinear", "bicubic", "nearest", ""):
        expected = value in data_settings.INTERPOLATIONS
        assert [not message for message in _refused("interpolation", value)] == [expected] * 2
