"""The report of a run: one HTML file that opens anywhere and loads nothing."""

import json

from dna_tf.common import files, formatting
from dna_tf.report import (
    additivity_section,
    assembly_section,
    compression_data,
    compression_section,
    control_section,
    diagram,
    figures,
    front_section,
    map_images,
    markup,
    rating_plots,
    results_section,
    run_data,
    scatter_plot,
)
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import count_cell, percent, rating_cell
from dna_tf.space import spaces

# Definitions of `ratings.METRICS`.
_METRIC_TEXTS = {
    "relative_l1": "mean absolute error over the standard deviation of the teacher's output",
    "mse": "mean squared error",
    "noise_to_signal": "mean over channels of squared error over variance of the teacher's output",
}


def write_report(folder, maps=None):
    """Writes `report.html` into the folder of a run, from its results so far.

    Args:
        folder: the folder of the run.
        maps: feature maps of the chosen student's blocks, as `map_images.check_maps` takes
            them; `None` if they are not available.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the shapes of the maps do not fit.
    """
    map_images.check_maps(maps or [])
    run = run_data.read_run(folder)
    path = files.as_path(folder) / "report.html"
    files.write_text(path, report_html(run, maps))
    return path


def report_html(run, maps=None):
    """The page of a `run_data.Run` as text; equal runs give equal text."""
    page_figures = markup.Figures()
    sections = [
        ("teacher", "Teacher and its cut", _teacher(run, page_figures)),
        ("supernet", "Training of the cells", _supernet(run, page_figures)),
        ("ratings", "Ratings of the paths", _ratings(run, page_figures)),
    ]
    if not run.is_of_compression():
        sections.insert(0, ("summary", "Summary", _summary(run)))
        sections += [
            ("front", "Pareto front", front_section.section(run, page_figures)),
            ("student", "The chosen student", _student(run)),
            ("maps", "Feature maps", _maps(maps)),
            ("results", "Results", results_section.section(run, page_figures)),
            ("difference", "Searched against control", control_section.section(run)),
        ]
    title, style = "Blockwise architecture search", ""
    if run.compression is not None:
        sections += _after(run)
        style = scatter_plot.STYLE
        title = "A model, compressed" if run.is_of_compression() else title
    sections = [*_before(run), *sections]
    if run.config is not None:
        title += f": {_at(run.config, 'data', 'source')}"
    return markup.page(title, _header(run), sections, page_figures.scripts(), style)


def _before(run):
    """The sections on students that inherit, which come first."""
    compressed, assembled = markup.notes(run, compression_data.PART), ""
    if run.compression is not None and run.compression.students:
        sentences = compression_section.summary(run)
        compressed += "".join(paragraph(sentence, "lead") for sentence in sentences)
        compressed += compression_section.section(run)
        assembled = assembly_section.section(run)
    sections = [
        ("compressed", "Compressed students", compressed),
        ("assemblies", "From the model down", assembled),
    ]
    return [section for section in sections if section[2]]


def _after(run):
    """The sections on how far their ratings can be trusted, which come last."""
    sections = [
        ("replacing", "Ratings by replacing", additivity_section.cells(run)),
        ("additivity", "Do the ratings add up?", additivity_section.additivity(run)),
        ("agreement", "The order with another supernet", additivity_section.agreement(run)),
    ]
    return [section for section in sections if section[2]]


def _header(run):
    is_of_compression = run.is_of_compression()
    intro = paragraph(
        compression_section.INTRO
        if is_of_compression
        else "A trained network, the teacher, was cut into blocks. For each block many small "
        "candidates learnt to imitate the teacher's output (DNA). Every candidate was rated by "
        "how well it does so, and an exact search joined the best ones into students within a "
        "budget. The students were then trained from scratch, without the teacher."
    )
    saved_config = run.config or {}
    teacher = run.teacher or {}
    counts = teacher.get("counts", {})
    shape = teacher.get("image_shape") or [
        *[_at(saved_config, "data", "image_size")] * 2,
        _at(saved_config, "data", "channels"),
    ]
    budgets = _at(saved_config, "search", "budgets") or []
    pairs = [
        ("data", _at(saved_config, "data", "source")),
        ("images", "×".join(map(str, shape)) if None not in shape else None),
        ("classes", teacher.get("num_classes")),
        *(
            (f"{part} images", f"{counts[part]:,}")
            for part in ("train", "rating", "test")
            if part in counts
        ),
        ("teacher", _at(saved_config, "teacher", "model")),
        ("search space", _space_text(run.space)),
        ("training of cells", _counted(_at(saved_config, "supernet", "epochs"), "epoch")),
        *(
            compression_section.facts(run)
            if is_of_compression
            else [
                ("budgets", "; ".join(map(_budget_text, budgets)) or None),
                ("retraining", _retraining_text(saved_config)),
            ]
        ),
        ("seed", saved_config.get("seed")),
    ]
    facts = markup.facts(pairs)
    if run.config is not None:
        listing = markup.text(json.dumps(run.config, indent=2))
        facts += markup.details("the whole config", f"<pre>{listing}</pre>")
    return intro + markup.notes(run, "config") + facts


def _summary(run):
    sentences = control_section.summary(run)
    return "".join(paragraph(sentence, "lead") for sentence in sentences)


def _teacher(run, page_figures):
    parts = [markup.notes(run, "teacher")]
    if run.teacher is not None:
        result = run.teacher
        text = f"{result.get('model')}, {count_cell(result.get('params'))[0]} parameters"
        if result.get("test_accuracy") is not None:
            text += f", test accuracy {percent(result['test_accuracy'])}"
        parts.append(
            paragraph(
                f"{text}. It is cut after the layers listed below; the candidates of a block learn "
                "to reproduce the output there. The parameters of a block lie between its cut and "
                "the one before."
            )
        )
        rows = [
            [f"block {number}", (cut["layer"], "", ""), "×".join(map(str, cut["shape"]))]
            + [count_cell(cut.get("params"))]
            for number, cut in enumerate(result.get("cuts", []), 1)
        ]
        parts.append(markup.table(["block", "layer", "output", "parameters"], rows))
    if run.teacher_epochs:
        figure = figures.training_curves([("teacher", None, run.teacher_epochs)])
        parts += ["<h3>Training loss of the teacher</h3>", page_figures.add("teacher", figure)]
    return "".join(parts)


def _supernet(run, page_figures):
    parts = [markup.notes(run, "supernet")]
    if run.supernet_epochs:
        parts.append(
            paragraph(
                "Mean squared error between a cell's output and the teacher's, over the paths "
                "drawn in training. Blocks differ in scale, so compare only cells of one block."
            )
        )
        parts.append(page_figures.add("supernet", figures.loss_curves(run.supernet_epochs)))
    return "".join(parts)


def _ratings(run, page_figures):
    parts = [markup.notes(run, "ratings")]
    if run.ratings:
        chosen = run.architectures.get(run.chosen())
        text = (
            f"Every path of every cell, rated by {run.metric()}: {_METRIC_TEXTS[run.metric()]}. "
            "A row is one cell, written block.cell and layers × width. Its box contains the "
            "middle half of the paths. Point at a dot for its path."
        )
        if max(map(len, run.ratings.values())) > figures.MOST_POINTS:
            text += (
                f" If a cell has more than {figures.MOST_POINTS} paths, the best "
                f"{figures.MOST_POINTS // 4} and an even sample of the others are drawn."
            )
        parts.append(paragraph(text))
        figure = figures.rating_distribution(run.ratings, run.space, chosen)
        parts.append(page_figures.add("ratings", figure))
        if not run.is_of_compression():  # the costs of students from scratch
            parts.append(_ratings_and_costs(run, chosen))
        heads = ["cell", "layers", "width", "paths", "best", "median", "worst", "best path"]
        rows = [_rating_row(run, b, c, cell) for b, c, cell in run.space.cells()]
        parts.append(markup.details("the same as a table", markup.table(heads, rows)))
    return "".join(parts)


def _ratings_and_costs(run, chosen):
    task = run_data.task(run)
    if task is None:
        return ""
    text = (
        "Each panel is a cell: the rating of its paths against their MACs. The panels of a block "
        "have the same scale of ratings. Orange points are the paths that no path of at most "
        "their MACs beats; the ring marks the chosen path. Many paths are drawn as fields: the "
        "darker, the more paths. τ is Kendall's tau-b. With a τ near −1 the rating orders paths "
        "as their size does, so it adds little to the size."
    )
    panels = rating_plots.panels(run.space, run.ratings, task, chosen)
    return "<h3>Rating against cost</h3>" + paragraph(text) + panels


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
        return markup.note(note.text, note.command)
    architecture = run.architectures[name]
    rows = [
        [row.name, f"{row.size}×{row.size}×{row.width}"]
        + [count_cell(row.params), count_cell(row.macs), rating_cell(row.rating)]
        for row in diagram.block_rows(architecture)
    ]
    costs = architecture.costs()
    total = ["all", "", count_cell(costs["params"]), count_cell(costs["macs"])]
    rows.append([*total, rating_cell(architecture.rating)])
    key = (
        "width of a box: kernel",
        "height: expansion",
        "narrowing: stride 2, halves the resolution",
        "arc: residual connection",
    )
    legend = "".join(f"<span>{text}</span>" for text in key)
    table = markup.table(["part", "output", "parameters", "MACs", "rating"], rows)
    text = (
        f"{name}: {run_data.role(run, name)}. k5e6 is an MBConv with a 5×5 kernel that expands "
        "its width 6 times."
    )
    svg = diagram.student_svg(architecture)
    return (
        paragraph(text)
        + f'<div class="columns"><div><div class="scroll">{svg}</div></div>'
        + f'<div>{table}<p class="soft key">{legend}</p></div></div>'
    )


def _maps(maps):
    if not maps:
        note = run_data.missing(
            "maps",
            "Feature maps need a trained teacher, a trained supernet and a searched student.",
        )
        return markup.note(note.text, note.command)
    parts = [
        paragraph(
            "The output of the teacher at each cut, and that of the chosen path of the supernet, "
            "for the channels in which the teacher varies most. Both maps of a pair share one "
            "colour scale."
        )
    ]
    for entry in maps:
        shape = "×".join(map(str, entry["teacher"].shape[1:]))
        rating = "" if entry["rating"] is None else f", rating {entry['rating']:.4f}"
        head = f"block {entry['block']}: {entry['layer']}, {shape}{rating}"
        parts.append(f"<h3>{markup.text(head)}</h3>")
        parts.append(map_images.maps_html(entry))
    return "".join(parts)


def _at(saved_config, section, field):
    return saved_config.get(section, {}).get(field)


def _space_text(space):
    if space is None:
        return None
    return f"{space.name}: {formatting.large_count(space.num_architectures())} architectures"


def _budget_text(budget):
    return run_data.limits_in_words(budget)


def _counted(number, unit):
    return None if number is None else f"{number} {unit}{'' if number == 1 else 's'}"


def _retraining_text(saved_config):
    epochs, seeds = _at(saved_config, "retrain", "epochs"), _at(saved_config, "retrain", "seeds")
    return None if None in (epochs, seeds) else f"{epochs} epochs, {_counted(seeds, 'seed')}"
