"""The report's sections on how far ratings can be trusted: do they add up, and do they repeat.

Random networks show whether sums of ratings order networks as what they really lose. A second
supernet shows how far the order of a cell's paths is more than chance. The gap between training
and rating images shows cells that have learnt their images by heart.
"""

import numpy as np

from dna_tf.common import formatting
from dna_tf.report import compression_data, markup, rating_plots, scatter_plot
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import rating_cell, signed
from dna_tf.space import part_costs, spaces

_WORDS = {
    "relative_l1": "relative L1",
    "mse": "squared error",
    "noise_to_signal": "noise to signal",
    compression_data.KL: "divergence, by replacing",
    "macs": "MACs alone",
    "params": "parameters alone",
}


def additivity(run):
    """The section on additivity, as HTML; `""` without its results."""
    result = None if run.compression is None else run.compression.additivity
    if result is None:
        return ""
    text = (
        f"{len(result.networks):,} networks were drawn at random, put together without training, "
        f"and compared with the model on {result.rating_images:,} rating images. Each panel has "
        "the sum of one rating against the divergence that was measured. τ is Kendall's tau-b: 1 "
        "if the sums order the networks as what they lose, 0 for no relation; its 95 % interval "
        "is a bootstrap over networks. MACs and parameters alone are the baselines: more of "
        "them, less lost."
    )
    figures = "".join(_panel(result, order) for order in result.orders)
    rows = [
        [
            _words(order.score),
            signed(order.tau),
            f"{signed(order.low)} to {signed(order.high)}",
            "" if order.slope is None else f"{order.slope:.2f}",
        ]
        for order in result.orders
    ]
    table = markup.table(["score", "τ with what was measured", "95 % interval", "slope"], rows)
    note = (
        "Slope: measured divergence over the sum of ratings; 1 if ratings add up, below 1 if a "
        "network loses less than the sum. The orange line has this slope, the dashed one is 1."
    )
    return (
        paragraph(text)
        + f'<div class="plots">{figures}</div>'
        + markup.details("the same as a table", table)
        + paragraph(note, "soft")
    )


def agreement(run):
    """The section on further supernets, as HTML; `""` without their results."""
    parts = []
    for result in run.compression.agreements if run.compression is not None else ():
        one, other = result.seeds
        names = list(result.cells[0][2])
        rows = [
            [cell.replace("_", " "), f"{paths:,}", *(_tau(taus, ends, name) for name in names)]
            for (cell, paths, taus), ends in zip(result.cells, result.intervals, strict=True)
        ]
        means = [np.mean([taus[name] for *_, taus in result.cells]) for name in names]
        rows.append(["mean of the cells", "", *map(signed, means)])
        parts.append(f"<h3>Seeds {one} and {other}</h3>")
        heads = ["cell", "paths", *map(_words, names)]
        parts.append(markup.table(heads, rows, "wide", [len(rows) - 1]))
    if not parts:
        return ""
    text = (
        "The cells were trained once more with another seed and rated in the same way. Kendall's "
        "tau-b between both ratings of a cell, +1 for the same order: a rating can hardly agree "
        "better with the truth than with itself, so this is the ceiling of what its order can "
        "mean. Below each is its 95 % interval, a bootstrap over paths. MACs and parameters alone "
        "are the baselines: how the first rating of the run orders paths as their size does, more "
        "of it, the better. A cell of few paths has few values that τ can take."
    )
    return paragraph(text) + "".join(parts)


def _tau(taus, intervals, name):
    """A table cell of a tau, with its interval below if there is one."""
    if name not in intervals:
        return signed(taus[name])
    low, high = intervals[name]
    return signed(taus[name]), f"{signed(low)} to {signed(high)}", ""


def cells(run):
    """The section on cells: ratings by replacing, and their distance on other images, as HTML."""
    compression = run.compression
    if compression is None or not compression.replaced:
        return ""
    rows, gaps = [], _gaps(run)
    for (b, c), cell in compression.replaced.items():
        shape = run.space.blocks[b].cells[c]
        best, median = float(cell.kl.min()), float(np.median(cell.kl))
        measured = int(cell.measured.sum())
        spread = cell.spread[int(cell.kl.argmin())]
        error = (f"{cell.fit_error:.4f}", "", "") if measured < len(cell.kl) else "–"
        row = [
            (spaces.cell_name(b, c).replace("_", " "), f"{shape.layers} × {shape.width}", ""),
            (f"{len(cell.kl):,}", f"{measured:,} measured", ""),
            (f"{best:.4f}", "" if np.isnan(spread) else f"spread {spread:.4f}", repr(best)),
            f"{median:.4f}",
            error,
        ]
        if gaps:
            training, rating = gaps.get((b, c), (None, None))
            ratio = f"{rating / training:.2f}" if training and rating is not None else "–"
            row += [rating_cell(training), rating_cell(rating), ratio]
        rows.append(row)
    heads = ["cell", "paths", "best, nats", "median, nats", "error of the fit"]
    text = (
        "What the model loses with a path of the cell in its block's place, on the rating images. "
        "Spread is the standard deviation between batches of rating images. Where a cell has many "
        "paths, some were measured and the others fitted on their local rating; the error of the "
        "fit is in nats."
    )
    if gaps:
        heads += ["squared error, training", "rating images", "ratio"]
        text += (
            " Squared error of the maps: over the paths drawn in the last epoch on training "
            "images, and over all paths on rating images. A ratio well above 1 says that the cell "
            "has too few images: it knows them by heart. Both are not measured alike: training "
            "images are augmented, and cells still improved during the epoch."
        )
    return paragraph(text) + markup.table(heads, rows, "wide") + _panels(run)


def _panels(run):
    """The ratings by replacing of every path against its MACs; `""` without a student."""
    compression = run.compression
    if not compression.students:
        return ""
    shapes, costs, marked = compression.students[0].assembly.teacher.shapes, {}, {}
    for b, c in compression.replaced:
        costs[b, c] = part_costs.all_path_costs(run.space, b, c, shapes)
        chosen = [s.assembly.parts[b].path for s in compression.students if s.has(b, c)]
        marked[b, c] = sorted({run.space.path_index(b, c, path) for path in chosen})
    kl = {key: cell.kl for key, cell in compression.replaced.items()}
    text = (
        "Each panel is a cell: the rating of its paths, in nats, against their MACs in the model's "
        "place. The panels of a block have the same scale. Orange points are the paths that no "
        "path of at most their MACs beats; rings mark the paths of the students. τ is Kendall's "
        "tau-b: near −1 the rating orders paths as their size does, and adds little to it."
    )
    return (
        "<h3>Rating against cost</h3>"
        + paragraph(text)
        + rating_plots.panels_of(run.space, kl, costs, marked)
    )


def _gaps(run):
    """`(training, rating)` by `(block, cell)`: mean squared error of a cell; empty if unknown."""
    gaps = {}
    for (b, c), values in run.compression.mse.items():
        name = spaces.cell_name(b, c)
        losses = [epoch[name] for epoch in run.supernet_epochs if name in epoch]
        if losses:
            gaps[b, c] = float(losses[-1]), float(np.mean(values))
    return gaps


def _panel(result, order):
    """Sums of one rating, or a cost, against what was measured."""
    is_cost = order.score in compression_data.COSTS
    points, lines = [], []
    for network in result.networks:
        value = getattr(network, order.score) if is_cost else network.sums[order.score]
        if value is None:
            continue
        amount = formatting.format_count(value) if is_cost else f"{value:.4f}"
        hover = f"{network.assembly}: {_words(order.score)} {amount}, measured {network.kl:.4f}"
        points.append(scatter_plot.Point(value, network.kl, "network", hover, radius=3.2))
    if not points:
        return ""
    most = 1.08 * max(network.kl for network in result.networks) or 1.0
    across = None
    if order.score == compression_data.KL:
        last = 1.08 * max(point.x for point in points) or 1.0
        across = (0.0, last)
        lines.append(scatter_plot.Line("even dashed", ((0.0, 0.0), (last, last))))
        if order.slope is not None:
            lines.append(scatter_plot.Line("slope", ((0.0, 0.0), (last, order.slope * last))))
    title = compression_data.COSTS[order.score] if is_cost else f"sum of {_words(order.score)}"
    text = formatting.format_count if is_cost else "{:g}".format
    drawn = scatter_plot.svg(
        points,
        lines,
        scatter_plot.Axis(title, across, text),
        scatter_plot.Axis("measured divergence, nats", (0.0, most), "{:g}".format),
        f"{len(points)} networks",
    )
    interval = f"95 % interval {signed(order.low)} to {signed(order.high)}"
    slope = "" if order.slope is None else f"; slope {order.slope:.2f}"
    return scatter_plot.figure(
        drawn, _words(order.score), f"τ {signed(order.tau)}, {interval}{slope}"
    )


def _words(score):
    return _WORDS.get(score, score.replace("_", " "))
