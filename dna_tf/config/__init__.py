"""What a run is asked to do: sections with defaults and checks, recipes by name.

Read in this order:

    run_config.py         all sections with their defaults, the check, and reading and comparing
    training_sections.py  the fields of a training: of the teacher and of students
    whole_section.py      whole: how whole networks are trained (SPOS, FairNAS, RLNAS)
    export_sections.py    the fields of export, quantisation-aware training and pruning
    without_effect.py     fields that change no result
    field_checks.py       checks of names, types, ranges and choices
    recipes.py            published trainings by name
    config_problems.py    errors in a config file or an override, explained
"""


def __getattr__(name):
    if name == "default_config":  # config files of users call `config.default_config()`
        from dna_tf.config import run_config

        return run_config.default_config
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
