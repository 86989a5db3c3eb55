"""Are students that inherit worth more than a network designed by hand? The real run, in pieces.

    python -m tools.train_teacher --config=configs/cifar10_compress.py --workdir=W
    python -m benchmarks.inherit_cifar10 --workdir=W --output=FOLDER

docs/results/compress_cifar10.md names the comparisons (a to f) and the tests. The same command
goes on after a kill; each finished training is a file OUTPUT/BUDGET/NAME.json, and none is trained
twice. The table and the tests are printed at the end, with what is there so far.

A small network cannot fill two cores: several trainings run side by side, each in a process of its
own with its share of the cores (--workers). Two on two cores train 1.3 times as many images a
second as one after the other.

Reads:  WORKDIR/teacher/, and docs/results/efficientnet_b0_32px.json.
Writes: WORKDIR/supernet/, ratings/, replacements/; OUTPUT/.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("output", "", "Folder of results, checkpoints and the teacher's answers.")
flags.DEFINE_list("budgets", ["3.5M", "5M", "10M"], "MACs of the whole network.")
flags.DEFINE_integer("seeds", 3, "Trainings of a, b, d, e and f.")
flags.DEFINE_integer("workers", 2, "Trainings side by side.", lower_bound=1)
flags.DEFINE_integer("worker", 0, "Set by the tool itself: which of the workers this is.")
flags.DEFINE_bool("table", False, "Only print the table of what is there.")

_BY_HAND = "docs/results/efficientnet_b0_32px.json"
_RANDOM, _TOLERANCE = 5, 0.02
_KIND = "dna_tf.inherit_cifar10"
_HINT = "Delete it: the training is done again."


def main():
    """Trains what is missing, and prints the table."""
    from dna_tf.common import files

    if not cli.FLAGS.output:
        raise ValueError("Give a folder for the results: --output=FOLDER.")
    folder = files.as_path(cli.FLAGS.output)
    if cli.FLAGS.worker:
        return _work(folder)
    if not cli.FLAGS.table:
        _train(folder)
    from benchmarks import inherit_table

    inherit_table.show(folder, cli.FLAGS.budgets)


def _train(folder):
    """Trains and rates the cells and chooses the networks; then the workers train these."""
    from dna_tf.common import progress
    from dna_tf.phases import compressing, runs

    workdir, config = cli.open_run(may_create=False)
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(folder / "cpu_seconds_0.json")
    with clock.counting("supernet_and_ratings"):
        compressing.train_and_rate(workdir, config)
    run = runs.open_run(workdir, config)
    with clock.counting("search_and_realise"):
        for budget in cli.FLAGS.budgets:
            _starts(run, budget, folder)
    workers = [_start_worker(folder, number) for number in range(1, cli.FLAGS.workers + 1)]
    order = _order(cli.FLAGS.budgets, cli.FLAGS.seeds)
    results = [_result_path(folder, *training) for training in order]
    with progress.bar("trainings", len(order), "training") as bar:
        while any(worker.poll() is None for worker in workers):
            bar.update(sum(path.exists() for path in results) - bar.n)
            time.sleep(5.0)
    if any(worker.returncode for worker in workers):
        raise RuntimeError(f"A worker failed: see {folder}/worker_*.log. Run the command again.")


def _start_worker(folder, number):
    """Starts a process with its share of the cores; its output goes into a file."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // cli.FLAGS.workers))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    command = [sys.executable, "-m", "benchmarks.inherit_cifar10", *sys.argv[1:]]
    with open(folder / f"worker_{number}.log", "a") as log:
        return subprocess.Popen(
            [*command, f"--worker={number}"],
            stdout=log,
            stderr=log,
            env={**os.environ, **dict.fromkeys(names, threads)},
        )


def _work(folder):
    """What a worker does: every training that is neither there nor with another worker."""
    from dna_tf.phases import runs

    cores = sorted(os.sched_getaffinity(0))
    workers, number = cli.FLAGS.workers, cli.FLAGS.worker - 1
    os.sched_setaffinity(0, cores[number::workers] or cores)
    run = runs.open_run(*cli.open_run(may_create=False))
    starts = {budget: _starts(run, budget, folder) for budget in cli.FLAGS.budgets}
    clock = Clock(folder / f"cpu_seconds_{cli.FLAGS.worker}.json")
    trainings = Trainings(run, folder, starts, clock)
    waiting = _order(cli.FLAGS.budgets, cli.FLAGS.seeds)
    while waiting:
        left = [training for training in waiting if not trainings.run(*training)]
        if left == waiting:
            time.sleep(10.0)
        waiting = left


def _order(budgets, seeds):
    """The trainings in order, each `(budget, name, seed)`."""
    order = []
    for seed in range(seeds):
        random = [f"c{number}" for number in range(1, _RANDOM + 1)] if seed == 0 else []
        for name in ("a", "e", *random, "f", "b", "d"):
            order += [(budget, name, seed) for budget in budgets]
    return order


def _result_path(folder, budget, name, seed):
    return folder / budget / f"{name}_seed{seed}.json"


class Clock:
    """CPU seconds of each part of a run, kept in a file over kills.

    Args:
        path: the file.
    """

    def __init__(self, path):
        from dna_tf.common import files

        self._path, self._write = path, files.write_json
        self.seconds = {}
        if path.exists():
            self.seconds = _seconds(path)

    @contextlib.contextmanager
    def counting(self, name):
        """Counts what happens inside; every 15 seconds it is written."""
        before, started, over = self.seconds.get(name, 0.0), time.process_time(), threading.Event()

        def write():
            self.seconds[name] = before + time.process_time() - started
            self._write(self._path, {"kind": _KIND, "seconds": self.seconds})

        def keep():
            while not over.wait(15.0):
                write()

        thread = threading.Thread(target=keep, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            write()


def _seconds(path):
    from dna_tf.common import files

    return files.read_json(path, _KIND, _HINT)["seconds"]


class _Starts:
    """What is trained at a budget: the searched assembly, random ones, the network by hand."""

    def __init__(self, searched, random, by_hand):
        self.searched, self.random, self.by_hand = searched, random, by_hand


def _starts(run, budget, folder):
    """Chooses the networks of a budget, once; their files decide afterwards."""
    from dna_tf.phases import compressing
    from dna_tf.search import control, problems
    from dna_tf.space import architectures, assemblies, scaling

    place = folder / budget
    place.mkdir(exist_ok=True)
    names = ["searched", *(f"random_{n}" for n in range(1, _RANDOM + 1))]
    if not (place / "by_hand.json").exists():
        problem, _, realised = compressing.settled(run, {"max_macs": budget})
        searched = realised[0].assembly
        macs, taken = searched.costs()["macs"], []
        for seed in range(_RANDOM):
            choice = control.random_within(problem, macs, _TOLERANCE, seed, taken, 100_000)
            taken.append(choice)
        assemblies.save(searched, place / "searched.json")
        for name, (cells, paths) in zip(names[1:], taken, strict=True):
            choice = problems.Choice(cells, paths, 0.0, {})
            assembly = problem.architecture(choice, name, {"within": macs})
            assemblies.save(assembly, place / f"{name}.json")
        by_hand = scaling.scale_to(architectures.load(_BY_HAND), macs=macs, name="by_hand")
        architectures.save(by_hand, place / "by_hand.json")
    loaded = [assemblies.load(place / f"{name}.json") for name in names]
    return _Starts(loaded[0], loaded[1:], architectures.load(place / "by_hand.json"))


class Trainings:
    """The trainings of all budgets.

    Args:
        run: a `runs.Run` with trained and rated cells.
        folder: of results.
        starts: a dict from budget to its `_Starts`.
        clock: a `Clock`.
    """

    def __init__(self, run, folder, starts, clock):
        from dna_tf.models import logits
        from dna_tf.phases import compressing
        from dna_tf.supernet import cell_files, cell_rating
        from dna_tf.training import kept_answers

        self._run, self._folder, self._starts, self._clock = run, folder, starts, clock
        self._answers = folder / "answers"
        self._kept = kept_answers.KeptAnswers(self._answers, logits.with_logits(run.teacher.model))
        settings = compressing.rating_settings(run.config)
        seed = run.config.seed
        self._calibration = cell_rating.calibration_images(run.images, settings, seed)
        first = next(iter(starts.values())).searched
        self._cells = cell_files.load(run.workdir.supernet, first.space, run.teacher.shapes)

    def run(self, budget, name, seed):
        """Trains one network, unless its result is there.

        Args:
            budget: such as `"3.5M"`.
            name: `"a"`, `"b"`, `"c1"` to `"c5"`, `"d"`, `"e"` or `"f"`.
            seed: of order, augmentation and, where they are fresh, the weights.

        Returns:
            Whether the result is there. It is not if another worker is at it, or if it needs
            the result of another training first.
        """
        from dna_tf.common import locks

        path = _result_path(self._folder, budget, name, seed)
        if path.exists():
            return True
        needed = [_result_path(self._folder, budget, first, 0) for first in "ae"]
        if name == "f" and not all(result.exists() for result in needed):
            return False
        try:
            with locks.hold(path, f"The training {path.stem}"):
                if not path.exists():
                    self._train(path, budget, name, seed)
                return True
        except locks.InUse:
            return False

    def _train(self, path, budget, name, seed):
        import keras

        from dna_tf.common import files, progress
        from dna_tf.inheritance import fine_tuning

        recipe = dict(self._run.config.fine_tune)
        if name == "d":
            recipe |= {"labels": 1.0, "answers": 0.0}
        if name == "f":
            recipe["epochs"] = self._epochs_of_f(budget)
        if recipe["answers"]:
            self._answer(recipe, seed)
        keras.backend.clear_session()
        model = self._model(budget, name, seed)
        progress.say(f"\n{budget} {path.stem}: {recipe['epochs']} epochs")
        clock = f"{budget} {path.stem}"
        with self._clock.counting(clock):
            result = fine_tuning.fine_tune(
                model,
                self._run.teacher,
                self._run.images,
                recipe,
                seed=seed,
                folder=self._folder / "checkpoints" / f"{budget}_{path.stem}",
                answers_folder=self._answers if recipe["answers"] else None,
            )
        content = {
            "kind": _KIND,
            "budget": budget,
            "name": name,
            "seed": seed,
            "correct": result.test_correct,
            "images": result.test_images,
            "history": result.history,
            "epochs": recipe["epochs"],
            "cpu_seconds": self._clock.seconds[clock],
            "params": sum(int(w.shape.num_elements()) for w in model.trainable_variables),
        }
        files.write_json(path, content)
        progress.say(f"{budget} {path.stem}: {result.test_correct / result.test_images:.2%}")

    def _model(self, budget, name, seed):
        """The network before its training."""
        import keras

        from dna_tf.inheritance import realising
        from dna_tf.models import students

        starts = self._starts[budget]
        if name in "def":
            return students.build_student(starts.by_hand, seed=seed)
        assembly = starts.random[int(name[1:]) - 1] if name[0] == "c" else starts.searched
        run = self._run
        model = realising.realise(assembly, run.teacher, self._cells, self._calibration)
        if name == "b":
            keras.utils.set_random_seed(seed)
            model = keras.models.clone_model(model)  # draws all weights anew
        return model

    def _answer(self, recipe, seed):
        """Computes the teacher's answers to the images of a training, those that are missing.

        Raises:
            locks.InUse: another worker computes those of this seed.
        """
        from dna_tf.common import locks, seeding
        from dna_tf.config import training_sections

        recipe = training_sections.complete_fine_tuning(recipe)
        order_seed = seeding.derive_seed("classifier", seed)
        with locks.hold(self._answers / f"seed{seed}", f"The teacher's answers of seed {seed}"):
            for epoch in range(recipe.epochs):
                before = set(self._answers.glob("*.npz"))
                with self._clock.counting("answers"):
                    self._kept.of_epoch(self._run.images, recipe, epoch, order_seed)
                if set(self._answers.glob("*.npz")) != before:
                    counted = self._clock.seconds.get("answered_epochs", 0) + 1
                    self._clock.seconds["answered_epochs"] = counted

    def _epochs_of_f(self, budget):
        """As many epochs of e as cost what a costs in all, teacher's answers counted for both."""
        from dna_tf.common import files

        clocks = [_seconds(path) for path in sorted(self._folder.glob("cpu_seconds_*.json"))]
        answers, answered, cells, search = (
            sum(clock.get(name, 0.0) for clock in clocks)
            for name in ("answers", "answered_epochs", "supernet_and_ratings", "search_and_realise")
        )
        of_a, of_e = (
            files.read_json(_result_path(self._folder, budget, name, 0), _KIND, _HINT)
            for name in "ae"
        )
        epochs, of_answers = self._run.config.fine_tune.epochs, answers / answered
        shared = (cells + search) / len(cli.FLAGS.budgets)
        of_epoch = of_e["cpu_seconds"] / epochs + of_answers
        of_all = shared + of_a["cpu_seconds"] + epochs * of_answers
        return max(epochs, round(of_all / of_epoch))


if __name__ == "__main__":
    cli.run(main)
