"""Validates a latency table on whole networks: random students over the range of a space.

For comparison it also computes what MACs would have predicted after their best linear fit to the
same measurements, which is in favour of MACs.
"""

import html
import math

import numpy as np

from dna_tf.common import files, rank_correlation
from dna_tf.space import architectures

_SIZE, _LEFT, _PAD = 420, 62, 16  # of the plot in pixels
# Names of references: pixels per row and per letter, and the most letters.
_ROW, _LETTER, _LONGEST = 12, 6.0, 32


def random_architectures(space, task, count, seed, without=()):
    """Draws random students, evenly spread over the space's range of MACs.

    Each draw picks a cell for each block and a subset of the ops, and draws the layers from
    that subset: if they were drawn from all ops, almost all students would lie in the middle.

    Args:
        space: a `spaces.SearchSpace`.
        task: the `tasks.Task`: size of the images and number of classes.
        count: how many; a small space may have fewer.
        seed: an int; one seed gives one list.
        without: architectures to leave out.

    Returns:
        A list of `architectures.Architecture`, by ascending MACs.
    """
    draws, by_key = np.random.RandomState(seed), {}
    excluded = {network_key(architecture) for architecture in without}
    for _ in range(40 * count):
        ops = draws.permutation(len(space.ops))[: 1 + draws.randint(len(space.ops))]
        architecture = _draw(space, task, ops, draws)
        by_key.setdefault(network_key(architecture), architecture)
    drawn = [architecture for key, architecture in by_key.items() if key not in excluded]
    return evenly_spread(drawn, [architecture.costs()["macs"] for architecture in drawn], count)


def evenly_spread(networks, sizes, count):
    """Takes networks that are evenly spread over the range of their sizes.

    Args:
        networks: a list.
        sizes: their sizes, such as MACs.
        count: how many to take.

    Returns:
        A list, by ascending size.
    """
    order = sorted(range(len(networks)), key=lambda i: sizes[i])
    ordered = np.array([sizes[i] for i in order], np.float64)
    chosen = set()
    for target in np.linspace(ordered[0], ordered[-1], count) if len(ordered) else ():
        free = [i for i in np.argsort(np.abs(ordered - target), kind="stable") if i not in chosen]
        chosen.update(free[:1])
    return [networks[order[i]] for i in sorted(chosen)]


def network_key(architecture):
    """A name that differs for architectures with other ops, sizes or frame."""
    content = {k: v for k, v in architecture.to_dict().items() if k not in ("name", "origin")}
    content["blocks"] = [
        [block.stride, block.width, [op.name for op in block.ops]] for block in architecture.blocks
    ]
    return f"{architecture.name} {files.fingerprint(content)}"


def _draw(space, task, ops, draws):
    blocks = []
    for block in space.blocks:
        c = int(draws.randint(len(block.cells)))
        cell = block.cells[c]
        path = tuple(int(ops[draws.randint(len(ops))]) for _ in range(cell.layers))
        chosen = tuple(space.ops[op] for op in path)
        blocks.append(architectures.BlockChoice(block.stride, cell.width, chosen, c, path))
    return architectures.Architecture("random", tuple(blocks), space.frame, task)


def compare(predicted, measured, macs):
    """Computes errors and rank correlations of a table's predictions and of MACs.

    Args:
        predicted: latencies by the table, in ms.
        measured: measured latencies of the same networks, in ms.
        macs: their MACs.

    Returns:
        A dict: `networks`, their number; `median_error` and `worst_error`, absolute over
        measured; `bias`, the median of predicted over measured, minus 1; `rank_correlation`
        (Kendall's tau-b) and `rank_interval`, its 95 % interval (`None` if unknown); the same
        for MACs with the prefix `macs_`; and `error_over_macs_error`, the quotient of the two
        median errors (`None` if the error of MACs is 0).
    """
    predicted, measured = np.asarray(predicted, np.float64), np.asarray(measured, np.float64)
    result = {"networks": len(measured)}
    for prefix, values in (("", predicted), ("macs_", fit_macs(macs, measured))):
        errors = values / measured - 1.0
        result[f"{prefix}median_error"] = float(np.median(np.abs(errors)))
        result[f"{prefix}worst_error"] = float(np.max(np.abs(errors)))
        result[f"{prefix}bias"] = float(np.median(errors))
        rank = rank_correlation.tau(values, measured)
        has_ends = not math.isnan(rank.low)
        result[f"{prefix}rank_correlation"] = None if math.isnan(rank.value) else rank.value
        result[f"{prefix}rank_interval"] = [rank.low, rank.high] if has_ends else None
    macs_error = result["macs_median_error"]
    result["error_over_macs_error"] = result["median_error"] / macs_error if macs_error else None
    return result


def fit_macs(macs, measured):
    """Latencies by MACs after their best linear fit: least squares of relative errors."""
    rows = np.stack([np.asarray(macs, np.float64) / 1e6, np.ones(len(macs))], axis=1)
    left = rows / np.asarray(measured, np.float64)[:, None]
    return rows @ np.linalg.lstsq(left, np.ones(len(macs)), rcond=None)[0]


def lines(result):
    """The result of `compare` as lines of text."""
    parts = []
    for title, prefix in (("table", ""), ("MACs, fitted", "macs_")):
        rank, ends = result[f"{prefix}rank_correlation"], result[f"{prefix}rank_interval"]
        rank = "not known" if rank is None else f"{rank:.3f}"
        if ends is not None:
            rank += f" ({ends[0]:.3f} to {ends[1]:.3f})"
        parts.append(
            f"  {title}: median error {100 * result[f'{prefix}median_error']:.1f} %, worst "
            f"{100 * result[f'{prefix}worst_error']:.1f} %, bias "
            f"{100 * result[f'{prefix}bias']:+.1f} %, rank correlation (Kendall's tau-b) {rank}"
        )
    ratio = result["error_over_macs_error"]
    ratio = "not known" if ratio is None else f"{ratio:.2f}"
    return [
        f"{result['networks']} students, predicted against measured:",
        *parts,
        f"  error of the table over that of MACs: {ratio}",
    ]


def svg(predicted, measured, macs, title, references=()):
    """Plots predicted against measured as SVG: dots for the table, rings for MACs.

    Args:
        predicted: as for `compare`.
        measured: as for `compare`.
        macs: as for `compare`.
        title: text above the plot.
        references: `(name, measured_ms)` of other networks: dashed lines at their measured
            latency, with their names above the plot.
    """
    from_macs = fit_macs(macs, measured)
    values = [*predicted, *measured, *from_macs, *(ms for _, ms in references)]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low or high or 1.0)
    low, high = max(0.0, low - margin), high + margin
    side = _SIZE - _LEFT - _PAD

    def x(value):
        return f"{_LEFT + side * (value - low) / (high - low):.1f}"

    def y(value):
        return f"{_SIZE - _LEFT - side * (value - low) / (high - low):.1f}"

    labels = _label_rows([(name, ms, float(x(ms))) for name, ms in references])
    above = _ROW * (1 + max((row for *_, row in labels), default=-1))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {-above} {_SIZE} {_SIZE + above}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect y="{-above}" width="{_SIZE}" height="{_SIZE + above}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="{12 - above}">{html.escape(title)}</text>',
        f'<line x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}" stroke="#999"/>',
    ]
    for tick in np.linspace(low, high, 5):
        parts.append(
            f'<line x1="{_LEFT}" y1="{y(tick)}" x2="{x(high)}" y2="{y(tick)}" stroke="#eee"/>'
            f'<text x="{_LEFT - 6}" y="{y(tick)}" text-anchor="end">{tick:.4g}</text>'
            f'<text x="{x(tick)}" y="{_SIZE - _LEFT + 16}" text-anchor="middle">{tick:.4g}</text>'
        )
    for _, at, _, row in labels:
        parts.append(
            f'<line x1="{at:.1f}" y1="{_PAD - 3 - _ROW * row}" x2="{at:.1f}" y2="{_SIZE - _LEFT}" '
            'stroke="#777" stroke-width="0.8" stroke-dasharray="3 3"/>'
        )
    for text, _, middle, row in labels:  # a white rim keeps them readable on other lines
        parts.append(
            f'<text x="{middle:.1f}" y="{12 - _ROW * row}" text-anchor="middle" font-size="10" '
            f'fill="#444" stroke="#fff" stroke-width="3" paint-order="stroke">{text}</text>'
        )
    for p, m, other in zip(predicted, measured, from_macs, strict=True):
        ring = f'<circle cx="{x(m)}" cy="{y(other)}" r="3.5" fill="none" stroke="#d97a1f"/>'
        dot = f'<circle cx="{x(m)}" cy="{y(p)}" r="3.5" fill="#2563a8"/>'
        parts.extend([ring, dot])
    middle = _LEFT + side / 2
    parts.append(
        f'<text x="{middle}" y="{_SIZE - 26}" text-anchor="middle">measured, ms</text>'
        f'<text x="14" y="{_SIZE / 2}" transform="rotate(-90 14 {_SIZE / 2})" '
        'text-anchor="middle">predicted, ms</text>'
        f'<text x="{middle}" y="{_SIZE - 8}" text-anchor="middle">'
        '<tspan fill="#2563a8">● table</tspan>  <tspan fill="#d97a1f">○ MACs, fitted</tspan></text>'
    )
    return "\n".join([*parts, "</svg>\n"])


def _label_rows(references):
    """Places names above their lines, in several rows where they would overlap.

    Args:
        references: a list of `(name, ms, x of the line)`.

    Returns:
        A list of `(escaped text, x of the line, x of the text's middle, row)`; row 0 is lowest.
    """
    ends, placed = [], []  # where the last text of each row ends
    for name, ms, at in sorted(references, key=lambda reference: reference[2]):
        name = name if len(name) <= _LONGEST else f"...{name[3 - _LONGEST :]}"
        text = f"{name} {ms:.4g} ms"
        half = _LETTER * len(text) / 2
        middle = min(max(at, _LEFT + half), _SIZE - half)  # not over the axis
        row = next((r for r, end in enumerate(ends) if end < middle - half), len(ends))
        ends[row : row + 1] = [middle + half + _LETTER]
        placed.append((html.escape(text), at, middle, row))
    return placed
