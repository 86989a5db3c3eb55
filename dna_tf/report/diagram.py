"""A student as an SVG diagram: stem, blocks with their layers, head.

Reading code: a layer's box is as wide as its kernel and as high as its expansion;
a box that narrows to the right has stride 2 and halves the resolution; an arc over
a box is a residual connection.
"""

import dataclasses
import html

from dna_tf.common import formatting
from dna_tf.space import cost_tables, layer_specs

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
    """What one block of a student is and costs.

    Args:
        number: from 1; the stem is 0 and the head comes after the last block.
        name: how people call it.
        size: height and width of its output in pixels.
        width: output channels.
        layers: a `Layer` for each box.
        params: trainable parameters.
        macs: multiply-accumulates for one image.
        rating: rating of the block's path; `None` where there is none.
    """

    number: int
    name: str
    size: int
    width: int
    layers: tuple
    params: int
    macs: int
    rating: float | None = None


@dataclasses.dataclass(frozen=True)
class Layer:
    """One box: its text, its kernel, its expansion, and what a hover says."""

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
    frame = architecture.frame
    image, channels = architecture.image_size, architecture.channels
    conv, *stem = layer_specs.stem_specs(frame, channels)
    size, width = cost_tables.stem_output_size(frame, image), frame.stem_output_width
    costs = cost_tables.stem_costs(frame, architecture.task)
    layers = (_conv_layer("conv3", conv), *(_mbconv_layer(spec, size) for spec in stem))
    rows = [BlockRow(0, "stem", size, width, layers, costs["params"], costs["macs"])]
    for number, block in enumerate(architecture.blocks, 1):
        widths = [block.width] * len(block.ops)
        specs = layer_specs.layer_specs(frame, block.ops, width, widths, block.stride)
        layers, params, macs = [], 0, 0
        for spec in specs:
            layers.append(_mbconv_layer(spec, size))
            params, macs = params + spec.params, macs + spec.macs(size, size)
            size = layer_specs.output_size(size, size, spec.stride)[0]
        width, name = block.width, f"block {number}"
        rows.append(BlockRow(number, name, size, width, tuple(layers), params, macs, block.rating))
    costs = cost_tables.head_costs(frame, width, size, architecture.num_classes)
    classes = architecture.num_classes
    layers = (
        _conv_layer("conv1", layer_specs.head_spec(frame, width)),
        Layer("mean", 1, 1, 1, False, f"mean over {size}×{size} pixels, then dropout"),
        Layer("dense", 1, 1, 1, False, f"dense: {frame.head_width} → {classes} classes"),
    )
    number = len(rows)
    rows.append(BlockRow(number, "head", 1, classes, layers, costs["params"], costs["macs"]))
    return rows


def student_svg(architecture):
    """Draws a student.

    Args:
        architecture: an `architectures.Architecture`.

    Returns:
        The text of an `<svg>` element that needs nothing else.
    """
    rows = block_rows(architecture)
    widths = [sum(_box_width(layer) + _GAP for layer in row.layers) - _GAP for row in rows]
    total = max(400, _LEFT + max(widths) + _RIGHT)
    heights = [max(_box_height(layer) for layer in row.layers) for row in rows]
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
    for index, layer in enumerate(row.layers):
        width = _box_width(layer)
        if index:
            parts.append(_wire(f"M{x - _GAP} {middle}H{x}"))
        if layer.residual:
            lift = middle - _box_height(layer) / 2 - _ARC + 4
            # Arcs of neighbours start and end a little apart, so that they stay two.
            start, end = x - _GAP / 2 + 3, x + width + _GAP / 2 - 3
            parts.append(
                _wire(f"M{start} {middle}V{lift + 5}q0 -5 5 -5H{end - 5}q5 0 5 5V{middle}")
            )
        parts.append(_box(layer, x, middle, width))
        x += width + _GAP
    return parts


def _box(layer, x, middle, width):
    half = _box_height(layer) / 2
    right = half * 0.62 if layer.stride == 2 else half
    points = f"{x},{middle - half} {x + width},{middle - right} {x + width},{middle + right} "
    points += f"{x},{middle + half}"
    look = f"dg-k{layer.kernel}" if layer.kernel > 1 else ""
    return (
        f'<g><title>{html.escape(layer.about)}</title><polygon class="dg-box {look}" '
        f'stroke-linejoin="round" points="{points}"/>'
        f'<text class="dg-op" x="{x + width / 2}" y="{middle + 4.5}">{html.escape(layer.text)}'
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


def _box_width(layer):
    return max(34 + 6 * min(layer.kernel, 9), 14 + 8 * len(layer.text))


def _box_height(layer):
    return 22 + 4.5 * (min(layer.expand, 8) - 1)


def _conv_layer(text, spec):
    about = (
        f"convolution {spec.kernel}×{spec.kernel}, {spec.in_width} → {spec.out_width} channels, "
        f"stride {spec.stride}, batch norm, {spec.activation}; {spec.params:,} parameters"
    )
    return Layer(text, spec.kernel, 1, spec.stride, False, about)


def _mbconv_layer(spec, size):
    squeeze = f", SE width {spec.se_width}" if spec.se_width else ""
    about = (
        f"MBConv kernel {spec.kernel}, expansion {spec.expand}, {spec.in_width} → "
        f"{spec.out_width} channels, stride {spec.stride}{squeeze}; {spec.params:,} parameters, "
        f"{spec.macs(size, size):,} MACs"
    )
    text = f"k{spec.kernel}e{spec.expand}"
    return Layer(text, spec.kernel, spec.expand, spec.stride, spec.has_residual, about)
