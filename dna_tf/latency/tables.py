"""Latency tables: what adding up the parts of a network leaves out, and tables made so.

A part timed alone pays for being called, and finds its weights in the caches; in a network
it does not. So whole networks are timed too, and three numbers are fitted to them:

    latency = fixed + sum over parts of max(0, scale * median + per_part)

The table holds the terms of that sum as its entries, so that searches just add.
"""

import dataclasses

import numpy as np

from dna_tf.space import cost_tables, layer_specs, op_costs

# How strongly the fit holds on to adding medians up, in relative errors. Our choice: with
# twenty networks it decides nothing, with two it keeps the three numbers in bounds.
_HOLD = 0.1


@dataclasses.dataclass(frozen=True)
class Overhead:
    """What sums of parts leave out.

    Args:
        scale: factor of every part's median.
        per_part_ms: added for every part; below 0 where a call costs more than a layer.
        fixed_ms: of every network, at least 0.
        networks: to how many networks it was fitted.
    """

    scale: float = 1.0
    per_part_ms: float = 0.0
    fixed_ms: float = 0.0
    networks: int = 0


def architecture_parts(architecture):
    """The parts of an `architectures.Architecture` in order, stem first.

    Returns:
        A list of `op_costs.Part`; equal parts are in it as often as they occur.
    """
    frame, classes = architecture.frame, architecture.num_classes
    size = architecture.image_size
    conv, *layers = layer_specs.stem_specs(frame, architecture.channels)
    parts = [op_costs.conv_part("stem", conv, size)]
    size = cost_tables.stem_output_size(frame, size)
    parts.extend(op_costs.layer_part(spec, size) for spec in layers)
    width = frame.stem_output_width
    for block in architecture.blocks:
        widths = [block.width] * len(block.ops)
        for spec in layer_specs.layer_specs(frame, block.ops, width, widths, block.stride):
            parts.append(op_costs.layer_part(spec, size))
            size = layer_specs.output_size(size, size, spec.stride)[0]
        width = block.width
    head = layer_specs.head_spec(frame, width)
    return [*parts, op_costs.conv_part("head", head, size, classes)]


def fit(measured, architectures, names):
    """Fits what sums leave out to whole networks.

    Args:
        measured: a `measurements.Measured` with the parts of all these.
        architectures: a list of `architectures.Architecture`.
        names: their names in `measured.networks`.

    Returns:
        An `Overhead`; relative errors are as small as possible (least squares).
    """
    if not architectures:
        return Overhead()
    rows = []
    for one in architectures:
        values = [measured.parts[part].value for part in architecture_parts(one)]
        rows.append((sum(values), len(values), 1.0))
    rows = np.array(rows, np.float64)
    whole = np.array([measured.networks[name].value for name in names], np.float64)
    first = _least_squares(rows, whole)
    if first[2] < 0:
        first = [*_least_squares(rows[:, :2], whole), 0.0]
    return Overhead(*map(float, first), len(architectures))


def _least_squares(rows, whole):
    # What each number changes in the middle network, relative to its latency: held near
    # scale 1 and the others 0.
    hold = _HOLD * np.diag(np.median(rows / whole[:, None], axis=0))
    start = np.zeros(rows.shape[1])
    start[0] = 1.0
    left = np.concatenate([rows / whole[:, None], hold])
    return np.linalg.lstsq(left, np.concatenate([np.ones(len(whole)), hold @ start]), rcond=None)[0]


def make(measured, overhead, name="latency_ms", fitted_to=None):
    """Makes the table of all measured parts.

    Args:
        measured: a `measurements.Measured`.
        overhead: an `Overhead`.
        name: the cost's name with its unit; tables of several devices that one search
            reads have different ones, such as `"pixel_latency_ms"`.
        fitted_to: of which students the overhead is: a dict with `space`, `image_size`,
            `channels`, `num_classes`, `students` (how many were asked for) and `seed`;
            `None` if it is fitted to none.

    Returns:
        An `op_costs.OpCosts`; `about` has conditions, state, the overhead, `fitted_to`, what
        was noisy, and the least and largest drift of the reference (1 is none).
    """
    entries = {
        part: op_costs.Entry(
            max(0.0, overhead.scale * entry.value + overhead.per_part_ms),
            entry.repeats,
            max(0.0, overhead.scale) * entry.spread,
        )
        for part, entry in measured.parts.items()
    }
    about = {
        **{k: v for k, v in measured.conditions.items() if k not in ("device", "runtime")},
        "overhead": dataclasses.asdict(overhead),
        "fitted_to": fitted_to or {},
        "state": measured.states[-1] if measured.states else {},
        "noisy": measured.noisy,
        "drift": [min(measured.drift), max(measured.drift)] if measured.drift else [],
    }
    conditions = measured.conditions
    return op_costs.OpCosts(
        name, entries, overhead.fixed_ms, conditions["device"], conditions["runtime"], about
    )


def predict(table, architecture):
    """The latency of an architecture from a table.

    Raises:
        ValueError: parts of it are not in the table; they are listed.
    """
    parts = architecture_parts(architecture)
    what = f"the architecture {architecture.name!r}"
    op_costs.check_covers(table, parts, what, "--arch=NAME")
    return table.fixed + sum(table.entries[part].value for part in parts)


def predictor(table, space, task):
    """A function from `(cells, path_indices)` to latency, made for speed.

    The paths' sums are added up once; a call looks up one number a block. For arrays of
    architectures `problems.SearchProblem.evaluate_many` is faster still.

    Raises:
        ValueError: the table lacks parts of the space.
    """
    sums = table.path_costs(space, task)
    paths = {key: values.tolist() for key, values in sums.paths.items()}
    widths = [[cell.width for cell in block.cells] for block in space.blocks]
    first = space.frame.stem_output_width

    def latency(cells, path_indices):
        total, width = sums.stem, first
        for b, cell in enumerate(cells):
            total += paths[b, cell, width][path_indices[b]]
            width = widths[b][cell]
        return total + sums.heads[width]

    return latency
