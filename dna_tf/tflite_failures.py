"""Which layer TFLite's converter cannot convert, and why, in one line."""

import contextlib
import re

import keras
from tensorflow.lite.python import convert_phase

from dna_tf import model_graph

# What the converter and its helpers raise when they cannot convert a model.
FAILURES = (convert_phase.ConverterError, RuntimeError, ValueError, TypeError)
_LONGEST_REASON = 300  # characters; the converter's own messages are pages of its graph


@contextlib.contextmanager
def naming_layers(model, precision, convert_part):
    """Context for a conversion: if it fails, the error names the layers.

    Args:
        model: the functional `keras.Model` that is converted.
        precision: to what, for the message.
        convert_part: function that converts a `keras.Model` of one layer, of one or more
            inputs, in the same way, and raises one of `FAILURES` if it cannot.

    Raises:
        ValueError: what is inside failed.
    """
    try:
        yield
    except FAILURES as error:
        listed = find(model, convert_part)
        if listed:
            shown = ", ".join(f"{name!r} ({kind})" for name, kind in listed)
            where = f" The layers that fail by themselves: {shown}. Replace them."
        else:
            where = " Every layer can be converted by itself, so none can be named."
        raise ValueError(
            f"TFLite's converter cannot convert the model {model.name!r} to {precision}: "
            f"{reason(error)}.{where}"
        ) from error


def find(model, convert_part):
    """Converts every layer by itself.

    Args:
        model, convert_part: as for `naming_layers`.

    Returns:
        A list of `(name, class name)` of the layers that cannot be converted.
    """
    nodes, failing = model_graph.nodes(model_graph.functional(model)), []
    for node in nodes[1:]:  # the first is the input
        given = [nodes[place].outputs[0] for place in node.reads]
        part = keras.Model(given[0] if len(given) == 1 else given, node.outputs[0])
        try:
            convert_part(part)
        except FAILURES:
            failing.append((node.name, type(node.layer).__name__))
    return list(dict.fromkeys(failing))


def reason(error):
    """What a failure of the converter says, in one line."""
    text = str(error)
    told = re.search(r"error: (.*)", text)
    operators = re.search(r"(?:Custom|Flex) ops: (.*)", text)
    line = told[1] if told else (text.strip() or repr(error)).splitlines()[0]
    if operators:
        line += f" (operators that TFLite lacks: {operators[1].strip()})"
    return line.strip().rstrip(".")[:_LONGEST_REASON]
