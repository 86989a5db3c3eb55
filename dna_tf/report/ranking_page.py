"""The page of a ranking: scores against the accuracies of random networks (DNA Figure 4)."""

from dna_tf.common import formatting, rank_correlation, statistics
from dna_tf.report import markup, scatter_plot
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import accuracy_cell, count_cell, percent, rating_cell

# Title of an axis, field of a network.
_PANELS = (
    ("rating (lower is better)", "rating"),
    ("rating of untrained cells", "untrained"),
    ("MACs", "macs"),
    ("parameters", "params"),
)


def page_html(result):
    """The page of the content of a ranking's file, as text; it has no times.

    Args:
        result: the content, a dict as `ranking/SET.json` has it.

    Returns:
        HTML that loads nothing.
    """
    facts = markup.facts(
        [
            ("space", result["space"]),
            ("networks", f"{len(result['networks'])}"),
            ("rating", result["metric"]),
            ("trainings of each", f"{result['seeds']}"),
            ("test images", f"{result['test_images']:,}"),
        ]
    )
    header = paragraph(
        f"{result['draw']}, before anything was rated. Each was trained alone, and its accuracy "
        "stands against the sum of the ratings of its paths, as in Figure 4 of DNA. The paper "
        "prints no number; it has 16 networks of its 18-layer space on ImageNet."
    )
    sections = [
        ("figure", "Scores against accuracy", _figure(result)),
        ("order", "How well each score orders the networks", _order(result)),
        ("networks", "The networks", _networks(result)),
    ]
    title = f"Ratings against accuracy: {result['name']}"
    return markup.page(title, header + facts, sections, "", scatter_plot.STYLE)


def _figure(result):
    networks, panels = result["networks"], []
    for title, field in _PANELS:
        if networks[0][field] is None:
            continue
        text = formatting.format_count if field in ("macs", "params") else "{:.4g}".format
        drawn = scatter_plot.svg(
            [_point(network, field, result["test_images"]) for network in networks],
            [],
            scatter_plot.Axis(title, text=text),
            scatter_plot.Axis("test accuracy", text=lambda share: f"{100 * share:.4g} %"),
            f"{len(networks)} networks",
        )
        panels.append(scatter_plot.figure(drawn, title))
    bars = (
        "Bars reach from the lowest to the highest training of a network."
        if result["seeds"] > 1
        else "Bars are 95 % intervals of one training on these test images."
    )
    return f'<div class="plots">{"".join(panels)}</div>' + paragraph(bars, "soft")


def _point(network, field, images):
    accuracies = network["accuracies"]
    mean = sum(accuracies) / len(accuracies)
    interval = (min(accuracies), max(accuracies))
    if len(accuracies) == 1:
        interval = statistics.wilson(round(mean * images), images)
    hover = f"{network['name']}: {percent(mean)}, {network['blocks']}"
    return scatter_plot.Point(network[field], mean, "entry", hover, interval=interval, radius=4.0)


def _order(result):
    heads = ["score", "τ-b", "Spearman", "Pearson", "pairs right at equal MACs"]
    rows = []
    for row in result["rows"]:
        band = row["bands"].get("macs")
        pairs = "–" if band is None else f"{band['right']} of {band['pairs']}"
        rows.append(
            [
                row["score"],
                *(_interval(row[name]) for name in ("tau", "spearman", "pearson")),
                pairs,
            ]
        )
    controls = [row["score"] for row in result["rows"][1:]]
    score = result["rows"][0]
    partial = [
        [name, _interval(score["ahead"][name]), _interval(score["partial"][name])]
        for name in controls
        if name in score["partial"]
    ]
    text = (
        "Kendall's tau-b and two other correlations with the accuracy, with 95 % bootstrap "
        "intervals over networks. The rows below the rating are controls: a rating that orders as "
        "they do tells nothing more than they. More MACs, parameters and expanded layers count as "
        "better. Equal MACs are within 3 %."
    )
    return (
        paragraph(text)
        + markup.table(heads, rows, chosen=(0,))
        + "<h3>The rating against each control</h3>"
        + markup.table(["control", "τ ahead of it", "τ with it taken out"], partial)
        + "".join(markup.note(left) for left in result["left_out"])
        + markup.details("as printed", f"<pre>{markup.text(chr(10).join(result['lines']))}</pre>")
    )


def _networks(result):
    best_first = sorted(result["networks"], key=lambda network: network["rating"])
    rows = [
        [
            (network["name"], network["blocks"], ""),
            rating_cell(network["rating"]),
            rating_cell(network["untrained"]),
            accuracy_cell(network["accuracies"], "training"),
            count_cell(network["macs"]),
            count_cell(network["params"]),
        ]
        for network in best_first
    ]
    heads = ["network", "rating", "untrained", "accuracy", "MACs", "parameters"]
    return markup.table(heads, rows, "wide")


def _interval(ends):
    value, low, high = (float("nan") if end is None else end for end in ends)
    return rank_correlation.Interval(value, low, high).text()
