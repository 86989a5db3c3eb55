"""Draws a student as an SVG diagram: stem, blocks with their layers, head.

How to read it: the wider a layer's box, the larger its kernel; the higher, the larger its
expansion. A box that narrows to the right has stride 2 and halves the resolution; an arc over a
box is a residual connection.
"""

import dataclasses
import html
import itertools

from dna_tf.common import formatting
from dna_tf.space import cost_tables, layer_specs, network_layers, spaces

_LEFT, _RIGHT, _GAP = 26, 26, 22
_LABEL, _ARC, _BELOW = 22, 12, 14  # heights above and below the boxes of a row

# The diagram stands alone: its colours follow the screen's light or dark setting.
_STYLE = """
.dg text{font-family:system-ui,sans-serif;font-size:13px;fill:var(--dg-ink)}
.dg .dg-op{font-family:ui-monospace,monospace;font-size:12.5px;text-anchor:middle}
.dg .dg-soft{fill:var(--dg-soft)}
.dg .dg-box{stroke:var(--dg-line);stroke-width:1.2;fill:var(--dg-plain)}
.dg .dg-k3{fill:var(--dg-3)}.dg .dg-k5{fill:var(--dg-5)}.dg .dg-k7{fill:var(--dg-7)}
.dg .dg-wire{fill:none;stroke:var(--dg-wire);stroke-width:1.4}
.dg{--dg-ink:#1d2530;--dg-soft:#5a6675;--dg-line:#5f7286;--dg-wire:#98a4b1;
--dg-plain:#edf0f3;--dg-3:#d3e7f7;--dg-5:#fbe3c6;--dg-7:#f3d3e6}
@media (prefers-color-scheme:dark){.dg{--dg-ink:#e6eaef;--dg-soft:#9ca9b8;--dg-line:#8397ab;
--dg-wire:#6b7886;--dg-plain:#2a323c;--dg-3:#1f4766;--dg-5:#6a4516;--dg-7:#642f52}}
"""


@dataclasses.dataclass(frozen=True)
class BlockRow:
    """A row of the diagram: one block of a student with its costs.

    Args:
        number: from 1; the stem is 0 and the head comes after the last block.
        name: its title, such as `"block 2"`.
        size: height and width of its output in pixels.
        width: output channels.
        boxes: a `LayerBox` for each layer.
        params: trainable parameters.
        macs: multiply-accumulates for one image.
        rating: rating of the block's path; `None` without one.
    """

    number: int
    name: str
    size: int
    width: int
    boxes: tuple
    params: int
    macs: int
    rating: float | None = None


@dataclasses.dataclass(frozen=True)
class LayerBox:
    """The box of a layer: its text, its shape, and the text shown when hovering over it."""

    text: str
    kernel: int
    expand: int
    stride: int
    residual: bool
    about: str


def block_rows(architecture):
    """Lists stem, blocks and head of a student with their shapes and costs.

    The costs add up to `architecture.costs()`.

    Args:
        architecture: an `architectures.Architecture`.

    Returns:
        A list of `BlockRow`.
    """
    ratings, rows = [block.rating for block in architecture.blocks], []
    blocks = itertools.groupby(network_layers.layers(architecture), lambda layer: layer.block)
    for number, layers in blocks:
        layers = list(layers)
        costs = [cost_tables.layer_costs(layer) for layer in layers]
        params, macs = (sum(cost[name] for cost in costs) for name in ("params", "macs"))
        boxes = [_box_of(layer) for layer in layers]
        name, rating = f"block {number}", None
        size, width = layers[-1].output_size, layers[-1].spec.out_width
        if number == 0:
            name = "stem"
        elif number <= len(ratings):
            rating = ratings[number - 1]
        else:
            classes = architecture.num_classes
            about = f"dense: {width} → {classes} classes"
            mean = f"mean over {size}×{size} pixels, then dropout"
            boxes.append(LayerBox("mean", 1, 1, 1, False, mean))
            boxes.append(LayerBox("dense", 1, 1, 1, False, about))
            name, size, width = "head", 1, classes
        rows.append(BlockRow(number, name, size, width, tuple(boxes), params, macs, rating))
    return rows


def student_svg(architecture):
    """Draws a student.

    Args:
        architecture: an `architectures.Architecture`.

    Returns:
        The text of an `<svg>` element that needs nothing else.
    """
    rows = block_rows(architecture)
    widths = [sum(_box_width(box) + _GAP for box in row.boxes) - _GAP for row in rows]
    total = max(400, _LEFT + max(widths) + _RIGHT)
    heights = [max(_box_height(box) for box in row.boxes) for row in rows]
    parts, top, turn = [], 0, ""
    for index, row in enumerate(rows):
        middle = top + _LABEL + _ARC + heights[index] / 2
        if index:
            parts.append(_turn(turn, top, middle))
        parts += _row(row, top, middle, architecture)
        turn = f"M{_LEFT + widths[index]} {middle}h{_GAP / 2 + 3}"
        top = middle + heights[index] / 2 + _BELOW
    name = html.escape(architecture.name)
    # Text stays readable: a narrow screen scrolls rather than shrinks it far.
    style = f"display:block;width:100%;min-width:{total * 0.78:.0f}px;max-width:{total * 1.2:.0f}px"
    return (
        f'<svg class="dg" viewBox="0 0 {total} {top:g}" role="img" style="{style}" '
        f'aria-label="Diagram of {name}"><style>{_STYLE}</style>{"".join(parts)}</svg>'
    )


def _row(row, top, middle, architecture):
    shape = f"{row.size}×{row.size}×{row.width}"
    if row.name == "head":
        shape = f"{row.width} classes"
    soft = [shape]
    if row.number == 0:
        size = architecture.image_size
        soft[0] = f"{size}×{size}×{architecture.channels} → {shape}"
    soft.append(f"{formatting.format_count(row.macs)} MACs")
    if row.rating is not None:
        soft.append(f"rating {row.rating:.3f}")
    parts = [
        f'<text x="{_LEFT}" y="{top + _LABEL - 4}"><tspan font-weight="600">{row.name}</tspan>'
        f'<tspan class="dg-soft" dx="8">{" · ".join(soft)}</tspan></text>'
    ]
    x = _LEFT
    for index, box in enumerate(row.boxes):
        width = _box_width(box)
        if index:
            parts.append(_wire(f"M{x - _GAP} {middle}H{x}"))
        if box.residual:
            lift = middle - _box_height(box) / 2 - _ARC + 4
            # Arcs of neighbours start and end a little apart, so that they stay two.
            start, end = x - _GAP / 2 + 3, x + width + _GAP / 2 - 3
            parts.append(
                _wire(f"M{start} {middle}V{lift + 5}q0 -5 5 -5H{end - 5}q5 0 5 5V{middle}")
            )
        parts.append(_box(box, x, middle, width))
        x += width + _GAP
    return parts


def _box(box, x, middle, width):
    half = _box_height(box) / 2
    right = half * 0.62 if box.stride == 2 else half
    points = f"{x},{middle - half} {x + width},{middle - right} {x + width},{middle + right} "
    points += f"{x},{middle + half}"
    look = f"dg-k{box.kernel}" if box.kernel > 1 else ""
    return (
        f'<g><title>{html.escape(box.about)}</title><polygon class="dg-box {look}" '
        f'stroke-linejoin="round" points="{points}"/>'
        f'<text class="dg-op" x="{x + width / 2}" y="{middle + 4.5}">{html.escape(box.text)}'
        "</text></g>"
    )


def _turn(start, gap, middle):
    """The wire from the end of a row (`start`), down, back along `gap`, into the next row."""
    back = _LEFT - 13
    return _wire(
        f"{start}q6 0 6 6V{gap - 6}q0 6 -6 6H{back + 6}q-6 0 -6 6V{middle - 6}q0 6 6 6H{_LEFT}"
    )


def _wire(path):
    return f'<path class="dg-wire" d="{path}"/>'


def _box_width(box):
    return max(34 + 6 * min(box.kernel, 9), 14 + 8 * len(box.text))


def _box_height(box):
    return 22 + 4.5 * (min(box.expand, 8) - 1)


def _box_of(layer):
    """The `LayerBox` of a `network_layers.NetworkLayer`."""
    spec, size = layer.spec, layer.size
    if isinstance(spec, layer_specs.ConvSpec):
        about = (
            f"convolution {spec.kernel}×{spec.kernel}, {spec.in_width} → {spec.out_width} "
            f"channels, stride {spec.stride}, batch norm, {spec.activation}; {spec.params:,} "
            "parameters"
        )
        return LayerBox(f"conv{spec.kernel}", spec.kernel, 1, spec.stride, False, about)
    kind = spaces.KINDS[layer_specs.kind_of(spec)]
    squeeze = f", SE width {spec.se_width}" if spec.se_width else ""
    about = (
        f"{'fused ' if kind else ''}MBConv kernel {spec.kernel}, expansion {spec.expand}, "
        f"{spec.in_width} → {spec.out_width} channels, stride {spec.stride}{squeeze}; "
        f"{spec.params:,} parameters, "
        f"{spec.macs(size, size):,} MACs"
    )
    text = f"{kind}k{spec.kernel}e{spec.expand}"
    return LayerBox(text, spec.kernel, spec.expand, spec.stride, spec.has_residual, about)
