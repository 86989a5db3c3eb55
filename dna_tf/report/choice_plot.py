"""Which cell and which ops win as the budget grows, as an SVG heat map along a front.

A row is a layer of a block, with a row for the chosen cell above each block's layers; the
horizontal axis is the most MACs that are allowed. Hue is the kernel, strength the expansion.
"""

import html
import re

from dna_tf.common import formatting
from dna_tf.report import drawing

COLUMNS = 480  # budgets that are drawn at most
_WIDTH, _LEFT, _RIGHT = 960, 118, 12
_ROW, _CELL_ROW, _GAP, _TOP, _BOTTOM = 15, 17, 8, 30, 34
_HUES = ("#2f7fc1", "#d97a1f", "#b8539a", "#2f9e73", "#8a6fd1", "#8d8a2b")

STYLE = """
.oc text{font-size:11.5px;fill:var(--soft)}.oc .name{fill:var(--ink)}
.oc .cell{fill:var(--line)}.oc .cell2{fill:var(--grid)}.oc .axis{stroke:var(--line)}
.oc .width{font-size:10.5px;fill:var(--ink);text-anchor:middle}
"""


def svg(entries):
    """Draws the choices along a front.

    Args:
        entries: dicts with `costs` and `blocks` (text as `Architecture.describe` has it), in
            any order: a front of the rating against MACs.

    Returns:
        The SVG as text; `""` if there are fewer than two entries.
    """
    steps = _steps(entries)
    if len(steps) < 2:
        return ""
    parsed = [_blocks(blocks) for _, blocks in steps]
    ops = sorted({op for blocks in parsed for _, row in blocks for op in row}, key=_op_key)
    colors = _colors(ops)
    budgets = [budget for budget, _ in steps]
    # The last budget would have no width of its own.
    budgets.append(budgets[-1] + 0.02 * (budgets[-1] - budgets[0]))
    scale = (_WIDTH - _LEFT - _RIGHT) / (budgets[-1] - budgets[0])

    def x(budget):
        return _LEFT + scale * (budget - budgets[0])

    shapes, top = [_legend(ops, colors)], _TOP
    for b in range(len(parsed[0])):
        cells = [f"{len(blocks[b][1])} × {blocks[b][0]}" for blocks in parsed]
        shapes.append(drawing.text(0, top + 12, f"block {b + 1}", "name"))
        shapes.append(drawing.text(_LEFT - 6, top + 12, "cell", anchor="end"))
        names = list(dict.fromkeys(cells))
        for start, stop, cell in runs(cells):
            look = "cell" if names.index(cell) % 2 == 0 else "cell2"
            place = (x(budgets[start]), top, x(budgets[stop]), _CELL_ROW - 2)
            about = _about(f"block {b + 1}, cell", cell, budgets[start], budgets[stop])
            shapes.append(_rect(place, f'class="{look}"', about))
            if place[2] - place[0] > 38:
                middle = (place[0] + place[2]) / 2
                shapes.append(drawing.text(middle, top + 12, cell, "width"))
        top += _CELL_ROW
        for layer in range(max(len(blocks[b][1]) for blocks in parsed)):
            row = [blocks[b][1][layer] if layer < len(blocks[b][1]) else "" for blocks in parsed]
            shapes.append(drawing.text(_LEFT - 6, top + 11, f"layer {layer + 1}", anchor="end"))
            for start, stop, op in runs(row):
                if op:
                    place = (x(budgets[start]), top, x(budgets[stop]), _ROW - 1)
                    where = f"block {b + 1}, layer {layer + 1}"
                    about = _about(where, op, budgets[start], budgets[stop])
                    shapes.append(_rect(place, colors[op], about))
            top += _ROW
        top += _GAP
    for share in (0, 0.25, 0.5, 0.75, 1):
        budget = budgets[0] + share * (budgets[-2] - budgets[0])
        shapes.append(f'<path class="axis" d="M{x(budget):.1f} {top - 4}v5"/>')
        shapes.append(
            drawing.text(x(budget), top + 14, formatting.format_count(round(budget)), "", "middle")
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    shapes.append(drawing.text(middle, top + 29, "largest allowed MACs", "", "middle"))
    return (
        f'<svg class="oc" viewBox="0 0 {_WIDTH} {top + _BOTTOM}" width="{_WIDTH}" role="img" '
        f'aria-label="ops along the front">{"".join(shapes)}</svg>'
    )


def runs(values):
    """Runs of equal neighbours, as `(start, stop, value)`."""
    start = 0
    for i in range(1, len(values) + 1):
        if i == len(values) or values[i] != values[start]:
            yield start, i, values[start]
            start = i


def _steps(entries):
    """`(budget, blocks)`: what is best from each budget on, ascending, at most `COLUMNS`."""
    ordered = sorted(entries, key=lambda entry: entry["costs"]["macs"])
    steps = [(entry["costs"]["macs"], entry["blocks"]) for entry in ordered]
    if len(steps) <= COLUMNS:
        return steps
    low, high, picked, place = steps[0][0], steps[-1][0], [], 0
    for column in range(COLUMNS):
        budget = high if column == COLUMNS - 1 else low + (high - low) * column / (COLUMNS - 1)
        while place + 1 < len(steps) and steps[place + 1][0] <= budget:
            place += 1
        picked.append((budget, steps[place][1]))
    return picked


def _blocks(text):
    """`"24: k3e6 k5e3 | 40: k3e3"` as `[("24", ["k3e6", "k5e3"]), ("40", ["k3e3"])]`."""
    pairs = [block.partition(":") for block in text.split("|")]
    return [(width.strip(), ops.split()) for width, _, ops in pairs]


def _op_key(op):
    """`"k5e6"` as `(5, 6)`; what is written otherwise comes last."""
    match = re.fullmatch(r"k(\d+)e(\d+)", op)
    return (int(match[1]), int(match[2]), op) if match else (10**6, 0, op)


def _colors(ops):
    """From op to the SVG attributes of its colour."""
    kernels = list(dict.fromkeys(_op_key(op)[0] for op in ops))
    expansions = sorted({_op_key(op)[1] for op in ops})
    made = {}
    for op in ops:
        kernel, expansion, _ = _op_key(op)
        strength = (expansions.index(expansion) + 1) / len(expansions)
        hue = _HUES[kernels.index(kernel) % len(_HUES)]
        made[op] = f'fill="{hue}" fill-opacity="{0.1 + 0.9 * strength**1.2:.2f}"'
    return made


def _legend(ops, colors):
    shapes = []
    for i, op in enumerate(ops):
        left = _LEFT + 74 * i
        shapes.append(f'<rect x="{left}" y="6" width="16" height="12" {colors[op]}/>')
        shapes.append(drawing.text(left + 21, 16, op, "name"))
    return f"<g>{''.join(shapes)}</g>"


def _about(where, what, start, stop):
    ends = [formatting.format_count(round(value)) for value in (start, stop)]
    return f"{where}: {what} from {ends[0]} to {ends[1]} MACs"


def _rect(place, look, about):
    left, top, right, height = place
    return (
        f'<rect {look} x="{left:.2f}" y="{top}" width="{max(right - left, 0.3):.2f}" '
        f'height="{height}"><title>{html.escape(about)}</title></rect>'
    )
