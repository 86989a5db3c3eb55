"""Fields of a config that change no result: where files lie, what is shown, how often is saved.

They may be changed in a run that has begun, and results do not go out of date by them.
"""

# By section.
FIELDS = {
    # Data may move: a run compares its content, not its place.
    "data": ("source", "test_source", "tfds_data_dir"),
    "teacher_training": ("checkpoint_seconds", "tensorboard"),
    "supernet": ("cache_folder", "checkpoint_seconds", "snapshots", "tensorboard"),
    "rating": ("checkpoint_seconds",),
    "whole": ("checkpoint_seconds", "tensorboard"),
    "retrain": ("checkpoint_seconds", "control_seeds", "seeds", "tensorboard"),
    "fine_tune": ("checkpoint_seconds", "tensorboard"),
    "quantize": ("checkpoint_seconds",),
    "prune": ("checkpoint_seconds",),
}


def has_none(field):
    """Whether a field, such as `"supernet.cache_folder"`, changes no result."""
    section, _, name = field.partition(".")
    return name in FIELDS.get(section, ())


def with_defaults(plain, defaults):
    """Gives these fields the values of a default config.

    Args:
        plain: a config, or some sections of one, as dicts.
        defaults: the default config as dicts.

    Returns:
        A new dict.
    """
    usual = {
        section: {name: defaults[section][name] for name in names if name in plain[section]}
        for section, names in FIELDS.items()
        if section in plain
    }
    return {**plain, **{section: {**plain[section], **usual[section]} for section in usual}}
