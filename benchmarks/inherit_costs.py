"""What the trainings of `benchmarks.inherit_cifar10` cost on one core, from a few steps of each.

    python -m benchmarks.inherit_costs --workdir=W --output=FOLDER

Two short trainings of each network, of 8 and of 40 steps: the difference is 32 steps without start
and test. The epochs of the network by hand that has the CPU time of the searched one (f) follow.

Reads:  WORKDIR/, OUTPUT/cpu_seconds_0.json (the cells, their ratings, search and realising).
Writes: OUTPUT/costs.json.
"""

import os
import time

from dna_tf.common import files

_KIND = "dna_tf.inherit_costs"
_SHORT, _LONG = 8, 40
_SHARED = ("supernet_and_ratings", "search_and_realise")


def path_in(folder):
    """The file of the costs."""
    return folder / "costs.json"


def epochs_of_f(folder, budget):
    """As many epochs of e as cost what a costs in all; at least those of a.

    Args:
        folder: with the file of the costs.
        budget: such as `"3.5M"`.
    """
    costs = files.read_json(path_in(folder), _KIND, "Measure them again: inherit_costs.")
    epochs, seconds = costs["epochs"], costs["cpu_seconds"]
    of_all = costs["shared_cpu_seconds"] + epochs * (seconds[f"{budget} a"] + seconds["answers"])
    return max(epochs, round(of_all / (seconds[f"{budget} e"] + seconds["answers"])))


def main():
    """Measures and writes the costs."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"  # before TensorFlow starts
    from benchmarks import inherit_trainings
    from dna_tf import cli
    from dna_tf.phases import runs

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    folder, budgets = files.as_path(cli.FLAGS.output), cli.FLAGS.budgets
    run = runs.open_run(*cli.open_run(may_create=False))
    kept = files.read_json(folder / "cpu_seconds_0.json", inherit_trainings.KIND, "")["seconds"]
    clock = inherit_trainings.Clock(folder / "cpu_seconds_costs.json")
    trainings = inherit_trainings.Trainings(run, folder, budgets, clock)
    recipe = dict(run.config.fine_tune)
    steps = run.images.steps_per_epoch(recipe["batch_size"])
    seconds = {"answers": steps * _of_an_answer(run, recipe)}
    print(f"answers of an epoch: {seconds['answers']:.0f} CPU seconds", flush=True)
    for budget in budgets:
        for name in "ae":
            label = f"{budget} {name}"
            seconds[label] = steps * _of_a_step(trainings, run, budget, name, recipe)
            print(f"{label}: {seconds[label]:.0f} CPU seconds an epoch", flush=True)
    content = {
        "kind": _KIND,
        "epochs": run.config.fine_tune.epochs,
        "shared_cpu_seconds": sum(kept[name] for name in _SHARED) / len(budgets),
        "cpu_seconds": seconds,
    }
    files.write_json(path_in(folder), content)
    for budget in budgets:
        print(f"{budget}: f trains {epochs_of_f(folder, budget)} epochs")


def _first_images(run, steps, batch_size):
    """The first training images as a data set of their own, with a small test."""
    import dna_tf

    pixels, labels = run.images.arrays("train")
    count = steps * batch_size + len(run.images.class_names)
    return dna_tf.images_from_arrays(
        (pixels[:count], labels[:count]),
        (pixels[-256:], labels[-256:]),
        rating_per_class=1,
        class_names=run.images.class_names,
    )


def _of_a_step(trainings, run, budget, name, recipe):
    """CPU seconds of a step without the teacher's answers, which are counted apart."""
    import keras

    from dna_tf.inheritance import fine_tuning

    taken = []
    for steps in (_SHORT, _LONG):
        images = _first_images(run, steps, recipe["batch_size"])
        keras.backend.clear_session()
        model = trainings.first_model(budget, name, 0)
        labels = recipe | {"labels": 1.0, "answers": 0.0, "epochs": 1, "warmup_epochs": 0.0}
        started = time.process_time()
        fine_tuning.fine_tune(model, run.teacher, images, labels)
        taken.append(time.process_time() - started)
    return (taken[1] - taken[0]) / (_LONG - _SHORT)


def _of_an_answer(run, recipe):
    """CPU seconds of the teacher's answers to a batch."""
    import tensorflow as tf

    from dna_tf.models import logits

    teacher = logits.with_logits(run.teacher.model)
    answer = tf.function(lambda images: teacher(images, training=False))
    batch = run.images.some("train", range(recipe["batch_size"]))
    answer(batch).numpy()
    started = time.process_time()
    for _ in range(_SHORT):
        answer(batch).numpy()
    return (time.process_time() - started) / _SHORT


if __name__ == "__main__":
    from absl import flags

    from dna_tf import cli

    cli.define_run_flags()
    flags.DEFINE_string("output", "", "Folder of the results.")
    flags.DEFINE_list("budgets", ["3.5M", "5M", "10M"], "MACs of the whole network.")
    cli.run(main)
