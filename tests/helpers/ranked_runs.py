"""Runs with random ratings, drawn networks and invented accuracies, written in milliseconds."""

import numpy as np

from dna_tf.common import files
from dna_tf.phases import drawn_networks, network_scores, search_inputs
from dna_tf.space import presets, zoo
from tests.helpers import rated_runs, tiny_config


def ranked_run(folder, question, noise=0.0, seeds=2):
    """Writes a run whose drawn networks are trained and whose cells are rated.

    Args:
        folder: the workdir.
        question: a `drawn_networks.Draw`.
        noise: of the accuracies; at 0 they follow the ratings.
        seeds: trainings of each network.

    Returns:
        `(Workdir, config)`.
    """
    config = tiny_config.get_config()
    config.retrain.seeds = seeds
    workdir, config, _ = rated_runs.rated_run(folder, config)
    drawn_networks.draw(workdir, config, question)
    measured = search_inputs.SearchInputs(workdir, config).problem.measured
    noises = np.random.default_rng(1)
    for name in question.names:
        arch = zoo.find(name, workdir.architectures)
        space = presets.get_space(config.space)
        rating = network_scores.network_rating(measured, arch, space)
        for seed in range(seeds):
            share = 0.9 - 0.1 * rating + noise * noises.standard_normal() + 0.001 * seed
            write_student(workdir, arch, seed, round(1000 * share))
    return workdir, config


def write_student(workdir, arch, seed, correct):
    """Writes the result of a student with a number of right answers of 1,000."""
    result = {
        "kind": "dna_tf.student",
        "architecture": arch.name,
        "seed": seed,
        "test_accuracy": correct / 1000,
        "test_correct": correct,
        "test_images": 1000,
        **{name: arch.costs()[name] for name in ("params", "macs")},
    }
    files.write_json(workdir.student(arch.name, seed) / "result.json", result)
