"""Limits on costs as users write them: `max_macs=350M,min_params=4M`.

In code limits are a dict with the same names: `{"max_macs": 350_000_000}`.
"""

import math
import re

from dna_tf.common import checks, formatting
from dna_tf.space import cost_tables

_COST_NAME = re.compile(r"[a-z][a-z0-9_]*")


def parse_limits(text, names=None):
    """Reads a budget: limits on costs, joined by commas.

    Args:
        text: such as `"max_macs=350M,min_params=4M,max_latency_ms=20"`.
        names: the costs that may be limited; `None` takes those of `cost_tables.COSTS` and any
            other that ends in a unit (as those of files of op costs do) unchecked.

    Returns:
        A dict such as `{"max_macs": 350_000_000}`: ints for the costs of `cost_tables.COSTS`,
        floats for others.

    Raises:
        ValueError: a part cannot be read, names no cost, or comes twice, or a lower limit
            lies above the upper one.
    """
    found = {}
    known = [f"{side}_{name}" for side in ("max", "min") for name in (names or cost_tables.COSTS)]
    for part in str(text).split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        same_side = [k for k in known if (k[:4] == "min_") == (key[:4] == "min_")]
        if not equals or not (key in known or (names is None and _may_be_extra(key))):
            raise ValueError(
                f"A budget is written such as 'max_macs=350M,max_params=5M'."
                f"{checks.near_names(key, same_side)} Known limits: {known}; other costs come from "
                f"config.search.cost_files. Received: {text!r}"
            )
        if key in found:
            raise ValueError(f"The budget {text!r} gives {key} twice. Give each limit once.")
        counted = key[4:] in cost_tables.COSTS
        found[key] = (
            formatting.parse_count(value)
            if counted
            else formatting.parse_number(value, f"The limit {key}")
        )
    check_order(*sides(found))
    return found


def _may_be_extra(key):
    return key[:4] in ("max_", "min_") and is_cost_name(key[4:])


def is_cost_name(name):
    """Whether a cost of a file may have this name: lower case, a quantity and its unit."""
    return bool(_COST_NAME.fullmatch(name)) and "_" in name


def sides(asked):
    """Splits limits into lower and upper ones.

    Args:
        asked: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.

    Returns:
        `(lower, upper)`: dicts from cost name to float.

    Raises:
        ValueError: a key has neither `max_` nor `min_`, or a value is no finite number.
    """
    split = {"min": {}, "max": {}}
    for key, value in asked.items():
        side, _, name = str(key).partition("_")
        if side not in split or not name:
            raise ValueError(
                f"Limits are named max_ or min_ and a cost, such as 'max_macs'. Received: {key!r}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise ValueError(f"The limit {key} must be a number. Received: {value!r}")
        if math.isinf(value):
            raise ValueError(f"The limit {key} must be finite: leave it out. Received: {value!r}")
        split[side][name] = float(value)
    return split["min"], split["max"]


def check_costs(names, known):
    """Checks that costs of these names are known.

    Raises:
        ValueError: one is not; near names are given.
    """
    for name in names:
        if name not in known:
            raise ValueError(
                f"There is no cost {name!r}.{checks.near_names(name, known)} Known costs: "
                f"{list(known)}. Others come from a file of op costs, which "
                "config.search.cost_files or --cost_file names."
            )


def check_order(lower, upper):
    """Checks that no lower limit lies above the upper one of the same cost.

    Raises:
        ValueError: one does.
    """
    for name, value in lower.items():
        if value > upper.get(name, math.inf):
            raise ValueError(
                f"The limits contradict each other: min_{name}={formatting.format_count(value)} "
                f"lies above max_{name}={formatting.format_count(upper[name])}. Change one of them."
            )


def limits_text(asked):
    """Limits for people: `{"max_macs": 700000}` becomes `"macs <= 700k"`."""
    signs = {"max": "<=", "min": ">="}
    parts = [
        f"{key[4:]} {signs[key[:3]]} {formatting.format_count(value)}"
        for key, value in asked.items()
    ]
    return ", ".join(parts) if parts else "no limit"


def budget_name(text):
    """The name of what a budget finds: `"max_macs=350M"` becomes `"max_macs_350M"`."""
    parse_limits(text)
    return re.sub(r"[^A-Za-z0-9.]+", "_", str(text)).strip("_")
