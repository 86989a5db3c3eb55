"""Checks of what a user gives, with messages that say what was wrong and what to do."""

import difflib
import math
import numbers


def near_names(name, known):
    """Returns text such as `" Did you mean 'digits'?"`, or `""` if nothing is near."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def choose(value, known, what, hint=""):
    """Returns `value` after checking that it is one of the known ones.

    Args:
        value: what a user gave, such as `"digit"`.
        known: the values there are, such as `("digits", "dna")`; of a dict its keys.
        what: what a value is, such as `"search space"`, for the message.
        hint: another sentence at the end of the message.

    Raises:
        ValueError: it is not; near names and all known ones are given.
    """
    if value not in known:
        raise ValueError(
            f"There is no {what} {value!r}.{near_names(value, known)} Known: {list(known)}."
            f"{hint and ' '}{hint}"
        )
    return value


def some(texts, most=5, separator=", "):
    """Returns the first `most` texts and how many more there are: `"a, b and 3 more"`."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def check_same_classes(name, found, of, expected):
    """Checks that other data has the same classes, in the same order.

    Args:
        name: how the message calls the other data.
        found: names of its classes, or `None`.
        of: how the message calls what it must agree with.
        expected: names of the classes of that, or `None`. Names that are only numbers, as
            TFDS gives them to classes that have none, say nothing about what the classes
            are, on either side.

    Raises:
        ValueError: both have names, and they differ.
    """
    if not (_are_names(found) and _are_names(expected)) or list(found) == list(expected):
        return
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    raise ValueError(
        f"The classes of {name} must be those of {of}, in the same order. Received: "
        f"{len(found)} classes against {len(expected)}; missing: {missing[:5]}; unknown: "
        f"{extra[:5]}"
    )


def _are_names(class_names):
    return class_names and list(class_names) != [str(n) for n in range(len(class_names))]


def check_keys(what, data, needed, optional=()):
    """Returns `data` as a dict after checking that it has the right keys.

    Raises:
        ValueError: it is no mapping, or has missing or unknown keys.
    """
    try:
        data = dict(data)
    except (TypeError, ValueError):
        raise ValueError(
            f"The {what} must be a mapping with the keys {[*needed, *optional]}. Received: {data!r}"
        ) from None
    for key in needed:
        if key not in data:
            raise ValueError(
                f"The {what} lacks {key!r}. Expected the keys {list(needed)}. "
                f"Received: {sorted(data)}"
            )
    for key in data:
        if key not in needed and key not in optional:
            known = [*needed, *optional]
            raise ValueError(
                f"The {what} has an unknown key {key!r}.{near_names(key, known)} "
                f"Known keys: {known}"
            )
    return data


def check_sequence(what, value):
    """Returns `value` after checking that it is a list or a tuple."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"The {what} must be a list or tuple. Received: {value!r}")
    return value


def is_number(value):
    """Whether a value is a finite number: an int or float, also of NumPy, but not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def check_whole(name, value, lowest):
    """Checks that `value` is an int of at least `lowest`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ValueError(f"{name} must be a whole number of at least {lowest}. Received: {value!r}")


def parse_share(name, text):
    """Reads which part of some work to do: `"2/3"`, the second of three, becomes `(1, 3)`.

    Raises:
        ValueError: it is no such part.
    """
    parts = str(text).split("/")
    if len(parts) == 2 and all(part.strip().isdecimal() for part in parts):
        number, count = map(int, parts)
        if 1 <= number <= count:
            return number - 1, count
    raise ValueError(
        f"{name} is written as NUMBER/COUNT, such as 2/3 for the second of three parts. "
        f"Received: {text!r}"
    )
