"""Runs tools: each in its process, many in one process that loads TensorFlow once, or killed."""

import importlib
import json
import os
import pathlib
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]


# The environment of a user: without what tests/conftest.py sets.
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def command(tool, *arguments):
    """The command line of a tool, as a list."""
    return [sys.executable, "-m", f"tools.{tool}", *map(str, arguments)]


def run(tool, *arguments):
    """Runs a tool in its own process; the result has `returncode`, `stdout` and `stderr`."""
    words = command(tool, *arguments)
    return subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)


def filled(paths, arguments, message=""):
    """The arguments and the expected message of a case, with each `{name}` replaced by its path.

    Args:
        paths: a dict from name to path.
        arguments: a list of texts.
        message: a regular expression, in which the paths are escaped.
    """
    for name, path in paths.items():
        arguments = [argument.replace(f"{{{name}}}", str(path)) for argument in arguments]
        message = message.replace(f"{{{name}}}", re.escape(str(path)))
    return arguments, message


def kill_in_the_middle(arguments, has_begun, is_over, with_signal=signal.SIGKILL):
    """Starts a command and kills it as soon as `has_begun()`, before `is_over()`.

    Returns:
        The text that it wrote to standard error.
    """
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not has_begun() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(with_signal)
    _, errors = process.communicate()
    status = -signal.SIGKILL if with_signal == signal.SIGKILL else 128 + signal.SIGTERM
    assert process.returncode == status, f"The command ended before it was killed:\n{errors}"
    assert not is_over(), "The phase was over before the signal arrived. Make it longer."
    return errors


def run_all(cases):
    """Runs tools one after another in one new process.

    Args:
        cases: a list for each run: the tool, then its arguments.

    Returns:
        A list with a dict for each case: `returncode`, `stdout`, `stderr`, and `imported`, the
        modules that the process has imported by then.
    """
    with tempfile.TemporaryDirectory() as folder:
        results = pathlib.Path(folder) / "results.json"
        words = [sys.executable, "-m", "tests.helpers.tool_runs", str(results)]
        text = json.dumps([[str(word) for word in case] for case in cases])
        process = subprocess.run(
            words, cwd=ROOT, env=ENVIRONMENT, input=text, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stderr
        return json.loads(results.read_text())


def _main(results_path):
    """Runs the cases of standard input; what each tool defines is undone before the next."""
    cli = importlib.import_module("dna_tf.cli")
    permanent = set(cli.FLAGS)
    results = []
    for tool, *arguments in json.load(sys.stdin):
        results.append(_run_here(tool, arguments))
        for name in _flags_of(tool, cli.FLAGS) - permanent:
            delattr(cli.FLAGS, name)
        cli.FLAGS.unparse_flags()
        # ml_collections runs each config file in the module of the one before it.
        sys.modules.pop("config_config", None)
    pathlib.Path(results_path).write_text(json.dumps(results))


def _flags_of(tool, flags):
    """Names of the flags that a tool defined: its own, those of `cli`, and overrides."""
    names = {name for name in flags if name.startswith("config.")}
    for module, defined in flags.flags_by_module_dict().items():
        if module == "dna_tf.cli" or module.endswith(f"/tools/{tool}.py"):
            names |= {flag.name for flag in defined}
    return names


def _run_here(tool, arguments):
    """Runs a tool as its own process would, and catches its output on descriptors 1 and 2."""
    streams = {1: sys.stdout, 2: sys.stderr}
    originals = {number: os.dup(number) for number in streams}
    captured = {number: tempfile.TemporaryFile() for number in streams}
    sys.argv = [f"tools.{tool}", *arguments]
    code = 0
    for number, file in captured.items():
        os.dup2(file.fileno(), number)
    try:
        runpy.run_module(f"tools.{tool}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except Exception:  # as Python itself ends a process
        traceback.print_exc()
        code = 1
    finally:
        for number, stream in streams.items():
            stream.flush()
            os.dup2(originals[number], number)
            os.close(originals[number])
    texts = []
    for file in captured.values():
        file.seek(0)
        texts.append(file.read().decode())
        file.close()
    loaded = sorted(name for name in sys.modules if "." not in name)
    return {"returncode": code, "stdout": texts[0], "stderr": texts[1], "imported": loaded}


if __name__ == "__main__":
    _main(sys.argv[1])
