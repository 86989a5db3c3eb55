"""The trainings of `benchmarks.inherit_cifar10`: which there are, how each starts, its result."""

import contextlib
import threading
import time

import keras

from benchmarks import inherit_costs
from dna_tf.common import files, locks, progress, seeding
from dna_tf.config import training_sections
from dna_tf.inheritance import fine_tuning, realising
from dna_tf.models import logits, students
from dna_tf.phases import compressing
from dna_tf.search import control, problems
from dna_tf.space import architectures, assemblies, scaling
from dna_tf.supernet import cell_files, cell_rating
from dna_tf.training import kept_answers

KIND = "dna_tf.inherit_cifar10"
HINT = "Delete it: the training is done again."
NAMES = ("f", "a", "c", "e", "b", "d")
_BY_HAND = "docs/results/efficientnet_b0_32px.json"
_RANDOM, _TOLERANCE = 5, 0.02


def order(budgets, seeds, names=NAMES):
    """The trainings in order, each `(budget, name, seed)`; those of the named tests come first.

    Args:
        budgets: their names, such as `"3.5M"`.
        seeds: the number of trainings of each, but for c, which has one of each network.
        names: of `NAMES`.
    """
    trainings = []
    for group in ("fa", "c", "ebd"):
        for seed in range(1 if group == "c" else seeds):
            for name in group:
                numbers = range(1, _RANDOM + 1) if name == "c" else ("",)
                chosen = [f"{name}{number}" for number in numbers if name in names]
                trainings += [(budget, each, seed) for each in chosen for budget in budgets]
    return trainings


def result_path(folder, budget, name, seed):
    """The file of a training's result."""
    return folder / budget / f"{name}_seed{seed}.json"


class Clock:
    """CPU seconds of each part of a run, kept in a file over kills.

    Args:
        path: the file.
    """

    def __init__(self, path):
        self._path = path
        self.seconds = {}
        if path.exists():
            self.seconds = _seconds(path)

    @contextlib.contextmanager
    def counting(self, name):
        """Counts what happens inside; every 15 seconds it is written."""
        before, started, over = self.seconds.get(name, 0.0), time.process_time(), threading.Event()

        def write():
            self.seconds[name] = before + time.process_time() - started
            files.write_json(self._path, {"kind": KIND, "seconds": self.seconds})

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
    return files.read_json(path, KIND, HINT)["seconds"]


class Starts:
    """What is trained at a budget: the searched assembly, random ones, the network by hand."""

    def __init__(self, searched, random, by_hand):
        self.searched, self.random, self.by_hand = searched, random, by_hand


def starts(run, budget, folder):
    """Chooses the networks of a budget, once; their files decide afterwards."""
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
    return Starts(loaded[0], loaded[1:], architectures.load(place / "by_hand.json"))


class Trainings:
    """The trainings of all budgets.

    Args:
        run: a `runs.Run` with trained and rated cells.
        folder: of results.
        budgets: their names, such as `"3.5M"`.
        clock: a `Clock`.
        keep_answers: whether the teacher answers once for all trainings of a seed.
    """

    def __init__(self, run, folder, budgets, clock, keep_answers=True):
        self._run, self._folder, self._clock = run, folder, clock
        self._keeps = keep_answers
        self._starts = {budget: starts(run, budget, folder) for budget in budgets}
        self._answers = folder / "answers"
        self._kept = kept_answers.KeptAnswers(self._answers, logits.with_logits(run.teacher.model))
        settings = compressing.rating_settings(run.config)
        seed = run.config.seed
        self._calibration = cell_rating.calibration_images(run.images, settings, seed)
        first = self._starts[budgets[0]].searched
        self._cells = cell_files.load(run.workdir.supernet, first.space, run.teacher.shapes)

    def run(self, budget, name, seed):
        """Trains one network, unless its result is there.

        Args:
            budget: such as `"3.5M"`.
            name: `"a"`, `"b"`, `"c1"` to `"c5"`, `"d"`, `"e"` or `"f"`.
            seed: of order, augmentation and, where they are fresh, the weights.

        Returns:
            Whether the result is there. It is not if another worker is at it.
        """

        path = result_path(self._folder, budget, name, seed)
        if path.exists():
            return True
        try:
            with locks.hold(path, f"The training {path.stem}"):
                if not path.exists():
                    self._train(path, budget, name, seed)
                return True
        except locks.InUse:
            return False

    def _train(self, path, budget, name, seed):
        recipe = dict(self._run.config.fine_tune)
        if name == "d":
            recipe |= {"labels": 1.0, "answers": 0.0}
        if name == "f":
            recipe["epochs"] = inherit_costs.epochs_of_f(self._folder, budget)
        keeps = self._keeps and recipe["answers"]
        if keeps:
            self._answer(recipe, seed)
        keras.backend.clear_session()
        model = self.first_model(budget, name, seed)
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
                answers_folder=self._answers if keeps else None,
            )
        content = {
            "kind": KIND,
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

    def first_model(self, budget, name, seed):
        """The network before its training."""

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

        recipe = training_sections.complete_fine_tuning(recipe)
        order_seed = seeding.derive_seed("classifier", seed)
        with locks.hold(self._answers / f"seed{seed}", f"The teacher's answers of seed {seed}"):
            for epoch in range(recipe.epochs):
                with self._clock.counting("answers"):
                    self._kept.of_epoch(self._run.images, recipe, epoch, order_seed)
