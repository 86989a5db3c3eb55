"""A tool whose reader has gone, such as `| head`, ends without a word, with the usual status."""

import os
import signal
import subprocess

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
