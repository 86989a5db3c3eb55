"""A tool whose reader has gone, such as `| head`, ends without a word, with the usual status."""

import os
import shlex
import signal
import subprocess
import sys

import pytest

from tests.helpers import tool_runs


@pytest.mark.parametrize(
    "words", [["summary", "--arch=all"], ["search", "--help"], ["summary", "--arch=absent"]]
)
def test_a_closed_pipe_ends_a_tool_quietly(words):
    reader, writer = os.pipe()
    os.close(reader)
    is_error = words[-1].endswith("absent")  # which goes to standard error
    streams = {"stdout": subprocess.PIPE, "stderr": writer}
    if not is_error:
        streams = {"stdout": writer, "stderr": subprocess.PIPE}
    run = subprocess.run(
        tool_runs.command(*words), cwd=tool_runs.ROOT, env=tool_runs.ENVIRONMENT, **streams
    )
    os.close(writer)
    assert run.returncode == 128 + signal.SIGPIPE
    assert not (run.stdout or run.stderr)


_SCRIPT = """
import os, sys
from dna_tf import cli
with open(sys.argv[1], "w") as file:
    for number in (1, 2):
        os.write(number, b"from below")
    print("to standard output")
    print("to standard error", file=sys.stderr, flush=True)
    file.write("the content " + sys.stdin.read())
"""


@pytest.mark.parametrize("redirect", ["<&-", ">&- <&-", "2>&- <&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leads_nowhere_and_not_into_the_next_file(redirect, tmp_path):
    words = shlex.join([sys.executable, "-c", _SCRIPT, str(tmp_path / "file")])
    run = subprocess.run(
        f"{words} {redirect}",
        shell=True,
        cwd=tool_runs.ROOT,
        env=tool_runs.ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "file").read_text() == "the content "
    assert ("to standard output" in run.stdout) == (">&-" not in redirect.replace("2>&-", ""))
    assert "to standard error" not in run.stdout
