"""Reads tables of trained networks from the `.npz` files of a folder, and checks them.

A file `NAME.npz` has a field `ops`, the options of every network, and further fields with one
entry a network:

    ops          ints (networks, positions): every combination of options once, in any order
    params*      ints, parameters (any name that begins so)
    *macs*       ints, multiply-accumulates (any name that has it)
    isomorphic   ints: networks with the same number compute the same function
    acc          floats (networks, seeds): accuracies by seed, to which their mean is added
    all others   floats (networks,) or (networks, data sets): accuracies, higher is better

`NAME_latency.npz` beside it, if it is there, has `devices` and `latency_ms` (devices, networks).
"""

import math
import re
import typing

import numpy as np

from dna_tf.common import checks, files
from dna_tf.truth import choice_tables

# Names of the data sets of tables whose files do not have them.
DATA_SETS = {"nb201": ("cifar10", "cifar100", "imagenet16_120")}
OPTIONS = {"nb201": (5,) * 6, "nas_bench_macro": (3,) * 8}
_HINT = "Copy it again from where the tables are kept."


def load_table(folder: typing.Any, name: str) -> choice_tables.ChoiceTable:
    """Loads a public table: the truth of every network of a space, with nothing to train.

    Example:

        >>> import dna_tf
        >>> import numpy as np
        >>> np.savez(
        ...     "mine.npz",
        ...     ops=np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.uint8),
        ...     acc=np.array([[80, 81], [84, 84], [85, 83], [88, 90]], np.float32),
        ...     macs=np.array([10, 20, 20, 30]),
        ... )
        >>> table = dna_tf.load_table(".", "mine")
        >>> table.best("acc_mean", {"max_macs": 20})
        ((0, 1), 84.0)

    Args:
        folder: where the `.npz` files are.
        name: `"nb201"`, `"nas_bench_macro"`, or another file of the same fields, without its
            ending.

    Returns:
        A `ChoiceTable`. Columns of `"nb201"` are `test200_cifar10`, `test200_cifar100`,
        `test200_imagenet16_120`, and likewise `val12_` and `test12_`; of `"nas_bench_macro"`
        `acc_seed1`, `acc_seed2`, `acc_seed3`, `acc_mean`. Costs are `params`, `macs`, and
        `latency_pixel3_ms` and others if there is a file of latencies.

    Raises:
        FileNotFoundError: the folder has no such file.
        ValueError: the file is truncated, has Python objects, or a field is missing, of another
            shape or type, or has NaN.
    """
    folder = files.as_path(folder)
    path = folder / f"{checks.check_file_name('a table', name)}.npz"
    if not path.exists():
        there = sorted(p.name for p in folder.glob("*.npz")) if folder.is_dir() else []
        raise FileNotFoundError(
            f"There is no table {name!r}: expected {path}. Received: "
            f"{f'a folder with {checks.some(there)}' if there else 'a folder without tables'}. "
            "Give the folder that has the .npz files."
        )
    arrays = files.read_arrays(path, _HINT)
    ops = _field(path, arrays, "ops", "iu", (None, None))
    options = _options(path, name, ops)
    dense = _Dense(ops, options)
    truth, costs, functions = {}, {}, None
    for field in sorted(arrays.keys() - {"ops", "data_sets"}):
        cost = _cost_of(field)
        if cost in costs:
            raise ValueError(f"The file {path} has {cost} twice, once as {field!r}. Keep one.")
        if cost:
            costs[cost] = dense(_field(path, arrays, field, "iu", (len(ops),)))
        elif field == "isomorphic":
            functions = dense(_field(path, arrays, field, "iu", (len(ops),)))
        else:
            truth |= _columns(path, name, arrays, field, dense)
    latencies = folder / f"{name}_latency.npz"
    if latencies.exists():
        costs |= _latencies(latencies, dense)
    try:
        return choice_tables.ChoiceTable(name, options, truth, costs, functions)
    except ValueError as error:
        raise ValueError(f"The file {path} has a wrong field: {error}") from error


class _Dense:
    """Puts values in the order of a file's rows into arrays of the shape of the options."""

    def __init__(self, ops, options):
        self.count, self._options = len(ops), options
        self._flat = np.ravel_multi_index(tuple(ops.T.astype(np.int64)), options)

    def __call__(self, values):
        array = np.empty(len(values), np.float64)
        array[self._flat] = values
        return array.reshape(self._options)


def _field(path, arrays, name, kinds, shape):
    """A field of a file, checked: its kinds of type, and its shape (`None` is any length)."""
    if name not in arrays:
        raise ValueError(
            f"The file {path} has no field {name!r}. Expected: ops, and one entry a network of "
            f"accuracies, params and macs. Received the fields: {sorted(arrays)}"
        )
    array = arrays[name]
    if array.dtype.kind not in kinds:
        words = {"iu": "whole numbers", "f": "floats", "U": "text"}[kinds]
        raise ValueError(
            f"The field {name!r} of {path} must be {words}. Received: the type {array.dtype}"
        )
    fits = array.ndim == len(shape) and all(
        length in (None, own) for length, own in zip(shape, array.shape, strict=True)
    )
    if not fits or not array.size:
        expected = tuple("any" if length is None else length for length in shape)
        raise ValueError(
            f"The field {name!r} of {path} must have the shape {expected}. Received: the shape "
            f"{array.shape}. {_HINT}"
        )
    return array


def _options(path, name, ops):
    """The options of each position, after checking that every combination is there once."""
    if ops.min() < 0:
        raise ValueError(f"The ops of {path} must be at least 0. Received: {ops.min()}")
    options = tuple(int(count) + 1 for count in ops.max(axis=0))
    expected = OPTIONS.get(name, options)
    size = math.prod(expected)
    different = len(np.unique(ops, axis=0))
    if options != expected or len(ops) != size or different != size:
        raise ValueError(
            f"The ops of {path} must name each of the {size:,} networks of {expected} options "
            f"once. Received: {len(ops):,} rows, {different:,} of them different, of {options} "
            f"options. {_HINT}"
        )
    return options


def _cost_of(field):
    """The cost that a field has, or `None`."""
    if field.startswith("params"):
        return "params"
    return "macs" if "macs" in field else None


def _columns(path, name, arrays, field, dense):
    """The columns of a field of accuracies: a dict from name to dense array."""
    if arrays[field].ndim != 2:
        return {field: dense(_field(path, arrays, field, "f", (dense.count,)))}
    values = _field(path, arrays, field, "f", (dense.count, None))
    count = values.shape[1]
    if field == "acc":
        names = [f"{field}_seed{n}" for n in range(1, count + 1)]
    else:
        data_sets = DATA_SETS.get(name, tuple(map(str, range(1, count + 1))))
        if "data_sets" in arrays:
            data_sets = _field(path, arrays, "data_sets", "U", (count,)).tolist()
        if len(data_sets) != count:
            raise ValueError(
                f"The field {field!r} of {path} must have a column for each of {data_sets}. "
                f"Received: {count} columns. {_HINT}"
            )
        names = [f"{field}_{data_set}" for data_set in data_sets]
    columns = {column: dense(values[:, n]) for n, column in enumerate(names)}
    if field == "acc" and count > 1:
        columns["acc_mean"] = dense(values.astype(np.float64).mean(axis=1))
    return columns


def _latencies(path, dense):
    """The costs of a file of latencies: a dict from name to dense array."""
    arrays = files.read_arrays(path, _HINT)
    devices = _field(path, arrays, "devices", "U", (None,)).tolist()
    values = _field(path, arrays, "latency_ms", "f", (len(devices), dense.count))
    if not np.isfinite(values).all():
        raise ValueError(f"The field 'latency_ms' of {path} must be finite. {_HINT}")
    names = [f"latency_{re.sub('[^a-z0-9]+', '_', device.lower())}_ms" for device in devices]
    if len(set(names)) != len(names):
        raise ValueError(f"The devices of {path} must differ. Received: {devices}")
    return {name: dense(row) for name, row in zip(names, values, strict=True)}
