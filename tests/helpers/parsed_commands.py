"""Parses command lines of tools as the tools do, without running them; also a program.

    python -m tests.helpers.parsed_commands < COMMANDS.json > PARSED.json

It reads a list of command lines such as `["search", "--workdir=W"]`, and writes a dict for each:
`error`, a message or `""`; `flags`, the values of its flags; and `config`, the config as a dict,
or `None` without --config.
"""

import contextlib
import io
import json
import pathlib
import runpy
import subprocess
import sys

from dna_tf import cli
from dna_tf.config import run_config


def parse_all(commands):
    """Runs this program.

    Args:
        commands: a list for each command line: the tool, then its arguments.

    Returns:
        A list with the dict of each command line.
    """
    process = subprocess.run(
        [sys.executable, "-m", "tests.helpers.parsed_commands"],
        cwd=pathlib.Path(__file__).resolve().parents[2],
        input=json.dumps(commands),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(process.stdout)


def parse(tool, arguments):
    """Parses one command line in this process, in which no other tool has defined flags."""
    sys.argv = [f"tools.{tool}", *arguments]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            runpy.run_module(f"tools.{tool}", run_name="parsed")  # defines its flags
            rest = cli.FLAGS(sys.argv)[1:]
    except SystemExit:
        return {"error": errors.getvalue()}
    except Exception as error:  # of absl, or of the config file, which is code
        return {"error": f"{type(error).__name__}: {error}"}
    if rest:
        return {"error": f"Tools take flags only. Received: {rest}"}
    names = [argument.partition("=")[0].lstrip("-") for argument in arguments]
    flags = {name: cli.FLAGS[name].value for name in names if not name.startswith("config")}
    plain = run_config.to_plain(cli.FLAGS.config) if "config" in names else None
    return {"error": "", "flags": flags, "config": plain}


def main():
    """Parses the commands of the standard input."""
    shared, parsed = set(cli.FLAGS), []
    for tool, *arguments in json.load(sys.stdin):
        parsed.append(parse(tool, arguments))
        for name in set(cli.FLAGS) - shared:  # the next tool defines flags of the same names
            delattr(cli.FLAGS, name)
        cli.FLAGS.unparse_flags()
    print(json.dumps(parsed))


if __name__ == "__main__":
    main()
