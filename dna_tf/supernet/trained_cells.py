"""The result of training a cell: its weights, and the curves of the training."""

import dataclasses
import hashlib

import numpy as np

from dna_tf.common import files
from dna_tf.space import spaces
from dna_tf.supernet import cell_models, packed_ops


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedCell:
    """A trained cell.

    Args:
        space: the `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        weights: float32 arrays `(ops, row size)`, the packed weights of each unit.
        result: a JSON-able dict about the training: `teacher` (fingerprint), `losses` and
            `relative_l1` (lists, one number per epoch), `steps`, `rate_factor`.
    """

    space: spaces.SearchSpace
    block: int
    cell: int
    weights: tuple[np.ndarray, ...]
    result: dict

    @property
    def name(self) -> str:
        """The cell's name, such as `"block1_cell2"`."""
        return spaces.cell_name(self.block, self.cell)

    @property
    def losses(self) -> list[float]:
        """The mean squared error of each epoch."""
        return self.result["losses"]

    @property
    def relative_l1(self) -> list[float]:
        """Relative L1 distance on held-out images after each epoch."""
        return self.result["relative_l1"]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the weights."""
        return fingerprint(self.weights)

    def build(self, shapes):
        """Builds the cell on the current device, ready to run.

        Args:
            shapes: `(height, width, channels)` of the image and of each block's output.

        Returns:
            A `cell_models.TrainableCell` with these weights.
        """
        cell = cell_models.build_cells(self.space, shapes, seed=0, names=[self.name])[0]
        for rows, array in zip(cell.rows, self.weights, strict=True):
            rows.assign(array)
        return cell


def fingerprint(weights):
    """Identifies the weights of a cell: a list of float32 arrays, one per unit."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def read_weights(path, units, fingerprint_of_result, space_name, result_name, hint):
    """Reads packed weights and checks that they are those of a result.

    Args:
        path: the file of arrays.
        units: for each unit the specs of its ops.
        fingerprint_of_result: what the result says of them.
        space_name: of the space, for messages.
        result_name: of the result's file, for messages.
        hint: the end of messages.

    Returns:
        A list of float32 arrays `(ops, row size)`, one per unit.

    Raises:
        ValueError: they have other shapes, or are other weights.
    """
    arrays, weights = files.read_arrays(path, hint), []
    for u, specs in enumerate(units):
        expected = (len(specs), packed_ops.row_size(specs))
        received = arrays[f"unit{u}"].shape if f"unit{u}" in arrays else (0,)
        if received != expected:
            raise ValueError(
                f"The weights in {path} do not fit the space {space_name!r}: unit {u} "
                f"has shape {received}, expected {expected}. {hint}"
            )
        weights.append(arrays[f"unit{u}"])
    if fingerprint(weights) != fingerprint_of_result:
        raise ValueError(
            f"The weights in {path} are not those that {result_name} beside it describes. {hint}"
        )
    return weights


def weights_of(cell):
    """The weights of a `cell_models.TrainableCell` as arrays, one per unit."""
    return tuple(rows.value.numpy() for rows in cell.rows)
