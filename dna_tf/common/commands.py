"""Command lines of the tools as messages print them: to be copied into a shell as they are.

In a checkout the tools are the package `tools`, in an installation `dna_tf.tools`.
"""

import pathlib
import re
import shlex
import sys

# Of the package; `tools` and `configs` are beside it, or inside it where it is installed.
FOLDER = pathlib.Path(__file__).resolve().parents[1]
_PYTHON = "python -m"


def line(tool, *arguments, comment=""):
    """The command line of a tool.

    Args:
        tool: the module of the tool, such as `"rate"`.
        arguments: its arguments, one word each, not quoted.
        comment: what follows behind a `#`.
    """
    words = [f"{_PYTHON} {package()}.{tool}", *map(quote, arguments)]
    words += [f"   # {' '.join(comment.split())}"] if comment else []
    return " ".join(words)


def package():
    """The package of the tools: `"tools"` in a checkout, `"dna_tf.tools"` in an installation."""
    return "dna_tf.tools" if (FOLDER / "tools").is_dir() else "tools"


def quote(word):
    """Quotes one word for a shell, if it needs quotes.

    A word without `"`, `$`, a backquote, a backslash or `!` gets double quotes: tuples of
    names, as fields of a config take them, stay readable.
    """
    word = str(word)
    if re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII):
        return word
    return shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'


def limits_of_files(arguments):
    """The names of limits on costs of files in a command line, such as `max_phone_latency_ms`.

    Args:
        arguments: the words of the command line.

    Returns:
        A list of names: `max_` or `min_`, a quantity and its unit.
    """
    matches = [
        re.match(r"--?((max|min)_[a-z][a-z0-9]*_[a-z0-9_]+)(=|$)", word) for word in arguments
    ]
    return [match[1] for match in matches if match]


def check_readable(arguments):
    """Checks that Python could read the arguments of a command line.

    Raises:
        ValueError: one has letters that the locale's encoding does not have. Python passes them on
            as they are, but TensorFlow cannot use them, and another locale would read other ones.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"The argument {ascii(argument)} has letters that cannot be read in this shell's "
                f"encoding ({sys.getfilesystemencoding()}). Set PYTHONUTF8=1, or a locale with "
                "UTF-8, such as LC_ALL=C.UTF-8."
            ) from None


def in_help(text):
    """The help of a tool with the commands that run here."""
    return text.replace(f"{_PYTHON} tools.", f"{_PYTHON} {package()}.")


def config_path(name):
    """The path of a config file that comes with this project.

    Args:
        name: such as `"digits"`.

    Returns:
        `"configs/digits.py"` in a checkout, the whole path in an installation.
    """
    installed = FOLDER / "configs" / f"{name}.py"
    return str(installed) if installed.exists() else f"configs/{name}.py"
