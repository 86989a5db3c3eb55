"""The page of a table of experiments, with the published table beside it (DNA Tables 4 and 5)."""

from dna_tf.common import formatting
from dna_tf.report import markup, run_data
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import accuracy_cell, count_cell, percent, rating_cell
from dna_tf.space import published_tables

_NOTE = (
    "A difference between two rows is worth no more than the spread of seeds, and rows of other "
    "sizes differ in size too: compare each row with the random networks of its own MACs."
)


def page_html(result):
    """The page of the content of `matrix.json`, as text; it has no times.

    Args:
        result: the content, a dict.

    Returns:
        HTML that loads nothing.
    """
    sections = [("measured", f"Measured here on {result['data']}", _measured(result))]
    if result["teachers"]:
        sections.append(("teachers", "The teachers, measured here", _teachers(result)))
    published = result["published"]
    if published:
        source = published_tables.SOURCES[published]
        sections.append(
            ("published", "Published, not measured here", _published(published, source))
        )
    header = paragraph(
        "Each row is a run with its own cells, ratings and search; rows with equal changes share "
        "them. Students are trained from scratch."
    )
    return markup.page("A table of experiments", header, sections, "")


def _measured(result):
    rows = []
    for row in result["rows"]:
        rows.append(
            [
                (row["name"], _words(row), row["blocks"]),
                count_cell(row["params"]),
                count_cell(row["macs"]),
                rating_cell(row["rating"]),
                accuracy_cell(row["accuracies"], "training"),
                accuracy_cell(row["controls"], "training"),
            ]
        )
    heads = ["row", "parameters", "MACs", "rating", "accuracy", "random, of its MACs"]
    notes = [f"{row['name']}: {row['note']}" for row in result["rows"] if row["note"]]
    return (
        markup.table(heads, rows, "wide")
        + paragraph(_NOTE, "soft")
        + "".join(markup.note(text) for text in notes)
    )


def _teachers(result):
    rows = [
        [
            (teacher["model"], f"first of row {teacher['row']}", ""),
            count_cell(teacher["params"]),
            count_cell(teacher["macs"]),
            percent(teacher["test_accuracy"]),
        ]
        for teacher in result["teachers"]
    ]
    return markup.table(["teacher", "parameters", "MACs", "accuracy"], rows)


def _published(name, source):
    rows = [
        [row.name, formatting.format_count(row.params), f"{row.top1:g} %", f"{row.top5:g} %"]
        for row in published_tables.TABLES[name]
    ]
    table = markup.table(["published row", "parameters", "top-1", "top-5"], rows)
    return paragraph(source) + table


def _words(row):
    """What a row changes, and its limits."""
    parts = [f"{name}={value}" for name, value in row["changes"].items()]
    parts = [part if len(part) <= 60 else f"{part[:57]}..." for part in parts]
    if row["limits"]:
        parts.append(run_data.limits_in_words(row["limits"]))
    return ", ".join(parts)


def lines(result):
    """The lines that print the measured rows, the teachers, and apart from them published rows."""
    texts = [["row", "params", "MACs", "rating", "accuracy", "random, of its MACs"]]
    for row in result["rows"]:
        texts.append(
            [
                row["name"],
                formatting.format_count(row["params"]),
                formatting.format_count(row["macs"]),
                rating_cell(row["rating"]),
                accuracy_cell(row["accuracies"])[0],
                accuracy_cell(row["controls"])[0],
            ]
        )
    images = result["rows"][0]["test_images"] if result["rows"] else 0
    text = [f"\nMeasured here on {result['data']}, {images:,} test images:"]
    text += [f"  {line}" for line in formatting.aligned(texts, right=(1, 2, 3))]
    for teacher in result["teachers"]:
        text.append(
            f"  teacher {teacher['model']}: {formatting.format_count(teacher['params'])} params, "
            f"accuracy {percent(teacher['test_accuracy'])}"
        )
    if result["published"]:
        name = result["published"]
        texts = [["published row", "params", "top-1", "top-5"]]
        for row in published_tables.TABLES[name]:
            count = formatting.format_count(row.params)
            texts.append([row.name, count, f"{row.top1:g} %", f"{row.top5:g} %"])
        text.append(f"Published, not measured here: {published_tables.SOURCES[name]}")
        text += [f"  {line}" for line in formatting.aligned(texts, right=(1, 2, 3))]
    return [*text, _NOTE]
