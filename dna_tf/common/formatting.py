"""Numbers as text, read and written, and aligned tables for a terminal."""

import decimal
import re


def aligned(rows, right=()):
    """Formats rows of texts as lines with aligned columns, two spaces apart.

    Args:
        rows: lists of texts, all of one length.
        right: indices of right-aligned columns; the others are left-aligned.

    Returns:
        A list of lines.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


_UNITS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kMG]?)")


def parse_count(text):
    """Reads a count with a human unit: `"350M"`, `"5.2k"`, `"1000"`.

    Returns:
        An int.

    Raises:
        ValueError: it is not such a count.
    """
    return round(parse_number(text, "A count"))


def parse_number(text, what):
    """Reads a number of at least 0 with an optional unit; errors start with `what`."""
    match = _NUMBER.fullmatch(str(text).strip())
    if not match:
        raise ValueError(
            f"{what} is written as a number with k, M or G, such as 350M. Received: {text!r}"
        )
    return float(match[1]) * _UNITS[match[2]]


def parse_amount(text):
    """Reads a number of any cost: `"20"`, `"1.5"`, `"350M"`; returns a float."""
    return parse_number(text, "A number")


def format_count(count):
    """Writes a count for people: `335141728` becomes `"335.1M"`, and 19.531 `"19.53"`."""
    for unit in ("G", "M", "k"):
        if count >= _UNITS[unit]:
            return f"{count / _UNITS[unit]:.4g}{unit}"
    return str(count) if isinstance(count, int) else f"{count:.4g}"


def exact_number(number):
    """Writes a number in the shortest way that is read back equal: `350e6` becomes `"350M"`."""
    texts = [str(number), *(f"{number / size:.6g}{unit}" for unit, size in _UNITS.items())]
    exact = [text for text in texts if _NUMBER.fullmatch(text) and parse_amount(text) == number]
    return min(exact, key=len, default=str(number))


def scientific(count):
    """A count for people, to three digits: `"1.96e17"`; small ones exactly: `"288"`.

    Args:
        count: an int of any size.
    """
    if count < 100_000:
        return f"{count:,}"
    # Not a float, which ends at 1.8e308.
    return f"{decimal.Decimal(count):.2e}".replace("e+", "e")


def large_count(count):
    """A count for people: all digits up to a billion, then a power of ten: `"1.96 × 10¹⁷"`."""
    if count < 10**9:
        return f"{count:,}"
    digits, power = scientific(count).split("e")
    return f"{digits} × 10{power.translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
