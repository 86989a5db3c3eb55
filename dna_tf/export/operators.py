"""The operators of a TFLite file, and those that accelerators commonly refuse.

Which operators an accelerator runs depends on the device, its driver and the shapes; only a run on
the device shows it. The reasons listed here are the usual ones why a part of a file stays on the
CPU.

Source: the published lists of operators of Android's NNAPI, of TFLite's Hexagon delegate and of
Coral's Edge TPU; and the operators that EfficientNet-Lite left out of EfficientNet.
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

# By the name of the operator; reasons that depend on more than the name are in `_reasons`.
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
_CUSTOM = "not an operator of TFLite: neither its plain interpreter nor accelerators have it"


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
    is_integer = any("INT8" in outputs or "INT16" in outputs for _, outputs in kinds)
    by_reason = collections.defaultdict(list)
    # Conversions at the input and the output of a file do not count: drivers may skip them.
    ends = set(graph.InputsAsNumpy().tolist()), set(graph.OutputsAsNumpy().tolist())
    for operator, name, (inputs, outputs) in zip(operators, names, kinds, strict=True):
        for reason in _reasons(graph, operator, name, inputs, outputs, is_integer, ends):
            by_reason[reason].append(name)
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    refused = [
        {"operators": sorted(set(refused)), "count": len(refused), "reason": reason}
        for reason, refused in ordered
    ]
    counts = collections.Counter(names)
    counts = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return {"operators": counts, "commonly_refused": refused}


def lines(inspected, explained=()):
    """Describes the operators in lines of text.

    Args:
        inspected: the dict that `inspect` returns.
        explained: reasons that were printed before and are not repeated.
    """
    counts = ", ".join(f"{count} {name}" for name, count in inspected["operators"].items())
    texts, refused = [f"operators: {counts}"], inspected["commonly_refused"]
    if refused:
        summary = "; ".join(f"{row['count']} {', '.join(row['operators'])}" for row in refused)
        texts.append(f"commonly refused or slow on accelerators: {summary}")
    for row in refused:
        if row["reason"] not in explained:
            texts.append(f"  {', '.join(row['operators'])}: {row['reason']}")
    return texts


def _name(model, operator):
    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return f"CUSTOM {(code.CustomCode() or b'').decode()}".strip()
    return _NAMES.get(number, f"OPERATOR_{number}")


def _types(graph, operator):
    """The types of an operator's inputs and of its outputs: two lists of names."""
    inputs = [int(n) for n in operator.InputsAsNumpy() if n >= 0] if operator.InputsLength() else []
    outputs = [int(n) for n in operator.OutputsAsNumpy()] if operator.OutputsLength() else []
    return [[_TYPES[graph.Tensors(n).Type()] for n in places] for places in (inputs, outputs)]


def _reasons(graph, operator, name, inputs, outputs, is_integer, ends):
    """Yields the reasons for which accelerators commonly refuse an operator.

    Args:
        graph, operator, name: the operator and its name in the graph of the file.
        inputs, outputs: as `_types` gives them.
        is_integer: whether the file has any int8 or int16 operator.
        ends: the tensors that are inputs, and those that are outputs, of the file.
    """
    if name.startswith("CUSTOM"):
        yield _CUSTOM
        return
    if name in REASONS:
        yield REASONS[name]
    if name == "MUL" and _broadcasts(graph, operator):
        yield _BROADCAST
    # In float16 files DEQUANTIZE converts weights; those files have no integer operator.
    if name in ("QUANTIZE", "DEQUANTIZE") and is_integer:
        if int(operator.Inputs(0)) not in ends[0] and int(operator.Outputs(0)) not in ends[1]:
            yield _INSIDE
    if name in _MOVING:
        return
    floats = [kind for kind in outputs if kind in _FLOAT]
    if floats and "INT8" in inputs:
        yield _HYBRID
    elif floats and is_integer:
        yield _IN_FLOAT
    elif "INT16" in outputs:
        yield _IN_INT16


def _broadcasts(graph, operator):
    """Whether an operator multiplies whole maps by one number for each channel."""
    shapes = [
        graph.Tensors(n).ShapeAsNumpy()
        for n in operator.InputsAsNumpy()
        if graph.Tensors(n).ShapeLength()
    ]
    if len(shapes) < 2 or len(shapes[0]) != len(shapes[1]):
        return False
    one, other = (np.asarray(shape) for shape in shapes[:2])
    # A product with a single number, the same for all channels, is a rescaling.
    return bool(len(one) == 4 and (one[1:3] != other[1:3]).any() and one[3] == other[3])
