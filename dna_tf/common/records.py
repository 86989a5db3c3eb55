"""What the fields of a JSON file may be, as small checks that are put together.

A check is a function of a value and of what the value is, in words such as `"field 'cuts'"`. It
returns nothing, and raises `ValueError` if the value is something else.

    check = table({"seed": whole(0), "shape": list_of(whole(1), length=3)})
    check({"seed": 0, "shape": [16, 16, 3]}, "the file")
"""

import math

from dna_tf.common import checks

# Larger whole numbers are not counts of anything, and cannot be floats.
MOST = 10**15


def anything(value, what):
    """Accepts every value."""


def _refuse(what, expected, value):
    raise ValueError(f"{what} must be {expected}. Received: {checks.short_repr(value)}")


def whole(lowest=0, highest=MOST):
    """Checks for a whole number in `[lowest, highest]`; `None` is no limit."""
    low = -math.inf if lowest is None else lowest
    high = math.inf if highest is None else highest

    def check(value, what):
        if type(value) is not int or not low <= value <= high:
            limits = "" if lowest is None else f" of at least {lowest:,}"
            limits += "" if highest is None else f" and at most {highest:,}"
            _refuse(what, f"a whole number{limits}", value)

    return check


def number(lowest=-math.inf, highest=math.inf):
    """Checks for a finite number in `[lowest, highest]`."""

    def check(value, what):
        good = type(value) in (int, float) and abs(value) <= 1e300 and lowest <= value <= highest
        if not good:
            limits = "" if lowest == -math.inf else f" of at least {lowest:g}"
            limits += "" if highest == math.inf else f" and at most {highest:g}"
            _refuse(what, f"a finite number{limits}", value)

    return check


def text(value, what):
    """Checks for text."""
    if not isinstance(value, str):
        _refuse(what, "text", value)


def file_name(value, what):
    """Checks for the name of a file in the same folder."""
    checks.check_file_name(what, value)


def flag(value, what):
    """Checks for true or false."""
    if not isinstance(value, bool):
        _refuse(what, "true or false", value)


def optional(check_value):
    """Checks for null or a value."""

    def check(value, what):
        if value is not None:
            check_value(value, what)

    return check


def list_of(check_item, length=None):
    """Checks for a list of values, of a length if one is named."""

    def check(value, what):
        if not isinstance(value, list) or (length is not None and len(value) != length):
            _refuse(what, "a list" if length is None else f"a list of {length} values", value)
        for index, item in enumerate(value):
            check_item(item, f"{what}[{index}]")

    return check


def mapping_of(check_value, check_name=text):
    """Checks for an object with values of one kind under any names."""

    def check(value, what):
        if not isinstance(value, dict):
            _refuse(what, "an object", value)
        for name, item in value.items():
            check_name(name, f"a name in {what}")
            check_item_what = f"{what}[{checks.short_repr(name)}]"
            check_value(item, check_item_what)

    return check


def table(fields, rule=None):
    """Checks for an object whose fields, if they are there, are of these kinds.

    Fields may be missing, as in files of earlier versions, and there may be others: whoever needs
    a field gets an error from `files.read_json` that names the file and the field.

    Args:
        fields: a dict from the name of a field to its check.
        rule: a function of the object that returns what is wrong between its fields, or `""`.
    """

    def check(value, what):
        if not isinstance(value, dict):
            _refuse(what, "an object", value)
        for name, check_field in fields.items():
            if name in value:
                check_field(value[name], f"{what}.{name}" if what else f"The field {name!r}")
        problem = rule(value) if rule is not None else ""
        if problem:
            raise ValueError(f"{problem[0].upper()}{problem[1:]}.")

    return check
