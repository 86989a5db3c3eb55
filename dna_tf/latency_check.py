"""Holds a latency table against whole students: random ones over the range of a space.

Beside the table stands what MACs would have said after their best linear fit to the very
same measurements, which is in favour of MACs.
"""

import html

import numpy as np

from dna_tf import architecture, files, rating_summary

_SIZE, _LEFT, _PAD = 420, 62, 16


def random_architectures(space, network, count, seed, without=()):
    """Random students, evenly spread over the space's range of MACs.

    Each draw picks a cell for each block and some of the ops, and draws its layers from
    those: drawn from all ops, almost all students would lie in the middle.

    Args:
        space: a `search_space.SearchSpace`.
        network: `(image_size, channels, num_classes)`.
        count: how many; fewer come if the space has fewer.
        seed: an int; one seed gives one list.
        without: architectures that must not come out.

    Returns:
        A list of `architecture.Architecture`, by ascending MACs.
    """
    draws, found = np.random.RandomState(seed), {}
    left_out = {network_key(one) for one in without}
    for _ in range(40 * count):
        ops = draws.permutation(len(space.ops))[: 1 + draws.randint(len(space.ops))]
        one = _draw(space, network, ops, draws)
        found.setdefault(network_key(one), one)
    drawn = [one for key, one in found.items() if key not in left_out]
    drawn.sort(key=lambda one: one.costs()["macs"])
    macs = np.array([one.costs()["macs"] for one in drawn], np.float64)
    chosen = set()
    for target in np.linspace(macs[0], macs[-1], count) if len(macs) else ():
        free = [i for i in np.argsort(np.abs(macs - target), kind="stable") if i not in chosen]
        chosen.update(free[:1])
    return [drawn[i] for i in sorted(chosen)]


def network_key(one):
    """A name that tells an architecture from all others with other ops, sizes or frame."""
    content = {k: v for k, v in one.to_dict().items() if k not in ("name", "origin")}
    content["blocks"] = [[b.stride, b.width, [op.name for op in b.ops]] for b in one.blocks]
    return f"{one.name} {files.fingerprint(content)}"


def _draw(space, network, ops, draws):
    blocks = []
    for block in space.blocks:
        c = int(draws.randint(len(block.cells)))
        cell = block.cells[c]
        path = tuple(int(ops[draws.randint(len(ops))]) for _ in range(cell.layers))
        chosen = tuple(space.ops[op] for op in path)
        blocks.append(architecture.BlockChoice(block.stride, cell.width, chosen, c, path))
    return architecture.Architecture("random", tuple(blocks), space.frame, *network)


def compare(predicted, measured, macs):
    """Errors and rank correlations of a table's predictions and of MACs.

    Args:
        predicted: latencies that the table says, in ms.
        measured: latencies of the same networks, in ms.
        macs: their MACs.

    Returns:
        A dict: `networks`; `median_error` and `worst_error`, absolute over measured;
        `bias`, the median of predicted over measured, less 1; `rank_correlation`
        (Kendall's tau-b); the same of MACs as `macs_...`; and `error_over_macs_error`, the
        quotient of the two median errors (`None` where MACs err by nothing).
    """
    predicted, measured = np.asarray(predicted, np.float64), np.asarray(measured, np.float64)
    from_macs = fit_macs(macs, measured)
    found = {"networks": len(measured)}
    for prefix, values in (("", predicted), ("macs_", from_macs)):
        errors = values / measured - 1.0
        found[f"{prefix}median_error"] = float(np.median(np.abs(errors)))
        found[f"{prefix}worst_error"] = float(np.max(np.abs(errors)))
        found[f"{prefix}bias"] = float(np.median(errors))
        rank = rating_summary.kendall_tau(values, measured)
        found[f"{prefix}rank_correlation"] = None if np.isnan(rank) else float(rank)
    other = found["macs_median_error"]
    found["error_over_macs_error"] = found["median_error"] / other if other else None
    return found


def fit_macs(macs, measured):
    """Latencies that MACs say after their best linear fit: least squares of relative errors."""
    rows = np.stack([np.asarray(macs, np.float64) / 1e6, np.ones(len(macs))], axis=1)
    left = rows / np.asarray(measured, np.float64)[:, None]
    return rows @ np.linalg.lstsq(left, np.ones(len(macs)), rcond=None)[0]


def lines(found):
    """What `compare` found, as lines of text."""
    told = []
    for title, prefix in (("table", ""), ("MACs, fitted", "macs_")):
        rank = found[f"{prefix}rank_correlation"]
        rank = "not known" if rank is None else f"{rank:.3f}"
        told.append(
            f"  {title}: median error {100 * found[f'{prefix}median_error']:.1f} %, worst "
            f"{100 * found[f'{prefix}worst_error']:.1f} %, bias "
            f"{100 * found[f'{prefix}bias']:+.1f} %, rank correlation (Kendall's tau-b) {rank}"
        )
    ratio = found["error_over_macs_error"]
    ratio = "not known" if ratio is None else f"{ratio:.2f}"
    return [f"{found['networks']} students, predicted against measured:", *told] + [
        f"  error of the table over that of MACs: {ratio}"
    ]


def svg(predicted, measured, macs, title):
    """The plot: predicted against measured, dots for the table and rings for MACs, as SVG."""
    from_macs = fit_macs(macs, measured)
    values = [*predicted, *measured, *from_macs]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low or high or 1.0)
    low, high = max(0.0, low - margin), high + margin
    side = _SIZE - _LEFT - _PAD

    def x(value):
        return f"{_LEFT + side * (value - low) / (high - low):.1f}"

    def y(value):
        return f"{_SIZE - _LEFT - side * (value - low) / (high - low):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{_SIZE}" height="{_SIZE}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="12">{html.escape(title)}</text>',
        f'<line x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}" stroke="#999"/>',
    ]
    for tick in np.linspace(low, high, 5):
        parts.append(
            f'<line x1="{_LEFT}" y1="{y(tick)}" x2="{x(high)}" y2="{y(tick)}" stroke="#eee"/>'
            f'<text x="{_LEFT - 6}" y="{y(tick)}" text-anchor="end">{tick:.4g}</text>'
            f'<text x="{x(tick)}" y="{_SIZE - _LEFT + 16}" text-anchor="middle">{tick:.4g}</text>'
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
