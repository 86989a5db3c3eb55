"""Which tests are slow, by measurement: the list `tests/slow_tests.txt`.

    .venv/bin/python -m pytest -q -n 2 --durations=600 | tee LOG
    python -m tests.project.slow_tests LOG

writes the list anew: every test whose own part takes 5 seconds or more on two slow cores, and the
files of `WHOLE`, whose tests share a fixture that takes as long. `FAST` names the exceptions: one
test of each promise that no fast run may leave out. `tests/conftest.py` marks what is listed as
slow, beside the tests that have the mark in their code.
"""

import pathlib
import re
import sys

LIST = pathlib.Path(__file__).parents[1] / "slow_tests.txt"
SECONDS = 5.0

# Files whose shared fixture takes half a minute or more.
WHOLE = (
    "tests/compression/test_pruned_model.py",
    "tests/compression/test_quantized_model.py",
    "tests/phases/test_compressing.py",
    "tests/runs/test_run_of_before.py",
    "tests/runs/test_script_and_command_line.py",
    "tests/tools/test_export_tools.py",
    "tests/tools/test_whole_tools.py",
)
# The whole pipeline; kill and resume; a student that inherits; a seeded sample of crash points.
FAST = (
    "tests/inheritance/test_compressing.py",
    "tests/runs/test_crash_points.py::test_a_search_goes_on_from_a_sample_of_its_crash_points[search",
    "tests/runs/test_pipeline.py",
    "tests/supernet/test_cell_training.py::test_a_kill_while_cells_are_saved_loses_no_step",
    "tests/training/test_classifier.py::test_a_training_that_was_cut_off_ends_with_the_same_bits",
    "tests/project/test_api.py::test_an_example_runs[compress]",
)


def slow(log):
    """The slow tests of a log of `--durations`, sorted.

    Args:
        log: its text.
    """
    times = re.findall(r"^([\d.]+)s call +(\S.*?)\s*$", log, re.MULTILINE)
    tests = {name for seconds, name in times if float(seconds) >= SECONDS}
    return sorted({name for name in tests if not name.startswith((*FAST, *WHOLE))} | set(WHOLE))


def listed():
    """The lines of the list: names of tests, and of files."""
    return frozenset(LIST.read_text().splitlines())


def main(path):
    """Writes the list."""
    log = pathlib.Path(path).read_text()
    # A test that did not run this time keeps its place.
    ran = set(re.findall(r"^[\d.]+s call +(\S.*?)\s*$", log, re.MULTILINE))
    LIST.write_text("".join(f"{line}\n" for line in sorted({*slow(log), *(listed() - ran)})))


if __name__ == "__main__":
    main(sys.argv[1])
