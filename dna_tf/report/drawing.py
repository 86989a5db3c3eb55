"""Pieces of the plots that are drawn as SVG."""

import html


def text(x, y, shown, look="", anchor=""):
    """A line of text.

    Args:
        x, y: where it starts, or with `anchor` ends or has its middle.
        shown: the text as people read it.
        look: its CSS class.
        anchor: `"middle"` or `"end"`.

    Returns:
        A `<text>` element.
    """
    anchor = f' text-anchor="{anchor}"' if anchor else ""
    look = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{look}{anchor}>{html.escape(shown)}</text>'
