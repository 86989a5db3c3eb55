"""The plotly figures of the report: curves, ratings of paths, and the Pareto front.

The page sets the colours of text, grid and background when it draws, so that one figure
serves light and dark screens. Text from files is escaped here, because plotly interprets some
HTML in labels.
"""

import html

import numpy as np
import plotly.graph_objects as go

from dna_tf.common import formatting
from dna_tf.space import spaces

# Distinguishable on light and dark backgrounds: Okabe and Ito's hues in medium tones.
COLORS = ("#2f7fc1", "#d97a1f", "#2f9e73", "#b8539a", "#8a6fd1", "#c2514a", "#8d8a2b", "#3aa0ac")
_DASHES = ("solid", "dash", "dot", "dashdot")
MOST_POINTS = 400  # most paths of a cell that are drawn as points
_MOST_ENTRIES = 2000  # most entries of a front that are drawn


def loss_curves(epochs):
    """Draws the loss of each cell over epochs: a colour for each block, a dash for each cell.

    Args:
        epochs: for each epoch a dict from cell name, such as `"block1_cell1"`, to loss.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    figure = _figure("epoch", "mean squared error", height=380)
    names = sorted({name for epoch in epochs for name in epoch}, key=_cell_key)
    for name in names:
        block, cell = _cell_key(name)[:2]
        figure.add_scatter(
            x=list(range(1, len(epochs) + 1)),
            y=[epoch.get(name) for epoch in epochs],
            name=html.escape(name.replace("_", " ")),
            mode="lines+markers" if len(epochs) == 1 else "lines",
            line={"color": _color(block - 1), "dash": _DASHES[(cell - 1) % len(_DASHES)]},
            hovertemplate="%{fullData.name}<br>epoch %{x}: %{y:.4g}<extra></extra>",
        )
    values = [value for epoch in epochs for value in epoch.values() if value and value > 0]
    narrow = bool(values) and max(values) < 1000 * min(values)
    # Labels at 1, 2 and 5 times each power of ten; over a wide range at the powers only.
    figure.update_yaxes(type="log", tickformat="~g", dtick="D2" if narrow else 1)
    return figure


def training_curves(trainings):
    """Draws the loss of several trainings over epochs; all seeds of a name share a colour.

    Args:
        trainings: `(name, seed, epochs)` for each; `epochs` is a list of dicts.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    figure = _figure("epoch", "loss", height=320)
    names = list(dict.fromkeys(name for name, _, _ in trainings))
    in_legend = set()
    for name, seed, epochs in trainings:
        label = html.escape(name)
        seed_text = "" if seed is None else f", seed {seed}"
        figure.add_scatter(
            x=list(range(1, len(epochs) + 1)),
            y=[epoch.get("loss") for epoch in epochs],
            name=label,
            legendgroup=label,
            showlegend=name not in in_legend and len(names) > 1,
            mode="lines",
            line={"color": _color(names.index(name)), "width": 1.5},
            hovertemplate=f"{label}{seed_text}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        in_legend.add(name)
    return figure


def rating_distribution(cell_ratings, space, chosen=None):
    """Draws the ratings of all paths, a row for each cell: quartiles, paths, best and chosen path.

    Quartiles are those of all paths. If a cell has many paths, the best ones and an even sample
    of the others are drawn as points.

    Args:
        cell_ratings: `cell_ratings[block, cell]`, a float array with one rating per path.
        space: the `spaces.SearchSpace`.
        chosen: an `architectures.Architecture` whose paths are marked, or `None`.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    rows = list(space.cells())
    figure = _figure("rating (lower is better)", "", 110 + 44 * len(rows))
    best, marked = [], []
    for row, (b, c, _) in enumerate(rows):
        values = np.asarray(cell_ratings[b, c])
        low, q1, median, q3, high = np.quantile(values, (0, 0.25, 0.5, 0.75, 1))
        figure.add_box(
            y=[row], q1=[q1], median=[median], q3=[q3], lowerfence=[low], upperfence=[high],
            orientation="h", line={"color": _color(b), "width": 1.2}, width=0.62,
            fillcolor=_faint(b), hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        order = np.argsort(values, kind="stable")
        ranks = _ranks_to_draw(len(order))
        figure.add_scatter(
            x=values[order[ranks]],
            # The golden ratio spreads neighbours over the height of the row.
            y=row + 0.46 * ((np.arange(len(ranks)) * 0.6180339887) % 1 - 0.5),
            text=[_path_text(space, b, c, order[rank], rank, len(order)) for rank in ranks],
            mode="markers",
            marker={"color": _color(b), "size": 5, "opacity": 0.55},
            hovertemplate="%{text}<br>rating %{x:.4f}<extra></extra>",
            showlegend=False,
        )
        best.append((values[order[0]], row, _path_text(space, b, c, order[0], 0, len(order))))
        if chosen is not None and b < len(chosen.blocks) and chosen.blocks[b].cell == c:
            index = space.path_index(b, c, chosen.blocks[b].path)
            rank = int(np.flatnonzero(order == index)[0])
            text = _path_text(space, b, c, index, rank, len(order))
            marked.append((values[index], row, text))
    _add_marks(figure, "best path of the cell", best, "diamond", 11, "%{text}")
    if marked:
        name = f"path in {html.escape(chosen.name)}"
        _add_marks(figure, name, marked, "circle-open", 17, f"{name}<br>%{{text}}")
    names = [f"{b + 1}.{c + 1}  {cell.layers} × {cell.width}" for b, c, cell in rows]
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=names, range=[len(rows) - 0.4, -0.6],
        showgrid=False, zeroline=False,
    )  # fmt: skip
    return figure


def pareto_front(entries, networks, budgets=()):
    """Draws rating against MACs: the front, single networks, and limits as vertical lines.

    The `customdata` of a point is its index in the list `[*entries, *networks]`.

    Args:
        entries: dicts with `rating`, `costs` and `blocks` (text), best rating first.
        networks: dicts with the same keys, and `name` and `role`.
        budgets: largest allowed MACs.

    Returns:
        A `plotly.graph_objects.Figure`. Its last trace is empty; the page uses it to mark the
        selected point.
    """
    figure = _figure("MACs", "rating (lower is better)", height=460)
    step = -(-len(entries) // _MOST_ENTRIES) or 1
    kept = list(range(0, len(entries), step))
    figure.add_scatter(
        x=[entries[i]["costs"]["macs"] for i in kept],
        y=[entries[i]["rating"] for i in kept],
        text=[_architecture_text(entries[i]) for i in kept],
        customdata=kept,
        name="Pareto front",
        mode="lines+markers" if len(kept) < 300 else "lines",
        # A step: between two entries the better rating is not affordable yet.
        line={"color": COLORS[0], "width": 1.5, "shape": "vh"},
        marker={"size": 7},
        hovertemplate="%{text}<extra></extra>",
    )
    styles = {"searched": ("star", 17, COLORS[1]), "control": ("x", 12, COLORS[3])}
    styles["published"] = ("diamond-open", 12, COLORS[2])
    for role in dict.fromkeys(network["role"] for network in networks):
        symbol, size, color = styles.get(role, ("square", 11, COLORS[2]))
        indices = [i for i, network in enumerate(networks) if network["role"] == role]
        figure.add_scatter(
            x=[networks[i]["costs"]["macs"] for i in indices],
            y=[networks[i]["rating"] for i in indices],
            text=[_architecture_text(networks[i]) for i in indices],
            customdata=[len(entries) + i for i in indices],
            name=html.escape(role),
            mode="markers",
            marker={
                "symbol": symbol,
                "size": size,
                "color": color,
                "line": {"width": 2 * symbol.endswith("open")},
            },
            hovertemplate="%{text}<extra></extra>",
        )
    for macs in sorted(set(budgets)):
        figure.add_vline(
            x=macs, line={"width": 1, "dash": "dot", "color": "#8a8f98"},
            annotation={"text": f"≤ {formatting.format_count(macs)}", "textangle": -90},
            annotation_font_size=11, annotation_position="top left",
        )  # fmt: skip
    figure.add_scatter(
        x=[], y=[], mode="markers", hoverinfo="skip", showlegend=False,
        marker={"symbol": "circle-open", "size": 24, "line": {"width": 2.5}, "color": COLORS[5]},
    )  # fmt: skip
    figure.update_xaxes(tickformat="~s", nticks=7)
    return figure


def to_json(figure):
    """A figure as JSON text that may stand inside a `<script>` element."""
    return figure.to_json().replace("<", "\\u003c")


def _figure(x_title, y_title, height):
    return go.Figure(
        layout={
            "template": {},  # plotly's template adds 7 kB to each figure and sets page colours
            "height": height,
            "margin": {"l": 12, "r": 12, "t": 24, "b": 12, "pad": 4},
            "xaxis": {"title": {"text": x_title}, "automargin": True, "zeroline": False},
            "yaxis": {"title": {"text": y_title}, "automargin": True, "zeroline": False},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hovermode": "closest",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
        }
    )


def _add_marks(figure, name, marks, symbol, size, template):
    figure.add_scatter(
        x=[mark[0] for mark in marks],
        y=[mark[1] for mark in marks],
        text=[mark[2] for mark in marks],
        name=name,
        mode="markers",
        # The page draws traces with meta "ink" in the colour of its text.
        meta="ink",
        marker={"symbol": symbol, "size": size, "line": {"width": 2}},
        hovertemplate=f"{template}<br>rating %{{x:.4f}}<extra></extra>",
    )


def _ranks_to_draw(count):
    if count <= MOST_POINTS:
        return np.arange(count)
    best = np.arange(MOST_POINTS // 4)
    others = np.linspace(len(best), count - 1, MOST_POINTS - len(best)).astype(int)
    return np.concatenate([best, others])


def _path_text(space, block, cell, index, rank, count):
    ops = spaces.text(space, block, cell, index)
    name = spaces.cell_name(block, cell).replace("_", " ")
    return f"{name}: <b>{ops}</b><br>rank {rank + 1} of {count:,}"


def _architecture_text(entry):
    lines = [f"<b>{html.escape(entry['name'])}</b>"] if "name" in entry else []
    costs = ", ".join(
        f"{formatting.format_count(entry['costs'][name])} {text}"
        for name, text in (("macs", "MACs"), ("params", "parameters"))
        if name in entry["costs"]
    )
    lines.append(f"rating {entry['rating']:.4f}, {costs}")
    lines += [html.escape(entry["note"])] if "note" in entry else []
    return "<br>".join([*lines, *html.escape(entry["blocks"]).split(" | ")])


def _cell_key(name):
    """A key that sorts `block2_cell10` after `block2_cell9`; other names come last."""
    block, _, cell = name.removeprefix("block").partition("_cell")
    if block.isdigit() and cell.isdigit():
        return int(block), int(cell), name
    return 10**6, 1, name


def _color(index):
    return COLORS[index % len(COLORS)]


def _faint(index):
    color = _color(index)
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"
