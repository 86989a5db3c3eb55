"""The report of a run: one HTML file that opens anywhere and loads nothing."""

import json

from dna_tf.common import files, formatting
from dna_tf.report import (
    comparison,
    diagram,
    figures,
    front_section,
    html,
    map_images,
    rating_plots,
    results,
    run_data,
)
from dna_tf.report.html import paragraph
from dna_tf.space import spaces

# What `ratings.METRICS` are, for people.
_METRIC_TEXTS = {
    "relative_l1": "mean absolute error over the standard deviation of the teacher's output",
    "mse": "mean squared error",
    "noise_to_signal": "mean over channels of squared error over variance of the teacher's output",
}


def write_report(workdir_path, maps=None):
    """Writes `report.html` into a workdir, from whatever the tools made there so far.

    Args:
        workdir_path: the folder of the run.
        maps: feature maps of the chosen student's blocks, as `map_images.check_maps`
            takes them; `None` when they are not available.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the shapes of the maps do not fit.
    """
    map_images.check_maps(maps or [])
    run = run_data.read_run(workdir_path)
    path = files.as_path(workdir_path) / "report.html"
    files.write_text(path, report_html(run, maps))
    return path


def report_html(run, maps=None):
    """The page of a `run_data.Run`, as text; the same run gives the same text."""
    drawn = html.Figures()
    sections = [
        ("summary", "Summary", _summary(run)),
        ("teacher", "Teacher and its cut", _teacher(run, drawn)),
        ("supernet", "Training of the cells", _supernet(run, drawn)),
        ("ratings", "Ratings of the paths", _ratings(run, drawn)),
        ("front", "Pareto front", front_section.section(run, drawn)),
        ("student", "The chosen student", _student(run)),
        ("maps", "Feature maps", _maps(maps)),
        ("results", "Results", _results(run, drawn)),
        ("difference", "Searched against control", comparison.section(run)),
    ]
    title = "Blockwise architecture search"
    if run.config is not None:
        title += f": {_at(run.config, 'data', 'source')}"
    return html.page(title, _header(run), sections, drawn.scripts())


def _header(run):
    intro = paragraph(
        "A trained network, the teacher, was cut into blocks. For each block many small "
        "candidates learnt to imitate what the teacher computes there (DNA), every candidate "
        "was rated by how well it does, and an exact search joined the best ones into students "
        "that keep within a budget. The students were then trained from scratch, without the "
        "teacher."
    )
    config = run.config or {}
    teacher = run.teacher or {}
    counts = teacher.get("counts", {})
    shape = teacher.get("image_shape") or [
        *[_at(config, "data", "image_size")] * 2,
        _at(config, "data", "channels"),
    ]
    budgets = _at(config, "search", "budgets") or []
    pairs = [
        ("data", _at(config, "data", "source")),
        ("images", "×".join(map(str, shape)) if None not in shape else None),
        ("classes", teacher.get("num_classes")),
        *(
            (f"{part} images", f"{counts[part]:,}")
            for part in ("train", "rating", "test")
            if part in counts
        ),
        ("teacher", _at(config, "teacher", "model")),
        ("search space", _space_text(run.space)),
        ("training of cells", _counted(_at(config, "supernet", "epochs"), "epoch")),
        ("budgets", "; ".join(map(_budget_text, budgets)) or None),
        ("retraining", _retraining_text(config)),
        ("seed", config.get("seed")),
    ]
    shown = html.facts(pairs)
    if run.config is not None:
        listing = html.text(json.dumps(run.config, indent=2))
        shown += html.details("the whole config", f"<pre>{listing}</pre>")
    return intro + html.notes(run, "config") + shown


def _summary(run):
    sentences = comparison.summary(run)
    return "".join(paragraph(sentence, "lead") for sentence in sentences)


def _teacher(run, drawn):
    parts = [html.notes(run, "teacher")]
    if run.teacher is not None:
        result = run.teacher
        text = f"{result.get('model')}, {results.count(result.get('params'))[0]} parameters"
        if result.get("test_accuracy") is not None:
            text += f", test accuracy {run_data.percent(result['test_accuracy'])}"
        parts.append(
            paragraph(
                f"{text}. It is cut behind the layers below; what comes out there is what a "
                "block's candidates imitate. The parameters are those between one cut and the next."
            )
        )
        rows = [
            [f"block {number}", (cut["layer"], "", ""), "×".join(map(str, cut["shape"]))]
            + [results.count(cut.get("params"))]
            for number, cut in enumerate(result.get("cuts", []), 1)
        ]
        parts.append(html.table(["block", "layer", "output", "parameters"], rows))
    if run.teacher_epochs:
        figure = figures.training_curves([("teacher", None, run.teacher_epochs)])
        parts += ["<h3>Training loss of the teacher</h3>", drawn.add("teacher", figure)]
    return "".join(parts)


def _supernet(run, drawn):
    parts = [html.notes(run, "supernet")]
    if run.supernet_epochs:
        parts.append(
            paragraph(
                "Mean squared error between a cell's output and the teacher's, over the paths that "
                "were drawn. Blocks differ in scale, so compare the cells of one block."
            )
        )
        parts.append(drawn.add("supernet", figures.loss_curves(run.supernet_epochs)))
    return "".join(parts)


def _ratings(run, drawn):
    parts = [html.notes(run, "ratings")]
    if run.ratings:
        chosen = run.architectures.get(run.chosen())
        text = (
            f"Every path of every cell, rated by {run.metric()}: {_METRIC_TEXTS[run.metric()]}. "
            "A row is one cell, written block.cell and layers × width; its box "
            "holds the middle half of the paths. Point at a dot for its path."
        )
        if max(map(len, run.ratings.values())) > figures.MOST_POINTS:
            text += (
                f" Of cells with more than {figures.MOST_POINTS} paths the best "
                f"{figures.MOST_POINTS // 4} and an even sample of the others are drawn."
            )
        parts.append(paragraph(text))
        figure = figures.rating_distribution(run.ratings, run.space, chosen)
        parts.append(drawn.add("ratings", figure))
        parts.append(_ratings_and_costs(run, chosen))
        heads = ["cell", "layers", "width", "paths", "best", "median", "worst", "best path"]
        rows = [_rating_row(run, b, c, cell) for b, c, cell in run.space.cells()]
        parts.append(html.details("the same as a table", html.table(heads, rows)))
    return "".join(parts)


def _ratings_and_costs(run, chosen):
    task = run_data.task(run)
    if task is None:
        return ""
    text = (
        "Each panel is a cell: the rating of its paths against their MACs, the panels of a block "
        "with one scale of ratings. Orange are the paths that no path with as few MACs beats; a "
        "ring is around the chosen one; where there are many paths, a darker field has more of "
        "them. τ is Kendall's tau-b: a τ near −1 says that the rating orders paths as their size "
        "does, and so says little that the size does not."
    )
    drawn = rating_plots.panels(run.space, run.ratings, task, chosen)
    return "<h3>Rating against cost</h3>" + paragraph(text) + drawn


def _rating_row(run, block, cell_index, cell):
    values = sorted(run.ratings[block, cell_index])
    best = int(run.ratings[block, cell_index].argmin())
    middle = len(values) // 2
    median = (values[middle] + values[~middle]) / 2
    name = spaces.cell_name(block, cell_index).replace("_", " ")
    row = [name, str(cell.layers), str(cell.width), f"{len(values):,}"]
    row += [f"{value:.4f}" for value in (values[0], median, values[-1])]
    return [*row, spaces.text(run.space, block, cell_index, best)]


def _student(run):
    name = run.chosen()
    if name is None:
        note = run_data.missing("architectures", "No student is chosen yet.")
        return html.note(note.text, note.command)
    one = run.architectures[name]
    rows = [
        [row.name, f"{row.size}×{row.size}×{row.width}"]
        + [results.count(row.params), results.count(row.macs)]
        + ["–" if row.rating is None else f"{row.rating:.4f}"]
        for row in diagram.block_rows(one)
    ]
    costs = one.costs()
    total = ["all", "", results.count(costs["params"]), results.count(costs["macs"])]
    rows.append([*total, "–" if one.rating is None else f"{one.rating:.4f}"])
    key = (
        "width of a box: kernel",
        "height: expansion",
        "narrowing: stride 2, halves the resolution",
        "arc: residual connection",
    )
    legend = "".join(f"<span>{text}</span>" for text in key)
    table = html.table(["part", "output", "parameters", "MACs", "rating"], rows)
    return (
        paragraph(f"{name}: {run_data.role(run, name)}. k5e6 is an MBConv with a 5×5 kernel "
                  "that expands its width 6 times.")
        + f'<div class="columns"><div><div class="scroll">{diagram.student_svg(one)}</div></div>'
        + f'<div>{table}<p class="soft key">{legend}</p></div></div>'
    )  # fmt: skip


def _maps(maps):
    if not maps:
        note = run_data.missing(
            "maps",
            "Feature maps are drawn when the teacher, the supernet and a searched student are in "
            "the workdir.",
        )
        return html.note(note.text, note.command)
    parts = [
        paragraph(
            "What the teacher computes at each cut, and what the chosen path of the supernet makes "
            "of it: the channels in which the teacher varies most. Both maps of a pair share one "
            "colour scale."
        )
    ]
    for entry in maps:
        shape = "×".join(map(str, entry["teacher"].shape[1:]))
        rating = "" if entry["rating"] is None else f", rating {entry['rating']:.4f}"
        head = f"block {entry['block']}: {entry['layer']}, {shape}{rating}"
        parts.append(f"<h3>{html.text(head)}</h3>")
        parts.append(map_images.maps_html(entry))
    return "".join(parts)


def _results(run, drawn):
    parts = [html.notes(run, "students"), html.notes(run, "exports")]
    if run.teacher is not None or run_data.ordered_names(run):
        parts.append(results.results_table(run))
        parts.append(
            paragraph(
                "Test accuracy: mean ± sample standard deviation over seeds. 95 % Wilson: interval "
                "of the share of right answers, the answers of all seeds pooled and taken as "
                "independent; as each seed is asked the same images, it is on the narrow side. "
                "TFLite: size of the file and its top-1 agreement with the Keras model; ⚠ where "
                "the export was found not good. Point at a number for all its digits.",
                "soft",
            )
        )
    exports = results.exports_table(run)
    if exports:
        parts.append(html.details("all exported files", exports))
    runs = [
        (name, seed, epochs)
        for name in run_data.ordered_names(run)
        for seed, epochs in run.student_epochs.get(name, ())
    ]
    if runs:
        parts.append("<h3>Training loss of the students, a line for each seed</h3>")
        parts.append(drawn.add("students", figures.training_curves(runs)))
    return "".join(parts)


def _at(config, section, field):
    return config.get(section, {}).get(field)


def _space_text(space):
    if space is None:
        return None
    return f"{space.name}: {formatting.large_count(space.num_architectures())} architectures"


def _budget_text(budget):
    return run_data.limits_text(budget)


def _counted(number, unit):
    return None if number is None else f"{number} {unit}{'' if number == 1 else 's'}"


def _retraining_text(config):
    epochs, seeds = _at(config, "retrain", "epochs"), _at(config, "retrain", "seeds")
    return None if None in (epochs, seeds) else f"{epochs} epochs, {_counted(seeds, 'seed')}"
