"""A trained whole network: its weights and the curves of its training, in memory and in a folder.

The files are `weights.npz` and `result.json`.
"""

import dataclasses

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.space import spaces, tasks
from dna_tf.supernet import trained_cells, whole_network


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedWhole:
    """A trained whole network.

    Args:
        space: the `spaces.SearchSpace`.
        task: the `tasks.Task`.
        seed: the seed of its first weights and of its draws.
        weights: float32 arrays `(ops, row size)`, as `whole_network.first_rows` lists them.
        result: a JSON-able dict about the training: `labels`, `losses`, `accuracies` (lists, one
            number per epoch), `steps`, `op_counts`, `data_fingerprint`.
    """

    space: spaces.SearchSpace
    task: tasks.Task
    seed: int
    weights: tuple[np.ndarray, ...]
    result: dict

    @property
    def name(self) -> str:
        """How errors call it."""
        return "The whole network"

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the weights."""
        return trained_cells.fingerprint(self.weights)

    def build(self):
        """Builds the network on the current device, a `whole_network.WholeNetwork`."""
        network = whole_network.WholeNetwork(self.space, self.task, self.seed)
        for rows, array in zip(network.rows, self.weights, strict=True):
            rows.assign(array)
        return network


def save(trained, folder):
    """Writes a `TrainedWhole` into a folder."""
    arrays = {f"unit{u}": array for u, array in enumerate(trained.weights)}
    files.write_arrays(folder / "weights.npz", arrays)
    identity = {
        "kind": workdirs.WHOLE_KIND,
        "space": trained.space.to_dict(),
        "task": dataclasses.asdict(trained.task),
        "seed": trained.seed,
        "fingerprint": trained.fingerprint,
    }
    files.write_json(folder / "result.json", {**trained.result, **identity})


def read_result(folder, hint="Train it first."):
    """Reads the result file of a folder.

    Raises:
        FileNotFoundError: there is none; the message ends with the hint.
        ValueError: it is damaged.
    """
    return files.read_json(folder / "result.json", workdirs.WHOLE_KIND, hint)


def load(folder, space, hint="Train it first."):
    """Reads a trained whole network.

    Args:
        folder: where it is.
        space: the `spaces.SearchSpace` that it must belong to.
        hint: the end of the message if it is not there.

    Returns:
        A `TrainedWhole`.

    Raises:
        FileNotFoundError: nothing was trained.
        ValueError: the space is another one, the weights do not fit it, or they are not those
            that the result describes.
    """
    result = read_result(folder, hint)
    again = f"Delete {folder} and train again."
    if result["space"] != space.to_dict():
        raise ValueError(
            f"The whole network in {folder} belongs to the space {result['space'].get('name')!r}, "
            f"or to another version of it. Expected: {space.name!r}. {again}"
        )
    task, path = tasks.Task(**result["task"]), folder / "weights.npz"
    units, classifier = whole_network.network_units(space, task)
    weights = trained_cells.read_weights(
        path, [*units, [classifier]], result["fingerprint"], space.name, "result.json", again
    )
    return TrainedWhole(space, task, result["seed"], tuple(weights), result)
