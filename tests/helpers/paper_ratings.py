"""The paper's search space with random ratings, and its front."""

import functools

from dna_tf.report import run_data
from dna_tf.search import comparison, fronts, problem_building
from dna_tf.space import cost_tables, presets, tasks

SPACE = presets.get_space("dna")
TABLE = cost_tables.cost_table(SPACE, tasks.Task())
RATINGS = comparison.draw_ratings(SPACE, TABLE, "plausible", 3)


@functools.cache
def front_entries():
    """The entries of the front's file."""
    problem = problem_building.build_problem(SPACE, RATINGS, TABLE)
    return [
        {"rating": entry.rating, "costs": entry.costs, "blocks": problem.describe(entry)}
        for entry in fronts.front(problem)
    ]


def run(**changes):
    """A `run_data.Run` with these ratings; `changes` are fields of the teacher's result."""
    teacher = {"image_shape": [224, 224, 3], "num_classes": 1000, **changes}
    return run_data.Run(space=SPACE, ratings=RATINGS, teacher=teacher)
