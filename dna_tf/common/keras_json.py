"""Keras' file of settings, `keras.json`: what in it ends the import of Keras and TensorFlow.

Both read it when they are imported. Keras says then which value is wrong, but not where it was
read, and TensorFlow ends with an assertion.
"""

import json
import os

_FORMATS = ("channels_last", "channels_first")
_FLOATS = ("float16", "float32", "float64")


def path():
    """The file that Keras reads in this environment."""
    folder = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    return os.path.expanduser(os.path.join(folder, "keras.json"))


def problem():
    """Returns what is wrong with the file, in one sentence with the fix, or `""`."""
    try:
        with open(path(), encoding="utf-8") as file:
            fields = json.load(file)
    except (OSError, ValueError):
        return ""  # both of them take their defaults then
    if not isinstance(fields, dict):
        return _text("an object", fields)
    for name, expected, is_right in (
        ("floatx", f"one of {list(_FLOATS)}", lambda value: value in _FLOATS),
        ("epsilon", "a number with a point, such as 1e-07", lambda value: isinstance(value, float)),
        ("image_data_format", f"one of {list(_FORMATS)}", lambda value: value in _FORMATS),
    ):
        if name in fields and not is_right(fields[name]):
            return _text(f"{name} to be {expected}", fields[name])
    return ""


def problem_behind(error):
    """Like `problem`, if an error was raised inside of Keras or TensorFlow; otherwise `""`."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    name = place.tb_frame.f_globals.get("__name__", "") if place is not None else ""
    return problem() if name.partition(".")[0] in ("keras", "tensorflow", "tf_keras") else ""


def _text(expected, value):
    return (
        f"Keras and TensorFlow cannot be imported with the settings in {path()}. Expected "
        f"{expected}. Received: {json.dumps(value)[:80]}. Correct or delete that file."
    )
