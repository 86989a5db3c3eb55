"""Runs the tools for tests: one process each, many in one that loads TensorFlow once, or killed."""

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


# As users have it: what the tests' own conftest.py sets is left out.
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def command(tool, *arguments):
    """The command line of a tool."""
    return [sys.executable, "-m", f"tools.{tool}", *map(str, arguments)]


def run(tool, *arguments):
    """Runs a tool in a process of its own; returns it with `returncode`, `stdout`, `stderr`."""
    words = command(tool, *arguments)
    return subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)


def filled(places, words, message=""):
    """The words and the expected message of a case, with `{name}` replaced by its path.

    Args:
        places: a dict from name to path.
        words: a list of texts.
        message: a regular expression, for which paths are escaped.
    """
    for name, path in places.items():
        words = [word.replace(f"{{{name}}}", str(path)) for word in words]
        message = message.replace(f"{{{name}}}", re.escape(str(path)))
    return words, message


def kill_in_the_middle(words, begun, over, with_signal=signal.SIGKILL):
    """Starts a command and kills it once `begun()`; it must not be `over()` by then.

    Returns:
        What it wrote to standard error.
    """
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not begun() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(with_signal)
    _, errors = process.communicate()
    status = -signal.SIGKILL if with_signal == signal.SIGKILL else 128 + signal.SIGTERM
    assert process.returncode == status, f"It ended before it was killed:\n{errors}"
    assert not over(), "The phase was over before the kill came through. Make it longer."
    return errors


def run_all(cases):
    """Runs tools one after another in one new process.

    Args:
        cases: a list of lists of texts: the tool, then its arguments.

    Returns:
        A list with a dict per case: `returncode`, `stdout`, `stderr`, and `imported`, the
        modules that the process had imported by then.
    """
    with tempfile.TemporaryDirectory() as folder:
        results = pathlib.Path(folder) / "results.json"
        words = [sys.executable, "-m", "tests.helpers.tool_runs", str(results)]
        given = json.dumps([[str(word) for word in case] for case in cases])
        done = subprocess.run(
            words, cwd=ROOT, env=ENVIRONMENT, input=given, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(results.read_text())


def _main(results):
    cli = importlib.import_module("dna_tf.cli")
    own = set(cli.FLAGS)
    made = []
    for tool, *arguments in json.load(sys.stdin):
        made.append(_run_here(tool, arguments))
        # The next tool defines flags of the same names.
        for name in set(cli.FLAGS) - own:
            if name.partition(".")[0] in _TOOL_FLAGS or name[:4] in ("max_", "min_"):
                delattr(cli.FLAGS, name)
        cli.FLAGS.unparse_flags()
        # ml_collections runs each config file in the module of the one before it.
        sys.modules.pop("config_config", None)
    pathlib.Path(results).write_text(json.dumps(made))


_TOOL_FLAGS = (
    *("strategy", "tpu", "retry_factor", "share"),
    *("workdir", "config", "arch", "seed", "seeds", "model", "json"),
    *("params", "macs", "width", "depth", "like", "image_size", "output", "name"),
    *("space", "teacher", "cuts", "num_classes", "channels", "all"),
    *("data", "crop_fraction", "resize", "interpolation", "preprocessing", "batch_size"),
    *("limit", "first_class", "class_names", "scheme", "published"),
    *("ratings", "kind", "budgets", "beams", "traversal_budget", "maps"),
    *("cost_file", "penalty", "top", "front", "round", "weights", "skip_missing"),
)


def _run_here(tool, arguments):
    """Runs a tool as its own process would, and takes what it writes to 1 and 2."""
    streams = {1: sys.stdout, 2: sys.stderr}
    kept = {number: os.dup(number) for number in streams}
    taken = {number: tempfile.TemporaryFile() for number in streams}
    sys.argv = [f"tools.{tool}", *arguments]
    code = 0
    for number, file in taken.items():
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
            os.dup2(kept[number], number)
            os.close(kept[number])
    texts = []
    for file in taken.values():
        file.seek(0)
        texts.append(file.read().decode())
        file.close()
    loaded = sorted(name for name in sys.modules if "." not in name)
    return {"returncode": code, "stdout": texts[0], "stderr": texts[1], "imported": loaded}


if __name__ == "__main__":
    _main(sys.argv[1])
