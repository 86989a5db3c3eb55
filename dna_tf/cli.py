"""What all tools share: flags, opening the run, and errors that people can read.

A tool is an absl binary. Wrong input ends it with one message and exit status 1;
`--traceback` shows where the error arose.
"""

import logging as python_logging
import os
import pathlib
import sys
import traceback

from absl import app, flags, logging
from ml_collections import config_flags

# TensorFlow's C++ start-up lines would bury what the tools say.
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
    config_flags.DEFINE_config_file(
        "config",
        default_config_path(),
        "Config file with get_config(); fields are changed as --config.retrain.epochs=3. "
        "Without it the config that the workdir holds is used.",
        lock_config=True,
    )


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
    from dna_tf import workdir as workdirs

    workdir = workdirs.Workdir(FLAGS.workdir)
    given = any(word.lstrip("-").startswith("config") for word in sys.argv[1:] if word[:1] == "-")
    exists = workdir.config.exists()
    if not exists and not may_create:
        raise FileNotFoundError(
            f"The workdir {workdir} holds no run (no config.json). Start one: "
            f"python -m tools.train_teacher --workdir={workdir}"
        )
    return workdirs.open_workdir(FLAGS.workdir, None if exists and not given else FLAGS.config)


def whole_number(flag, text):
    """Reads a whole number out of a list flag.

    Raises:
        ValueError: it is none.
    """
    if not text.strip().isdigit():
        raise ValueError(f"--{flag} takes whole numbers, such as 0,1,2. Received: {text!r}")
    return int(text)


def next_command(tool, workdir, *arguments):
    """Prints the command that comes next."""
    words = " ".join([f"python -m tools.{tool}", f"--workdir={workdir}", *arguments])
    print(f"Next: {words}", flush=True)


def run(main):
    """Runs a tool's `main()` after parsing flags; the entry point of every tool.

    Args:
        main: a function without arguments.
    """
    app.run(lambda words: _guarded(main, words[1:]), flags_parser=_parse)


def _parse(arguments):
    try:
        return app.parse_flags_with_usage(arguments)
    except Exception as error:  # a config file is code and may raise anything
        _fail(error, "--traceback" in arguments)


def _guarded(main, extra):
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # TensorFlow's chatter about its own savers
        python_logging.getLogger("tensorflow").addFilter(
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
