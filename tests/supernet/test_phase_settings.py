"""Settings of cells as values: the defaults are the config's, and wrong values are refused."""

import dataclasses

import pytest

from dna_tf.config import run_config
from dna_tf.supernet import phase_settings
from dna_tf.supernet.phase_settings import RatingSettings, SupernetSettings


@pytest.mark.parametrize(
    ("settings_class", "section", "elsewhere"),
    [(SupernetSettings, "supernet", {"cells", "tensorboard"}), (RatingSettings, "rating", set())],
)
def test_the_defaults_are_those_of_the_config(settings_class, section, elsewhere):
    defaults = run_config.default_config()[section].to_dict()
    fields = dataclasses.asdict(settings_class())
    assert fields == {name: v for name, v in defaults.items() if name not in elsewhere}
    of_section = phase_settings.of_section(settings_class, run_config.default_config()[section])
    assert of_section == settings_class()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs must be at least 1. Received: 0"),
        ("epochs", 1.5, "epochs must be of type int"),
        ("features", "memry", r"features must be one of \[.*Did you mean 'memory'"),
        ("inputs", "S3", r"inputs must be one of \['teacher', 'S1', 'S2'\]"),
        ("learning_rate", float("nan"), "learning_rate must be"),
    ],
)
def test_wrong_values_are_refused(field, value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SupernetSettings(**{field: value})


def test_changes_apply_to_settings_or_to_the_defaults():
    settings = SupernetSettings(epochs=3)
    changed = phase_settings.with_changes(SupernetSettings, settings, {"batch_size": 8})
    assert (changed.epochs, changed.batch_size, settings.batch_size) == (3, 8, 64)
    assert phase_settings.with_changes(SupernetSettings, None, {}) == SupernetSettings()
    with pytest.raises(ValueError, match="Unknown key SupernetSettings.epoch.*'epochs'"):
        phase_settings.with_changes(SupernetSettings, None, {"epoch": 3})
