"""Goes through every crash point of every phase, and prints a table of the outcomes.

    python -m tests.runs.crash_points_table FOLDER
    python -m tests.runs.crash_points_table FOLDER --phases=teacher,rating --errors_each=3
    python -m tests.runs.crash_points_table FOLDER --minutes=10

The folder keeps what was done: a killed script resumes. Each phase begins with a death and an error
at an operation of each kind. An operation fails in turns on a full
disk (ENOSPC), by a defect (EIO) and for want of rights (EACCES); with --errors_each=3 each
operation fails in all three ways. With --minutes the phases are gone through in turns, each in a
seeded order, until the time is over: the table says how far it came.
"""

import argparse
import collections
import errno
import json
import pathlib
import random
import time

from tests.helpers import crash_net, crash_phases

_COLUMNS = (
    "phase", "points", "kinds", "states after a death or a power cut", "gone on from", "same end",
    "operations that failed", "went on", "clear error, then the same end",
    "kinds of cases", "kinds seen", "faults",
)  # fmt: skip
_IN_TURN = 6  # cases of a phase before the next phase's turn


def kinds_of_cases(net, errors_each):
    """A dict from each case of a net to its kind, such as `"death at write"`.

    Cases are `"state NAME"` and `"error NUMBER CODE"`. A state that several operations leave is
    of the kind of the first one.
    """
    kinds = {}
    for point in net.points:
        for state in (point.state, point.after_power_cut):
            kinds.setdefault(f"state {state}", f"death at {point.kind}")
    for number, point in enumerate(net.points):
        for turn in range(errors_each):
            code = crash_net.ERRORS[(number + turn) % len(crash_net.ERRORS)]
            kinds[f"error {number} {errno.errorcode[code]}"] = f"error at {point.kind}"
    return kinds


def cases(net, errors_each):
    """All cases of a net in a seeded order, which begins with one of each kind."""
    kinds = kinds_of_cases(net, errors_each)
    keys = list(kinds)
    random.Random(16).shuffle(keys)
    first = {kinds[key]: key for key in reversed(keys)}
    return [*first.values(), *(key for key in keys if first[kinds[key]] != key)]


def judge(net, errors_each=1, most=None):
    """Goes through the states and points of a net, resumable.

    Args:
        net: a recorded `crash_net.Net`.
        errors_each: how many kinds of error each operation has, in turns.
        most: stops after that many cases; `None` goes through all.

    Returns:
        A dict from each case, as `cases` names it, to `[outcome, problem]`.
    """
    path = net.end.parent / "verdicts.json"
    verdicts = json.loads(path.read_text()) if path.exists() else {}
    for key, (_, problem) in verdicts.items():
        if key.startswith("state ") and not problem:
            net.trust(key.partition(" ")[2])
    todo = [key for key in cases(net, errors_each) if key not in verdicts]
    for key in todo[:most]:
        kind, name, *code = key.split()
        if kind == "state":
            problem = net.go_on(name)
            verdicts[key] = ["" if problem else "same end", problem]
        else:
            verdicts[key] = list(net.fail(int(name), getattr(errno, code[0])))
        path.write_text(json.dumps(verdicts, indent=0))
    return verdicts


def row(net, verdicts, errors_each=1):
    """The row of a phase, as a list of texts and numbers."""
    kinds = kinds_of_cases(net, errors_each)
    deaths = [verdict for key, verdict in verdicts.items() if key.startswith("state ")]
    errors = [verdict for key, verdict in verdicts.items() if key.startswith("error ")]
    good = collections.Counter(outcome for outcome, problem in errors if not problem)
    return [
        net.phase.name,
        len(net.points),
        len({point.kind for point in net.points}),
        len(net.states()),
        len(deaths),
        sum(not problem for _, problem in deaths),
        len(errors),
        good["went on"],
        good["clear error"],
        len(set(kinds.values())),
        len({kinds[key] for key in verdicts}),
        sum(bool(problem) for _, problem in [*deaths, *errors]),
    ]


def main():
    """Judges the phases and prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--phases", default=",".join(crash_phases.NAMES))
    parser.add_argument("--errors_each", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9)
    flags = parser.parse_args()
    end, phases, folder = time.monotonic() + 60 * flags.minutes, crash_phases.phases(), flags.folder
    nets, faults = [], []
    for name in flags.phases.split(","):
        try:
            nets.append(crash_net.recorded(name, phases, folder.absolute()))
        except Exception as error:
            faults.append(f"{name} does not run undisturbed: {type(error).__name__}: {error}")
    verdicts, waiting = {}, collections.deque(nets)
    while waiting:
        net = waiting.popleft()
        most = _IN_TURN if time.monotonic() < end else 0
        verdicts[net.phase.name] = judge(net, flags.errors_each, most)
        is_over = len(verdicts[net.phase.name]) >= len(cases(net, flags.errors_each))
        if most and not is_over:
            waiting.append(net)
    rows = [row(net, verdicts[net.phase.name], flags.errors_each) for net in nets]
    kinds = collections.Counter(point.kind for net in nets for point in net.points)
    total = ["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])]
    total[2] = len(kinds)
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    for cells in [*rows, total]:
        print(f"| {' | '.join(map(str, cells))} |")
    print("\nKinds: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    faults += [
        f"{name}: {key}: {problem}"
        for name, outcomes in verdicts.items()
        for key, (_, problem) in outcomes.items()
        if problem
    ]
    faults += [f"{net.phase.name}: not seen: {path}" for net in nets for path in net.unseen()]
    print(f"Faults: {len(faults)}", *faults, sep="\n")


if __name__ == "__main__":
    main()
