"""A run with a trained and evaluated student, and an evaluation of a file, for tests of tables."""

from dna_tf.common import files
from dna_tf.search import exact, problem_building
from dna_tf.space import architectures, cost_limits, cost_tables, presets, tasks
from tests.helpers import rated_runs

NAME = "max_macs_15k"


def write_run(folder):
    """Writes a run with one searched student, trained for two seeds, both evaluated.

    Returns:
        `(Workdir, Architecture)`.
    """
    workdir, config, ratings = rated_runs.rated_run(folder)
    space, limits = presets.get_space(config.space), cost_limits.Limits("max_macs=15k")
    table = cost_tables.cost_table(space, tasks.Task(config.data.image_size, 3, 10))
    problem = problem_building.build_problem(space, ratings, table)
    origin = {"by": "search", "limits": dict(limits)}
    architecture = problem.architecture(exact.best(problem, limits)[0], NAME, origin)
    architectures.save(architecture, workdir.architecture(NAME))
    for seed, (correct, top5_correct) in enumerate(((300, 340), (310, 350))):
        result = {
            **{"kind": "dna_tf.student", "architecture": NAME, "seed": seed},
            **{"test_accuracy": correct / 359, "test_correct": correct, "test_images": 359},
            **{"params": 1, "macs": 1, "seconds": 1.0, "data_fingerprint": "data"},
        }
        files.write_json(workdir.student(NAME, seed) / "result.json", result)
        # The second evaluation is on other images.
        for number, (data, count) in enumerate((("data", top5_correct), ("other", 1))):
            evaluation = {
                "kind": "dna_tf.evaluation",
                "model": f"students/{NAME}/seed{seed}/model.keras",
                "data_fingerprint": data,
                **{"test_images": 359, "top5_correct": count, "test_correct": correct},
            }
            files.write_json(workdir.evaluations / f"{seed}_{number}.json", evaluation)
    return workdir, architecture


def write_evaluation(folder):
    """Writes the result of an evaluation with 1000 classes; returns its path."""
    content = {
        **{"kind": "dna_tf.evaluation", "model": "/m/lite0.keras", "data": "folder:/data"},
        **{"settings": {"image_size": 224}, "num_classes": 1000, "params": 4_650_000},
        **{"macs": 385_000_000, "test_correct": 875, "test_images": 1000, "top5_correct": 970},
    }
    files.write_json(folder / "lite.json", content)
    return folder / "lite.json"
