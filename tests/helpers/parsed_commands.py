"""Parses command lines of the tools as the tools do, and runs none of them; run as a program.

    python -m tests.parsed_commands < COMMANDS.json > PARSED.json

It reads a list of lists of words, `["search", "--workdir=W"]`, and writes a dict for each:
`error`, a text that is empty where all is well, `flags`, the values of those that were given,
and `config`, the plain config where one was given.
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
        commands: a list of lists of words, the tool and its arguments.

    Returns:
        A list with the dict of each.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.parsed_commands"],
        cwd=pathlib.Path(__file__).resolve().parents[2],
        input=json.dumps(commands),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)


def parse(tool, arguments):
    """Parses one command line in this process, which must hold no other tool's flags."""
    sys.argv = [f"tools.{tool}", *arguments]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            runpy.run_module(f"tools.{tool}", run_name="parsed")  # it defines its flags
            rest = cli.FLAGS(sys.argv)[1:]
    except SystemExit:
        return {"error": said.getvalue()}
    except Exception as error:  # of absl, or of the config file, which is code
        return {"error": f"{type(error).__name__}: {error}"}
    if rest:
        return {"error": f"Tools take flags only. Received: {rest}"}
    given = [word.partition("=")[0].lstrip("-") for word in arguments]
    flags = {name: cli.FLAGS[name].value for name in given if not name.startswith("config")}
    plain = run_config.to_plain(cli.FLAGS.config) if "config" in given else None
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
