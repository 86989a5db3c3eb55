"""The operators of a TFLite file, and those that accelerators commonly refuse.

What an accelerator takes depends on the device, its driver and the shapes: only a run on it
tells. What is said here are the usual reasons why a part of a file stays on the CPU.

Source: the published lists of operators of Android's NNAPI, of TFLite's Hexagon delegate and of
Coral's Edge TPU; and what EfficientNet-Lite left out of EfficientNet, for these reasons.
"""

import collections

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
_TYPES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
_FLOAT = ("FLOAT32", "FLOAT16")
# Move or convert values and compute nothing.
_MOVING = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")

# By name; what depends on more than the name is in `_reasons`.
REASONS = {
    "LOGISTIC": "the sigmoid of swish and squeeze-and-excitation; Coral and Hexagon list it, but "
    "its ranges cost accuracy in 8 bits (EfficientNet-Lite: ReLU6 in place of swish)",
    "HARD_SWISH": "not on Coral's list; NNAPI has it since Android 11",
    "MEAN": "Coral's list allows it over height and width only; NNAPI has it since Android 9",
    "RESIZE_BILINEAR": "accelerators take some sizes and placements of corners only",
    "RESIZE_NEAREST_NEIGHBOR": "accelerators take some sizes and placements of corners only",
    "BATCH_MATMUL": "not on the lists of Coral and Hexagon",
    "GELU": "not on the lists of Coral and Hexagon",
}
_BROADCAST = (
    "a map times one number a channel (squeeze-and-excitation), which some accelerators do not "
    "support well (EfficientNet-Lite: none of it)"
)
_INSIDE = (
    "a change between float and whole numbers inside the file: accelerators of whole numbers "
    "(Coral, Hexagon) stop there, and the CPU goes on"
)
_IN_FLOAT = "in float, in a file of whole numbers: Coral and Hexagon take 8 bits only"
_IN_INT16 = "with 16-bit values: Coral and Hexagon take 8 bits only"
_HYBRID = "8-bit weights with float values (dynamic range), which is made for CPUs"
_CUSTOM = "no operator of TFLite: neither its plain interpreter nor accelerators have it"


def inspect(content):
    """Lists the operators of a TFLite file.

    Args:
        content: the bytes of the file.

    Returns:
        A dict: `operators`, the number of each by name, most frequent first; and
        `commonly_refused`, a list of dicts `operators` (names), `count` and `reason`.
    """
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    count = graph.OperatorsLength()
    operators = [graph.Operators(n) for n in range(count)]
    names = [_name(model, operator) for operator in operators]
    kinds = [_types(graph, operator) for operator in operators]
    whole = any("INT8" in made or "INT16" in made for _, made in kinds)
    found = collections.defaultdict(list)
    # At the ends of a file input and output are converted, which any driver may leave out.
    ends = set(graph.InputsAsNumpy().tolist()), set(graph.OutputsAsNumpy().tolist())
    for operator, name, (given, made) in zip(operators, names, kinds, strict=True):
        for reason in _reasons(graph, operator, name, given, made, whole, ends):
            found[reason].append(name)
    refused = [
        {"operators": sorted(set(of_reason)), "count": len(of_reason), "reason": reason}
        for reason, of_reason in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    counts = collections.Counter(names)
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return {"operators": ordered, "commonly_refused": refused}


def lines(inspected, known=()):
    """What `inspect` found as lines of text.

    Args:
        inspected: of `inspect`.
        known: reasons that were shown before and are not repeated.
    """
    counts = ", ".join(f"{count} {name}" for name, count in inspected["operators"].items())
    made, refused = [f"operators: {counts}"], inspected["commonly_refused"]
    if refused:
        marked = "; ".join(f"{row['count']} {', '.join(row['operators'])}" for row in refused)
        made.append(f"commonly refused or slow on accelerators: {marked}")
    for row in refused:
        if row["reason"] not in known:
            made.append(f"  {', '.join(row['operators'])}: {row['reason']}")
    return made


def _name(model, operator):
    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return f"CUSTOM {(code.CustomCode() or b'').decode()}".strip()
    return _NAMES.get(number, f"OPERATOR_{number}")


def _types(graph, operator):
    """Types of what an operator reads that is computed, and of what it gives."""
    read = [int(n) for n in operator.InputsAsNumpy() if n >= 0] if operator.InputsLength() else []
    made = [int(n) for n in operator.OutputsAsNumpy()] if operator.OutputsLength() else []
    return [[_TYPES[graph.Tensors(n).Type()] for n in places] for places in (read, made)]


def _reasons(graph, operator, name, given, made, whole, ends):
    if name.startswith("CUSTOM"):
        yield _CUSTOM
        return
    if name in REASONS:
        yield REASONS[name]
    if name == "MUL" and _broadcasts(graph, operator):
        yield _BROADCAST
    if name in ("QUANTIZE", "DEQUANTIZE") and whole:
        # A conversion of weights (float16 files) reads no computed value and is none of these.
        read, gives = int(operator.Inputs(0)), int(operator.Outputs(0))
        if read not in ends[0] and gives not in ends[1]:
            yield _INSIDE
    if name in _MOVING:
        return
    floats = [kind for kind in made if kind in _FLOAT]
    if floats and "INT8" in given:
        yield _HYBRID
    elif floats and whole:
        yield _IN_FLOAT
    elif "INT16" in made:
        yield _IN_INT16


def _broadcasts(graph, operator):
    shapes = [
        graph.Tensors(n).ShapeAsNumpy()
        for n in operator.InputsAsNumpy()
        if graph.Tensors(n).ShapeLength()
    ]
    if len(shapes) < 2 or len(shapes[0]) != len(shapes[1]):
        return False
    one, other = (np.asarray(shape) for shape in shapes[:2])
    # Whole maps against one number a channel; constants of one number are a rescaling.
    return bool(len(one) == 4 and (one[1:3] != other[1:3]).any() and one[3] == other[3])
