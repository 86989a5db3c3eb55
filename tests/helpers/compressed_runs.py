"""A run that compressed a model, with invented ratings and results, written in milliseconds."""

import numpy as np

from dna_tf.common import files
from dna_tf.search import assembly_problem, finding
from dna_tf.space import assemblies, cost_limits, ratings, replaced_cells, spaces

SPACE = spaces.SearchSpace.from_dict({
    "name": "for_plain",
    "ops": ["k3e6", "k3e3"],
    "blocks": [
        {"stride": 1, "cells": [[1, 8], [2, 8]]},
        {"stride": 2, "cells": [[1, 16], [3, 16]]},
    ],
    "frame": {
        "stem_width": 8, "stem_stride": 2, "stem_output_width": 8, "head_width": 32,
        "activation": "relu6", "se_ratio": 0.0, "norm_epsilon": 1e-5, "norm_momentum": 0.9,
        "stem_layers": 1,
    },
    "image_size": 16,
})  # fmt: skip
TEACHER = assemblies.TeacherFacts(
    "teacher",
    ("end1", "end2"),
    ((16, 16, 3), (8, 8, 12), (4, 4, 24)),
    4,
    (
        {"params": 2_000, "macs": 300_000, "int8_kb": 2.5, "peak_kb": 3.0},
        {"params": 9_000, "macs": 400_000, "int8_kb": 9.5, "peak_kb": 2.0},
    ),
    {"params": 100, "macs": 96, "int8_kb": 0.2, "peak_kb": 0.1},
)
CELLS = [(b, c) for b, c, _ in SPACE.cells()]
CONFIG = {
    "seed": 0,
    "data": {"source": "folder:images", "image_size": 16, "channels": 3},
    "teacher": {"model": "my.keras", "cuts": ["end1", "end2"]},
    "space": SPACE.to_dict(),
    "supernet": {"epochs": 2},
    "search": {"budgets": [], "chosen": 0},
}
LIMITS = {"max_macs_half": {"max_macs": 500_000}, "max_params_10k": {"max_params": 10_000}}


def write_run(folder, limits=None):
    """Writes a run.

    Args:
        folder: its folder.
        limits: the limits of each student, by its name.

    Returns:
        A dict from `(block, cell)` to the ratings by replacing, `(paths,)`.
    """
    limits = LIMITS if limits is None else limits
    files.write_json(folder / "config.json", {"kind": "dna_tf.config", "config": CONFIG})
    files.write_json(folder / "teacher/result.json", {
        "kind": "dna_tf.teacher", "model": "my.keras", "params": 11_100, "macs": 700_096,
        "num_classes": 4, "image_shape": [16, 16, 3], "fingerprint": TEACHER.fingerprint,
        "counts": {"train": 100, "rating": 40, "test": 50},
        "test_accuracy": 0.96, "test_correct": 48, "test_images": 50,
        "cuts": [{"layer": "end1", "shape": [8, 8, 12], "params": 2_000}],
    })  # fmt: skip
    kl = write_ratings(folder)
    problem = assembly_problem.build_problem(SPACE, TEACHER, kl)
    for number, (name, of_student) in enumerate(limits.items()):
        best = finding.find_best(problem, count=3, limits=of_student, name="best")
        write_student(folder / "compressed" / name, best, of_student, 40 + number)
    return kl


def write_ratings(folder):
    """Writes what cells were trained to, and the ratings of their paths; returns those in nats."""
    draws, kl = np.random.default_rng(0), {}
    for b, c in CELLS:
        name, count = spaces.cell_name(b, c), SPACE.num_paths(b, c)
        files.write_json(folder / "supernet" / f"{name}.json", {
            "kind": "dna_tf.cell", "cell": name, "losses": [0.5, 0.2 + 0.1 * c],
        })  # fmt: skip
        kl[b, c] = draws.uniform(0.1, 0.9, count) / (1 + b)
        is_fitted = np.arange(count) >= 6
        spread, agreement = (np.where(is_fitted, np.nan, v) for v in (0.01 * kl[b, c], 0.9))
        error = 0.0125 if is_fitted.any() else 0.0
        replaced = replaced_cells.ReplacedCell(kl[b, c], spread, agreement, 4, error)
        path = folder / "replacements" / f"{name}.json"
        replaced_cells.save(path, SPACE, b, c, replaced, "0123")
        local = draws.uniform(0.2, 0.6, (2, count))
        pairs = {metric: local * (1 + n) for n, metric in enumerate(ratings.METRICS)}
        path = folder / "ratings" / f"{name}.json"
        ratings.save(path, SPACE, b, c, ratings.RatedCell(pairs, 4), "0123")
    return kl


def write_student(folder, best, limits, correct):
    """Writes the files of one student, the first of `best`."""
    assembly = best[0]
    assemblies.save(assembly, folder / "assembly.json")
    costs = assembly.costs()
    rows = [
        {"name": "teacher", "costs": TEACHER.costs(), "kl": 0.0, "agreed": 50, "correct": 48},
        {"name": "assembled", "costs": costs, "kl": 0.3125, "agreed": 37, "correct": correct - 5},
        {"name": "fine-tuned", "costs": costs, "kl": 0.0475, "agreed": 44, "correct": correct},
    ]
    files.write_json(folder / "result.json", {
        "kind": "dna_tf.compressed", "asked": {"max_macs": "50%"}, "fine_tune": {"epochs": 7},
        "file": "model.keras", "assembly": assembly.describe(),
        "limits": dict(cost_limits.Limits(limits)),
        "realised": [
            {
                "assembly": each.describe(), "costs": each.costs(), "rating": each.rating,
                "kl": 0.7 * each.rating + 0.01 * n, "correct": 30, "images": 40,
            }
            for n, each in enumerate(best)
        ],
        "table": [{**row, "images": 50} for row in rows],
        "data_fingerprint": "data",
    })  # fmt: skip
    file = {"largest_difference": 0.1, "agreement": 0.98, "good": True}
    files.write_json(folder / "exports/result.json", {
        "kind": "dna_tf.export", "architecture": "model", "images": 50, "files": {
            "float32": {**file, "file": "float32.tflite", "bytes": 45_678, "accuracy": 0.82},
            "int8": {**file, "file": "int8.tflite", "bytes": 12_345, "accuracy": 0.8},
        },
    })  # fmt: skip


def write_additivity(folder, kl):
    """Writes `additivity.json` of three networks whose sums are those of the ratings."""
    paths = [((0, 0), 1), ((0, 1), 2), ((1, 1), 5)]
    networks = [
        {
            "assembly": f"network {n}", "macs": 400_000 + 50_000 * n, "params": 5_000,
            "kl": 0.125 + 0.25 * n, "accuracy": 0.5,
            "sums": {"relative_l1": 0.5 + 0.1 * n, "kl": float(kl[key][index])},
        }
        for n, (key, index) in enumerate(paths)
    ]  # fmt: skip
    orders = [
        {"score": "relative_l1", "tau": 0.25, "low": -0.5, "high": 0.75, "slope": None},
        {"score": "kl", "tau": 0.625, "low": 0.375, "high": 0.875, "slope": 0.5},
        {"score": "macs", "tau": -0.125, "low": -0.75, "high": 0.5, "slope": None},
        {"score": "params", "tau": 0.125, "low": -0.5, "high": 0.5, "slope": None},
    ]
    files.write_json(folder / "additivity.json", {
        "kind": "dna_tf.additivity", "count": 3, "seed": 0, "teacher": TEACHER.fingerprint,
        "data_fingerprint": "data", "rating_images": 40, "orders": orders, "networks": networks,
    })  # fmt: skip


def write_agreement(folder, seed=1):
    """Writes the agreement of a second supernet: tau 0.1, 0.2, ... of the cells."""
    cells = [
        {
            "cell": spaces.cell_name(b, c), "paths": SPACE.num_paths(b, c),
            "taus": {"relative_l1": 0.1 * (n + 1), "kl": -0.1 * (n + 1)},
            "intervals": {"relative_l1": [0.05, 0.75]},
        }
        for n, (b, c) in enumerate(CELLS)
    ]  # fmt: skip
    files.write_json(folder / f"seeds/{seed}/agreement.json", {
        "kind": "dna_tf.seeds", "seeds": [0, seed], "rating_images": 40, "cells": cells,
    })  # fmt: skip
