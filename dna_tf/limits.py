"""Limits on costs as users write them: `max_macs=350M,max_params=5M`."""

import re

from dna_tf import checks, cost

_UNITS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kMG]?)")


def parse_count(text):
    """Reads a count with a human unit: `"350M"`, `"5.2k"`, `"1000"`.

    Returns:
        An int.

    Raises:
        ValueError: it is no such count.
    """
    match = _NUMBER.fullmatch(str(text).strip())
    if not match:
        raise ValueError(
            f"A count is written as a number with k, M or G, such as 350M. Received: {text!r}"
        )
    return round(float(match[1]) * _UNITS[match[2]])


def format_count(count):
    """Writes a count for people: `335141728` becomes `"335.1M"`."""
    for unit in ("G", "M", "k"):
        if count >= _UNITS[unit]:
            return f"{count / _UNITS[unit]:.4g}{unit}"
    return str(count)


def parse_limits(text):
    """Reads a budget: limits on costs, joined by commas.

    Args:
        text: such as `"max_macs=350M,max_params=5M"`; each cost of `cost.COSTS`
            may have an upper limit.

    Returns:
        A dict from cost name to the largest allowed int.

    Raises:
        ValueError: a part cannot be read, names no cost, or comes twice.
    """
    limits = {}
    known = [f"max_{name}" for name in cost.COSTS]
    for part in str(text).split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in known:
            raise ValueError(
                f"A budget is written such as 'max_macs=350M,max_params=5M'."
                f"{checks.near_names(key, known)} Known limits: {known}. Received: {text!r}"
            )
        name = key.removeprefix("max_")
        if name in limits:
            raise ValueError(f"The budget {text!r} limits {name} twice. Give each limit once.")
        limits[name] = parse_count(value)
    return limits


def budget_name(text):
    """The name of what a budget finds: `"max_macs=350M"` becomes `"max_macs_350M"`."""
    parse_limits(text)
    return re.sub(r"[^A-Za-z0-9.]+", "_", str(text)).strip("_")
