"""What all tools share: flags, opening a run, and errors as one readable line.

A tool is an absl program. Wrong input ends it with one message and exit status 1;
`--traceback` also shows where the error arose.
"""

import logging as python_logging
import os
import pathlib
import sys
import traceback

from absl import app, flags, logging
from ml_collections import config_flags

from dna_tf import workdirs
from dna_tf.common import commands, files, keras_json, pipes
from dna_tf.config import config_problems, run_config
from dna_tf.space import cost_limits, cost_tables

pipes.open_missing()

# Silences most lines that TensorFlow's C++ code writes at its start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow warns of two things that are done here on purpose: one graph for each op and cell,
# and a converter without a Keras 3 model (with one it writes NaN).
_HARMLESS = ("triggered tf.function retracing", "consider providing the trackable_obj")

# The field whose values are imported: a workdir does not decide it alone.
_MODULES = "teacher.modules"

FLAGS = flags.FLAGS
_HERE = pathlib.Path(__file__).resolve().parent

flags.DEFINE_bool("traceback", False, "Show the traceback of an error.")


# Flags


def define_run_flags():
    """Defines `--workdir` and `--config`."""
    flags.DEFINE_string(
        "workdir",
        "",
        "Folder of the run, local or gs://: every tool reads it, fills it and resumes in it.",
    )
    try:
        config_problems.check_arguments(sys.argv[1:], default_config_path())
        config_flags.DEFINE_config_file(
            "config",
            default_config_path(),
            "Python file with get_config(). Change single fields with --config.FIELD=VALUE, such "
            "as --config.retrain.epochs=3. Default: the config stored in the workdir, or "
            "configs/digits.py for a new run.",
            lock_config=True,
        )
    except Exception as error:  # ml_collections applies overrides here, before flags are parsed
        _fail(_config_problem(error), "--traceback" in sys.argv)


def default_config_path():
    """The default config file: beside the package in a checkout, inside it when installed."""
    for folder in (_HERE / "configs", _HERE.parent / "configs"):
        if (folder / "digits.py").exists():
            return str(folder / "digits.py")
    raise FileNotFoundError(f"configs/digits.py is neither in {_HERE} nor beside it. Reinstall.")


def define_strategy_flags():
    """Defines `--strategy` and `--tpu`."""
    flags.DEFINE_string(
        "strategy",
        "auto",
        "Devices to train on: auto, cpu, mirrored (all GPUs of this machine), multi_worker (reads "
        "TF_CONFIG) or tpu.",
    )
    flags.DEFINE_string("tpu", "", "Name or address of the TPU, for --strategy=tpu.")


def make_strategy():
    """Makes the strategy of `--strategy`. Call it before any other use of TensorFlow."""
    from dna_tf.training import strategies

    return strategies.make(FLAGS.strategy, FLAGS.tpu)


def define_student_flags(default):
    """Defines `--arch` and `--seed`, which name trained students.

    Args:
        default: the students that are taken without `--arch`, in words.
    """
    flags.DEFINE_list("arch", [], f"Names of trained students. Default: {default}.")
    flags.DEFINE_integer("seed", 0, "Seed of the students' training.")


def trained_students(workdir, default_names):
    """The names given by `--arch`, or `default_names`.

    Raises:
        FileNotFoundError: one of them was not trained with the seed of `--seed`.
    """
    names = FLAGS.arch or default_names
    for name in names:
        workdir.student_result(name, FLAGS.seed)
    return names


def define_model_flags(what):
    """Defines `--model`, `--output`, `--data` and `--image_size`, for tools that take any model.

    Args:
        what: what the tool does, such as `"quantise"`.
    """
    beside = "; instead of --arch" if "arch" in FLAGS else ""
    flags.DEFINE_string("model", "", f"A .keras file of any classifier to {what}{beside}.")
    flags.DEFINE_string("output", "", "Folder to write into. Default: exports/NAME in the workdir.")
    flags.DEFINE_string(
        "data",
        "",
        "Labelled images of --model: folder:DIR, list:FILE, tfds:NAME, tfrecord:GLOB or digits.",
    )
    flags.DEFINE_integer("image_size", 0, "Height and width in pixels, if --model takes any size.")


def check_model_flags(students_have_output=False):
    """Checks the flags of `define_model_flags` before any work.

    Args:
        students_have_output: whether `--output` has a meaning without `--model`, too.

    Returns:
        The path of the model; `None` without `--model`.

    Raises:
        ValueError: flags do not belong together, or the model is no `.keras` file.
        FileNotFoundError: there is no such file.
    """
    if not FLAGS.model:
        for name in ("data", "image_size", "output"):
            if FLAGS[name].value and not (name == "output" and students_have_output):
                raise ValueError(f"--{name} is for a model file: give --model=FILE.keras too.")
        return None
    if "arch" in FLAGS and FLAGS.arch:
        raise ValueError("Give one thing: either --model=FILE or --arch=NAME.")
    if not FLAGS.output:
        raise ValueError("--model needs --output, the folder of the files, such as --output=files.")
    path = files.as_path(FLAGS.model)
    if path.suffix != ".keras":
        raise ValueError(f"--model must be a .keras file. Received: {path}")
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    if FLAGS.data and FLAGS.workdir:
        raise ValueError("Give the images once: either --data=SOURCE or --workdir=FOLDER.")
    return path


def define_limit_flags():
    """Defines `--max_macs`, `--min_macs` and so on, for all costs in `cost_tables.COSTS`."""
    for name in cost_tables.COSTS:
        flags.DEFINE_string(f"max_{name}", "", f"Largest {name}, such as 350M, 5.2k or 1000.")
        flags.DEFINE_string(f"min_{name}", "", f"Smallest {name}, such as 4M.")


def limits_of_flags():
    """The `cost_limits.Limits` of `--max_macs`, `--min_macs` and so on."""
    names = [name for name in FLAGS if name[:4] in ("max_", "min_") and name != "max_shared_ops"]
    return cost_limits.Limits({n: FLAGS[n].value for n in names if FLAGS[n].value})


def whole_number(flag, text):
    """Reads a whole number from the text of a flag.

    Raises:
        ValueError: the text is not a whole number.
    """
    if not text.strip().isdigit():
        raise ValueError(f"--{flag} takes whole numbers, such as 0,1,2. Received: {text!r}")
    return int(text)


# Opening a run


def open_run(may_create):
    """Opens the run of `--workdir` and `--config`.

    Args:
        may_create: whether the tool can start a run in a new workdir.

    Returns:
        `(Workdir, config)`.

    Raises:
        ValueError: `--workdir` is missing, or `--config` differs from the config of the run.
        FileNotFoundError: the workdir contains no run, and the tool cannot start one.
    """
    workdir = workdirs.Workdir(FLAGS.workdir)
    exists = workdir.config.exists()
    if not exists and not may_create:
        raise FileNotFoundError(
            f"The workdir {workdir} contains no run (no config.json). Start one: "
            f"{workdirs.command('teacher', workdir)}"
        )
    config, stored_modules = FLAGS.config, ()
    if exists and not FLAGS["config"].present:  # without --config, overrides change the stored one
        workdir, config = workdirs.open_workdir(FLAGS.workdir)
        overrides = config_flags.get_override_values(FLAGS["config"])
        if not overrides:
            return workdir, config
        config.update_from_flattened_dict(overrides)
        stored_modules = () if _MODULES in overrides else workdir.stored_modules
    workdir, config = workdirs.open_workdir(FLAGS.workdir, config)
    workdir.stored_modules = stored_modules
    return workdir, config


def open_beside(path, section="export"):
    """Opens a run for an export into a folder outside its workdir.

    Args:
        path: the workdir.
        section: the config section that the command line may change.

    Returns:
        `(Workdir, config)`: the config of the run, changed by `--config.SECTION.FIELD=VALUE`.
        Nothing is written into the workdir.

    Raises:
        ValueError: other fields are changed, or a value is wrong.
        FileNotFoundError: the workdir contains no run.
    """
    if FLAGS["config"].present:
        raise ValueError(
            "With --output and a workdir, the config is the one of the workdir. Leave --config "
            f"out, and change fields with --config.{section}.FIELD=VALUE."
        )
    workdir, config = workdirs.open_workdir(path)
    overrides = config_flags.get_override_values(FLAGS["config"])
    others = sorted(n for n in overrides if not n.startswith(f"{section}.") and n != _MODULES)
    if others:
        raise ValueError(
            f"With --output only fields of config.{section} may differ from the config of the "
            f"workdir: the student and its images are those of the run. Received: {others}"
        )
    config.update_from_flattened_dict(overrides)
    run_config.check_config(config)
    if _MODULES in overrides:
        workdir.stored_modules = ()
    return workdir, config


def open_for_model(path, section="export"):
    """Opens the config that gives the images for the export of any Keras model.

    Args:
        path: a workdir, or `""` to take `--config`.
        section: as of `open_beside`.

    Returns:
        `(Workdir or None, config)`.

    Raises:
        ValueError, FileNotFoundError: as in `open_beside`.
    """
    if path:
        return open_beside(path, section)
    config = FLAGS.config
    run_config.check_config(config)
    return None, run_config.with_image_size(config)


def next_command(tool, workdir, *arguments, comment=""):
    """Prints the command of the next step.

    Args:
        tool: the module of the tool.
        workdir: the workdir; `None` for none.
        arguments: more arguments, one word each.
        comment: what stands behind the command.
    """
    flag = [] if workdir is None else [f"--workdir={workdir}"]
    flag += [f"--config.{_MODULES}={name}" for name in _modules_of_flags()]
    print(f"Next: {commands.line(tool, *flag, *arguments, comment=comment)}", flush=True)


def _modules_of_flags():
    """The modules that this command line names, which the next one has to name again."""
    if "config" not in FLAGS:
        return ()
    overrides = config_flags.get_override_values(FLAGS["config"])
    named = FLAGS["config"].present or _MODULES in overrides
    return tuple(FLAGS.config.teacher.modules) if named else ()


# Running a tool


def run(main):
    """Parses the flags and runs a tool; the entry point of every tool.

    Args:
        main: the tool's function, without arguments.
    """
    # --help prints the docstring and the flags of the tool, also when a console command runs it.
    module = sys.modules[main.__module__]
    sys.modules["__main__"].__doc__ = commands.in_help(module.__doc__ or "")
    for owner in (module, sys.modules[__name__]):
        for flag in FLAGS.get_key_flags_for_module(owner):
            FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    try:
        try:
            app.run(lambda arguments: _run_main(main, arguments[1:]), flags_parser=_parse)
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be answered
    except BrokenPipeError:
        pipes.end_quietly()


def _parse(arguments):
    try:
        commands.check_readable(arguments)
        others = FLAGS(arguments)
        config_problems.check_is_config(FLAGS.config)
    except SystemExit:  # absl ends --help with status 1
        sys.exit(0)
    except Exception as error:  # a config file is code and may raise anything
        if pipes.is_reader_gone(error):  # while --help was printed
            raise
        _fail(_config_problem(error), "--traceback" in arguments)
    return others


def _run_main(main, others):
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # hides what TensorFlow's savers report
        for logger in (python_logging.getLogger("tensorflow"), logging.get_absl_logger()):
            logger.addFilter(
                lambda record: not any(text in record.getMessage() for text in _HARMLESS)
            )
    try:
        if others:
            raise ValueError(f"Tools take flags only, such as --workdir=FOLDER. Received: {others}")
        main()
    except KeyboardInterrupt:
        print("Interrupted. The same command resumes from the last checkpoint.", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, KeyError, AttributeError, TypeError, AssertionError) as error:
        problem = keras_json.problem_behind(error)
        if pipes.is_reader_gone(error) or (isinstance(error, AssertionError) and not problem):
            raise
        _fail(ValueError(problem) if problem else error, FLAGS.traceback)


def _fail(error, show_traceback):
    if show_traceback:
        traceback.print_exception(error)
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    print(f"error: {text or type(error).__name__}", file=sys.stderr, flush=True)
    sys.exit(1)


def _config_problem(error):
    """Explains an error of `--config` or of an override; returns other errors unchanged."""
    text = config_problems.explain(error, sys.argv[1:], default_config_path())
    if text is None:
        return error
    problem = ValueError(text)
    problem.__cause__ = error
    return problem
