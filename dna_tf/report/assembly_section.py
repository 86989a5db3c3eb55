"""The report's section on the front of assemblies: from the teacher down to the smallest network.

The front is that of the sum of ratings by replacing against a cost, exact. Beside it stand the
networks that were really put together, and the students.
"""

from dna_tf.common import formatting, statistics
from dna_tf.report import drawing, markup, scatter_plot
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import count_cell, percent
from dna_tf.search import fronts

MOST_DRAWN = 400  # entries of the front that are drawn as points
MOST_ROWS = 60  # of the table


def section(run):
    """The section, as HTML; `""` without ratings by replacing of all cells.

    Args:
        run: a `run_data.Run` with students that inherit.
    """
    compression = run.compression
    try:
        front = compression.front()
    except fronts.FrontTooLarge as error:
        return markup.note(str(error))
    if not front:
        return ""
    cost, words = compression.cost()
    teacher = compression.students[0].rows[0]
    whole = compression.students[0].assembly.teacher.costs()[cost]
    text = (
        f"Of all networks of a path or the model's own block in each place, these {len(front):,} "
        f"are the best: no other one has both a lower sum of ratings and fewer {words}. The "
        "search is exact. The front begins at the model itself, which loses nothing. Left: the "
        "sum of ratings predicts what a network loses. Orange: the networks that were put "
        "together, at what they really lose on the rating images; the line leads to what was "
        "predicted. Green: the students after fine-tuning, on the test images. Right: test "
        "accuracy with its 95 % interval. Point at a point for its blocks."
    )
    pairs = [("entry", "front, predicted"), ("realised", "put together, not yet trained")]
    pairs += [("student", "fine-tuned"), ("teacher", "the teacher")]
    rows = [row for student in compression.students for row in student.rows]
    values = [row.costs[cost] for row in rows if row.costs.get(cost) is not None]
    ends = drawing.span([whole, *values, *(choice.costs[cost] for choice, _ in front)])
    across = scatter_plot.Axis(words, ends)
    losses = scatter_plot.figure(
        _loss_plot(compression, front, cost, words, whole, across),
        f"Divergence from the model's answers, in nats, against {words}",
    )
    accuracies = scatter_plot.figure(
        _accuracy_plot(compression.students, cost, words, teacher, across),
        f"Test accuracy against {words}",
        f"{teacher.images:,} test images",
    )
    return (
        paragraph(text)
        + scatter_plot.swatches(pairs)
        + f'<div class="plots">{losses}{accuracies}</div>'
        + markup.details("the front as a table", _table(front, cost, words, whole))
    )


def _loss_plot(compression, front, cost, words, whole, across):
    points, lines = [], []
    step = -(-len(front) // MOST_DRAWN)
    corners = []
    for choice, _ in reversed(front):  # the cheapest first
        if corners:  # between two entries the better one is not affordable yet
            corners.append((choice.costs[cost], corners[-1][1]))
        corners.append((choice.costs[cost], choice.rating))
    lines.append(scatter_plot.Line("front", tuple(corners)))
    for choice, text in front[::step]:
        hover = f"{text}: {_count(choice.costs[cost])} {words}, predicted {choice.rating:.4f} nats"
        points.append(
            scatter_plot.Point(choice.costs[cost], choice.rating, "entry", hover, radius=2.2)
        )
    for student in compression.students:
        for each in student.candidates:
            value = each.costs.get(cost)
            if value is None:
                continue
            hover = (
                f"{each.assembly}: {_count(value)} {words}, predicted {each.rating:.4f} nats, "
                f"measured {each.kl:.4f} nats; of {student.name}"
            )
            lines.append(scatter_plot.Line("gap", ((value, each.rating), (value, each.kl))))
            points.append(scatter_plot.Point(value, each.kl, "realised", hover, radius=3.6))
        tuned, value = student.tuned, student.tuned.costs.get(cost)
        if value is not None:
            hover = f"{student.name}, {tuned.name}: {tuned.kl:.4f} nats on the test images"
            points.append(scatter_plot.Point(value, tuned.kl, "student", hover, radius=5))
    hover = f"the teacher: {_count(whole)} {words}"
    points.append(scatter_plot.Point(whole, 0.0, "teacher", hover, radius=5))
    most = max(point.y for point in points)
    up = scatter_plot.Axis("divergence, nats", (0.0, 1.08 * most or 1.0), "{:g}".format)
    label = f"front of {len(front)} networks"
    return scatter_plot.svg(points, lines, across, up, label)


def _accuracy_plot(students, cost, words, teacher, across):
    points = []
    for look, name, row in [
        *(("realised", "", s.rows[1]) for s in students if len(s.rows) > 2),
        *(("student", s.name, s.tuned) for s in students),
        ("teacher", "teacher", teacher),
    ]:
        value = row.costs.get(cost)
        if value is None:
            continue
        interval = tuple(100 * share for share in statistics.wilson(row.correct, row.images))
        hover = (
            f"{name or row.name}: {_count(value)} {words}, {row.correct:,} of {row.images:,} "
            f"right, {percent(row.correct / row.images)}"
        )
        share = 100 * row.correct / row.images
        points.append(scatter_plot.Point(value, share, look, hover, name, interval, 5))
    up = scatter_plot.Axis("test accuracy", None, "{:g} %".format)
    return scatter_plot.svg(points, [], across, up, "the model and its students")


def _table(front, cost, words, whole):
    """The front, the best rating first; an even sample of a long one."""
    step = -(-len(front) // MOST_ROWS)
    rows = []
    for choice, text in front[::step]:
        value = choice.costs[cost]
        value = int(value) if value == int(value) else value
        share = f"{100 * value / whole:.0f} %"
        rows.append([text, count_cell(value), share, f"{choice.rating:.4f}"])
    table = markup.table(["blocks", words, "of the model", "predicted, nats"], rows, "wide")
    if step == 1:
        return table
    return paragraph(f"Every entry number {step} of {len(front):,} is listed.", "soft") + table


def _count(value):
    return formatting.format_count(value)
