"""Runs with random ratings, as the tools leave them, written in milliseconds."""

import pathlib

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.space import presets, ratings, spaces
from tests.helpers import tiny_config


def rated_run(folder, config=None):
    """Writes a run that is ready to be searched.

    Args:
        folder: the workdir.
        config: the config; the tiny one by default.

    Returns:
        `(Workdir, config, ratings)`, with ratings as `ratings.load_all` returns them.
    """
    workdir, config = workdirs.open_workdir(folder, config or tiny_config.get_config())
    size, channels = config.data.image_size, config.data.channels
    teacher = {
        "kind": "dna_tf.teacher",
        "fingerprint": "teacher",
        "data_fingerprint": "data",
        "image_shape": [size, size, channels],
        "num_classes": 10,
    }
    files.write_json(workdir.teacher / "result.json", teacher)
    for b, c, _ in presets.get_space(config.space).cells():
        name = spaces.cell_name(b, c)
        cell = {"kind": "dna_tf.cell", "cell": name, "teacher": "teacher", "fingerprint": name}
        files.write_json(workdir.cell(name), {**cell, "losses": [1.0, 0.5]})
    return workdir, config, write_ratings(workdir, config)


def write_ratings(workdir, config, seed=0):
    """Writes random ratings of all cells; returns them as `ratings.load_all` does."""
    space = presets.get_space(config.space)
    draws, rated = np.random.RandomState(seed), {}
    for b, c, _ in space.cells():
        rated[b, c] = draws.rand(space.num_paths(b, c))
        name = spaces.cell_name(b, c)
        made_from = workdir.ratings_made_from(config, name)
        path = workdir.ratings / f"{name}.json"
        ratings.save(path, space, b, c, rated_cell(rated[b, c]), made_from)
    return rated


def rated_cell(values):
    """The ratings of a cell with these means of relative L1, from one batch."""
    means = np.asarray(values, np.float64)
    return ratings.RatedCell({"relative_l1": np.stack([means, 0.0 * means])}, 1)


def snapshot(folder):
    """All files below a folder: a dict from relative path to `(bytes, time of change)`."""
    folder = pathlib.Path(folder)
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
