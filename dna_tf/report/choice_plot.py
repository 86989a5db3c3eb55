"""The cells and ops of the best architectures as the budget grows: an SVG heat map of a front.

The horizontal axis is the largest allowed MACs. Each block has a row for its cell and below it
one for each of its layers. The hue of an op is its kernel, the strength its expansion.
"""

import re

from dna_tf.common import formatting
from dna_tf.report import drawing

COLUMNS = 480  # most budgets that are drawn
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
        entries: the entries of a front of the rating against MACs, in any order: dicts with
            `costs` and `blocks` (text as `Architecture.describe` returns it).

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
    # An end after the last budget, which would otherwise have no width.
    budgets.append(budgets[-1] + 0.02 * (budgets[-1] - budgets[0]))
    x = drawing.scale(budgets[0], budgets[-1], _LEFT, _WIDTH - _RIGHT)

    shapes, top = [_legend(ops, colors)], _TOP
    for b in range(len(parsed[0])):
        cells = [f"{len(blocks[b][1])} × {blocks[b][0]}" for blocks in parsed]
        shapes.append(drawing.text(0, top + 12, f"block {b + 1}", "name"))
        shapes.append(drawing.text(_LEFT - 6, top + 12, "cell", anchor="end"))
        names = list(dict.fromkeys(cells))
        for start, stop, cell in runs(cells):
            look = "cell" if names.index(cell) % 2 == 0 else "cell2"
            left, right = x(budgets[start]), x(budgets[stop])
            hover = _hover(f"block {b + 1}, cell", cell, budgets[start], budgets[stop])
            shapes.append(_rect(left, right, top, _CELL_ROW - 2, f'class="{look}"', hover))
            if right - left > 38:
                shapes.append(drawing.text((left + right) / 2, top + 12, cell, "width"))
        top += _CELL_ROW
        for layer in range(max(len(blocks[b][1]) for blocks in parsed)):
            row = [blocks[b][1][layer] if layer < len(blocks[b][1]) else "" for blocks in parsed]
            shapes.append(drawing.text(_LEFT - 6, top + 11, f"layer {layer + 1}", anchor="end"))
            for start, stop, op in runs(row):
                if op:
                    left, right = x(budgets[start]), x(budgets[stop])
                    row_name = f"block {b + 1}, layer {layer + 1}"
                    hover = _hover(row_name, op, budgets[start], budgets[stop])
                    shapes.append(_rect(left, right, top, _ROW - 1, colors[op], hover))
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
    """Yields the runs of equal neighbours in a list, as `(start, stop, value)`."""
    start = 0
    for i in range(1, len(values) + 1):
        if i == len(values) or values[i] != values[start]:
            yield start, i, values[start]
            start = i


def _steps(entries):
    """Pairs of a budget and the blocks that are best from it on: ascending, at most `COLUMNS`."""
    ordered = sorted(entries, key=lambda entry: entry["costs"]["macs"])
    steps = [(entry["costs"]["macs"], entry["blocks"]) for entry in ordered]
    if len(steps) <= COLUMNS:
        return steps
    low, high, columns, step = steps[0][0], steps[-1][0], [], 0
    for column in range(COLUMNS):
        budget = high if column == COLUMNS - 1 else low + (high - low) * column / (COLUMNS - 1)
        while step + 1 < len(steps) and steps[step + 1][0] <= budget:
            step += 1
        columns.append((budget, steps[step][1]))
    return columns


def _blocks(text):
    """`"24: k3e6 k5e3 | 40: k3e3"` as `[("24", ["k3e6", "k5e3"]), ("40", ["k3e3"])]`."""
    pairs = [block.partition(":") for block in text.split("|")]
    return [(width.strip(), ops.split()) for width, _, ops in pairs]


def _op_key(op):
    """A key that sorts ops by kernel, kind and expansion; names in another form come last."""
    match = re.fullmatch(r"(f?)k(\d+)e(\d+)(.*)", op)
    if not match:
        return (10**6, ""), 0, op
    return (int(match[2]), match[1] + match[4]), int(match[3]), op


def _colors(ops):
    """A dict from op to the SVG attributes of its colour."""
    kernels = list(dict.fromkeys(_op_key(op)[0] for op in ops))
    expansions = sorted({_op_key(op)[1] for op in ops})
    colors = {}
    for op in ops:
        kernel, expansion, _ = _op_key(op)
        strength = (expansions.index(expansion) + 1) / len(expansions)
        hue = _HUES[kernels.index(kernel) % len(_HUES)]
        colors[op] = f'fill="{hue}" fill-opacity="{0.1 + 0.9 * strength**1.2:.2f}"'
    return colors


def _legend(ops, colors):
    shapes = []
    for i, op in enumerate(ops):
        left = _LEFT + 74 * i
        shapes.append(f'<rect x="{left}" y="6" width="16" height="12" {colors[op]}/>')
        shapes.append(drawing.text(left + 21, 16, op, "name"))
    return f"<g>{''.join(shapes)}</g>"


def _hover(row_name, choice, start, stop):
    ends = [formatting.format_count(round(value)) for value in (start, stop)]
    return f"{row_name}: {choice} from {ends[0]} to {ends[1]} MACs"


def _rect(left, right, top, height, look, hover):
    width = f"{max(right - left, 0.3):.2f}"
    return drawing.rect(f"{left:.2f}", top, width, height, look, hover)
