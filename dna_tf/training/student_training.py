"""Training of students: on labels, and on the answers of a teacher if the recipe says so."""

import collections.abc
import dataclasses
import tempfile
import time

import keras
import tensorflow as tf

from dna_tf.common import checks, files
from dna_tf.config import without_effect
from dna_tf.data import labelled_images
from dna_tf.models import inference, plain_models
from dna_tf.training import (
    classifier,
    determinism,
    distillation,
    kept_weights,
    staged_teachers,
    strategies,
    student_checks,
)

KIND = "dna_tf.student_training"
# Fields of a recipe that do not change the weights, or are compared on their own.
_LEFT_OUT = (*without_effect.FIELDS["retrain"], "start_from")
# Fields that earlier versions did not have, and what they did.
_ADDED = {"teachers": [], "teacher_ends": [], "cycles": 1}


@dataclasses.dataclass(frozen=True)
class StudentResult:
    """A training of a student.

    Args:
        test_correct: number of test images that the student classifies correctly.
        test_images: number of test images.
        history: for each epoch a dict of `loss`, `accuracy`, `learning_rate` and, if it was
            measured, `rating_accuracy`.
        seconds: wall time of this call; of a resumed training only the last part.
    """

    test_correct: int
    test_images: int
    history: list[dict[str, float]]
    seconds: float

    @property
    def test_accuracy(self) -> float:
        """Share of the test images that are classified correctly."""
        return self.test_correct / self.test_images

    @property
    def best_epoch(self) -> int | None:
        """The first epoch, from 1, with the highest accuracy on the rating images."""
        measured = [
            (epoch["rating_accuracy"], -number)
            for number, epoch in enumerate(self.history, 1)
            if "rating_accuracy" in epoch
        ]
        return -max(measured)[1] if measured else None

    @property
    def best_rating_accuracy(self) -> float | None:
        """The accuracy on the rating images after `best_epoch`."""
        epoch = self.best_epoch
        return None if epoch is None else self.history[epoch - 1]["rating_accuracy"]


def train_student(
    model: keras.Model,
    images: labelled_images.Images,
    recipe: collections.abc.Mapping | None = None,
    *,
    seed: int = 0,
    teacher: keras.Model | None = None,
    start_from: str | None = None,
    folder: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> StudentResult:
    """Trains a student in place and tests it.

    Example:

        import keras

        import dna_tf

        images = dna_tf.load_images("digits", image_size=8, channels=1)
        student = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(8, 3, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(10),
            ]
        )
        result = dna_tf.train_student(student, images, recipe={"epochs": 2}, seed=0)
        print(f"{result.test_accuracy:.1%} of {result.test_images} test images")

    Args:
        model: a functional `keras.Model` in float32, from images in 0..255 `(batch, height,
            width, channels)` to logits `(batch, classes)`. Training starts from its weights;
            at the end it has the weights to evaluate: those of the last or the best epoch,
            averaged or not, as the recipe says.
        images: a `labelled_images.Images`. The rating images are measured after epochs, the
            test images once, at the end.
        recipe: fields of the config's section `retrain`, such as `{"epochs": 5}`; missing ones
            have the defaults of a config. `dropout` and `drop_connect` belong to the model and
            are ignored here.
        seed: decides the order and the augmentation of the training images. TensorFlow is made
            deterministic, and seeded with it.
        teacher: a `keras.Model` from the same images to logits of the same classes, with
            `distill_weight` above 0 in the recipe; or a list of them, from which the student
            learns one after another (PWKD), with `teacher_ends` in the recipe.
        start_from: a `.keras` file of a trained student, whose weights, except the
            classifier's, replace those of the model first.
        folder: keeps checkpoints and the history; a killed training resumes from it when it is
            called again. `None` keeps nothing.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Returns:
        A `StudentResult`.

    Raises:
        FileNotFoundError: `start_from` does not exist.
        TypeError: the model or the teacher is not a Keras model.
        ValueError: model, images, recipe, teacher or `start_from` do not fit together, the
            folder has another training, or the loss is not finite.
    """
    recipe = student_checks.checked_recipe(recipe)
    checks.check_whole("seed", seed, 0)
    student_checks.check_model(model, images)
    determinism.enable(seed)
    if bool(recipe.distill_weight) != (teacher is not None):
        raise ValueError(
            "A teacher is used if the recipe has distill_weight above 0. Received: "
            f"distill_weight={recipe.distill_weight} and "
            f"{'no teacher' if teacher is None else 'a teacher'}."
        )
    if recipe.teachers:
        raise ValueError(
            "The field teachers is for a config. Give the models themselves: teacher=[...]. "
            f"Received: teachers={tuple(recipe.teachers)}"
        )
    teachers = list(teacher) if isinstance(teacher, list | tuple) else [teacher]
    teachers = [
        plain_models.usable(each) if isinstance(each, keras.Model) else each for each in teachers
    ]
    for each in teachers if teacher is not None else ():
        student_checks.check_teacher(each, images)
    if len(recipe.teacher_ends) not in (0, len(teachers)):
        raise ValueError(
            f"teacher_ends has {len(recipe.teacher_ends)} shares for {len(teachers)} teachers. "
            "Give one for each."
        )
    start_from = start_from or recipe.start_from
    if start_from:
        student_checks.copy_weights(start_from, model)
    trainer = StudentTrainer(model, images, recipe, of_recipe(recipe, *teachers), strategy)
    if folder is not None:
        folder = files.as_path(folder)
        _take_up(folder, images)
        _claim(folder, _identity(model, images, recipe, seed, start_from))
        return trainer.train(seed, folder)
    with tempfile.TemporaryDirectory() as temporary:
        return trainer.train(seed, temporary)


class StudentTrainer:
    """Trains students of one architecture, one after another, with one compiled step.

    Args:
        model: a functional `keras.Model` in float32, from images in 0..255 to logits, built
            outside of the strategy's scope. It gets the weights to evaluate.
        images: a `labelled_images.Images`.
        recipe: a config section `retrain`.
        learns_from: a `distillation.Distillation` with a teacher that was built in the strategy's
            scope, or `None`.
        strategy: a `tf.distribute.Strategy`; the current one by default.
    """

    def __init__(self, model, images, recipe, learns_from=None, strategy=None):
        strategy = strategy or tf.distribute.get_strategy()
        self.model = model
        self._images, self._recipe = images, recipe
        self._is_chief = strategies.is_chief(strategy)
        needs_copy = classifier.needs_second_model(recipe, strategy)
        with strategy.scope():
            if needs_copy:
                trained, evaluated = classifier.copy_in(model, recipe.precision), model
            else:
                trained, evaluated = model, None
            self._trainer = classifier.ClassifierTrainer(
                trained, images, recipe, evaluated, learns_from, strategy
            )

    def train(self, seed, folder, start=None, label="student", watcher=None):
        """Trains one student and tests it; `model` then has its weights.

        Args:
            seed: seeds the order and the augmentation of the images.
            folder: of checkpoints and history, from which a killed training resumes.
            start: a model of the same architecture with the first weights; `None` takes those
                that `model` had when the trainer was made.
            label: text of the progress line.
            watcher: a `tensorboard.Watcher`, or `None`.

        Returns:
            A `StudentResult`.
        """
        started = time.monotonic()
        with self._images.reading():
            history = self._trainer.train(seed, folder, label, start, watcher, self._is_chief)
            test_images = self._images.images("test", batch_size=self._trainer.evaluated_batch)
            correct, total = inference.count_correct(self._trainer.predict, test_images)
        return StudentResult(correct, total, history, time.monotonic() - started)

    def take_other(self, folder):
        """Gives `model` the weights that the recipe's `take` leaves out.

        Args:
            folder: of the training.

        Returns:
            `"last"` or `"best"`: the epoch of the weights; `None` if the recipe never measures
            on the rating images.
        """
        if not self._recipe.rating_every:
            return None
        if self._recipe.take == "best":
            self._trainer.take_last()
            return "last"
        kept_weights.BestWeights(folder, self.model).load()
        return "best"


def of_recipe(recipe, *teachers):
    """The `distillation.Distillation` of a recipe and its teachers, one after another.

    Returns:
        `None` without a teacher.
    """
    if not teachers or teachers[0] is None:
        return None
    weight, teacher = recipe.distill_weight, teachers[0]
    if len(teachers) > 1:
        teacher = staged_teachers.StagedTeachers(teachers, recipe.teacher_ends, recipe.epochs)
    return distillation.Distillation(teacher, 1.0 - weight, weight, recipe.distill_temperature)


def _identity(model, images, recipe, seed, start_from):
    """Returns what decides the weights of a training, for JSON."""
    return {
        "layers": files.fingerprint(
            [[layer.name, [list(w.shape) for w in layer.weights]] for layer in model.layers]
        ),
        "data": images.fingerprint,
        "seed": seed,
        "start_from": str(start_from or ""),
        **{
            name: list(recipe[name]) if isinstance(recipe[name], tuple) else recipe[name]
            for name in recipe
            if name not in _LEFT_OUT
        },
    }


def _take_up(folder, images):
    """Lets images continue a training in a folder that an earlier version began."""
    path = folder / "training.json"
    if path.exists():
        saved = files.read_json(path, KIND, "Delete the folder to train from the start.")
        images.take_up(saved.get("data"))


def _claim(folder, identity):
    """Writes the identity of a training into its folder, or compares it with the one there.

    Raises:
        ValueError: the folder has another training.
    """
    path = folder / "training.json"
    if path.exists():
        saved = files.read_json(path, KIND, "Delete the folder to train from the start.")
        differing = [
            f"{name} {saved.get(name, _ADDED.get(name))!r} there, {value!r} now"
            for name, value in identity.items()
            if saved.get(name, _ADDED.get(name)) != value
        ]
        if differing:
            raise ValueError(
                f"The folder {folder} has another training: {'; '.join(differing)}. Delete it, or "
                "choose another folder."
            )
    elif (folder / "checkpoints").exists():
        raise ValueError(
            f"The folder {folder} has checkpoints of another training. Choose another folder."
        )
    else:
        files.write_json(path, {"kind": KIND, **identity})
