"""Rating against cost, one small SVG panel a cell, with Kendall's tau beside it.

A rating that ranks paths as their cost does says little more than the cost: so each panel
has the rank correlation of the rating with MACs and with parameters. Paths are points
where they are few, and counts in bins where they are many.
"""

import html

import numpy as np

from dna_tf.common import formatting, statistics
from dna_tf.space import cost_tables, spaces

MOST_POINTS = 300
COLUMNS, ROWS = 36, 22  # of bins
SHADES = 5
_WIDTH, _HEIGHT = 300, 190
_LEFT, _TOP, _RIGHT, _BOTTOM = 44, 10, 10, 26

STYLE = """
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:.8rem 1.2rem;
margin:.8rem 0}
.panels figure{margin:0}.panels svg{width:100%;display:block}
.panels figcaption{font-size:.85rem}.panels small{display:block;color:var(--soft)}
.rc text{font-size:11px;fill:var(--soft)}.rc .frame{fill:none;stroke:var(--line)}
.rc .grid{stroke:var(--grid)}.rc .p,.rc .b{fill:var(--accent)}.rc .p{fill-opacity:.5}
.rc .b1{fill-opacity:.14}.rc .b2{fill-opacity:.3}.rc .b3{fill-opacity:.48}
.rc .b4{fill-opacity:.7}.rc .b5{fill-opacity:.95}
.rc .best{fill:#d97a1f;stroke:var(--card);stroke-width:1}
.rc .taken{fill:none;stroke:var(--ink);stroke-width:1.8}
"""


def panels(space, cell_ratings, task, chosen=None):
    """Draws the rating of every path against its MACs.

    Args:
        space: the `spaces.SearchSpace`.
        cell_ratings: `cell_ratings[block, cell]`, one rating per path.
        task: the `tasks.Task` of the students.
        chosen: an `architectures.Architecture` whose paths get a ring; `None` rings none.

    Returns:
        HTML: a grid of figures. MACs and parameters are those of a student whose block reads
        the narrowest cell before it.
    """
    table = cost_tables.cost_table(space, task)
    shapes = []
    for b, c, cell in space.cells():
        values = np.asarray(cell_ratings[b, c], np.float64)
        costs = table.paths[b, c, space.input_widths(b)[0]]
        macs, params = (np.asarray(costs[name], np.float64) for name in ("macs", "params"))
        of_block = [cell_ratings[b, other] for other in range(len(space.blocks[b].cells))]
        taken = None
        if chosen is not None and b < len(chosen.blocks) and chosen.blocks[b].cell == c:
            taken = space.path_index(b, c, chosen.blocks[b].path)
        low, high = min(map(np.min, of_block)), max(map(np.max, of_block))
        drawn = _panel(space, b, c, values, macs, (float(low), float(high)), taken)
        name = spaces.cell_name(b, c).replace("_", " ")
        shapes.append(
            f"<figure>{drawn}<figcaption>{name}: {cell.layers} × {cell.width}, "
            f"{len(values):,} paths<small>τ with MACs {_tau(values, macs)}, with parameters "
            f"{_tau(values, params)}</small></figcaption></figure>"
        )
    return f'<div class="panels">{"".join(shapes)}</div>'


def lowest_paths(values, macs):
    """Indices of the paths that no path with at most their MACs beats, cheapest first."""
    kept, best = [], np.inf
    for i in np.lexsort([values, macs]).tolist():
        if values[i] < best:
            kept.append(i)
            best = values[i]
    return kept


def bins(values, macs, low, high):
    """Counts of paths: int64 `(ROWS, COLUMNS)`, rows by rating from low to high."""
    ends = [(low, high), (float(macs.min()), float(macs.max()))]
    ends = [(a, z if z > a else a + 1) for a, z in ends]
    return np.histogram2d(values, macs, (ROWS, COLUMNS), ends)[0].astype(np.int64)


def _panel(space, block, cell, values, macs, ends, taken):
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    low, high = ends
    first, last = float(macs.min()), float(macs.max())

    def x(value):
        return _LEFT + width * ((value - first) / (last - first) if last > first else 0.5)

    def y(value):
        return _TOP + height * (1 - (value - low) / (high - low) if high > low else 0.5)

    def dot(i, look, radius):
        ops = spaces.text(space, block, cell, i)
        about = f"{ops}: rating {values[i]:.4f}, {formatting.format_count(int(macs[i]))} MACs"
        return (
            f'<circle class="{look}" cx="{x(macs[i]):.1f}" cy="{y(values[i]):.1f}" r="{radius}">'
            f"<title>{html.escape(about)}</title></circle>"
        )

    shapes = [f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}"/>']
    for value in (low, (low + high) / 2, high):
        shapes.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}h{width}"/>')
        shapes.append(
            f'<text x="{_LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
    for value, anchor in ((first, "start"), (last, "end")):
        text = formatting.format_count(int(value)) + (" MACs" if anchor == "end" else "")
        shapes.append(
            f'<text x="{x(value):.1f}" y="{_HEIGHT - 9}" text-anchor="{anchor}">{text}</text>'
        )
    if len(values) > MOST_POINTS:
        shapes += _drawn_bins(bins(values, macs, low, high), width, height)
    else:
        shapes += [dot(i, "p", 2.4) for i in range(len(values))]
    shapes += [dot(i, "best", 3) for i in lowest_paths(values, macs)]
    if taken is not None:
        shapes.append(dot(taken, "taken", 6))
    return (
        f'<svg class="rc" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="rating against '
        f'MACs of {spaces.cell_name(block, cell)}">{"".join(shapes)}</svg>'
    )


def _drawn_bins(counts, width, height):
    shapes, most = [], counts.max()
    for row, column in zip(*np.nonzero(counts), strict=True):
        count = int(counts[row, column])
        shade = int(np.ceil(SHADES * np.sqrt(count / most)))
        left, top = _LEFT + width * column / COLUMNS, _TOP + height * (1 - (row + 1) / ROWS)
        shapes.append(
            f'<rect class="b b{shade}" x="{left:.1f}" y="{top:.1f}" width="{width / COLUMNS:.1f}" '
            f'height="{height / ROWS:.1f}"><title>{count:,}</title></rect>'
        )
    return shapes


def _tau(values, costs):
    tau = statistics.kendall_tau(values, costs)
    return "–" if np.isnan(tau) else f"{tau:+.2f}".replace("-", "−")
