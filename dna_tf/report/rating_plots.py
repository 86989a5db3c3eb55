"""Rating against cost: one small SVG panel for each cell, with Kendall's tau below it.

A rating that orders paths as their cost does tells little more than the cost. Each panel
therefore has the rank correlation of the rating with MACs and with parameters. Few paths are
drawn as points, many as counts in bins.
"""

import numpy as np

from dna_tf.common import formatting, rank_correlation
from dna_tf.report import drawing, number_text
from dna_tf.space import cost_tables, spaces

MOST_POINTS = 300
COLUMNS, ROWS = 36, 22  # bins
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
        chosen: an `architectures.Architecture` whose paths get a ring, or `None`.

    Returns:
        HTML: a grid of figures. MACs and parameters assume that the block before has its
        narrowest cell.
    """
    table, costs, marked = cost_tables.cost_table(space, task), {}, {}
    for b, c, _ in space.cells():
        costs[b, c] = table.paths[b, c, space.input_widths(b)[0]]
        if chosen is not None and b < len(chosen.blocks) and chosen.blocks[b].cell == c:
            marked[b, c] = [space.path_index(b, c, chosen.blocks[b].path)]
    return panels_of(space, cell_ratings, costs, marked)


def panels_of(space, cell_ratings, costs, marked):
    """As `panels`, for any costs of the paths.

    Args:
        space: the `spaces.SearchSpace`.
        cell_ratings: `cell_ratings[block, cell]`, one rating per path.
        costs: `costs[block, cell]`, a dict with arrays `macs` and `params`.
        marked: `marked[block, cell]`, indices of paths that get a ring; there may be none.
    """
    shapes = []
    for b, c, cell in space.cells():
        values = np.asarray(cell_ratings[b, c], np.float64)
        macs, params = (np.asarray(costs[b, c][name], np.float64) for name in ("macs", "params"))
        in_block = [cell_ratings[b, other] for other in range(len(space.blocks[b].cells))]
        low, high = min(map(np.min, in_block)), max(map(np.max, in_block))
        ends = float(low), float(high)
        panel = _panel(space, b, c, values, macs, ends, marked.get((b, c), ()))
        name = spaces.cell_name(b, c).replace("_", " ")
        shapes.append(
            f"<figure>{panel}<figcaption>{name}: {cell.layers} × {cell.width}, "
            f"{len(values):,} paths<small>τ with MACs {_tau(values, macs)}, with parameters "
            f"{_tau(values, params)}</small></figcaption></figure>"
        )
    return f'<div class="panels">{"".join(shapes)}</div>'


def lowest_paths(values, macs):
    """Indices of the paths that no path of at most their MACs beats in rating, cheapest first."""
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


def _panel(space, block, cell, values, macs, ends, marked):
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    low, high = ends
    first, last = float(macs.min()), float(macs.max())
    x = drawing.scale(first, last, _LEFT, _LEFT + width)
    y = drawing.scale(low, high, _TOP + height, _TOP)

    def dot(i, look, radius):
        ops = spaces.text(space, block, cell, i)
        hover = f"{ops}: rating {values[i]:.4f}, {formatting.format_count(int(macs[i]))} MACs"
        return drawing.circle(x(macs[i]), y(values[i]), radius, look, hover)

    shapes = [f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}"/>']
    for value in (low, (low + high) / 2, high):
        shapes.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}h{width}"/>')
        shapes.append(drawing.text(_LEFT - 5, y(value) + 4, f"{value:.3g}", anchor="end"))
    for value, anchor in ((first, "start"), (last, "end")):
        text = formatting.format_count(int(value)) + (" MACs" if anchor == "end" else "")
        shapes.append(drawing.text(x(value), _HEIGHT - 9, text, anchor=anchor))
    if len(values) > MOST_POINTS:
        shapes += _bin_shapes(bins(values, macs, low, high), width, height)
    else:
        shapes += [dot(i, "p", 2.4) for i in range(len(values))]
    shapes += [dot(i, "best", 3) for i in lowest_paths(values, macs)]
    shapes += [dot(i, "taken", 6) for i in marked]
    return (
        f'<svg class="rc" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="rating against '
        f'MACs of {spaces.cell_name(block, cell)}">{"".join(shapes)}</svg>'
    )


def _bin_shapes(counts, width, height):
    shapes, most = [], counts.max()
    for row, column in zip(*np.nonzero(counts), strict=True):
        count = int(counts[row, column])
        shade = int(np.ceil(SHADES * np.sqrt(count / most)))
        left, top = _LEFT + width * column / COLUMNS, _TOP + height * (1 - (row + 1) / ROWS)
        size = (f"{width / COLUMNS:.1f}", f"{height / ROWS:.1f}")
        look = f'class="b b{shade}"'
        shapes.append(drawing.rect(f"{left:.1f}", f"{top:.1f}", *size, look, f"{count:,}"))
    return shapes


def _tau(values, costs):
    return number_text.signed(rank_correlation.kendall_tau(values, costs))
