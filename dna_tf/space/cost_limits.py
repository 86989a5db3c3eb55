"""Limits on costs: at most 350M MACs, at least 4M parameters."""

import collections.abc
import math
import re

from dna_tf.common import checks, formatting
from dna_tf.space import cost_tables

_COST_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Limits(collections.abc.Mapping):
    """Limits on costs, an immutable mapping from `"max_macs"`, `"min_params"` ... to numbers.

    Any cost can be limited: those of `cost_tables.COSTS`, and others whose name ends in a
    unit, such as `latency_ms`. Whether a problem has such a cost is checked by the search.

    Example:

        >>> import dna_tf
        >>> limits = dna_tf.Limits("max_macs=350M,min_params=4M")
        >>> limits == dna_tf.Limits(max_macs="350M", min_params=4e6)
        True
        >>> limits["max_macs"]
        350000000
        >>> limits.text()
        'macs <= 350M, params >= 4M'
        >>> limits.name()
        'max_macs_350M_min_params_4M'

    Args:
        limits: text such as `"max_macs=350M,min_params=4M"`, or a mapping such as
            `{"max_macs": 350e6}`; `None` limits nothing.
        more: further limits by name. A value is a number, or text such as `"350M"`.

    Raises:
        ValueError: a limit cannot be read, names no cost or is given twice, a value is not
            a finite number, or a lower limit lies above the upper one.
    """

    def __init__(self, limits: "collections.abc.Mapping | str | None" = None, /, **more):
        pairs = _pairs(limits) if isinstance(limits, str) else (limits or {}).items()
        self._numbers, self._texts = {}, {}
        for key, value in [*pairs, *more.items()]:
            if key in self._numbers:
                raise ValueError(f"The limits give {key} twice. Give each limit once.")
            self._numbers[key], self._texts[key] = _read(key, value)
        if isinstance(limits, Limits):
            self._texts |= limits._texts
        _check_order(*self.sides())

    def __getitem__(self, key):
        return self._numbers[key]

    def __iter__(self):
        return iter(self._numbers)

    def __len__(self):
        return len(self._numbers)

    def __hash__(self):
        return hash(frozenset(self._numbers.items()))

    def __repr__(self):
        return f"Limits({', '.join(f'{key}={text!r}' for key, text in self._texts.items())})"

    def sides(self):
        """Returns `(lower, upper)`: dicts from cost name to float."""
        split = {"min": {}, "max": {}}
        for key, number in self._numbers.items():
            split[key[:3]][key[4:]] = float(number)
        return split["min"], split["max"]

    def name(self):
        """The limits as a name for files, such as `"max_macs_350M"`; `""` without limits.

        Numbers are as they were written: 350M and 350000k are equal limits of two names.
        """
        text = ",".join(f"{key}={text}" for key, text in self._texts.items())
        return re.sub(r"[^A-Za-z0-9.]+", "_", text).strip("_")

    def as_written(self):
        """The limits as a dict from name to the text of its number, such as `"1.5M"`."""
        return dict(self._texts)

    def text(self, cost_words=None, signs=("<=", ">=")):
        """The limits for people, such as `"macs <= 350M"`; `"no limit"` without limits.

        Args:
            cost_words: a dict from cost name to what readers call it.
            signs: the signs of upper and of lower limits.
        """
        upper, lower = signs
        parts = [
            f"{(cost_words or {}).get(key[4:], key[4:])} {upper if key[:3] == 'max' else lower} "
            f"{formatting.format_count(number)}"
            for key, number in self._numbers.items()
        ]
        return ", ".join(parts) or "no limit"


def _pairs(text):
    """Splits `"max_macs=350M,min_params=4M"` into pairs of name and text."""
    pairs = []
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _is_limit_name(key):
            all_names = [f"{side}_{cost}" for side in ("max", "min") for cost in cost_tables.COSTS]
            same_side = [name for name in all_names if (name[:4] == "min_") == (key[:4] == "min_")]
            raise ValueError(
                f"Limits are written such as 'max_macs=350M,max_params=5M'."
                f"{checks.near_names(key, same_side)} Known limits: {all_names}; other costs come "
                f"from files of op costs. Received: {text!r}"
            )
        pairs.append((key, value))
    return pairs


def _is_limit_name(key):
    return key[:4] in ("max_", "min_") and (key[4:] in cost_tables.COSTS or is_cost_name(key[4:]))


def _read(key, value):
    """The number of a limit, and its text."""
    if not isinstance(key, str) or key[:4] not in ("max_", "min_") or not key[4:]:
        raise ValueError(
            f"Limits are named max_ or min_ and a cost, such as 'max_macs'. Received: {key!r}"
        )
    if isinstance(value, str):
        if key[4:] in cost_tables.COSTS:
            return formatting.parse_count(value), value.strip()
        return formatting.parse_number(value, f"The limit {key}"), value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"The limit {key} must be a number. Received: {value!r}")
    if math.isinf(value):
        raise ValueError(f"The limit {key} must be finite: leave it out. Received: {value!r}")
    return value, formatting.exact_number(value)


def is_cost_name(name):
    """Whether a cost of a file may have this name: lower case, a quantity and its unit."""
    return bool(_COST_NAME.fullmatch(name)) and "_" in name


class UnknownCost(ValueError):
    """A cost is named that is neither counted nor in a file of op costs."""


def check_costs(names, cost_names):
    """Checks that costs of these names are known.

    Raises:
        UnknownCost: one is not; near names are given.
    """
    for name in names:
        try:
            checks.choose(name, cost_names, "cost", "Others come from files of op costs.")
        except ValueError as error:
            raise UnknownCost(str(error)) from None


def _check_order(lower, upper):
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
