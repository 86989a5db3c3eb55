"""Checks of a config's fields: names, types, ranges and choices. All raise ValueError."""

import math

import ml_collections

from dna_tf.common import checks


def check_like(what, value, model):
    """Checks that a config, or a section of it, has the keys and types of another one.

    Args:
        what: its name in errors, such as `"config"`.
        value: the config or section, a `ConfigDict` or a dict.
        model: a valid `ConfigDict`.
    """
    for key in value:
        check_known(what, key, model)
    for key in model:
        if key not in value:
            raise ValueError(f"{what}.{key} is missing. Start from default_config().")
        if isinstance(model[key], ml_collections.ConfigDict):
            if not hasattr(value[key], "keys"):
                raise ValueError(f"{what}.{key} must be a section. Received: {value[key]!r}")
            check_like(f"{what}.{key}", value[key], model[key])
        elif f"{what}.{key}" != "config.space":
            _check_type(f"{what}.{key}", value[key], model[key])


def check_known(what, key, model):
    """Checks that a section has a field of this name; the error has near names."""
    if key not in model:
        raise ValueError(
            f"Unknown key {what}.{key}.{checks.near_names(key, list(model))} "
            f"Known keys of {what}: {sorted(model)}"
        )


def _check_type(name, value, model):
    kinds = {bool: bool, int: int, float: (int, float), str: str, tuple: (tuple, list)}
    expected = kinds[type(model)]
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(
            f"{name} must be of type {type(model).__name__}, such as {model!r}. "
            f"Received: {value!r} of type {type(value).__name__}"
        )


def check_range(config, section, field, lowest, highest):
    """Checks that a number lies in `[lowest, highest]`; NaN is refused too."""
    value = config[section][field]
    if not lowest <= value <= highest:
        expected = f"at least {lowest}" if highest == math.inf else f"in [{lowest}, {highest}]"
        raise ValueError(f"config.{section}.{field} must be {expected}. Received: {value!r}")


def check_choice(name, value, choices):
    """Checks that a value is one of the choices; `name` is such as `"search.metric"`."""
    if value not in choices:
        raise ValueError(
            f"config.{name} must be one of {list(choices)}."
            f"{checks.near_names(value, choices)} Received: {value!r}"
        )
