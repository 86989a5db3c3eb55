"""Cells before and during their training: untrained ones, and copies after every few epochs.

Untrained cells are a control: what a rating says of the network's shape alone. Copies show how
ratings and searches change with training (DNA Figure 6). They lie in `snapshots/epochNNN/` beside
the trained cells, as files of cells; the last epoch's are the trained cells themselves.
"""

import re

from dna_tf.supernet import cell_files, cell_models, trained_cells

_NAME = re.compile(r"epoch(\d{3,})")


def untrained_cells(space, shapes, seed, teacher, starts=None):
    """The cells of a space as their training begins.

    Args:
        space: a `spaces.SearchSpace`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        seed: the seed of the training.
        teacher: fingerprint of the teacher that the cells are for.
        starts: as of `cell_models.build_cells`.

    Returns:
        A list of `trained_cells.TrainedCell`, first block first.
    """
    cells = cell_models.build_cells(space, shapes, seed, None, starts)
    return [_as_trained(space, cell, result_of(teacher, 0)) for cell in cells]


def result_of(teacher, steps, rate_factor=1.0):
    """The `result` of a cell that is not fully trained: no curves."""
    return {
        "teacher": teacher,
        "rate_factor": rate_factor,
        "steps": steps,
        "losses": [],
        "relative_l1": [],
    }


def is_due(epoch, every, epochs):
    """Whether cells are copied after an epoch.

    Args:
        epoch: the epoch that ended, from 0.
        every: epochs from one copy to the next; 0 for none.
        epochs: of the whole training, after which the cells are written anyway.
    """
    return bool(every) and (epoch + 1) % every == 0 and epoch + 1 < epochs


def save(folder, space, cells, epochs, result):
    """Writes copies of cells; equal ones of an earlier, killed training are replaced.

    Args:
        folder: of the trained cells.
        space: a `spaces.SearchSpace`.
        cells: the `cell_models.TrainableCell`s.
        epochs: how many epochs they were trained for.
        result: as `result_of` returns it.
    """
    for cell in cells:
        cell_files.save(_as_trained(space, cell, result), _folder(folder, epochs))


def epochs_in(folder, space):
    """The numbers of epochs after which all cells of a space were copied, ascending.

    Args:
        folder: of the trained cells.
        space: a `spaces.SearchSpace`.
    """
    below = folder / "snapshots"
    matches = [_NAME.fullmatch(path.name) for path in below.iterdir()] if below.exists() else []
    numbers = sorted(int(match[1]) for match in matches if match)
    names = cell_files.cell_names(space)
    return [n for n in numbers if cell_files.trained_names(_folder(folder, n), space) == names]


def load(folder, space, shapes, epochs, teacher):
    """Reads the copies after a number of epochs; as `cell_files.load` reads trained cells."""
    return cell_files.load(_folder(folder, epochs), space, shapes, None, teacher)


def _folder(folder, epochs):
    return folder / "snapshots" / f"epoch{epochs:03d}"


def _as_trained(space, cell, result):
    weights = trained_cells.weights_of(cell)
    return trained_cells.TrainedCell(space, cell.block, cell.cell, weights, result)
