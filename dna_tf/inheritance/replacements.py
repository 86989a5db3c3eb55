"""Rates the paths of all trained cells by replacing, and keeps the ratings in files."""

import dataclasses

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, files, locks, progress
from dna_tf.inheritance import replacement_rating
from dna_tf.models import keras_files, logits
from dna_tf.space import ratings, replaced_cells
from dna_tf.supernet import cell_rating, phase_settings
from dna_tf.training import determinism


@dataclasses.dataclass(frozen=True)
class Settings:
    """How paths are rated by replacing.

    Args:
        rating: a `phase_settings.RatingSettings`, the same as of the local rating.
        measured_paths: how many paths of a cell are measured; the others get the value of a
            monotone fit.
        metric: the local rating on which they are fitted.
        seed: seeds which images are drawn.
    """

    rating: phase_settings.RatingSettings = phase_settings.RatingSettings()
    measured_paths: int = 64
    metric: str = ratings.METRICS[0]
    seed: int = 0

    def __post_init__(self):
        checks.check_whole("measured_paths", self.measured_paths, 2)
        checks.check_whole("seed", self.seed, 0)
        checks.choose(self.metric, ratings.METRICS, "metric")


def rate_replacements(cells, teacher, images, rated, settings=None, folder=None):
    """Rates every path of every cell by what the teacher loses with this one block replaced.

    Args:
        cells: trained cells, as `cell_training.train_cells` returns them.
        teacher: the `cutting.Teacher` that they imitate.
        images: a `labelled_images.Images`; labels are not used.
        rated: the local ratings, as `cell_rating.rate_cells` returns them.
        settings: `Settings`; `None` takes the defaults.
        folder: where the ratings are kept, one JSON file per cell, so that a killed rating
            resumes at the cell. `None` keeps nothing.

    Returns:
        A dict from `(block, cell)`, indices from 0, to the `replaced_cells.ReplacedCell`.

    Raises:
        ValueError: cells, teacher and images do not fit together; the teacher's answers are no
            distribution over classes; the folder has ratings of something else, or a rating is
            not finite.
    """
    settings = settings or Settings()
    store = _Store(folder, teacher, images, settings)
    replaced = {cell: store.load(cell) for cell in cells}
    todo = [cell for cell in cells if replaced[cell] is None]
    if todo:
        cell_rating.check_teacher(todo, teacher, images)
        determinism.enable(settings.seed)
        local = {cell: rated[cell.block, cell.cell].metrics[settings.metric][0] for cell in todo}
        with store.writing(todo), images.reading():
            for cell, result in _ratings(teacher, images, local, settings):
                store.save(cell, result)
                replaced[cell] = result
    return {(cell.block, cell.cell): replaced[cell] for cell in cells}


def _ratings(teacher, images, local, settings):
    """Rates cells one after another; `local` has the local ratings of each.

    Yields:
        Pairs of a cell and its `replaced_cells.ReplacedCell`.
    """
    answers_of = logits.with_logits(teacher.model)
    predict = tf.function(lambda pixels: answers_of(pixels, training=False))
    rest, most = replacement_rating.Rest(teacher), settings.measured_paths
    maps = cell_rating.rating_maps(teacher, images, settings.rating, settings.seed)
    expected = [predict(pixels) for pixels, *_ in maps[1]]
    total = sum(min(most, len(values)) for values in local.values())
    with progress.bar("rating by replacing", total, "path") as bar:
        for cell, values in local.items():
            rater = cell_rating.rater_of(cell.build(teacher.shapes), *maps)
            yield (
                cell,
                replacement_rating.rate_cell(
                    rater, cell.block, values, rest, expected, most, lambda: bar.update(1)
                ),
            )


class _Store:
    """The rating files in a folder, or nothing without a folder."""

    def __init__(self, folder, teacher, images, settings):
        self._folder = None if folder is None else files.as_path(folder)
        self._identity = [
            keras_files.weights_fingerprint(teacher.model),
            images.fingerprint,
            phase_settings.rating_identity(settings.rating),
            settings.measured_paths,
            settings.metric,
            settings.seed,
        ]

    def writing(self, cells):
        """Context in which no other process writes the ratings of these cells."""
        folder = self._folder
        paths = [] if folder is None else [folder / f"{cell.name}.json" for cell in cells]
        return locks.hold_all(
            paths, lambda path: f"The ratings of the cell {path.stem} in {folder}"
        )

    def load(self, cell):
        """The ratings of a cell; `None` if there are none."""
        path = None if self._folder is None else self._folder / f"{cell.name}.json"
        if path is None or not path.exists():
            return None
        replaced, made_from = replaced_cells.read(path, cell.space, cell.block, cell.cell)
        if made_from != self._made_from(cell):
            raise ratings.StaleRatings(
                f"The ratings in {path} are stale: they were made from another supernet, teacher, "
                "other data or settings. Delete the folder and rate again."
            )
        return replaced

    def save(self, cell, replaced):
        """Writes ratings; refuses those that are not finite."""
        if not np.isfinite(replaced.kl).all():
            raise ValueError(
                f"{cell.name} has ratings by replacing that are not finite: its training diverged. "
                "Train it with a lower learning rate."
            )
        if self._folder is None:
            return
        path = self._folder / f"{cell.name}.json"
        made_from = self._made_from(cell)
        replaced_cells.save(path, cell.space, cell.block, cell.cell, replaced, made_from)

    def _made_from(self, cell):
        return files.fingerprint([cell.fingerprint, *self._identity])
