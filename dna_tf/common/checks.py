"""Checks of users' input, with messages that say what is wrong and what to do."""

import difflib
import math
import numbers
import re

_MOST_CHARACTERS = 200  # of a file's name; file systems take 255 bytes, and endings are added


def near_names(name, names):
    """Returns text such as `" Did you mean 'digits'?"`, or `""` if nothing is near."""
    near = difflib.get_close_matches(str(name), list(map(str, names)), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def choose(value, choices, what, hint=""):
    """Returns `value` after checking that it is one of the choices.

    Args:
        value: the user's value, such as `"digit"`.
        choices: the possible values, such as `("digits", "dna")`, or a dict with such keys.
        what: the kind of the value, such as `"search space"`, for the message.
        hint: another sentence for the end of the message.

    Raises:
        ValueError: it is not one of them; the message has near names and all choices.
    """
    if value not in choices:
        raise ValueError(
            f"There is no {what} {value!r}.{near_names(value, choices)} Known: {list(choices)}."
            f"{hint and ' '}{hint}"
        )
    return value


def some(texts, most=5, separator=", "):
    """Returns the first `most` texts and how many more there are: `"a, b and 3 more"`."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def check_same_classes(name, class_names, expected_name, expected):
    """Checks that data has the expected classes, in the same order.

    Names that are only numbers, as TFDS gives them to classes without names, do not identify
    classes; they agree with all others.

    Args:
        name: what the message calls the data.
        class_names: names of its classes, or `None`.
        expected_name: what the message calls the data that it must agree with.
        expected: names of the classes of that data, or `None`.

    Raises:
        ValueError: both have names, and they differ.
    """
    both = _are_names(class_names) and _are_names(expected)
    if not both or list(class_names) == list(expected):
        return
    missing = sorted(set(expected) - set(class_names))
    extra = sorted(set(class_names) - set(expected))
    raise ValueError(
        f"The classes of {name} must be those of {expected_name}, in the same order. Received: "
        f"{len(class_names)} classes against {len(expected)}; missing: {missing[:5]}; unknown: "
        f"{extra[:5]}"
    )


def _are_names(class_names):
    return class_names and list(class_names) != [str(n) for n in range(len(class_names))]


def check_keys(what, data, needed, optional=()):
    """Returns `data` as a dict after checking that it has the right keys.

    Raises:
        ValueError: it is not a mapping, or keys are missing or unknown.
    """
    try:
        data = dict(data)
    except (TypeError, ValueError):
        raise ValueError(
            f"The {what} must be a mapping with the keys {[*needed, *optional]}. Received: "
            f"{short_repr(data)}"
        ) from None
    for key in needed:
        if key not in data:
            raise ValueError(
                f"The {what} is missing {key!r}. Expected the keys {list(needed)}. "
                f"Received: {sorted(data)}"
            )
    for key in data:
        if key not in needed and key not in optional:
            keys = [*needed, *optional]
            raise ValueError(
                f"The {what} has an unknown key {key!r}.{near_names(key, keys)} Known keys: {keys}"
            )
    return data


def check_sequence(what, value):
    """Returns `value` after checking that it is a list or a tuple."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"The {what} must be a list or tuple. Received: {short_repr(value)}")
    return value


def check_file_name(what, name):
    """Returns `name` after checking that it names one file in a folder, and no other place.

    Names that come from a file are joined to paths: `"../x"` or `"/x"` would lead out.

    Args:
        what: what has the name, such as `"an architecture"`, for the message.
        name: the name.

    Raises:
        ValueError: it is not text, is too long, or has other characters than letters, digits,
            dots, _ and -, or begins with a dot or -.
    """
    good = isinstance(name, str) and len(name) <= _MOST_CHARACTERS
    if not good or not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"The name of {what} begins with a letter or digit and has letters, digits, dots, _ "
            f"and - only, at most {_MOST_CHARACTERS}, because it names files. Received: "
            f"{short_repr(name)}"
        )
    return name


def short_repr(value, most=100):
    """`repr(value)`, cut to about `most` characters: a broken file may have millions."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else "..."
    return text if len(text) <= most else f"{text[:most]}..."


def cut(text, most=1000):
    """A text, or its beginning: messages about broken files can have lists of thousands."""
    text = str(text)
    return text if len(text) <= most else f"{text[:most]}..."


def is_number(value):
    """Whether a value is a finite number: an int or float, also of NumPy, but not a bool."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can be
        return False


def check_whole(name, value, lowest, highest=None):
    """Checks that `value` is an int of at least `lowest`, and at most `highest` if it is set."""
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ValueError(
            f"{name} must be a whole number of at least {lowest}. Received: {short_repr(value)}"
        )
    if highest is not None and value > highest:
        raise ValueError(f"{name} must be at most {highest:,}. Received: {short_repr(value)}")


def parse_share(name, text):
    """Reads a share of some work: `"2/3"`, the second of three parts, becomes `(1, 3)`.

    Raises:
        ValueError: it is not such a share.
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
