"""How long it takes to rank networks, to search on tables of them, and to train whole networks.

    python -m benchmarks.methods --json

Truth and scores are made up, with ties as accuracies have them. Figures are medians in seconds:

  tau_s        Kendall's tau-b with 2,000 bootstraps over 1,176 networks
  tau_all_s    Kendall's tau-b over 15,625 networks
  ranking_s    a whole ranking of 1,176 networks beside two costs, all intervals included
  random_s     1,000 evaluations of random search on a table of 15,625 networks
  evolution_s  1,000 evaluations of evolution on it
  angles_s     the angles of all 262,144 networks of digits_single, from sums for each op
  angle_search_s  the largest angle of them under the middle of their MACs, exactly
  angle_search_dna_s  the same over the paper's full space
  whole_choice_over_fixed  a step of a whole network (SPOS, digits_single, 64 images of 32 pixels)
                  over a step of the Keras student of the same path; a ratio, by turns
"""

import statistics
import time

import numpy as np
from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.common import rank_correlation
from dna_tf.search import (
    angle_search,
    evolution,
    problem_building,
    table_problems,
    trial_search,
)
from dna_tf.space import angle_sums, cost_tables, presets, tasks
from dna_tf.truth import choice_tables, ranking

cli.define_run_flags()
flags.DEFINE_integer("runs", 5, "How many times each thing is done.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds truth and scores.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

FEW, ALL = 1176, (5,) * 6  # our networks of NAS-Bench-Macro; NAS-Bench-201


def main():
    """Times all of it."""
    machine.check_no_workdir("makes up its own truth")
    runs, seed = cli.FLAGS.runs, cli.FLAGS.seed
    truth, score, costs = columns(FEW, seed)
    all_truth, all_scores, _ = columns(5**6, seed)
    table = make_table(all_truth)
    problem = table_problems.table_problem(table, "test")
    actions = {
        "tau_s": lambda: rank_correlation.tau(score, truth, seed),
        "tau_all_s": lambda: rank_correlation.kendall_tau(all_scores, all_truth),
        "ranking_s": lambda: ranking.rank_score(truth, score, costs, seed),
        "random_s": lambda: trial_search.random_search(problem, budget=1000, seed=seed),
        "evolution_s": lambda: evolution.evolve(problem, budget=1000, seed=seed),
    }
    actions |= angle_actions(seed)
    figures = {name: machine.median_seconds(action, runs) for name, action in actions.items()}
    figures["whole_choice_over_fixed"] = whole_choice_over_fixed(runs, seed)
    machine.report({"runs": runs, **figures}, seed)


def columns(count, seed):
    """Made-up `(truth, score, costs)` of networks: larger ones are better, with noise."""
    rng = np.random.default_rng(seed)
    macs, params = rng.integers(8_000_000, 100_000_000, (2, count))
    truth = np.round(90 + np.log(macs / 8e6) + 0.5 * rng.standard_normal(count), 2)
    score = truth + 0.5 * rng.standard_normal(count)
    return truth, score, {"macs": macs, "params": params}


def angle_actions(seed):
    """What is timed of angles: a dict from the name of a figure to a function."""
    digits, dna = presets.get_space("digits_single"), presets.get_space("dna")
    cells = make_cell_angles(digits, seed)
    problem, large = zero_problem(digits, 32), zero_problem(dna, 224)
    sums = angle_sums.of_cells(cells)
    large_sums = angle_sums.of_cells(make_cell_angles(dna, seed))

    def all_angles():
        networks = angle_sums.all_networks(digits)
        return np.argsort(angle_sums.of_cells(cells).cosines(*networks))

    return {
        "angles_s": all_angles,
        "angle_search_s": lambda: angle_search.best(problem, sums, middle_of_macs(problem)),
        "angle_search_dna_s": lambda: angle_search.best(large, large_sums, middle_of_macs(large)),
    }


def whole_choice_over_fixed(rounds, seed, paths=3, steps=8):
    """Seconds of a SPOS step over those of the student's step, the median over paths and rounds."""
    import keras
    import tensorflow as tf

    from dna_tf.models import students
    from dna_tf.search import finding
    from dna_tf.supernet import whole_network, whole_trainer
    from dna_tf.training import training_twin

    class Fixed(whole_trainer.WholeTrainer):
        """It chooses its ops as always, but is told one path."""

        path = None

        def draw(self, number):
            return tf.constant([self.path], tf.int32)

    space, task = presets.get_space("digits_single"), tasks.Task(32, 3, 10)
    rng, ratios = np.random.default_rng(seed), []
    images = tf.constant(rng.uniform(0, 255, (64, 32, 32, 3)), tf.float32)
    labels = tf.constant(rng.integers(0, 10, 64), tf.int32)
    trainer = Fixed(whole_network.WholeNetwork(space, task, seed), seed)
    zeros = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
    problem = finding.search_problem(space, zeros, task)
    for _ in range(paths):
        trainer.path = rng.integers(0, len(space.ops), trainer.network.layers).tolist()
        indices = np.array([whole_network.indices_of(space, trainer.path)])
        (choice,) = problem.choices(np.zeros_like(indices), indices)
        student = students.build_student(problem.architecture(choice, "student", {}))
        model = training_twin.make(student)
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        optimizer.build(model.trainable_variables)

        @tf.function
        def fixed(images, labels, model=model, optimizer=optimizer):
            with tf.GradientTape() as tape:
                logits = model(images, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            optimizer.apply(tape.gradient(loss, model.trainable_variables))
            return loss

        def seconds(step):
            started = time.perf_counter()
            for _ in range(steps):
                loss = step()
            float(loss)
            return time.perf_counter() - started

        for number in range(rounds + 1):  # the first one traces
            chosen = seconds(lambda: trainer.step(images, labels, 0, 0.01)["loss"])
            of_student = seconds(lambda fixed=fixed: fixed(images, labels))
            ratios += [chosen / of_student] * (number > 0)
    return round(statistics.median(ratios), 3)


def make_cell_angles(space, seed):
    """Sums of made-up weights that moved by half of their length, more or less."""
    rng, cells = np.random.default_rng(seed), {}
    for b, c, cell in space.cells():
        units = []
        for _ in range(cell.layers):
            first = rng.normal(size=(len(space.ops), 50)) * rng.uniform(0.5, 2, (len(space.ops), 1))
            share = rng.uniform(0.2, 0.8, (len(space.ops), 1))
            trained = first + share * rng.normal(size=first.shape)
            triples = [(first * trained).sum(1), (first**2).sum(1), (trained**2).sum(1)]
            units.append(np.stack(triples, axis=1))
        cells[b, c] = angle_sums.CellAngle("rlnas", {angle_sums.TRAINED: units})
    return cells


def zero_problem(space, image_size):
    """A search problem with the costs of a space and ratings of 0."""
    zeros = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
    table = cost_tables.cost_table(space, tasks.Task(image_size))
    return problem_building.build_problem(space, zeros, table)


def middle_of_macs(problem):
    """A limit in the middle of what is possible."""
    return {"max_macs": (problem.lowest("macs") + problem.highest("macs")) / 2}


def make_table(truth):
    """A table of `ALL` networks whose MACs add up over its positions."""
    macs = sum(np.ix_(*(np.arange(1, count + 1) * 1000 for count in ALL)))
    return choice_tables.ChoiceTable("made up", ALL, {"test": truth.reshape(ALL)}, {"macs": macs})


if __name__ == "__main__":
    cli.run(main)
