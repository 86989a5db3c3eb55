"""HTML pages that load nothing: pieces, style and script. Plain text is escaped here.

A page contains plotly.js once, and its content security policy forbids the browser every
request.
"""

import html
import json

import plotly.offline

from dna_tf.report import choice_plot, figures, rating_plots

_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)

_STYLE = """
:root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--ink:#1d2530;--soft:#5a6675;
--line:#dfe3e8;--grid:#e8ebef;--accent:#1f6cad;--warn:#fdf3dc;--warn-line:#e5c577;--mark:#eaf2fa}
@media (prefers-color-scheme:dark){:root{--page:#14181d;--card:#1c2229;--ink:#e6eaef;
--soft:#9ca9b8;--line:#333c47;--grid:#2b333d;--accent:#76b4ea;--warn:#332b18;--warn-line:#6d5a28;
--mark:#22303e}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:.5rem 0 .4rem}
h2{font-size:1.2rem;margin:0 0 .3rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.4rem 0;max-width:75ch}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.8rem 0 1.2rem;font-size:.9rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:1.1rem 1.2rem;margin:0 0 1.1rem;scroll-margin-top:.5rem}
.soft{color:var(--soft);font-size:.9rem}
.lead{font-size:1.12rem;line-height:1.5}
.note{background:var(--warn);border:1px solid var(--warn-line);border-radius:8px;
padding:.45rem .7rem;margin:.5rem 0;font-size:.92rem}
dl.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:.7rem 1.4rem;
margin:.8rem 0 .2rem}
dl.facts dt{color:var(--soft);font-size:.8rem}dl.facts dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.6rem 0;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;min-width:min(100%,32rem);font-size:.9rem}
.wide{width:100%}
th,td{padding:.4rem .7rem;text-align:right;border-bottom:1px solid var(--line);
white-space:nowrap;font-variant-numeric:tabular-nums;vertical-align:top}
th{color:var(--soft);font-weight:600;font-size:.8rem;vertical-align:bottom}
th:first-child,td:first-child,.text{text-align:left}
td small{display:block;color:var(--soft);font-size:.8rem}
tr.chosen td{background:var(--mark)}
.wide td:first-child,.wide th:first-child{position:sticky;left:0;background:var(--card);
white-space:normal;min-width:10.5rem}
.wide tr.chosen td:first-child{background:var(--mark)}
.figure{width:100%;margin:.5rem 0}
.chips{display:flex;flex-wrap:wrap;gap:.4rem;margin:.4rem 0}
.chips button{font:inherit;font-size:.85rem;color:var(--ink);background:none;cursor:pointer;
border:1px solid var(--line);border-radius:999px;padding:.2rem .75rem}
.chips button[aria-pressed=true]{background:var(--mark);border-color:var(--accent)}
.panel{border:1px solid var(--line);border-radius:8px;padding:.6rem .9rem;min-height:4rem}
.panel h3{margin:.1rem 0 .2rem}
.op{display:inline-block;font:.85em ui-monospace,monospace;border:1px solid var(--line);
border-radius:5px;padding:0 .35em;margin:0 .2em .15em 0}
.panel td:last-child{white-space:normal}
.columns{display:flex;flex-wrap:wrap;gap:1rem 2rem;align-items:flex-start}
.columns>*{flex:1 1 340px;min-width:0}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
.maps{display:grid;gap:4px;margin:.3rem 0 .6rem;max-width:620px;align-items:center}
.maps img{width:100%;display:block;border-radius:3px;image-rendering:pixelated}
.maps .label{font-size:.78rem;color:var(--soft);text-align:center}
.maps .channel{align-self:end}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--accent);font-size:.9rem}
pre{font-size:.8rem;overflow-x:auto;background:var(--page);border-radius:8px;padding:.7rem}
@media (max-width:600px){main{padding:.8rem .5rem 3rem}section{padding:.9rem .75rem}
h1{font-size:1.4rem}th,td{padding:.4rem .45rem}.lead{font-size:1.05rem}
dl.facts{grid-template-columns:1fr 1fr}}
@media print{.chips,nav{display:none}section{break-inside:avoid}}
"""

_SCRIPT = """
"use strict";
const read = id => JSON.parse(document.getElementById(id).textContent);
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const plots = [...document.querySelectorAll(".figure")];

function themed(layout) {
  const axis = {gridcolor: color("--grid"), linecolor: color("--line"),
                tickcolor: color("--line"), zerolinecolor: color("--line")};
  const soft = {color: color("--soft"), size: 12};
  return {...layout, autosize: true,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    font: {family: "system-ui, sans-serif", size: 13, color: color("--ink")},
    xaxis: {...layout.xaxis, ...axis, tickfont: soft},
    yaxis: {...layout.yaxis, ...axis, tickfont: soft},
    annotations: (layout.annotations || []).map(
      a => ({...a, font: {...a.font, color: color("--soft")}})),
    hoverlabel: {align: "left", bgcolor: color("--card"), bordercolor: color("--line"),
                 font: {color: color("--ink"), size: 12.5}}};
}
function inked(data) {
  const ink = color("--ink");
  return data.map(trace => trace.meta !== "ink" ? trace : {...trace, marker:
    {...trace.marker, color: ink, line: {...trace.marker.line, color: ink}}});
}
function draw(plot) {
  const figure = read(plot.dataset.figure);
  return Plotly.react(plot, inked(figure.data), themed(figure.layout),
                      {responsive: true, displayModeBar: false});
}
plots.forEach(draw);

function element(name, text, look) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (look) node.className = look;
  return node;
}
const panel = document.getElementById("architecture");
const front = document.getElementById("figure-front");
let selected = null;

function show(index) {
  const {networks, sizes} = read("networks"), network = networks[index];
  selected = index;
  const table = element("table"), head = table.createTHead().insertRow();
  for (const text of ["block", "output", "layers"]) head.append(element("th", text,
    text === "layers" ? "text" : ""));
  const body = table.createTBody();
  network.blocks.forEach(([width, ops], i) => {
    const row = body.insertRow();
    row.insertCell().textContent = i + 1;
    row.insertCell().textContent = sizes ? `${sizes[i]}×${sizes[i]}×${width}` : `width ${width}`;
    const cell = row.insertCell();
    cell.className = "text";
    ops.forEach(op => cell.append(element("span", op, "op"), " "));
  });
  const scroll = element("div", undefined, "scroll");
  scroll.append(table);
  panel.replaceChildren(element("h3", network.title), element("p", network.facts, "soft"), scroll);
  document.querySelectorAll(".chips button").forEach(
    b => b.setAttribute("aria-pressed", String(Number(b.dataset.network) === index)));
  Plotly.restyle(front, {x: [[network.macs]], y: [[network.rating]]}, [front.data.length - 1]);
}
if (front && panel) {
  front.on("plotly_click", event => {
    const index = event.points[0].customdata;
    if (index !== undefined) show(Number(index));
  });
  document.querySelectorAll(".chips button").forEach(
    b => b.addEventListener("click", () => show(Number(b.dataset.network))));
  show(read("networks").first);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  plots.forEach(draw);
  if (selected !== null) show(selected);
});
"""


class Figures:
    """The figures of a page: an element in the place of each, and all data at the end."""

    def __init__(self):
        self._data = []

    def add(self, name, figure):
        """Adds a plotly figure; returns the element in which the page's script draws it."""
        self._data.append(data_script(f"data-{name}", figures.to_json(figure)))
        style = f"min-height:{figure.layout.height}px"
        return (
            f'<div class="figure" id="figure-{name}" data-figure="data-{name}" style="{style}">'
            "<noscript>This figure needs JavaScript.</noscript></div>"
        )

    def scripts(self):
        """The data, plotly.js and the page's script, as HTML; `""` without figures."""
        if not self._data:
            return ""
        library = f"<script>{plotly.offline.get_plotlyjs()}</script>"
        return "\n".join([*self._data, library, f"<script>{_SCRIPT}</script>"])


def text(value):
    """Escapes a value for HTML text and attributes."""
    return html.escape(str(value))


def data_script(name, json_text):
    """A `<script>` element with JSON for the page's script."""
    return f'<script type="application/json" id="{name}">{json_text}</script>'


def json_for_script(value):
    """A value as JSON text that may stand inside a `<script>` element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def paragraph(sentence, look=""):
    """A paragraph of plain text."""
    return f'<p class="{look}">{text(sentence)}</p>' if look else f"<p>{text(sentence)}</p>"


def note(sentence, command=""):
    """A line that says what is missing, with the command that writes it."""
    command = f" Command: <code>{text(command)}</code>" if command else ""
    return f'<p class="note">{text(sentence)}{command}</p>'


def notes(run, part):
    """The notes of a `run_data.Run` about one of its parts."""
    return "".join(note(n.text, n.command) for n in run.notes.get(part, ()))


def facts(pairs):
    """A grid of short facts.

    Args:
        pairs: `(term, value)` as plain text; facts with the value `None` are left out.
    """
    items = [
        f"<div><dt>{text(term)}</dt><dd>{text(value)}</dd></div>"
        for term, value in pairs
        if value is not None
    ]
    return f'<dl class="facts">{"".join(items)}</dl>'


def table(heads, rows, look="", chosen=()):
    """A table that scrolls sideways on a narrow screen.

    Args:
        heads: plain text of the head cells.
        rows: lists of cells. A cell is plain text, or `(text, small text, exact text)`: the
            second stands below the first, the third shows on hover; both may be `""`.
        look: `"wide"` keeps the first column in view.
        chosen: indices of the rows to highlight.
    """
    head = "".join(f'<th scope="col">{text(h)}</th>' for h in heads)
    body = []
    for index, row in enumerate(rows):
        mark = ' class="chosen"' if index in chosen else ""
        body.append(f"<tr{mark}>{''.join(_cell(cell) for cell in row)}</tr>")
    return (
        f'<div class="scroll"><table class="{look}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def details(summary, content):
    """Content (HTML) that is shown when its summary is clicked."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def page(title, header, sections, scripts, style=""):
    """The whole page.

    Args:
        title: plain text.
        header: HTML above the sections.
        sections: `(anchor, heading, HTML)` for each.
        scripts: HTML at the end, from `Figures.scripts`.
        style: further CSS.
    """
    links = "".join(f'<a href="#{anchor}">{text(head)}</a>' for anchor, head, _ in sections)
    body = "\n".join(
        f'<section id="{anchor}"><h2>{text(head)}</h2>\n{content}\n</section>'
        for anchor, head, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n"
        f"<style>{_STYLE}{rating_plots.STYLE}{choice_plot.STYLE}{style}</style>\n"
        "</head>\n<body>\n<main>\n"
        f"<header><h1>{text(title)}</h1>\n{header}\n<nav>{links}</nav></header>\n{body}\n</main>\n"
        f"{scripts}\n</body>\n</html>\n"
    )


def _cell(cell):
    if isinstance(cell, str):
        return f"<td>{text(cell)}</td>"
    main, small, exact = cell
    small = f"<small>{text(small)}</small>" if small else ""
    title = f' title="{text(exact)}"' if exact else ""
    return f"<td{title}>{text(main)}{small}</td>"
