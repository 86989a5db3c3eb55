"""Runs the comparison of searches on a table, and keeps every result in a file that resumes."""

import time

from dna_tf.common import files, progress
from dna_tf.search import table_comparison

SECONDS = 5.0  # between two writes of the file


def compare(question, path):
    """Runs what a file does not have yet, and writes it.

    The file may have other questions, about other columns or limits; they are kept. A run that
    was killed goes on where it was, at most a few seconds earlier.

    Args:
        question: a `table_comparison.Question`.
        path: the JSON file; it need not exist.

    Returns:
        The rows of `table_comparison.summary`.

    Raises:
        ValueError: the file is of another kind, or its results are of a table with other numbers.
    """
    path = files.as_path(path)
    content = {"kind": table_comparison.KIND, "questions": {}}
    hint = "Delete it to compare anew, or write to another file."
    if path.exists():
        content = files.read_json(path, table_comparison.KIND, hint)
    key, mark = name_of(question), fingerprint(question)
    entry = content["questions"].setdefault(key, {"fingerprint": mark, "results": {}})
    if entry["fingerprint"] != mark:
        raise ValueError(
            f"The file {path} has results of {key}, from a table with other numbers. {hint}"
        )
    works = table_comparison.works(question)
    missing = [work for work in works if work.key not in entry["results"]]
    written = time.monotonic()
    label, initial = f"{question.table.name}, {question.report}", len(works) - len(missing)
    with progress.bar(label, len(works), "run", initial=initial) as bar:
        for work in missing:
            bar.set_postfix_str(f"{work.search}, {work.budget:,}", refresh=False)
            entry["results"][work.key] = table_comparison.run(question, work)
            bar.update(1)
            if time.monotonic() - written > SECONDS:
                files.write_json(path, content)
                written = time.monotonic()
    rows = table_comparison.summary(question, entry["results"])
    entry |= {
        "table": question.table.name,
        "signal": question.signal,
        "report": question.report,
        "limits": dict(question.limits),
        "seeds": question.seeds,
        "budgets": list(question.budgets),
        "date": time.strftime("%Y-%m-%d"),
        "facts": question.facts,
        "rows": rows,
    }
    files.write_json(path, content)
    return rows


def name_of(question):
    """What a file calls a question: the table, its two columns, and the limits."""
    table, limits = question.table.name, question.limits.name() or "no limit"
    return f"{table}|{question.signal}|{question.report}|{limits}"


def fingerprint(question):
    """A text that changes with the numbers that the searches see."""
    table = question.table
    arrays = [table.column(question.signal), table.column(question.report)]
    arrays += [table.cost(key[4:]) for key in question.limits]
    return files.fingerprint(b"".join(array.tobytes() for array in arrays))
