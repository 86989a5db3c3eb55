"""What all tools share: flags, opening the run, and errors that people can read.

A tool is an absl binary. Wrong input ends it with one message and exit status 1;
`--traceback` shows where the error arose.
"""
# MERGED: 'The run and the config of an export that leaves a workdir as it is.'

import logging as python_logging
import os
import pathlib
import re
import sys
import traceback

from absl import app, flags, logging
from ml_collections import config_flags

from dna_tf import workdirs
from dna_tf.config import run_config

# Most of TensorFlow's C++ start-up lines; a few come before it reads this.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Warnings of TensorFlow about what is done here on purpose: one graph per op and cell,
# and a converter that is given no Keras 3 model (with one it writes NaN).
_HARMLESS = ("triggered tf.function retracing", "consider providing the trackable_obj")

FLAGS = flags.FLAGS
_HERE = pathlib.Path(__file__).resolve().parent


def default_config_path():
    """The embedded default config: beside the package in a checkout, inside it when installed."""
    for folder in (_HERE / "configs", _HERE.parent / "configs"):
        if (folder / "digits.py").exists():
            return str(folder / "digits.py")
    raise FileNotFoundError(f"configs/digits.py is neither in {_HERE} nor beside it. Reinstall.")


def define_run_flags():
    """Defines `--workdir` and `--config`."""
    flags.DEFINE_string(
        "workdir", "", "Folder of the run: made, filled and resumed by all tools. May be gs://."
    )
    try:
        _check_config_words(sys.argv[1:])
        config_flags.DEFINE_config_file(
            "config",
            default_config_path(),
            "Config file with get_config(); fields are changed as --config.retrain.epochs=3. "
            "Without a file it is the config that the workdir holds, or the embedded default.",
            lock_config=True,
        )
    except Exception as error:  # overrides are applied here, before flags are parsed
        _fail(_config_problem(error), "--traceback" in sys.argv)


def define_strategy_flags():
    """Defines `--strategy` and `--tpu`."""
    flags.DEFINE_string(
        "strategy",
        "auto",
        "Where to train: auto, cpu, mirrored (all GPUs here), multi_worker (reads TF_CONFIG) or "
        "tpu.",
    )
    flags.DEFINE_string("tpu", "", "Name or address of the TPU, for --strategy=tpu.")


def define_student_flags(default):
    """Defines `--arch` and `--seed`, which name trained students.

    Args:
        default: in words, what is taken without `--arch`.
    """
    flags.DEFINE_list("arch", [], f"Names of trained students; default: {default}.")
    flags.DEFINE_integer("seed", 0, "Which student of each.")


def trained_students(workdir, default_names):
    """The names that `--arch` says, or else `default_names`.

    Raises:
        FileNotFoundError: one was not trained with `--seed`.
    """
    names = FLAGS.arch or default_names
    for name in names:
        workdir.student_result(name, FLAGS.seed)
    return names


def define_limit_flags():
    """Defines `--max_macs`, `--min_macs` and so on, for all costs that are counted."""
    from dna_tf.space import cost_tables

    for name in cost_tables.COSTS:
        flags.DEFINE_string(f"max_{name}", "", f"Largest {name}, such as 350M, 5.2k or 1000.")
        flags.DEFINE_string(f"min_{name}", "", f"Smallest {name}, such as 4M.")


def asked_limits():
    """Returns the `cost_limits.Limits` that the flags give."""
    from dna_tf.space import cost_limits

    names = [name for name in FLAGS if name[:4] in ("max_", "min_") and name != "max_shared_ops"]
    return cost_limits.Limits({n: FLAGS[n].value for n in names if FLAGS[n].value})


def make_strategy():
    """Makes the strategy that the flags name; before anything else is made in TensorFlow."""
    from dna_tf.training import strategies

    return strategies.make(FLAGS.strategy, FLAGS.tpu)


flags.DEFINE_bool("traceback", False, "Show the traceback of an error.")


def open_run(may_create):
    """Opens the run that `--workdir` and `--config` name.

    Args:
        may_create: whether the tool can start a run in a new workdir.

    Returns:
        `(Workdir, config)`.

    Raises:
        ValueError: there is no `--workdir`, or its config and the given one differ.
        FileNotFoundError: the workdir holds no run, and the tool cannot start one.
    """
    from dna_tf import workdirs

    workdir = workdirs.Workdir(FLAGS.workdir)
    exists = workdir.config.exists()
    if not exists and not may_create:
        raise FileNotFoundError(
            f"The workdir {workdir} holds no run (no config.json). Start one: "
            f"python -m tools.train_teacher --workdir={workdir}"
        )
    config = FLAGS.config
    if exists and not FLAGS["config"].present:  # overrides alone change the held config
        overrides = config_flags.get_override_values(FLAGS["config"])
        config = None
        if overrides:
            _, config = workdirs.open_workdir(FLAGS.workdir)
            config.update_from_flattened_dict(overrides)
    return workdirs.open_workdir(FLAGS.workdir, config)


def whole_number(flag, text):
    """Reads a whole number out of a list flag.

    Raises:
        ValueError: it is none.
    """
    if not text.strip().isdigit():
        raise ValueError(f"--{flag} takes whole numbers, such as 0,1,2. Received: {text!r}")
    return int(text)


def next_command(tool, workdir, *arguments):
    """Prints the command that comes next; without `--workdir` when `workdir` is `None`."""
    of_run = [] if workdir is None else [f"--workdir={workdir}"]
    words = " ".join([f"python -m tools.{tool}", *of_run, *arguments])
    print(f"Next: {words}", flush=True)


def run(main):
    """Runs a tool's `main()` after parsing flags; the entry point of every tool.

    Args:
        main: a function without arguments.
    """
    # What --help prints: the tool's own story and flags, from a console command too.
    module = sys.modules[main.__module__]
    sys.modules["__main__"].__doc__ = module.__doc__
    for owner in (module, sys.modules[__name__]):
        for flag in FLAGS.get_key_flags_for_module(owner):
            FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(lambda words: _guarded(main, words[1:]), flags_parser=_parse)


def _parse(arguments):
    try:
        words = FLAGS(arguments)
        _check_is_config(FLAGS.config)
    except SystemExit:  # --help: absl ends it with status 1
        sys.exit(0)
    except Exception as error:  # a config file is code and may raise anything
        _fail(_config_problem(error), "--traceback" in arguments)
    return words


def _check_config_words(words):
    """Checks what `--config` and its overrides name, before ml_collections reads them."""
    from dna_tf.config import run_config

    path = _config_file(words)
    if path is not None and not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no config file {path!r}. Give a Python file with get_config(), such as "
            "--config=configs/digits.py."
        )
    for word in words:
        name = re.match(r"--?(?:no)?config\.([^=]*)", word)
        if name:
            run_config.check_field(name[1])


def _check_is_config(config):
    # ml_collections gives an object that raises its OSError when anything is asked of it.
    if not hasattr(config, "to_dict"):
        raise ValueError(
            "get_config() must return a config such as dna_tf.config.default_config(). "
            f"Received: {config!r}"
        )


def _config_file(words):
    """The path that `--config` gives, without an argument to get_config(), or `None`."""
    for word, following in zip(words, [*words, ""][1:], strict=True):
        flag, equals, value = word.partition("=")
        if flag in ("--config", "-config"):
            return (value if equals else following).partition(":")[0]
    return None


def _config_problem(error):
    """Says what a wrong `--config` or override needs; other errors stay as they are."""
    text = _override_text(error) or _config_file_text(error)
    if text is None:
        return error
    problem = ValueError(text)
    problem.__cause__ = error
    return problem


def _override_text(error):
    """What an override of a wrong type should have been, or `None`."""
    from dna_tf.config import run_config

    found = re.match(r"flag --(config\.([\w.]+))=(.*?): ", str(error))
    if not found or not isinstance(error, flags.IllegalFlagValueError):
        return None
    name, field, received = found.groups()
    usual = run_config.check_field(field)
    kind = f"of type {type(usual).__name__}, such as {usual!r}"
    return (
        f"--{name} must be {'a section' if hasattr(usual, 'keys') else kind}. "
        f"Received: {received!r}"
    )


def _config_file_text(error):
    """Where and why a config file failed, or `None` if the error does not come from one."""
    path = _config_file(sys.argv[1:]) or default_config_path()
    while error is not None:
        if "has no attribute 'get_config'" in str(error):
            return f"The config file {path} has no function get_config()."
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        if isinstance(error, SyntaxError) and error.filename == path:
            lines = [error.lineno]
        if lines:
            reason = " ".join(str(error).replace("\\n", " ").replace("\\'", "'").split())
            # ml_collections lists all fields with their values before it names a near one.
            reason = re.sub(r' Other fields present: "\{.*?\}"', "", reason)
            kind = type(error).__name__
            return f"The config file {path} fails in line {lines[-1]}: {kind}: {reason}"
        error = error.__cause__ or error.__context__
    return None


def _guarded(main, extra):
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # TensorFlow's chatter about its own savers
        for logger in (python_logging.getLogger("tensorflow"), logging.get_absl_logger()):
            logger.addFilter(
                lambda record: not any(text in record.getMessage() for text in _HARMLESS)
            )
    try:
        if extra:
            raise ValueError(f"Tools take flags only, such as --workdir=FOLDER. Received: {extra}")
        main()
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on from the last checkpoint.", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, KeyError, AttributeError, TypeError) as error:
        _fail(error, FLAGS.traceback)


def _fail(error, show_traceback):
    if show_traceback:
        traceback.print_exception(error)
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    print(f"error: {text or type(error).__name__}", file=sys.stderr, flush=True)
    sys.exit(1)


def open_beside(path):
    """Opens a workdir for an export into another folder.

    Args:
        path: the workdir.

    Returns:
        `(Workdir, config)`: the workdir's config with what `--config.export.FIELD=` changes;
        nothing is written.

    Raises:
        ValueError: other fields are changed, or a value is wrong.
        FileNotFoundError: the workdir holds no run.
    """
    if FLAGS["config"].present:
        raise ValueError(
            "With --output and a workdir the config is the workdir's own. Leave --config out, and "
            "change fields by --config.export.FIELD=VALUE."
        )
    workdir, config = workdirs.open_workdir(path)
    changed = config_flags.get_override_values(FLAGS["config"])
    others = sorted(name for name in changed if not name.startswith("export."))
    if others:
        raise ValueError(
            "With --output only fields of config.export may differ from the workdir's config: "
            f"the student and its images are those of the run. Received: {others}"
        )
    config.update_from_flattened_dict(changed)
    run_config.check_config(config)
    return workdir, config


def open_for_model(path):
    """Opens the config whose images a model of its own is exported with.

    Args:
        path: a workdir, or `""` to take `--config`.

    Returns:
        `(Workdir or None, config)`.

    Raises:
        ValueError, FileNotFoundError: as `open_beside`.
    """
    if path:
        return open_beside(path)
    config = FLAGS.config
    run_config.check_config(config)
    return None, run_config.with_image_size(config)
