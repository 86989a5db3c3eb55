"""Results of a run as text and tables: accuracies, exports, searched against control."""

import dataclasses

from dna_tf import intervals, limits, report_page

_COST_WORDS = {"macs": "MACs", "params": "parameters", "authors_flops": "authors' FLOPs"}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A searched student against its control: accuracies over seeds and their difference."""

    searched: str
    control: str
    searched_accuracies: tuple
    control_accuracies: tuple
    difference: intervals.Difference


def percent(share):
    """A share for people: `0.97222` becomes `"97.22 %"`, and `None` a dash."""
    return "–" if share is None else f"{100 * share:.2f} %"


def size(num_bytes):
    """A file's size for people: `48123` becomes `"48.1 kB"`."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes} B"


def count(number):
    """A table cell of a count, with all digits on hover."""
    return ("–", "", "") if number is None else (limits.format_count(number), "", f"{number:,}")


def limits_text(asked):
    """Limits for people: `{"max_macs": 700000}` becomes `"MACs ≤ 700k"`."""
    signs = {"max": "≤", "min": "≥"}
    parts = [
        f"{_COST_WORDS.get(key[4:], key[4:])} {signs[key[:3]]} {limits.format_count(value)}"
        for key, value in asked.items()
    ]
    return ", ".join(parts) if parts else "no limit"


def role(run, name):
    """What a network is in this run, in a few words."""
    if name not in run.architectures:
        return "no architecture file"
    origin = run.architectures[name].origin
    if origin.get("by") == "search":
        return f"searched, {limits_text(origin.get('limits') or {})}"
    if origin.get("by") == "control":
        return f"random control of {origin.get('control_of')}"
    return str(origin.get("by", "given"))


def ordered_names(run):
    """All networks: the searched ones by cost, each with its controls, then the others."""
    controls = run.controls()
    names = []
    for name in run.searched():
        own = [c for c in controls if run.architectures[c].origin.get("control_of") == name]
        names += [name, *own]
    return list(dict.fromkeys([*names, *controls, *run.architectures, *run.students]))


def accuracies(run, name):
    """Test accuracies of a student, in order of seeds."""
    return tuple(result["test_accuracy"] for result in run.students.get(name, ()))


def comparisons(run):
    """A `Comparison` for each control that is trained, as its searched student is."""
    found = []
    for control in run.controls():
        searched = run.architectures[control].origin.get("control_of")
        ours, theirs = accuracies(run, searched), accuracies(run, control)
        if ours and theirs:
            difference = intervals.welch(ours, theirs)
            found.append(Comparison(searched, control, ours, theirs, difference))
    return found


def summary(run):
    """The result in a few sentences of plain text, no better than the numbers are."""
    name = run.chosen()
    if name is None:
        return ["Nothing is searched yet, so there is no result to sum up."]
    architecture = run.architectures[name]
    costs = architecture.costs()
    found = limits_text(architecture.origin.get("limits") or {})
    cost_text = (
        f"{limits.format_count(costs['params'])} parameters and "
        f"{limits.format_count(costs['macs'])} MACs"
    )
    shares = accuracies(run, name)
    if not shares:
        return [
            f"The search chose {name} ({found}), a student of {cost_text}. It is not trained yet, "
            "so its accuracy is not known: its rating alone says little."
        ]
    mean, _ = intervals.mean_and_std(shares)
    seeds = f"mean of {len(shares)} seeds" if len(shares) > 1 else "one seed"
    first = f"The chosen student {name} ({found}) reaches {percent(mean)} test accuracy ({seeds}) "
    first += f"with {cost_text}"
    teacher = run.teacher or {}
    if teacher.get("test_accuracy") is not None:
        gap = 100 * (mean - teacher["test_accuracy"])
        side = "above" if gap >= 0 else "below"
        first += f": {abs(gap):.2f} points {side} its teacher ({percent(teacher['test_accuracy'])})"
        parts = [
            f"{100 * costs[key] / teacher[key]:.3g} % of its {word}"
            for key, word in (("params", "parameters"), ("macs", "MACs"))
            if teacher.get(key)
        ]
        first += f", at {' and '.join(parts)}" if parts else ""
    own = [c for c in comparisons(run) if c.searched == name]
    if not own:
        return [f"{first}.", "No trained control of the same cost is there to compare it with."]
    return [f"{first}.", *(f"{difference_text(c)} {verdict(c)}" for c in own)]


def difference_text(comparison):
    """The difference of a comparison with its uncertainty, in one sentence."""
    difference = comparison.difference
    text = (
        f"Searched minus control ({comparison.searched} − {comparison.control}): "
        f"{points(difference.value)} percentage points"
    )
    if difference.low is None:
        return f"{text}, without an interval."
    return (
        f"{text}, 95 % interval {points(difference.low)} to {points(difference.high)} "
        f"(Welch, {len(comparison.searched_accuracies)} against "
        f"{len(comparison.control_accuracies)} seeds)."
    )


def verdict(comparison):
    """What a comparison shows, in one sentence."""
    difference = comparison.difference
    if min(len(comparison.searched_accuracies), len(comparison.control_accuracies)) < 2:
        return "One seed on a side says nothing about the noise: no conclusion."
    if difference.low is None:
        return "The seeds show no spread at all, so the noise is unknown: no conclusion."
    if difference.low > 0:
        return "The searched student is better by more than the noise of the seeds."
    if difference.high < 0:
        return "The control is better by more than the noise of the seeds."
    return (
        "That is within noise: these seeds do not show that the searched student is better or "
        "worse than a random one of the same cost."
    )


def points(difference):
    """A difference of shares in percentage points, with its sign: `"+0.83"`, `"−0.40"`."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def results_table(run):
    """The table of teacher, searched students and controls, as HTML."""
    precisions = _precisions(run)
    heads = ["network", "parameters", "MACs", "rating", "test accuracy", "95 % Wilson"]
    heads += [f"TFLite {precision}" for precision in precisions]
    rows = []
    if run.teacher is not None:
        result = run.teacher
        accuracy = (percent(result.get("test_accuracy")), "", "")
        row = [(f"teacher: {result.get('model')}", "trained once", ""), count(result.get("params"))]
        macs = count(result["macs"]) if result.get("macs") else "–"
        row += [macs, "–", accuracy, _wilson_cell([result])]
        rows.append(row + ["–"] * len(precisions))
    names = ordered_names(run)
    chosen = [len(rows) + i for i, name in enumerate(names) if name == run.chosen()]
    rows += [_student_row(run, name, precisions) for name in names]
    return report_page.table(heads, rows, "wide", chosen)


def exports_table(run):
    """The table of all exported files, as HTML; `""` without any."""
    heads = ["student", "seed", "file", "size", "agreement", "largest difference", "accuracy"]
    heads += ["Keras accuracy", "images", "good"]
    rows = []
    for name, result in sorted(run.exports.items()):
        for file in result["files"].values():
            rows.append([
                (name, "", ""),
                str(result.get("seed", "–")),
                file["file"],
                (size(file["bytes"]), "", f"{file['bytes']:,} bytes"),
                percent(file["agreement"]),
                f"{file['largest_difference']:.2g}",
                percent(file["accuracy"]),
                percent(result.get("keras_accuracy")),
                f"{result.get('images', 0):,}",
                "yes" if file["good"] else "no",
            ])  # fmt: skip
    return report_page.table(heads, rows, "wide") if rows else ""


def differences_table(run, found):
    """The table of comparisons, as HTML.

    Args:
        run: the `report_data.Run`.
        found: what `comparisons` returned.
    """
    heads = ["searched − control", "MACs of control", "searched", "control"]
    heads += ["difference, points", "95 % Welch interval"]
    rows = []
    for one in found:
        difference = one.difference
        macs = run.architectures[one.control].costs()["macs"]
        row = [f"{one.searched} − {one.control}", _relative_cell(run, one.searched, macs)]
        for shares in (one.searched_accuracies, one.control_accuracies):
            row.append(_accuracy_cell(shares))
        row.append(points(difference.value))
        if difference.low is None:
            row.append("–")
        else:
            interval = f"{points(difference.low)} to {points(difference.high)}"
            row.append((interval, f"{difference.degrees:.1f} degrees of freedom", ""))
        rows.append(row)
    return report_page.table(heads, rows, "wide")


def _relative_cell(run, searched, macs):
    if searched not in run.architectures:
        return count(macs)
    relative = macs / run.architectures[searched].costs()["macs"] - 1
    return (limits.format_count(macs), f"{100 * relative:+.2f} %".replace("-", "−"), f"{macs:,}")


def _precisions(run):
    return list(dict.fromkeys(p for result in run.exports.values() for p in result["files"]))


def _student_row(run, name, precisions):
    results = run.students.get(name, ())
    architecture = run.architectures.get(name)
    costs = architecture.costs() if architecture else (results[0] if results else {})
    rating = architecture.rating if architecture else None
    row = [(name, role(run, name), ""), count(costs.get("params")), count(costs.get("macs"))]
    row.append("–" if rating is None else (f"{rating:.4f}", "", repr(rating)))
    row += [_accuracy_cell(accuracies(run, name)), _wilson_cell(results)]
    files = run.exports.get(name, {}).get("files", {})
    return row + [_export_cell(files.get(precision)) for precision in precisions]


def _accuracy_cell(shares):
    if not shares:
        return ("–", "not trained", "")
    mean, std = intervals.mean_and_std(shares)
    spread = "" if std is None else f" ± {100 * std:.2f}"
    seeds = f"{len(shares)} seeds" if len(shares) > 1 else "1 seed"
    return (percent(mean) + spread, seeds, ", ".join(percent(share) for share in shares))


def _wilson_cell(results):
    asked = [r for r in results if r.get("test_correct") is not None and r.get("test_images")]
    if not asked:
        return "–"
    correct = sum(result["test_correct"] for result in asked)
    total = sum(result["test_images"] for result in asked)
    low, high = intervals.wilson(correct, total)
    return (f"{100 * low:.2f} – {100 * high:.2f} %", f"{correct:,} of {total:,} right", "")


def _export_cell(file):
    if file is None:
        return "–"
    agreement = f"{100 * file['agreement']:.1f} % agree"
    small = agreement if file["good"] else f"⚠ {agreement}"
    return (size(file["bytes"]), small, f"{file['bytes']:,} bytes")
