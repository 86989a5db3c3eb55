"""Errors in `--config` and in overrides of its fields, explained for the command line."""

import os
import pathlib
import re
import traceback

from absl import flags

from dna_tf.common import commands
from dna_tf.config import run_config


def check_arguments(arguments, default_path):
    """Checks the path of `--config` and the names of overrides, before ml_collections does.

    Args:
        arguments: of the command line.
        default_path: of the default config; beside it lie those of this project.

    Raises:
        FileNotFoundError: there is no such config file.
        ValueError: an override names no field.
    """
    path = _config_file(arguments)
    if path is not None and not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no config file {path!r} here. Give a Python file with get_config(), such as "
            f"--config={commands.quote(_near_config(path, default_path))}."
        )
    for argument in arguments:
        name = re.match(r"--?(?:no)?config\.([^=]*)", argument)
        if name:
            run_config.check_field(name[1])


def _near_config(path, default_path):
    """The config of this project with the name of a path, or that of the digits."""
    name = pathlib.Path(path).stem
    folder = pathlib.Path(default_path).parent
    return commands.config_path(name if (folder / f"{name}.py").exists() else "digits")


def check_is_config(config):
    """Checks that a config file returned a config.

    Raises:
        ValueError: it did not.
    """
    # If get_config() returns something else, ml_collections gives an object that raises OSError
    # for every attribute.
    if not hasattr(config, "to_dict"):
        raise ValueError(
            "get_config() must return a config such as dna_tf.config.default_config(). "
            f"Received: {config!r}"
        )


def _config_file(arguments):
    """The path in `--config`, without an argument to get_config(); `None` without the flag."""
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        flag, equals, value = argument.partition("=")
        if flag in ("--config", "-config"):
            return (value if equals else following).partition(":")[0]
    return None


def explain(error, arguments, default_path):
    """Explains an error of `--config` or of an override.

    Args:
        error: the exception.
        arguments: of the command line.
        default_path: of the default config.

    Returns:
        The message; `None` for other errors.
    """
    path = _config_file(arguments) or default_path
    return _override_text(error) or _config_file_text(error, path)


def _override_text(error):
    """The message for an override of a wrong type; `None` for other errors."""
    match = re.match(r"flag --(config\.([\w.]+))=(.*?): ", str(error))
    if not match or not isinstance(error, flags.IllegalFlagValueError):
        return None
    name, field, received = match.groups()
    default = run_config.check_field(field)
    kind = f"of type {type(default).__name__}, such as {default!r}"
    return (
        f"--{name} must be {'a section' if hasattr(default, 'keys') else kind}. "
        f"Received: {received!r}"
    )


def _config_file_text(error, path):
    """The message with the line of a config file that failed; `None` for other errors."""
    while error is not None:
        if "has no attribute 'get_config'" in str(error):
            return f"The config file {path} has no function get_config()."
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        if isinstance(error, SyntaxError) and error.filename == path:
            lines = [error.lineno]
        if lines:
            reason = " ".join(str(error).replace("\\n", " ").replace("\\'", "'").split())
            # ml_collections lists all fields with their values before it names a similar one.
            reason = re.sub(r' Other fields present: "\{.*?\}"', "", reason)
            kind = type(error).__name__
            return f"The config file {path} fails in line {lines[-1]}: {kind}: {reason}"
        error = error.__cause__ or error.__context__
    return None
