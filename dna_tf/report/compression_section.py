"""The report's section on compressed students: what they cost, how they answer, of what they are.

Each student was put together of trained paths and of the teacher's own blocks, and fine-tuned.
"""

from dna_tf.common import formatting, statistics
from dna_tf.report import markup, run_data
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import count_cell, file_size, percent, wilson_cell
from dna_tf.space import part_costs

INTRO = (
    "A trained model, the teacher, was cut into blocks. For each block small cells learnt to "
    "imitate its output. Every path of a cell was rated by what the model loses with it in the "
    "block's place, and an exact search took for each place a path or the model's own block. The "
    "students keep these weights; a short training mended the seams."
)
_MOST_SENTENCES = 3
_HEADS = {
    "macs": "MACs",
    "params": "parameters",
    "int8_kb": "int8 kB",
    "peak_kb": "peak kB",
    "latency_ms": "latency, ms",
}


def facts(run):
    """Pairs for the head of the page: the budgets and the fine-tuning of a compression."""
    students = run.compression.students
    limits = "; ".join(run_data.limits_in_words(student.limits) for student in students)
    epochs = {student.epochs for student in students if student.epochs is not None}
    lengths = ", ".join(f"{count} epoch{'' if count == 1 else 's'}" for count in sorted(epochs))
    return [("budgets", limits or None), ("fine-tuning", lengths or None)]


def summary(run):
    """A sentence for the teacher and one for each student, for the first ones of many."""
    students = run.compression.students
    teacher = students[0].rows[0]
    sentences = [f"The model has {_answers_text(teacher)} on {teacher.images:,} test images."]
    for student in students[:_MOST_SENTENCES]:
        tuned, shares = student.tuned, []
        for name, words in (("macs", "MACs"), ("params", "parameters")):
            share = _share(tuned.costs.get(name), student.rows[0].costs.get(name))
            shares += [f"{share} of its {words}"] if share else []
        text = f"The student {student.name} has {' and '.join(shares) or 'its own cost'}"
        sentences.append(f"{text}, and {_answers_text(tuned)}.")
    if len(students) > _MOST_SENTENCES:
        sentences.append(f"The table has all {len(students):,} students.")
    return sentences


def section(run):
    """The section, as HTML.

    Args:
        run: a `run_data.Run` with students that inherit.
    """
    students = run.compression.students
    parts = [_networks_table(students)]
    parts.append(
        paragraph(
            "Assembled: put together with the weights that the paths have learnt, before any "
            "training. Accuracy, agreement with the model and divergence of the answers (KL, in "
            "nats) are on the test images; 95 % Wilson is the interval of the accuracy. int8 kB "
            "are the weights in int8, peak kB the memory for maps in int8, in 1,000 bytes. Shares "
            "are of the model's cost.",
            "soft",
        )
    )
    exports = _exports_table(students)
    if exports:
        parts += ["<h3>TFLite files of the students</h3>", exports]
    parts += ["<h3>What stands in the place of each block</h3>", _choices_table(students)]
    parts.append(
        paragraph(
            "k5e6 is a layer with a 5×5 kernel that expands its width 6 times. The rating, in "
            "nats, is what the model loses with this path in the block's place; its own block has "
            "0. For block 1 the cost of the path's stem is in it.",
            "soft",
        )
    )
    return "".join(parts)


def _answers_text(row):
    low, high = statistics.wilson(row.correct, row.images)
    return (
        f"an accuracy of {100 * row.correct / row.images:.1f} % (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %)"
    )


def _share(cost, whole):
    return f"{100 * cost / whole:.0f} %" if cost is not None and whole else ""


def _networks_table(students):
    """The teacher, and each student before and after its fine-tuning: a row each."""
    costs = dict.fromkeys(name for name in _HEADS if name in part_costs.COSTS)
    costs |= dict.fromkeys(name for s in students for row in s.rows for name in row.costs)
    heads = [_HEADS.get(name, name.replace("_", " ")) for name in costs]
    heads = ["network", *heads, "test accuracy", "95 % Wilson", "agrees", "KL, nats"]
    of_teacher = students[0].rows[0]
    rows, chosen = [_row("teacher", "the model itself", of_teacher, of_teacher, costs)], []
    for student in students:
        limits = run_data.limits_in_words(student.limits)
        for row in student.rows[1:]:
            is_tuned = row is student.tuned
            chosen += [len(rows)] if is_tuned else []
            small = f"{row.name}, {limits}" if is_tuned else row.name
            rows.append(_row(student.name, small, row, student.rows[0], costs))
    return markup.table(heads, rows, "wide", chosen)


def _row(name, small, row, of_teacher, costs):
    cells = [(name, small, "")]
    for cost in costs:
        value = row.costs.get(cost)
        text, _, exact = count_cell(value)
        share = "" if row is of_teacher else _share(value, of_teacher.costs.get(cost))
        cells.append((text, share, exact))
    cells += [percent(row.correct / row.images), wilson_cell(row.correct, row.images)]
    return [*cells, percent(row.agreed / row.images), (f"{row.kl:.4f}", "", repr(row.kl))]


def _exports_table(students):
    heads = ["student", "file", "size", "accuracy", "agrees with Keras", "good"]
    rows = [
        [
            student.name,
            precision,
            (file_size(file["bytes"]), "", f"{file['bytes']:,} bytes"),
            percent(file["accuracy"]),
            percent(file["agreement"]),
            "yes" if file["good"] else "⚠ no",
        ]
        for student in students
        for precision, file in student.exports.items()
    ]
    return markup.table(heads, rows, "wide") if rows else ""


def _choices_table(students):
    """A row for each block: the teacher's own, and what each student has in its place."""
    facts_of = students[0].assembly.teacher
    heads = ["block", "the model's own", *(student.name for student in students)]
    rows = []
    for b, (layer, shape) in enumerate(zip(facts_of.cuts, facts_of.shapes[1:], strict=True)):
        place = (f"block {b + 1}", f"ends with {layer}, {'×'.join(map(str, shape))}", "")
        cells = [_choice_cell(student.assembly, b) for student in students]
        rows.append([place, _macs_cell(facts_of.blocks[b]), *cells])
    head = [("kept", f"{_macs_text(facts_of.head)}", "")] * len(students)
    rows.append([("head", "everything after the last block", ""), _macs_cell(facts_of.head), *head])
    totals = [
        (f"{student.assembly.rating:.4f} nats", _macs_text(student.assembly.costs()), "")
        for student in students
    ]
    rows.append(["all", _macs_cell(facts_of.costs()), *totals])
    return markup.table(heads, rows, "wide")


def _choice_cell(assembly, block):
    part = assembly.parts[block]
    if part.is_own:
        return ("own block", f"0 nats, {_macs_text(part.costs)}", "")
    ops = " ".join(assembly.space.ops[op].name for op in part.path)
    cell = assembly.space.blocks[block].cells[part.cell]
    small = f"{part.rating:.4f} nats, {_macs_text(part.costs)}"
    return (ops, small, f"cell {part.cell + 1}: {cell.layers} × {cell.width}")


def _macs_text(costs):
    macs = costs["macs"]
    return "MACs unknown" if macs is None else f"{formatting.format_count(macs)} MACs"


def _macs_cell(costs):
    exact = "" if costs["macs"] is None else f"{costs['macs']:,}"
    return (_macs_text(costs), "", exact)
