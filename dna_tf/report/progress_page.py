"""The page of ratings during the training of the cells (DNA Figure 6)."""

from dna_tf.common import rank_correlation
from dna_tf.report import markup, run_data, scatter_plot
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import accuracy_cell, count_cell, percent, rating_cell, signed

_NAN = float("nan")


def page_html(result):
    """The page of the content of `progress/progress.json`, as text; it has no times.

    Args:
        result: the content, a dict.

    Returns:
        HTML that loads nothing.
    """
    limits = run_data.limits_in_words(result["limits"]) or "none"
    facts = markup.facts(
        [
            ("space", result["space"]),
            ("rating", result["metric"]),
            ("limits", limits),
            ("networks that are ordered", f"{result['drawn']:,}"),
        ]
    )
    header = paragraph(
        "The cells were copied while they trained. Each copy was rated and searched under the "
        "same limits. As in Figure 6 of DNA, the accuracy of the winners stands beside the "
        "training; the other curves need no training of students. The first point is of "
        "untrained cells."
    )
    sections = [
        ("curves", "Curves over epochs", _curves(result)),
        ("points", "The same as a table", _table(result)),
    ]
    title = "Ratings during the training of the cells"
    return markup.page(title, header + facts, sections, "", scatter_plot.STYLE)


def _curves(result):
    points = result["points"]
    training = list(enumerate(result["training"], 1))
    panels = [
        _panel("relative L1 of the cells", [("entry", "front", training, "")]),
        _panel("τ with the final ratings", [
            ("entry", "front", [(p["epochs"], p["tau"][0]) for p in points], "all blocks"),
        ], [p["tau"][1:] for p in points]),
        _panel("final rating of the winner", [
            ("network", "even", [(p["epochs"], p["random"]) for p in points], "random ones"),
            ("entry", "front", [(p["epochs"], p["rating"]) for p in points], "winner"),
        ]),
        _panel("test accuracy of the winner", [
            ("student", "slope", [(p["epochs"], _mean(p["accuracies"])) for p in points], ""),
        ], text=percent),
    ]  # fmt: skip
    note = (
        "Relative L1 is measured on held-out images over drawn paths, mean over cells. τ is "
        "Kendall's tau-b over networks drawn uniformly, with 95 % bootstrap intervals. Grey: the "
        "mean of drawn networks of the winner's MACs, with a lower rating being better."
    )
    return f'<div class="plots">{"".join(panels)}</div>' + paragraph(note, "soft")


def _panel(title, series, intervals=None, text="{:.4g}".format):
    """A figure of curves over epochs; values that are `None` are left out."""
    points, lines = [], []
    for look, line_look, pairs, label in series:
        places = [(x, y) for x, y in pairs if y is not None]
        lines.append(scatter_plot.Line(line_look, tuple(places)))
        for n, (x, y) in enumerate(pairs):
            if y is not None:
                ends = intervals[n] if intervals and None not in intervals[n] else None
                hover = f"{label or title} after {x} epochs: {text(y)}"
                points.append(scatter_plot.Point(x, y, look, hover, interval=ends, radius=3.5))
    if not points:
        return ""
    drawn = scatter_plot.svg(
        points,
        [line for line in lines if len(line.corners) > 1],
        scatter_plot.Axis("epochs", text="{:g}".format),
        scatter_plot.Axis(title, text=text),
        f"{len(points)} points",
    )
    return scatter_plot.figure(drawn, title)


def _table(result):
    heads = ["epochs", "τ with the final", "mean τ of cells", "winner", "its final rating"]
    heads += ["random ones", "MACs", "parameters", "accuracy"]
    rows = []
    for point in result["points"]:
        ends = (_NAN if end is None else end for end in point["tau"])
        cells_tau = _NAN if point["cells_tau"] is None else point["cells_tau"]
        rows.append(
            [
                str(point["epochs"]),
                rank_correlation.Interval(*ends).text(),
                signed(cells_tau),
                (point["winner"], point["blocks"], ""),
                rating_cell(point["rating"]),
                (rating_cell(point["random"]), f"{point['randoms']} networks", ""),
                count_cell(point["macs"]),
                count_cell(point["params"]),
                accuracy_cell(point["accuracies"], "training"),
            ]
        )
    return markup.table(heads, rows, "wide")


def _mean(values):
    return sum(values) / len(values) if values else None
