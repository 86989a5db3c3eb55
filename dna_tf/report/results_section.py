"""The report's section on results: costs, accuracies and exports of all networks, as tables."""

from dna_tf.report import figures, markup, run_data
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import accuracy_cell, count_cell, file_size, percent, wilson_cell


def section(run, page_figures):
    """The section, as HTML.

    Args:
        run: a `run_data.Run`.
        page_figures: the `markup.Figures` of the page.
    """
    parts = [markup.notes(run, part) for part in ("students", "exports", "evaluations")]
    if run.teacher is not None or run_data.ordered_names(run):
        parts.append(_networks_table(run))
        parts.append(
            paragraph(
                "Test accuracy: mean ± sample standard deviation over seeds. 95 % Wilson: interval "
                "of the share of right answers, with the answers of all seeds pooled and taken as "
                "independent. As every seed answers for the same images, it is rather too narrow. "
                "TFLite: size of the file and its top-1 agreement with the Keras model; ⚠ marks an "
                "export that failed its checks. Point at a number for all its digits.",
                "soft",
            )
        )
    exports = _exports_table(run)
    if exports:
        parts.append(markup.details("all exported files", exports))
    trainings = [
        (name, seed, epochs)
        for name in run_data.ordered_names(run)
        for seed, epochs in run.student_epochs.get(name, ())
    ]
    if trainings:
        parts.append("<h3>Training loss of the students, a line for each seed</h3>")
        parts.append(page_figures.add("students", figures.training_curves(trainings)))
    return "".join(parts)


def _networks_table(run):
    """Teacher, searched students and controls: a row each."""
    precisions = list(dict.fromkeys(p for result in run.exports.values() for p in result["files"]))
    heads = ["network", "parameters", "MACs", "rating", "test accuracy", "95 % Wilson"]
    heads += [f"TFLite {precision}" for precision in precisions]
    rows = []
    if run.teacher is not None:
        result = run.teacher
        row = [(f"teacher: {result.get('model')}", "trained once", "")]
        row.append(count_cell(result.get("params")))
        row += [count_cell(result.get("macs") or None), "–"]
        row += [(percent(result.get("test_accuracy")), "", ""), _wilson_of([result])]
        rows.append(row + ["–"] * len(precisions))
    names = run_data.ordered_names(run)
    chosen = [len(rows) + i for i, name in enumerate(names) if name == run.chosen()]
    rows += [_student_row(run, name, precisions) for name in names]
    return markup.table(heads, rows, "wide", chosen)


def _student_row(run, name, precisions):
    results = run.students.get(name, ())
    architecture = run.architectures.get(name)
    costs = architecture.costs() if architecture else (results[0] if results else {})
    rating = architecture.rating if architecture else None
    row = [(name, run_data.role(run, name), "")]
    row += [count_cell(costs.get("params")), count_cell(costs.get("macs"))]
    row.append("–" if rating is None else (f"{rating:.4f}", "", repr(rating)))
    row += [accuracy_cell(run_data.accuracies(run, name)), _wilson_of(results)]
    files = run.exports.get(name, {}).get("files", {})
    return row + [_export_cell(files.get(precision)) for precision in precisions]


def _wilson_of(results):
    """The interval of the answers of several trainings, pooled."""
    counted = [r for r in results if r.get("test_correct") is not None and r.get("test_images")]
    if not counted:
        return "–"
    correct, total = (sum(r[key] for r in counted) for key in ("test_correct", "test_images"))
    return wilson_cell(correct, total)


def _export_cell(file):
    if file is None:
        return "–"
    agreement = f"{100 * file['agreement']:.1f} % agree"
    small = agreement if file["good"] else f"⚠ {agreement}"
    return (file_size(file["bytes"]), small, f"{file['bytes']:,} bytes")


def _exports_table(run):
    """Every exported file: a row each; `""` without any."""
    heads = ["student", "seed", "file", "size", "agreement", "largest difference", "accuracy"]
    heads += ["Keras accuracy", "images", "good"]
    rows = []
    for folder, result in sorted(run.exports.items()):
        name = folder.removesuffix(f"_seed{result.get('seed')}")  # the next column has the seed
        for file in result["files"].values():
            rows.append([
                (name, "", ""),
                str(result.get("seed", "–")),
                file["file"],
                (file_size(file["bytes"]), "", f"{file['bytes']:,} bytes"),
                percent(file["agreement"]),
                f"{file['largest_difference']:.2g}",
                percent(file["accuracy"]),
                percent(result.get("keras_accuracy")),
                f"{result.get('images', 0):,}",
                "yes" if file["good"] else "no",
            ])  # fmt: skip
    return markup.table(heads, rows, "wide") if rows else ""
