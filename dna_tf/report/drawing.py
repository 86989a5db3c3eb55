"""Pieces that all plots drawn as SVG share: places on an axis, text, points, hover text."""

import html


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


def _title(hover):
    return f"<title>{html.escape(hover)}</title>"
