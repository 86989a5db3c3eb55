"""The HTML page of an evaluation: accuracy, confusion plot, worst classes."""

import math

from dna_tf.common import statistics
from dna_tf.evaluation import confusion
from dna_tf.report import markup
from dna_tf.report.number_text import percent

# With more classes, a row of the plot is a group of neighbouring classes.
_MOST_ROWS = 100
_MOST_NAMED = 40  # with more rows, their names are not written beside them
_SIDE = 640  # of the plot, in its own units


def page_html(result):
    """The page of the result of an evaluation, as text; it contains no times."""
    total = result["test_images"]
    facts = [
        ("model", result["model"]),
        ("images", f"{total:,} of {result['data']}"),
        ("classes", f"{result['num_classes']:,}"),
        ("top-1", _share(result["test_correct"], total)),
        (
            "top-5",
            None if result["top5_correct"] is None else _share(result["top5_correct"], total),
        ),
        *((name.replace("_", " "), _text(value)) for name, value in result["settings"].items()),
        ("weights", result["model_fingerprint"]),
        ("data", result["data_fingerprint"]),
    ]
    header = "".join(markup.note(text) for text in result["warnings"])
    header += markup.facts(facts)
    sections = [
        ("confusion", "Confusion matrix", _plot(result)),
        ("pairs", "Most confused", _pairs(result)),
        ("classes", "Worst classes", _classes(result)),
    ]
    return markup.page(f"Evaluation of {result['model']}", header, sections, "")


def _share(correct, total):
    low, high = statistics.wilson(correct, total)
    share = percent(correct / total)
    return f"{share} (95 % interval {100 * low:.2f} to {100 * high:.2f} %)"


def _text(value):
    return None if value in ("", None) else str(value)


def _plot(result):
    """The confusion matrix as SVG: rows are classes, columns answers."""
    classes = result["num_classes"]
    group = math.ceil(classes / _MOST_ROWS)
    rows = math.ceil(classes / group)
    cells, totals = {}, [0] * rows
    for label, row in result["confusion"].items():
        for answer, count in row.items():
            place = int(label) // group, int(answer) // group
            cells[place] = cells.get(place, 0) + count
            totals[place[0]] += count
    step = _SIDE / rows
    labelled = result["class_names"] is not None and group == 1 and rows <= _MOST_NAMED
    left = 8 * max(map(len, result["class_names"])) + 12 if labelled else 8
    shapes = []
    for (row, column), count in sorted(cells.items()):
        share = count / totals[row]
        colour = "var(--accent)" if row == column else "#d97a1f"
        about = (
            f"{_group(result, row, group)} taken for {_group(result, column, group)}: {count} of "
            f"{totals[row]}"
        )
        shapes.append(
            f'<rect x="{left + column * step:.2f}" y="{row * step:.2f}" width="{step:.2f}" '
            f'height="{step:.2f}" fill="{colour}" fill-opacity="{0.15 + 0.85 * share:.2f}">'
            f"<title>{markup.text(about)}</title></rect>"
        )
    for row in range(rows if labelled else 0):
        name = markup.text(_group(result, row, group))
        shapes.append(
            f'<text x="{left - 6}" y="{(row + 0.5) * step + 4:.1f}" text-anchor="end" '
            f'font-size="12" fill="currentColor">{name}</text>'
        )
    frame = (
        f'<rect x="{left}" y="0" width="{_SIDE}" height="{_SIDE}" fill="none" '
        'stroke="currentColor" stroke-opacity="0.4"/>'
    )
    legend = (
        "Rows are the classes of the images, columns the answers. The colour of a cell is as "
        "strong as its share of the row, and blue where the answer is right. Hover over a cell for "
        "its numbers."
    )
    if group > 1:
        legend += (
            f" Each row and each column is a group of {group} neighbouring classes, so blue also "
            "counts images that are taken for a class of the same group."
        )
    return (
        markup.paragraph(legend, "soft")
        + f'<svg viewBox="0 0 {left + _SIDE} {_SIDE}" role="img" aria-label="confusion matrix" '
        f'style="width:100%;max-width:820px;height:auto">{"".join(shapes)}{frame}</svg>'
    )


def _group(result, index, group):
    first = index * group
    last = min(first + group, result["num_classes"]) - 1
    if first == last:
        return confusion.class_label(result, first)
    return f"{confusion.class_label(result, first)} to {confusion.class_label(result, last)}"


def _pairs(result):
    pairs = confusion.confused_pairs(result["confusion"], 20)
    if not pairs:
        return markup.paragraph("Every answer is right.")
    rows = [
        [
            confusion.class_label(result, a),
            confusion.class_label(result, b),
            f"{n:,}",
            f"{of:,}",
            percent(n / of),
        ]
        for a, b, n, of in pairs
    ]
    heads = ["class", "taken for", "images", "of", "share"]
    return markup.table(heads, rows)


def _classes(result):
    worst = confusion.worst_classes(result["per_class"], 20)
    if not worst:
        return markup.paragraph("No class has a mistake.")
    rows = []
    for label, right, count in worst:
        low, high = statistics.wilson(right, count)
        interval = f"{100 * low:.1f} to {100 * high:.1f} %"
        share = percent(right / count)
        rows.append(
            [confusion.class_label(result, label), f"{right:,}", f"{count:,}", share, interval]
        )
    return markup.table(["class", "right", "images", "accuracy", "95 % Wilson"], rows)
