"""The smallest student of a run within a drop of accuracy: some students, fine-tuned in turn."""

from dna_tf.common import progress
from dna_tf.inheritance import smallest
from dna_tf.models import keras_files
from dna_tf.phases import compressing, runs
from dna_tf.search import assembly_problem


def find(workdir, config, most_drop, limits=None, smallest_in="macs", tables=()):
    """Finds the smallest student that lies within a drop of the teacher, and exports it.

    Students of the front are fine-tuned in turn, each half as far from the goal. The rating images
    decide. A killed search goes on; students that are there are not trained again.

    Args:
        workdir: a `workdirs.Workdir` in which `compressing.train_and_rate` was run.
        config: its config.
        most_drop: points of accuracy that the student may lie below the teacher.
        limits: further limits of each student, as `assembly_problem.limits_of` takes them.
        smallest_in: the cost that is to be small.
        tables: the `op_costs.OpCosts` of latencies, if limits or `smallest_in` name any.

    Returns:
        As `compressing.compress`.

    Raises:
        smallest.NoneGood: no student lies within the drop; the message has the nearest one.
    """
    smallest.check(most_drop, smallest_in)
    run, limits = runs.open_run(workdir, config), dict(limits or {})
    problem, within = compressing.question(run, limits, tables)
    drop = smallest.DropFrom(run.teacher, run.images)

    def trial(cost):
        with_cost = {**limits, f"max_{smallest_in}": cost}
        name, result = compressing.student(workdir, config, with_cost, tables)
        model = keras_files.load_model(workdir.compressed(name) / "model.keras")
        return smallest.Trial(cost, drop.of(model), (name, result))

    costs = assembly_problem.costs_of_front(problem, smallest_in, within)
    name, result = smallest.find(costs, most_drop, trial, smallest_in).student
    progress.say(f"The smallest student within {most_drop:g} points: {name}")
    compressing.export_student(workdir, config, name)
    return name, result
