"""Reads weights of other frameworks: named arrays from .npz and .safetensors files."""

import json
import math

import numpy as np

from dna_tf.common import files

ENDINGS = (".npz", ".safetensors")
# Source: the format's description (huggingface/safetensors, README).
_DTYPES = {
    **{"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16},
    **{"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8},
    "BOOL": np.bool_,
}
_MOST_HEADER_BYTES = 100_000_000  # the format's own limit
_FROM_TORCH = (
    "Where PyTorch is installed, make one of a checkpoint: numpy.savez('weights.npz', **{name: "
    "tensor.numpy() for name, tensor in torch.load('weights.pth', map_location='cpu', "
    "weights_only=True).items()}), with ['state_dict'] before .items() if it is nested."
)


def read(path):
    """Reads all arrays of a file.

    Args:
        path: a `.npz` or a `.safetensors` file.

    Returns:
        A dict from name to NumPy array.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another kind, is damaged, or contains Python objects.
    """
    path = files.as_path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(
            f"Weights are read from {' and '.join(ENDINGS)} files, which hold arrays and no code. "
            f"Received: {path}. {_FROM_TORCH}"
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file {path}.")
    try:
        decode = files.decode_arrays if path.suffix == ".npz" else _read_safetensors
        arrays = decode(path.read_bytes())
    except (ValueError, KeyError, TypeError, OSError, AttributeError, RecursionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        if "pickle" in reason or "Object arrays" in reason:
            reason = "it contains Python objects, which would run code when read."
        raise ValueError(
            f"The weights file {path} cannot be read: {reason} Expected arrays by name. "
            f"{_FROM_TORCH}"
        ) from error
    if not arrays:
        raise ValueError(f"The weights file {path} contains no array. {_FROM_TORCH}")
    return arrays


def _read_safetensors(content):
    """Reads a file of eight bytes with the length of a JSON header, the header, all arrays."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(_MOST_HEADER_BYTES, len(content) - 8):
        raise ValueError("it is not a safetensors file, or is truncated.")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    arrays, used = {}, 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"{name} is of the unknown type {entry['dtype']}.")
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        start, end = entry["data_offsets"]
        if not 0 <= start <= end <= len(body) or end - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the bytes of {name} are not those of its shape {shape}.")
        used += end - start
        if used > len(body):  # many large arrays in a small file
            raise ValueError("its arrays overlap.")
        array = np.frombuffer(body[start:end], dtype).reshape(shape)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = array
    return arrays
