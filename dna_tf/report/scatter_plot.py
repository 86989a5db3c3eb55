"""Points and lines over two axes as SVG, in the colours of the page: works without a script."""

import collections.abc
import dataclasses

from dna_tf.common import formatting
from dna_tf.report import drawing

_WIDTH, _HEIGHT = 420, 310
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 26, 12, 46

STYLE = """
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));
gap:1rem 1.4rem;margin:.8rem 0}
.plots figure{margin:0;min-width:0}.plots svg{width:100%;max-width:560px;display:block}
.plots figcaption{font-size:.85rem}.plots small{display:block;color:var(--soft)}
.sp text{font-size:12px;fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:3px;
stroke-linejoin:round}.sp .soft{fill:var(--soft)}
.sp .axis{fill:none;stroke:var(--soft)}.sp .grid{stroke:var(--grid)}
.sp .bar{stroke-width:1.4;fill:none;stroke:var(--soft)}
.sp .line{fill:none;stroke-width:1.5}.sp .dashed{stroke-dasharray:4 4}
.sp .line.front{stroke:#2f7fc1}.sp .line.even,.sp .line.gap{stroke:var(--soft);stroke-width:1}
.sp .line.slope{stroke:#d97a1f}
.sp .network{fill:#2f7fc1;fill-opacity:.6}
.sp .realised{fill:var(--card);stroke:#d97a1f;stroke-width:1.8}
.sp .student{fill:#2f9e73}.sp .entry{fill:#2f7fc1}
.sp .teacher{fill:var(--ink)}
.swatches{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;color:var(--soft);font-size:.9rem;
margin:.2rem 0 .6rem}
.swatches i{display:inline-block;width:.72em;height:.72em;border-radius:50%;margin-right:.4em}
.swatches .entry{background:#2f7fc1}.swatches .student{background:#2f9e73}
.swatches .teacher{background:var(--ink)}.swatches .realised{border:2px solid #d97a1f}
"""


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of a plot.

    Args:
        x, y: its values.
        look: its CSS class: `"entry"`, `"realised"`, `"student"`, `"teacher"` or `"network"`.
        hover: plain text that shows on hover.
        name: a label beside it; `""` for none.
        interval: the ends of a vertical bar through it; `None` for none.
        radius: in pixels.
    """

    x: float
    y: float
    look: str
    hover: str
    name: str = ""
    interval: tuple | None = None
    radius: float = 3.0


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a plot: its CSS class, and the `(x, y)` of its corners."""

    look: str
    corners: tuple


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis of a plot.

    Args:
        title: plain text.
        ends: the values at its ends; `None` leaves room around all points.
        text: a function from a value to the text at its tick.
    """

    title: str
    ends: tuple | None = None
    text: collections.abc.Callable = formatting.format_count


def svg(points, lines, x_axis, y_axis, label):
    """Draws points over lines.

    Args:
        points: a list of `Point`, at least one; later ones lie above earlier ones.
        lines: a list of `Line`.
        x_axis, y_axis: an `Axis` each.
        label: what the plot shows, for screen readers.

    Returns:
        The SVG as text. Lines end at the edge of the panel.
    """
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    values = [v for p in points for v in (p.y, *(p.interval or ()))]
    across = x_axis.ends or drawing.span([p.x for p in points])
    up = y_axis.ends or drawing.span(values)
    x = drawing.scale(*across, _LEFT, _LEFT + width)
    y = drawing.scale(*up, _TOP + height, _TOP)
    shapes = []
    for value in drawing.ticks(*up):
        shapes.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}h{width}"/>')
        shapes.append(drawing.text(_LEFT - 6, y(value) + 4, y_axis.text(value), "soft", "end"))
    for value in drawing.ticks(*across):
        content = x_axis.text(value)
        shapes.append(drawing.text(x(value), _TOP + height + 17, content, "soft", "middle"))
    shapes.append(drawing.text(4, 13, y_axis.title, "soft"))
    middle = _LEFT + width / 2
    shapes.append(drawing.text(middle, _HEIGHT - 8, x_axis.title, "soft", "middle"))
    shapes.append(f'<path class="axis" d="M{_LEFT} {_TOP}v{height}h{width}"/>')
    for line in lines:
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in _clipped(line.corners, across, up))
        shapes.append(f'<path class="line {line.look}" d="M{path}"/>' if path else "")
    for point in points:
        if point.interval is not None:
            low, high = point.interval
            shapes.append(f'<path class="bar" d="M{x(point.x):.1f} {y(low):.1f}V{y(high):.1f}"/>')
    for point in points:
        place = x(point.x), y(point.y)
        shapes.append(drawing.circle(*place, point.radius, point.look, point.hover))
    named = [(x(p.x), y(p.y), p.name) for p in points if p.name]
    shapes += drawing.labels(named, _LEFT, _TOP, width, height)
    title = f"{y_axis.title} against {x_axis.title}: {label}"
    return (
        f'<svg class="sp" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{drawing.escaped(title)}">{"".join(shapes)}</svg>'
    )


def figure(drawn, caption, small=""):
    """A plot with its caption as HTML.

    Args:
        drawn: the SVG.
        caption, small: plain text; the second stands below the first.
    """
    small = f"<small>{drawing.escaped(small)}</small>" if small else ""
    return f"<figure>{drawn}<figcaption>{drawing.escaped(caption)}{small}</figcaption></figure>"


def swatches(pairs):
    """The colours of a plot as HTML.

    Args:
        pairs: `(look, plain text)` for each.
    """
    items = (f'<span><i class="{look}"></i>{drawing.escaped(text)}</span>' for look, text in pairs)
    return f'<p class="swatches">{"".join(items)}</p>'


def _clipped(corners, across, up):
    """The corners of a line, with a straight line from (0, 0) cut where it leaves the panel."""
    if len(corners) != 2:
        return corners
    (a, b), (c, d) = corners
    share = 1.0
    for start, end, most in ((a, c, across[1]), (b, d, up[1])):
        if end > most and end > start:
            share = min(share, (most - start) / (end - start))
    return ((a, b), (a + share * (c - a), b + share * (d - b)))
