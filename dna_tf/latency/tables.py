"""Latency tables: made from measured parts, with a correction fitted to whole networks.

A part timed alone pays for being called, and finds its weights in the caches; inside a network it
does neither. So whole networks are timed too, and three coefficients are fitted to them:

    latency = fixed + sum over parts of max(0, scale * median + per_part_ms)

The table holds the terms of that sum as its entries, so that a search only adds.
"""

import dataclasses

import numpy as np

from dna_tf.space import op_costs

# Weight of the prior "sum of the medians" in the fit, in relative errors. With twenty networks
# it has no effect; with two it keeps the three coefficients in bounds.
_PRIOR_WEIGHT = 0.1
TEACHER = "teacher"  # how the names of whole teachers begin in measurements
_FITTED_TO = ("space", "image_size", "channels", "num_classes", "students", "seed")


@dataclasses.dataclass(frozen=True)
class Overhead:
    """What a sum of parts leaves out.

    Args:
        scale: factor of every part's median.
        per_part_ms: added for every part; below 0 where a call costs more than a layer.
        fixed_ms: added once for every network, at least 0.
        networks: the number of networks that it was fitted to.
    """

    scale: float = 1.0
    per_part_ms: float = 0.0
    fixed_ms: float = 0.0
    networks: int = 0


def fit(measured, parts, names):
    """Fits the overhead to whole networks.

    Args:
        measured: a `measurements.Measurements` with the parts of all these networks.
        parts: the keys of the parts of each, in order.
        names: their names in `measured.networks`.

    Returns:
        An `Overhead` with the least squares of the relative errors.
    """
    rows = []
    for keys in parts:
        values = [measured.parts[key].value for key in keys]
        rows.append((sum(values), len(values), 1.0))
    if not rows:
        return Overhead()
    rows = np.array(rows, np.float64)
    latencies = np.array([measured.networks[name].value for name in names], np.float64)
    coefficients = _least_squares(rows, latencies)
    if coefficients[2] < 0:
        coefficients = [*_least_squares(rows[:, :2], latencies), 0.0]
    return Overhead(*map(float, coefficients), len(rows))


def _least_squares(rows, latencies):
    # The prior draws scale to 1 and the others to 0. Its rows are in units of what each
    # coefficient changes in the median network, relative to that network's latency.
    relative = rows / latencies[:, None]
    prior = _PRIOR_WEIGHT * np.diag(np.median(relative, axis=0))
    start = np.zeros(rows.shape[1])
    start[0] = 1.0
    left = np.concatenate([relative, prior])
    right = np.concatenate([np.ones(len(latencies)), prior @ start])
    return np.linalg.lstsq(left, right, rcond=None)[0]


def make_table(measured, overhead, name="latency_ms", fitted_to=None):
    """Makes the table of all measured parts.

    Args:
        measured: a `measurements.Measurements`.
        overhead: an `Overhead`.
        name: the cost's name with its unit; tables of several devices that one search
            reads have different ones, such as `"pixel_latency_ms"`.
        fitted_to: which students the overhead was fitted to: a dict with `space`,
            `image_size`, `channels`, `num_classes`, `students` (how many were asked for) and
            `seed`, and for students that inherit `teacher`; `None` for none.

    Returns:
        An `op_costs.OpCosts`. Its `about` has conditions, state, the overhead, `fitted_to`,
        which measurements were noisy, the least and largest drift of the reference (1 is
        no drift), and the latencies of whole teachers, if any were measured.
    """
    entries = {
        key: op_costs.CostEntry(
            max(0.0, overhead.scale * entry.value + overhead.per_part_ms),
            entry.repeats,
            max(0.0, overhead.scale) * entry.spread,
        )
        for key, entry in measured.parts.items()
    }
    conditions = measured.conditions
    about = {
        **{k: v for k, v in conditions.items() if k not in ("device", "runtime")},
        "overhead": dataclasses.asdict(overhead),
        "fitted_to": fitted_to or {},
        "state": measured.states[-1] if measured.states else {},
        "noisy": measured.noisy,
        "drift": [min(measured.drift), max(measured.drift)] if measured.drift else [],
    }
    teachers = {
        key.removeprefix(f"{TEACHER} "): entry.value
        for key, entry in measured.networks.items()
        if key.startswith(f"{TEACHER} ")
    }
    if teachers:
        about["teachers"] = teachers
    return op_costs.OpCosts(
        name, entries, overhead.fixed_ms, conditions["device"], conditions["runtime"], about
    )


def is_measured(table):
    """Whether an `op_costs.OpCosts` was made by `make_table`."""
    return isinstance(table.about, dict) and {"overhead", "threads", "cores"} <= set(table.about)


def fitted_to(table):
    """What a table was fitted to, as `make_table` takes it; `{}` for nothing."""
    content = table.about.get("fitted_to") if isinstance(table.about, dict) else None
    return content if isinstance(content, dict) and set(_FITTED_TO) <= set(content) else {}


def students_text(students):
    """Describes the students that a table was fitted to; takes what `fitted_to` returns."""
    inherit = (
        f" that inherit from the teacher {students['teacher']}," if "teacher" in students else ""
    )
    return (
        f"students{inherit} of the space {students['space']!r} at {students['image_size']} px with "
        f"{students['channels']} channels and {students['num_classes']} classes"
    )


def latency_function(table, space, task):
    """Makes a fast function from `(cells, path_indices)` to latency.

    The sums of all paths are computed once; a call looks up one number per block. For arrays
    of architectures `problems.SearchProblem.evaluate_many` is faster still.

    Args:
        table: an `op_costs.OpCosts`.
        space: a `spaces.SearchSpace`.
        task: a `tasks.Task`.

    Raises:
        MissingParts: parts of the space are not in the table.
    """
    sums = table.path_costs(space, task)
    paths = {key: values.tolist() for key, values in sums.paths.items()}
    widths = [[cell.width for cell in block.cells] for block in space.blocks]
    first_width = space.frame.stem_output_width

    def latency(cells, path_indices):
        total, width = sums.stem, first_width
        for b, cell in enumerate(cells):
            total += paths[b, cell, width][path_indices[b]]
            width = widths[b][cell]
        return total + sums.heads[width]

    return latency
