"""Sums from which the angle of every network follows, and the files of cells with them.

The angle of a network lies between its first and its trained weights, all put into one vector:

    cosine = D / sqrt(N0 * N),  D = sum <first, trained>,  N0 = sum |first|^2,  N = sum |trained|^2.

D, N0 and N add up over the ops of a network. So three numbers for each op of each layer give the
angles of all networks, and nothing is ever concatenated. A larger angle (a smaller cosine) means
that training moved the weights further: RLNAS takes that for a better network.

Source: RLNAS, Zhang et al., 2021 (the angle); the sums are ours.
"""

import dataclasses

import numpy as np

from dna_tf.common import checks, files, records
from dna_tf.space import spaces

KIND = "dna_tf.angle"
VERSION = 1
# Which weights of an op make up the vector.
PARTS = ("rlnas", "kernels", "all")
# The angle itself, and the controls beside which it is read.
TRAINED, STRUCTURE, NOISE, FRESH = VARIANTS = ("trained", "structure", "noise", "fresh")
_MOST_NETWORKS = 20_000_000
_HINT = "Delete it and compute the angles again."
_FIELDS = ("kind", "version", "cell", "space", "parts", "made_from", "sums")


@dataclasses.dataclass(frozen=True)
class CellAngle:
    """The sums of one cell, for each op of each layer.

    Args:
        parts: which weights count, one of `PARTS`.
        sums: `sums[variant]`: for each unit of the cell, first to last, a float64 array `(ops,
            3)` with D, N0 and N of each op. Units of a stem have one op.
    """

    parts: str
    sums: dict

    def path_sums(self, variant=TRAINED):
        """D, N0 and N of all paths, float64 `(3, paths)`, in the order of `SearchSpace.paths`."""
        total = np.zeros((3, 1))
        for of_ops in self.sums[variant]:
            total = (total[:, :, None] + of_ops.T[:, None, :]).reshape(3, -1)
        return total


@dataclasses.dataclass(frozen=True)
class AngleSums:
    """D, N0 and N of all paths of a space, for the angles of its networks.

    D is the dot product of first and trained weights, N0 and N are the squared lengths.

    Example:

        >>> import numpy as np
        >>> import dna_tf
        >>> one_path = np.array([[3.0], [4.0], [9.0]])  # D, N0 and N
        >>> sums = dna_tf.AngleSums({(0, 0): one_path, (1, 0): one_path})
        >>> zeros = np.array([[0, 0]])  # the first cell and its first path in both blocks
        >>> float(sums.cosines(zeros, zeros)[0])
        0.5

    Args:
        paths: `paths[block, cell]`, float64 `(3, paths)`, in the order of `SearchSpace.paths`.
        fixed: D, N0 and N of what every network has besides, `(3,)`.
    """

    paths: dict
    fixed: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))

    def totals(self, cells: np.ndarray, path_indices: np.ndarray) -> np.ndarray:
        """D, N0 and N of many networks, float64 `(3, networks)`, added first block first.

        Args:
            cells: an int array `(networks, blocks)`, the cell of each block, from 0.
            path_indices: likewise, the index of its path in `SearchSpace.paths`.
        """
        total = np.repeat(np.asarray(self.fixed, np.float64)[:, None], len(cells), axis=1)
        for b in range(cells.shape[1]):
            for c in np.unique(cells[:, b]):
                here = np.flatnonzero(cells[:, b] == c)
                part = self.paths[b, int(c)]
                if len(here) == len(cells):
                    total += part[:, path_indices[:, b]]
                else:
                    total[:, here] += part[:, path_indices[here, b]]
        return total

    def cosines(self, cells: np.ndarray, path_indices: np.ndarray) -> np.ndarray:
        """The cosine of each network's angle, float64 `(networks,)`; lower is a larger angle.

        Args:
            cells, path_indices: as of `totals`.
        """
        return cosines_of(self.totals(cells, path_indices))


def cosines_of(totals):
    """The cosines of D, N0 and N, `(3, networks)`, within -1 and 1."""
    dot, first, trained = totals
    return np.clip(dot / np.sqrt(first * trained), -1.0, 1.0)


def degrees(cosine):
    """The angle of a cosine, in degrees."""
    return np.degrees(np.arccos(cosine))


def of_cells(cell_angles, variant=TRAINED):
    """The `AngleSums` of a dict from `(block, cell)` to `CellAngle`."""
    return AngleSums({key: each.path_sums(variant) for key, each in cell_angles.items()})


def all_networks(space):
    """All networks of a space, the last block changing fastest.

    Args:
        space: a `spaces.SearchSpace`.

    Returns:
        `(cells, path_indices)`, int64 `(networks, blocks)` each.

    Raises:
        ValueError: the space has too many networks to list them.
    """
    count = space.num_architectures()
    if count > _MOST_NETWORKS:
        raise ValueError(
            f"The space {space.name!r} has {count:,} networks, too many to list them. At most "
            f"{_MOST_NETWORKS:,} are possible. Draw some of them, or search."
        )
    cells = np.zeros((1, 0), np.int64)
    paths = cells
    for b, block in enumerate(space.blocks):
        sizes = [space.num_paths(b, c) for c in range(len(block.cells))]
        cell = np.repeat(np.arange(len(sizes)), sizes)
        path = np.concatenate([np.arange(size) for size in sizes])
        before, after = len(cells), len(cell)
        cells = np.column_stack([np.repeat(cells, after, axis=0), np.tile(cell, before)])
        paths = np.column_stack([np.repeat(paths, after, axis=0), np.tile(path, before)])
    return cells, paths


def draw_networks(space, count, seed):
    """Draws different networks of a space, each as likely as any other.

    Args:
        space: a `spaces.SearchSpace`.
        count: how many; all networks of a space that has no more.
        seed: an int.

    Returns:
        As `all_networks`.
    """
    if space.num_architectures() <= count:
        return all_networks(space)
    draws, networks = np.random.default_rng([seed, 77]), {}
    sizes = [
        np.array([space.num_paths(b, c) for c in range(len(block.cells))])
        for b, block in enumerate(space.blocks)
    ]
    while len(networks) < count:
        cells = [int(draws.choice(len(of), p=of / of.sum())) for of in sizes]
        paths = [int(draws.integers(of[c])) for of, c in zip(sizes, cells, strict=True)]
        networks.setdefault((*cells, *paths))
    rows = np.array(list(networks), np.int64)
    return rows[:, : len(sizes)], rows[:, len(sizes) :]


def save(path, space, block, cell, cell_angle, made_from):
    """Writes the sums of one cell, atomically.

    Args:
        path: the file.
        space: the `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        cell_angle: a `CellAngle`.
        made_from: fingerprint of the cell's weights, and of what its first weights follow from.
    """
    files.write_json(
        path,
        {
            "kind": KIND,
            "version": VERSION,
            "cell": spaces.cell_name(block, cell),
            "space": space.to_dict(),
            "parts": cell_angle.parts,
            "made_from": made_from,
            "sums": {name: [u.tolist() for u in units] for name, units in cell_angle.sums.items()},
        },
    )


def read(path, space, block, cell):
    """Reads the sums of one cell.

    Args:
        path: the file.
        space: the `spaces.SearchSpace` that they must belong to.
        block: block index from 0.
        cell: cell index from 0.

    Returns:
        The `CellAngle`, and the fingerprint of what it was made from.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or of another cell or space.
    """
    data, name = files.read_json(path, KIND, _HINT), spaces.cell_name(block, cell)
    try:
        data = checks.check_keys("file", data, _FIELDS)
        if (data["version"], data["cell"]) != (VERSION, name) or data["space"] != space.to_dict():
            raise ValueError(
                f"Expected angles of {name} of the space {space.name!r}, version {VERSION}. "
                f"Received: cell={checks.short_repr(data['cell'])}, "
                f"version={checks.short_repr(data['version'])}."
            )
        checks.choose(data["parts"], PARTS, "choice of weights")
        records.text(data["made_from"], "The field 'made_from'")
        triple = records.list_of(records.number(), 3)
        lists = records.mapping_of(records.list_of(records.list_of(triple)))
        lists(checks.check_keys("field 'sums'", data["sums"], VARIANTS), "The field 'sums'")
        sums = {
            each: [np.array(unit, np.float64).reshape(-1, 3) for unit in data["sums"][each]]
            for each in VARIANTS
        }
        cell_angle = CellAngle(data["parts"], sums)
        for each in VARIANTS:
            _check(cell_angle.path_sums(each), space, block, cell)
    except ValueError as error:
        raise ValueError(f"The angles in {path} cannot be used. {error} {_HINT}") from error
    return cell_angle, data["made_from"]


def check(sums, space, open_paths):
    """Checks that sums fit a space.

    Args:
        sums: an `AngleSums`.
        space: the `spaces.SearchSpace`.
        open_paths: by `(block, cell)` the indices of the paths that may be chosen.

    Raises:
        ValueError: a cell is missing, or has another number of paths; a number is not finite, or
            a norm is 0.
    """
    for b, c, _ in space.cells():
        if len(open_paths[b, c]):
            if (b, c) not in sums.paths:
                raise ValueError(
                    f"There are no angle sums of {spaces.cell_name(b, c)} of the space "
                    f"{space.name!r}. Compute the angles of all trained cells."
                )
            _check(np.asarray(sums.paths[b, c]), space, b, c, open_paths[b, c])


def _check(array, space, block, cell, open_paths=slice(None)):
    count, name = space.num_paths(block, cell), spaces.cell_name(block, cell)
    if array.shape != (3, count):
        raise ValueError(
            f"The angle sums of {name} must have the shape (3, {count}): D, N0 and N of each path "
            f"of the space {space.name!r}. Received: {array.shape}"
        )
    dot, first, trained = array = array[:, open_paths]
    if not np.isfinite(array).all() or (array[1:] <= 0).any():
        raise ValueError(
            f"The angle sums of {name} must be finite, and the squared lengths above 0: a supernet "
            "that diverged has no angle. Train the cell again."
        )
    if (np.abs(dot) > np.sqrt(first * trained) * (1 + 1e-9)).any():
        raise ValueError(
            f"The angle sums of {name} are of no weights: |D| is above sqrt(N0 * N). Expected D = "
            "<first, trained>, N0 = |first|^2 and N = |trained|^2, in this order."
        )
