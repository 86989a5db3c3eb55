"""DNA's Figure 3 as SVG: accuracy against parameters and FLOPs, measured and published."""

import dataclasses

from dna_tf.common import formatting
from dna_tf.report import drawing
from dna_tf.space import zoo

_WIDTH, _HEIGHT = 460, 330  # a panel
_LEFT, _TOP, _GAP = 62, 64, 78
_IMAGENET_CLASSES = 1000
_BESIDE = ", beside published accuracies on ImageNet's 50,000 validation images"
_FLOPS_TEXT = "FLOPs as DNA's authors count them; MACs where only those are known"

# The file stands alone: its colours follow the screen's light or dark setting.
_STYLE = """
text{font-family:system-ui,sans-serif;font-size:12px;fill:var(--ink)}
.title{font-size:14px;font-weight:600}.soft{fill:var(--soft)}
.axis{stroke:var(--soft);stroke-width:1;fill:none}.grid{stroke:var(--grid);stroke-width:1}
.measured{fill:#2f7fc1;stroke:#2f7fc1}.bar{stroke:#2f7fc1;stroke-width:1.4}
.published{fill:none;stroke:var(--soft);stroke-width:1.5}
.dna{fill:none;stroke:#d97a1f;stroke-width:1.8}
.line{fill:none;stroke:#d97a1f;stroke-width:1.2;stroke-dasharray:4 3}
svg{--ink:#1d2530;--soft:#5a6675;--grid:#e3e7ec;background:#fff}
@media (prefers-color-scheme:dark){svg{--ink:#e6eaef;--soft:#9ca9b8;--grid:#2b333d;
background:#14181d}}
"""


@dataclasses.dataclass(frozen=True)
class Point:
    """One network in a panel.

    Args:
        name: its label.
        cost: its parameters or FLOPs.
        top1: its accuracy in percent.
        interval: the 95 % interval of a measured accuracy; `None` for a published one.
        is_ours: whether DNA's authors published it.
    """

    name: str
    cost: float
    top1: float
    interval: tuple | None = None
    is_ours: bool = False


def svg(rows):
    """Draws the figure: for each data set a pair of panels, parameters and FLOPs.

    Published accuracies were measured on ImageNet. They are drawn hollow, beside measurements
    with 1000 classes, or in panels of their own if there are no such measurements.

    Args:
        rows: a list of `result_tables.ResultRow`.

    Returns:
        The SVG as text; the same rows give the same text.
    """
    groups = {}
    for row in rows:
        groups.setdefault((row.data, row.num_classes), []).append(row)
    panels = []
    for (data, classes), group in groups.items():
        with_published = classes == _IMAGENET_CLASSES
        title = f"Measured here on {data}" + (_BESIDE if with_published else "")
        panels.append((title, group, with_published))
    if not any(with_published for _, _, with_published in panels):
        panels.append(("Published on ImageNet, not measured here", [], True))
    width = 2 * (_LEFT + _WIDTH) + _GAP
    height = len(panels) * (_TOP + _HEIGHT + 60) + 34
    shapes = [_legend(14)]
    for number, (title, group, with_published) in enumerate(panels):
        top = 34 + number * (_TOP + _HEIGHT + 60)
        shapes.append(drawing.text(_LEFT, top + 30, title, "title"))
        for column, (field, axis) in enumerate((("params", "parameters"), ("flops", _FLOPS_TEXT))):
            left = _LEFT + column * (_LEFT + _WIDTH + _GAP - 20)
            points = _points(group, with_published, field)
            shapes.append(_panel(left, top + _TOP - 14, axis, *points))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="accuracy against cost"><style>{_STYLE}</style>{"".join(shapes)}</svg>\n'
    )


def _points(rows, with_published, field):
    """The measured and the published points of a panel: those whose cost is known."""
    measured, several_runs = [], len({row.path for row in rows}) > 1
    for row in rows:
        cost = row.params if field == "params" else row.authors_flops or row.macs
        if cost:
            interval = tuple(100 * share for share in row.interval)
            name = f"{row.name} ({row.run})" if several_runs else row.name
            measured.append(Point(name, cost, 100 * row.top1, interval))
    published = [
        Point(row.name, getattr(row, field), row.top1, is_ours=row.is_ours)
        for row in (zoo.TABLE_2 if with_published else ())
        if getattr(row, field)
    ]
    return measured, published


def _panel(left, top, axis, measured, published):
    points = [*measured, *published]
    middle = left + _WIDTH / 2
    shapes = [drawing.text(middle, top + _HEIGHT + 36, axis, "soft", "middle")]
    shapes.append(f'<path class="axis" d="M{left} {top}v{_HEIGHT}h{_WIDTH}"/>')
    if not points:
        shapes.append(
            drawing.text(middle, top + _HEIGHT / 2, "no network with this cost", "soft", "middle")
        )
        return "".join(shapes)
    costs = drawing.span([p.cost for p in points])
    shares = drawing.span([s for p in points for s in (p.interval or (p.top1,))])
    shares = (max(0.0, shares[0]), min(100.0, shares[1]))
    x = drawing.scale(*costs, left, left + _WIDTH)
    y = drawing.scale(*shares, top + _HEIGHT, top)
    for value in drawing.ticks(*shares):
        shapes.append(f'<path class="grid" d="M{left} {y(value):.1f}h{_WIDTH}"/>')
        shapes.append(drawing.text(left - 6, y(value) + 4, f"{value:g} %", "soft", "end"))
    for value in drawing.ticks(*costs):
        label = formatting.format_count(value) if value else "0"
        shapes.append(drawing.text(x(value), top + _HEIGHT + 17, label, "soft", "middle"))
    ours = sorted((p for p in published if p.is_ours), key=lambda p: p.cost)
    if len(ours) > 1:
        path = "L".join(f"{x(p.cost):.1f} {y(p.top1):.1f}" for p in ours)
        shapes.append(f'<path class="line" d="M{path}"/>')
    for point in published:
        shapes.append(_diamond(x(point.cost), y(point.top1), "dna" if point.is_ours else ""))
    for point in measured:
        low, high = point.interval
        shapes.append(f'<path class="bar" d="M{x(point.cost):.1f} {y(low):.1f}V{y(high):.1f}"/>')
        cost = formatting.format_count(point.cost)
        hover = f"{point.name}: {cost}, {point.top1:.2f} %, measured"
        shapes.append(drawing.circle(x(point.cost), y(point.top1), 4.5, "measured", hover))
    places = [(x(p.cost), y(p.top1), p.name) for p in points]
    shapes += drawing.labels(places, left, top, _WIDTH, _HEIGHT)
    return "".join(shapes)


def _legend(y):
    return (
        f'<circle class="measured" cx="{_LEFT}" cy="{y}" r="4.5"/>'
        + drawing.text(_LEFT + 10, y + 4, "measured here, with 95 % interval")
        + _diamond(_LEFT + 250, y, "dna")
        + drawing.text(_LEFT + 260, y + 4, "DNA, published, not measured here")
        + _diamond(_LEFT + 500, y, "")
        + drawing.text(_LEFT + 510, y + 4, "others, published, not measured here")
    )


def _diamond(x, y, look):
    return f'<path class="{look or "published"}" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"/>'
