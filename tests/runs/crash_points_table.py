"""Goes through every crash point of every phase, and prints a table of the outcomes.

    python -m tests.runs.crash_points_table FOLDER
    python -m tests.runs.crash_points_table FOLDER --phases=teacher,rating --errors_each=3

The folder keeps what was done: a killed script resumes. An operation fails in turns on a full
disk (ENOSPC), by a defect (EIO) and for want of rights (EACCES); with --errors_each=3 each
operation fails in all three ways.
"""

import argparse
import collections
import errno
import json
import pathlib

from tests.helpers import crash_net, crash_phases

_COLUMNS = (
    "phase", "points", "kinds", "states", "deaths", "same end", "errors", "went on",
    "clear, then the same end", "faults",
)  # fmt: skip


def judge(net, errors_each=1):
    """Goes through all states and points of a net, resumable.

    Args:
        net: a recorded `Net`.
        errors_each: how many kinds of error each operation has, in turns.

    Returns:
        A dict from `"state NAME"` and `"error NUMBER CODE"` to `[outcome, problem]`.
    """
    path = net.end.parent / "verdicts.json"
    verdicts = json.loads(path.read_text()) if path.exists() else {}

    def keep(key, verdict):
        verdicts[key] = verdict
        path.write_text(json.dumps(verdicts, indent=0))

    for state in net.states():
        if f"state {state}" not in verdicts:
            problem = net.go_on(state)
            keep(f"state {state}", ["fault" if problem else "same end", problem])
        elif not verdicts[f"state {state}"][1]:
            net.trust(state)
    for number in range(len(net.points)):
        for turn in range(errors_each):
            code = crash_net.ERRORS[(number + turn) % len(crash_net.ERRORS)]
            key = f"error {number} {errno.errorcode[code]}"
            if key not in verdicts:
                keep(key, list(net.fail(number, code)))
    return verdicts


def row(net, verdicts):
    """The row of a phase, as a list of texts and numbers."""
    deaths = [verdict for key, verdict in verdicts.items() if key.startswith("state ")]
    errors = [verdict for key, verdict in verdicts.items() if key.startswith("error ")]
    good = collections.Counter(outcome for outcome, problem in errors if not problem)
    return [
        net.phase.name,
        len(net.points),
        len({point.kind for point in net.points}),
        len(net.states()),
        2 * len(net.points),
        2 * sum(_is_good(point, verdicts) for point in net.points),
        len(errors),
        good["went on"],
        good["clear error"],
        sum(bool(problem) for _, problem in [*deaths, *errors]),
    ]


def _is_good(point, verdicts):
    """Whether the command went on from what a death and a power cut leave at a point."""
    return not any(verdicts[f"state {state}"][1] for state in (point.state, point.after_power_cut))


def main():
    """Judges the phases and prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--phases", default=",".join(crash_phases.NAMES))
    parser.add_argument("--errors_each", type=int, default=1)
    flags = parser.parse_args()
    phases, kinds, faults = crash_phases.phases(), collections.Counter(), []
    rows = []
    for name in flags.phases.split(","):
        net = crash_net.recorded(name, phases, flags.folder.absolute())
        verdicts = judge(net, flags.errors_each)
        kinds.update(point.kind for point in net.points)
        faults += [f"{name}: {k}: {problem}" for k, (_, problem) in verdicts.items() if problem]
        faults += [f"{name}: not seen: {path}" for path in net.unseen()]
        rows.append(row(net, verdicts))
        print(" ".join(map(str, rows[-1])), flush=True)
    total = ["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])]
    total[2] = len(kinds)
    print(f"\n| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    for cells in [*rows, total]:
        print(f"| {' | '.join(map(str, cells))} |")
    print("\nKinds: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    print(f"Faults: {len(faults)}", *faults, sep="\n")


if __name__ == "__main__":
    main()
