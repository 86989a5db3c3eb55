"""Results of a run as tables: costs, accuracies and exports of all its networks."""

from dna_tf.common import formatting, statistics
from dna_tf.report import html, run_data


def size(num_bytes):
    """A file's size for people: `48123` becomes `"48.1 kB"`."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes} B"


def count(number):
    """A table cell of a count, with all digits on hover."""
    return ("–", "", "") if number is None else (formatting.format_count(number), "", f"{number:,}")


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
        accuracy = (run_data.percent(result.get("test_accuracy")), "", "")
        row = [(f"teacher: {result.get('model')}", "trained once", ""), count(result.get("params"))]
        macs = count(result["macs"]) if result.get("macs") else "–"
        row += [macs, "–", accuracy, _wilson_cell([result])]
        rows.append(row + ["–"] * len(precisions))
    names = run_data.ordered_names(run)
    chosen = [len(rows) + i for i, name in enumerate(names) if name == run.chosen()]
    rows += [_student_row(run, name, precisions) for name in names]
    return html.table(heads, rows, "wide", chosen)


def exports_table(run):
    """The table of all exported files, as HTML; `""` without any."""
    heads = ["student", "seed", "file", "size", "agreement", "largest difference", "accuracy"]
    heads += ["Keras accuracy", "images", "good"]
    rows = []
    for folder, result in sorted(run.exports.items()):
        name = folder.removesuffix(f"_seed{result.get('seed')}")  # the next column has it
        for file in result["files"].values():
            rows.append([
                (name, "", ""),
                str(result.get("seed", "–")),
                file["file"],
                (size(file["bytes"]), "", f"{file['bytes']:,} bytes"),
                run_data.percent(file["agreement"]),
                f"{file['largest_difference']:.2g}",
                run_data.percent(file["accuracy"]),
                run_data.percent(result.get("keras_accuracy")),
                f"{result.get('images', 0):,}",
                "yes" if file["good"] else "no",
            ])  # fmt: skip
    return html.table(heads, rows, "wide") if rows else ""


def _precisions(run):
    return list(dict.fromkeys(p for result in run.exports.values() for p in result["files"]))


def _student_row(run, name, precisions):
    results = run.students.get(name, ())
    architecture = run.architectures.get(name)
    costs = architecture.costs() if architecture else (results[0] if results else {})
    rating = architecture.rating if architecture else None
    row = [(name, run_data.role(run, name), "")]
    row += [count(costs.get("params")), count(costs.get("macs"))]
    row.append("–" if rating is None else (f"{rating:.4f}", "", repr(rating)))
    row += [accuracy_cell(run_data.accuracies(run, name)), _wilson_cell(results)]
    files = run.exports.get(name, {}).get("files", {})
    return row + [_export_cell(files.get(precision)) for precision in precisions]


def accuracy_cell(shares, of="seed"):
    """A table cell of accuracies: mean and standard deviation over seeds, or over `of`."""
    if not shares:
        return ("–", "not trained", "")
    mean, std = statistics.mean_and_std(shares)
    spread = "" if std is None else f" ± {100 * std:.2f}"
    counted = f"{len(shares)} {of}s" if len(shares) > 1 else f"1 {of}"
    each = ", ".join(map(run_data.percent, shares))
    return (run_data.percent(mean) + spread, counted, each)


def _wilson_cell(results):
    asked = [r for r in results if r.get("test_correct") is not None and r.get("test_images")]
    if not asked:
        return "–"
    correct = sum(result["test_correct"] for result in asked)
    total = sum(result["test_images"] for result in asked)
    low, high = statistics.wilson(correct, total)
    return (f"{100 * low:.2f} – {100 * high:.2f} %", f"{correct:,} of {total:,} right", "")


def _export_cell(file):
    if file is None:
        return "–"
    agreement = f"{100 * file['agreement']:.1f} % agree"
    small = agreement if file["good"] else f"⚠ {agreement}"
    return (size(file["bytes"]), small, f"{file['bytes']:,} bytes")
