"""What compressing costs: ratings by replacing, realising, and fine-tuning.

    python -m benchmarks.compress --json

The digits at 32x32, the teacher residual_cnn with first weights, and cells with first weights: how
long a step takes does not depend on them. A cell of three layers and 64 paths is rated beside its
block and then in the teacher's place, in turns; the same student is trained by `train_student` and
by `fine_tune`, on labels alone and with the teacher's answers.

  kl_over_local           seconds of the rating by replacing, with --measured paths, over those of
                          the local rating
  realise_s               seconds to put one network together
  finetune_over_retrain   images/s of fine-tuning on labels over those of training a student
  teacher_finetune_over   the same with the teacher's answers, which it computes in each step
"""

import statistics
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_integer("rounds", 3, "Turns of each measurement.")
flags.DEFINE_integer("measured", 32, "Measured paths of the cell.")
flags.DEFINE_integer("seed", 0, "Of everything that is drawn.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

_BLOCK, _CELL = 1, 1  # a cell of three layers
_EPOCHS = 3  # that are timed


def main():
    """Measures in turns and reports."""
    machine.check_no_workdir()
    import numpy as np

    import dna_tf
    from dna_tf.inheritance import additivity, fine_tuning, realising, replacement_rating
    from dna_tf.models import logits
    from dna_tf.supernet import cell_models, cell_rating, phase_settings, trained_cells
    from dna_tf.teachers import parts

    seed, rounds = cli.FLAGS.seed, cli.FLAGS.rounds
    images, space = dna_tf.load_images("digits", image_size=32), dna_tf.get_space("digits")
    teacher = dna_tf.cut_teacher("residual_cnn", images, space=space, seed=seed)
    built = cell_models.build_cells(space, teacher.shapes, seed)
    facts = parts.facts(teacher)
    cells = [
        trained_cells.TrainedCell(space, c.block, c.cell, trained_cells.weights_of(c), {})
        for c in built
    ]
    settings = phase_settings.RatingSettings()
    maps = cell_rating.rating_maps(teacher, images, settings, seed)
    answers_of, rest = logits.with_logits(teacher.model), replacement_rating.Rest(teacher)
    expected = [answers_of(pixels, training=False) for pixels, *_ in maps[1]]
    cell = next(c for c in cells if (c.block, c.cell) == (_BLOCK, _CELL))

    def locally():
        rater = cell_rating.rater_of(cell.build(teacher.shapes), *maps)
        return np.array([rating[0][0] for rating in rater.ratings()])

    def by_replacing():
        rater = cell_rating.rater_of(cell.build(teacher.shapes), *maps)
        replacement_rating.rate_cell(rater, _BLOCK, local, rest, expected, cli.FLAGS.measured)

    local = locally()
    by_replacing()  # compiled now
    ratings = [(_seconds(locally), _seconds(by_replacing)) for _ in range(rounds)]
    (network, *others) = additivity.draw(space, facts, rounds + 1, seed, share_own=0.0)
    calibration = cell_rating.calibration_images(images, settings, seed)

    def realised(assembly):
        return realising.realise(assembly, teacher, cells, calibration)

    model = realised(network)
    realise_s = [_seconds(lambda each=each: realised(each)) for each in others]
    recipe = {"rating_every": 0, "checkpoint_seconds": 600.0, "warmup_epochs": 0.0}
    trainings = {
        "retrain": lambda epochs: dna_tf.train_student(model, images, {**recipe, "epochs": epochs}),
        "finetune": lambda epochs: fine_tuning.fine_tune(
            model, teacher, images, {**recipe, "epochs": epochs, "labels": 1.0, "answers": 0.0}
        ),
        "finetune_with_teacher": lambda epochs: fine_tuning.fine_tune(
            model, teacher, images, {**recipe, "epochs": epochs}
        ),
    }
    for train in trainings.values():  # the first call of all decodes and warms up
        train(1)
    speeds = {name: [] for name in trainings}
    for _ in range(rounds):
        for name, train in trainings.items():
            speeds[name].append(_images_per_s(train, images.counts["train"]))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    figures = {
        "local_s": round(statistics.median(one for one, _ in ratings), 2),
        "kl_over_local": round(statistics.median(two / one for one, two in ratings), 2),
        "realise_s": round(statistics.median(realise_s), 2),
        **{f"{name}_images_per_s": round(value, 1) for name, value in medians.items()},
        "finetune_over_retrain": round(medians["finetune"] / medians["retrain"], 3),
        "teacher_finetune_over": round(medians["finetune_with_teacher"] / medians["retrain"], 3),
        "peak_gib": round(machine.peak_gib(), 2),
    }
    machine.report(figures, seed)


def _seconds(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _images_per_s(train, count):
    """Images of the epochs after the first one per second: the first one compiles."""
    one = _seconds(lambda: train(1))
    return _EPOCHS * count / (_seconds(lambda: train(1 + _EPOCHS)) - one)


if __name__ == "__main__":
    cli.run(main)
