"""Figures of benchmarks by commit, and what got slower from one to the next.

Machines differ and are noisy. So each benchmark has a calibration beside it, a fixed piece of work
that was timed before and after it. Seconds are compared as multiples of it.
"""

import dataclasses
import re
import statistics
import time

import numpy as np

from dna_tf.common import files

KIND = "dna_tf.benchmarks"
HINT = "Delete it, and run the benchmarks again: python -m benchmarks.run_all."
SLOWER = 1.25  # ratio from which a figure is called slower
# Two calibrations of one benchmark that differ by more, or more work waiting for a core, say that
# others worked beside it.
MOST_DRIFT, MOST_LOAD = 1.2, 0.5
_SECONDS, _MEMORY = re.compile(r"_s(_|$)"), re.compile(r"_(gib|mib)(_|$)")


def calibrate(rounds=5):
    """The median seconds of a fixed piece of work: products of matrices, and plain Python."""
    draws = np.random.default_rng(0).normal(size=(384, 384))
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        values = draws
        for _ in range(8):
            values = np.tanh(values @ draws / 20)
        sum(number * number for number in range(200_000))
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def is_busy(before, after, load, cores):
    """Whether other work disturbed a benchmark.

    Args:
        before, after: seconds of the calibration.
        load: processes that were waiting or running before it, a mean over a minute.
        cores: of the machine.
    """
    drift = max(before, after) / min(before, after)
    return drift > MOST_DRIFT or load / cores > MOST_LOAD


@dataclasses.dataclass(frozen=True)
class Change:
    """A figure in two runs.

    Args:
        name: `"search.one_cost_s"`.
        before, after: the figures.
        ratio: after over before; of seconds, both as multiples of their calibration. `None`
            where it says nothing, as before is 0.
        is_slower: whether it got worse by `SLOWER` or more; `None` for figures that are neither
            seconds nor memory, of which more may be better.
    """

    name: str
    before: float
    after: float
    ratio: float | None
    is_slower: bool | None


def compare(before, after):
    """Compares the figures that two runs have in common.

    Args:
        before, after: contents of files of `KIND`.

    Returns:
        A list of `Change`, by name.
    """
    changes = []
    for benchmark in sorted(before["benchmarks"].keys() & after["benchmarks"].keys()):
        pair = [run["benchmarks"][benchmark] for run in (before, after)]
        for name in sorted(pair[0]["figures"].keys() & pair[1]["figures"].keys()):
            old, new = (run["figures"][name] for run in pair)
            if not all(isinstance(value, int | float) for value in (old, new)):
                continue
            is_time, is_memory = _SECONDS.search(name), _MEMORY.search(name)
            ratio = new / old if old else None
            if ratio is not None and is_time:
                ratio *= pair[0]["calibration_s"] / pair[1]["calibration_s"]
            judged = ratio is not None and (is_time or is_memory)
            changes.append(
                Change(f"{benchmark}.{name}", old, new, ratio, ratio >= SLOWER if judged else None)
            )
    return changes


def lines(changes, with_figures=True):
    """Changes as lines of text, those that got slower first.

    Args:
        changes: of `compare`.
        with_figures: whether the figures stand beside the ratios; not on a busy machine, where a
            ratio may be of the other work as well.
    """
    texts, verdict = [], "SLOWER" if with_figures else "slower, or disturbed:"
    for change in sorted(changes, key=lambda each: (not each.is_slower, each.name)):
        figures = f"{change.before:g} -> {change.after:g}  " if with_figures else ""
        ratio = "" if change.ratio is None else f"ratio {change.ratio:.2f}"
        texts.append(
            f"{f'{verdict} ' if change.is_slower else ''}{change.name}: {figures}{ratio}".rstrip()
        )
    return texts


def latest(folder, machine, without=None):
    """The newest file of a folder that is of a machine, as `(path, content)`, or `None`.

    Args:
        folder: of the files.
        machine: as `machine.describe` has it.
        without: a path to pass over.
    """
    runs = []
    for path in sorted(files.as_path(folder).glob("*.json")):
        content = files.read_json(path, KIND, HINT)
        if path != without and content["machine"] == machine:
            runs.append((content["date"], path, content))
    return max(runs, key=lambda run: run[0])[1:] if runs else None
