"""What a run is asked to do: sections with defaults and checks, recipes by name."""


def __getattr__(name):
    if name == "default_config":  # `from dna_tf import config` in config files of users
        from dna_tf.config import run_config

        return run_config.default_config
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
