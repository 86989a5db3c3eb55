"""Pieces that all plots drawn as SVG share: places on an axis, text, points, hover text."""

import html
import math


def scale(low, high, start, end):
    """An axis: a function from a value to its place.

    Args:
        low, high: values at the ends of the axis. If they are equal, the place of every value is
            the middle.
        start, end: places of `low` and `high`, in pixels.
    """

    def place(value):
        share = (value - low) / (high - low) if high > low else 0.5
        return start + (end - start) * share

    return place


def text(x, y, content, look="", anchor=""):
    """A line of text as a `<text>` element.

    Args:
        x, y: where it starts; with `anchor`, where it ends or has its middle.
        content: plain text.
        look: its CSS class.
        anchor: `"middle"` or `"end"`.
    """
    anchor = f' text-anchor="{anchor}"' if anchor else ""
    look = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{look}{anchor}>{html.escape(content)}</text>'


def circle(x, y, radius, look, hover):
    """A point as a `<circle>` element, with a text that shows on hover."""
    return f'<circle class="{look}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{_title(hover)}</circle>'


def rect(x, y, width, height, look, hover):
    """A `<rect>` element with a text that shows on hover.

    Args:
        x, y: its upper left corner, as text or numbers.
        width, height: its size, likewise.
        look: its attributes, such as `class="cell"`.
        hover: plain text.
    """
    return f'<rect {look} x="{x}" y="{y}" width="{width}" height="{height}">{_title(hover)}</rect>'


def span(values):
    """The ends of an axis for some values, with a margin on both sides."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def ticks(low, high):
    """Round numbers within a range: four to nine of them."""
    step = 10 ** math.floor(math.log10((high - low) / 2))
    step *= next((factor for factor in (5, 2, 1) if (high - low) / (factor * step) >= 4), 0.5)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def labels(places, left, top, width, height):
    """Names beside points, each moved up or down until it covers no other.

    Args:
        places: `(x, y, name)` for each point.
        left, top, width, height: the panel of the points, in pixels.

    Returns:
        A list of `<text>` elements.
    """
    covered, shapes = [], []
    for x, y, name in sorted(places, key=lambda place: (place[1], place[0], place[2])):
        wide = 6.2 * len(name)
        to_left = x + 8 + wide > left + width
        start = x - 8 - wide if to_left else x + 8

        def is_free(line, start=start, end=start + wide):
            inside = top + 10 <= line <= top + height - 4
            return inside and not any(
                abs(line - other) < 12 and start < b and a < end for a, b, other in covered
            )

        moves = (sign * step for step in range(0, height, 3) for sign in (1, -1))
        line = next((y + 4 + move for move in moves if is_free(y + 4 + move)), y + 4)
        covered.append((start, start + wide, line))
        shapes.append(text(x - 8 if to_left else x + 8, line, name, "", "end" if to_left else ""))
    return shapes


def _title(hover):
    return f"<title>{html.escape(hover)}</title>"


def escaped(content):
    """Plain text for the content of an element or an attribute."""
    return html.escape(str(content))
