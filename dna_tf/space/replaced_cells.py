"""Files of ratings by replacing: what a teacher loses with one path in the place of a block."""

import dataclasses

import numpy as np

from dna_tf.common import checks, files, records
from dna_tf.space import spaces

KIND = "dna_tf.replacements"
VERSION = 1
_HINT = "Delete it and rate again."
_FIELDS = ("kind", "version", "cell", "space", "made_from", "batches", "fit_error")
_COLUMNS = ("kl", "spread", "agreement")


@dataclasses.dataclass(frozen=True)
class ReplacedCell:
    """The ratings of one cell by replacing.

    Args:
        kl: float64 `(paths,)`, in the order of `SearchSpace.paths`: nats, measured or fitted.
        spread: float64 `(paths,)`: standard deviation between the rating batches; NaN where
            `kl` is fitted.
        agreement: float64 `(paths,)`: share of equal top answers; NaN where `kl` is fitted.
        batches: the number of rating batches.
        fit_error: root mean squared error of the fit in nats, each measured path predicted from
            the others; 0 if all paths were measured.
    """

    kl: np.ndarray
    spread: np.ndarray
    agreement: np.ndarray
    batches: int
    fit_error: float

    @property
    def measured(self):
        """Which paths were measured, bool `(paths,)`."""
        return ~np.isnan(self.agreement)


def save(path, space, block, cell, replaced, made_from):
    """Writes the ratings of one cell, atomically.

    Args:
        path: the file.
        space: the `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        replaced: a `ReplacedCell`.
        made_from: fingerprint of cell, teacher, data and settings.
    """
    columns = {
        name: [None if np.isnan(v) else float(v) for v in getattr(replaced, name)]
        for name in _COLUMNS
    }
    head = {
        "kind": KIND,
        "version": VERSION,
        "cell": spaces.cell_name(block, cell),
        "space": space.to_dict(),
        "made_from": made_from,
        "batches": replaced.batches,
        "fit_error": replaced.fit_error,
    }
    files.write_json(path, {**head, **columns})


def read(path, space, block, cell):
    """Reads the ratings of one cell.

    Args:
        path: the file.
        space: the `spaces.SearchSpace` that they must belong to.
        block: block index from 0.
        cell: cell index from 0.

    Returns:
        The `ReplacedCell`, and the fingerprint of what it was made from.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or of another cell or space.
    """
    data, name = files.read_json(path, KIND, _HINT), spaces.cell_name(block, cell)
    try:
        data = checks.check_keys("file", data, (*_FIELDS, *_COLUMNS))
        if (data["version"], data["cell"]) != (VERSION, name) or data["space"] != space.to_dict():
            raise ValueError(
                f"Expected ratings of {name} of the space {space.name!r}, version {VERSION}. "
                f"Received: cell={checks.short_repr(data['cell'])}, "
                f"version={checks.short_repr(data['version'])}."
            )
        records.whole(1)(data["batches"], "The field 'batches'")
        records.number(0)(data["fit_error"], "The field 'fit_error'")
        records.text(data["made_from"], "The field 'made_from'")
        count, arrays = space.num_paths(block, cell), {}
        for column in _COLUMNS:
            check = records.number(0) if column == "kl" else records.optional(records.number(0))
            records.list_of(check, count)(data[column], f"The field {column!r}")
            arrays[column] = np.array(
                [np.nan if v is None else v for v in data[column]], np.float64
            )
    except ValueError as error:
        raise ValueError(f"The ratings in {path} cannot be used. {error} {_HINT}") from error
    replaced = ReplacedCell(**arrays, batches=data["batches"], fit_error=float(data["fit_error"]))
    return replaced, data["made_from"]
