"""Compresses a trained Keras model, block by block, to a budget: all steps as one function."""

import collections.abc
import dataclasses
import math
import typing

import keras
import numpy as np

from dna_tf.common import files, formatting, progress, statistics
from dna_tf.config import training_sections, without_effect
from dna_tf.data.labelled_images import Images
from dna_tf.inheritance import (
    answers,
    choosing,
    fine_tuning,
    latency_limits,
    replacements,
    smallest,
    teacher_space,
    unlabelled,
)
from dna_tf.models import logits
from dna_tf.search import assembly_problem, finding
from dna_tf.space import assembly_costs, part_costs
from dna_tf.space.assemblies import Assembly
from dna_tf.space.op_costs import OpCosts
from dna_tf.space.spaces import SearchSpace
from dna_tf.supernet import cell_rating, cell_training, phase_settings
from dna_tf.teachers import building, parts

MOST_ANSWERS_BYTES = 256e6  # of the teacher's answers in all epochs; above it they are not kept
_COLUMNS = ("macs", "params", "int8_kb", "peak_kb")


@dataclasses.dataclass(frozen=True)
class Row:
    """One network of the table of a compression.

    Args:
        name: what it is, such as `"teacher"`.
        costs: a dict from each name of `part_costs.COSTS`, and of each table such as
            `"latency_ms"`, to a number; `None` if unknown.
        answers: how it answers on the test images.
    """

    name: str
    costs: dict
    answers: answers.Answers

    def to_dict(self) -> dict:
        """The row as JSON-able data."""
        return {"name": self.name, "costs": self.costs, **dataclasses.asdict(self.answers)}

    @classmethod
    def from_dict(cls, data: dict) -> "Row":
        """Makes a row from what `to_dict` gave."""
        fields = [field.name for field in dataclasses.fields(answers.Answers)]
        of_answers = answers.Answers(**{name: data[name] for name in fields})
        return cls(data["name"], data["costs"], of_answers)


@dataclasses.dataclass(frozen=True)
class Compressed:
    """The result of a compression.

    Args:
        student: the fine-tuned `keras.Model`, from images in 0..255 to logits.
        assembly: which path or own block stands in the place of each block.
        table: a `Row` for the teacher, the assembled network before any training, and the
            student.
        has_labels: whether the images have labels; without them there are no accuracies.
    """

    student: keras.Model
    assembly: Assembly
    table: list[Row]
    has_labels: bool = True

    def text(self) -> str:
        """The table for a terminal."""
        return "\n".join(table_lines(self.table, self.has_labels))


def compress(
    model: keras.Model | str,
    images: Images | np.ndarray,
    *,
    limits: "collections.abc.Mapping | None" = None,
    latency: str | OpCosts | tuple = (),
    space: SearchSpace | None = None,
    cuts: tuple[str, ...] | None = None,
    preprocessing: str = "none",
    supernet: dict | None = None,
    rating: dict | None = None,
    recipe: dict | None = None,
    measured_paths: int = 64,
    realised: int = 5,
    max_drop: float | None = None,
    smallest_in: str = "macs",
    seed: int = 0,
    folder: str | None = None,
    **more_limits: typing.Any,
) -> Compressed:
    """Compresses a trained model to a budget: a student that inherits.

    The model is cut into blocks. Small cells learn to imitate each block, every path is rated by
    what the model loses with it in the block's place, an exact search picks a path, or the
    model's own block, for each place, and a short training mends the seams.

    Example:

        import keras

        import dna_tf

        images = dna_tf.load_images("digits", image_size=16)
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((16, 16, 3)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(16, 3, 2, "same", activation="relu"),
                layers.Conv2D(32, 3, 2, "same", activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(*images.arrays("train"), epochs=2, verbose=0)
        quick = {"supernet": {"epochs": 1}, "recipe": {"epochs": 1}, "measured_paths": 4}
        result = dna_tf.compress(model, images, max_macs="95%", realised=1, **quick)
        print(result.text())
        result.student.save("student.keras")

    Args:
        model: a trained functional `keras.Model` or a `.keras` file, from images in 0..255 (or
            in the range that `preprocessing` makes of them) to logits or probabilities of two or
            more classes.
        images: labelled images; or images alone, uint8 `(count, height, width, channels)` in
            0..255: then nothing learns from labels, and the table has no accuracies.
        limits: limits on `macs`, `params`, `int8_kb` (weights of the int8 file, in 1,000 bytes)
            and `peak_kb` (memory for maps in int8): numbers, text such as `"3.5M"`, or a share
            of the model's own cost such as `"50%"`. With a table also on its cost, such as
            `latency_ms`.
        latency: a table of the model's parts as `tools.latency_table` measures them (see the
            guide), a file or an `OpCosts`; or several.
        space: the cells to train; `None` proposes a space for the model.
        cuts: the name of the last layer of each block; `None` proposes the ends of its stages.
        preprocessing: what the model expects instead of 0..255, as for `cut_teacher`.
        supernet: fields of the config's section `supernet`, such as `{"epochs": 20}`.
        rating: fields of the config's section `rating`.
        recipe: fields of the config's section `fine_tune`.
        measured_paths: how many paths of a cell are measured in the model's place.
        realised: how many of the best networks are put together and compared.
        max_drop: points of accuracy that the student may lie below the model on the rating images
            (of agreement, without labels): some students are fine-tuned, and the smallest within
            them is returned. `None` fine-tunes one, the best within the limits.
        smallest_in: with `max_drop`, the cost that is to be small: macs, params, int8_kb, or the
            cost of a table in `latency`.
        seed: decides everything that is drawn.
        folder: keeps cells, ratings and checkpoints, so that a killed compression resumes when
            it is called again. `None` keeps nothing.
        more_limits: further limits by name, such as `max_macs="50%"`.

    Returns:
        A `Compressed`: the student, its assembly and a table.

    Raises:
        ValueError: no limit is given; the model is within the limits already, or no network is;
            no student lies within `max_drop`; model, images and settings do not fit together.
    """
    all_limits = {**(limits or {}), **more_limits}
    if not all_limits and max_drop is None:
        raise ValueError(
            "Give a limit for the student, such as max_macs='50%', max_int8_kb=500 or "
            "max_drop=1.0. Received: no limit."
        )
    smallest.check(max_drop, smallest_in)
    tables = latency_limits.tables_of(latency)
    latency_limits.check(all_limits, tables)
    place, has_labels = _Folder(folder), isinstance(images, Images)
    if not has_labels:
        network = building.open_teacher(model, preprocessing)
        images = unlabelled.images_of(images, network, seed)
        recipe = unlabelled.recipe_without_labels(recipe)
    # 1. The teacher, and the cells that fit it.
    teacher = building.cut_teacher(
        model, images, space=space, cuts=cuts, preprocessing=preprocessing, seed=seed
    )
    logits.with_logits(teacher.model)  # refuses answers that are no distribution
    facts = parts.facts(teacher)
    space = space or teacher_space.propose(teacher)
    extra, further = latency_limits.costs(tables, space, facts)
    checked = assembly_problem.limits_of(all_limits, facts, further)
    if all_limits:
        assembly_problem.check_reachable(space, facts, checked, extra)
    # 2. Cells learn, and are rated: beside their block, then in its place.
    settings = phase_settings.with_changes(phase_settings.RatingSettings, None, rating or {})
    cells = cell_training.train_cells(
        space, teacher, images, seed=seed, folder=place.of("cells"), **(supernet or {})
    )
    local = cell_rating.rate_cells(
        cells, teacher, images, settings=settings, seed=seed, folder=place.of("ratings")
    )
    by_replacing = replacements.Settings(settings, measured_paths, seed=seed)
    replaced = replacements.rate_replacements(
        cells, teacher, images, local, by_replacing, place.of("replacements")
    )
    # 3. The search; the runners-up put together; a short training, and the test.
    by_kl = {key: cell.kl for key, cell in replaced.items()}
    problem = assembly_problem.build_problem(space, facts, by_kl, extra)
    calibration = cell_rating.calibration_images(images, settings, seed)

    def student(within, name):
        candidates = finding.find_best(problem, count=realised, limits=within, name=name)
        best = choosing.settle(candidates, teacher, cells, calibration, images)[0]
        progress.say(f"Assembled: {best.assembly.describe()}: {best.answers.text()}")
        folder = place.of("fine_tune")
        answers_folder = place.of("answers")
        return best, tune(
            best, teacher, images, recipe, seed, folder, answers_folder, tables=tables
        )

    if max_drop is None:
        best, table = student(checked, name_of(all_limits))
    else:
        drop = smallest.DropFrom(teacher, images, has_labels)

        def trial(cost):
            within = {f"max_{smallest_in}": cost}
            best, table = student({**checked, **within}, name_of({**all_limits, **within}))
            return smallest.Trial(cost, drop.of(best.model), (best, table))

        costs = assembly_problem.costs_of_front(problem, smallest_in, checked)
        best, table = smallest.find(costs, max_drop, trial, smallest_in).student
    return Compressed(best.model, best.assembly, table, has_labels)


def tune(realised, teacher, images, recipe, seed, folder, answers_folder=None, tables=()):
    """Fine-tunes a realised assembly in place, and tests it before and after.

    Args:
        realised: a `choosing.Realised`.
        teacher: its `cutting.Teacher`.
        images: a `labelled_images.Images`.
        recipe, seed, folder: as of `fine_tuning.fine_tune`.
        answers_folder: where the teacher's answers to the training images are kept for the next
            student, if they are small; `None` keeps none.
        tables: `op_costs.OpCosts` with the parts of teacher and assembly.

    Returns:
        The table, a list of `Row`: teacher, assembled network, fine-tuned network.
    """
    model, assembly = realised.model, realised.assembly
    facts, costs = assembly.teacher, assembly.costs()
    of_teacher = facts.costs()
    for each in tables:
        of_teacher[each.cost] = assembly_costs.teacher_cost(each, facts)
        costs[each.cost] = assembly_costs.network_cost(each, assembly)
    whole = logits.with_logits(teacher.model)

    def tested(network):
        with images.reading():
            return answers.compare(network, whole, images, "test")

    table = [
        Row("teacher", of_teacher, tested(whole)),
        Row("assembled", costs, tested(model)),
    ]
    if folder is not None:
        # Another network or recipe in the same folder is another training: it does not resume.
        fields = dict(training_sections.complete_fine_tuning(recipe))
        for name in without_effect.FIELDS["fine_tune"]:
            del fields[name]
        of = [realised.assembly.to_dict(), fields, seed, images.fingerprint]
        folder = files.as_path(folder) / f"fine_tuning_{files.fingerprint(of)}"
    recipe = training_sections.complete_fine_tuning(recipe)
    shape = (recipe.epochs, images.counts["train"], teacher.model.output_shape[-1])
    if recipe.maps or 4 * math.prod(shape) > MOST_ANSWERS_BYTES:
        answers_folder = None
    fine_tuning.fine_tune(
        model,
        teacher,
        images,
        recipe,
        seed=seed,
        folder=folder,
        answers_folder=answers_folder,
    )
    return [*table, Row("fine-tuned", costs, tested(model))]


class _Folder:
    """Sub-folders of a folder, or none."""

    def __init__(self, folder):
        self._path = None if folder is None else files.as_path(folder)

    def of(self, name):
        return None if self._path is None else self._path / name


def name_of(limits):
    """The name of a student, made from its limits: `{"max_macs": "50%"}` is `max_macs_50pct`.

    Args:
        limits: a mapping from the names of limits to numbers or texts.
    """
    parts_of_name = []
    for key, value in limits.items():
        text = value if isinstance(value, str) else formatting.exact_number(value)
        parts_of_name.append(f"{key}_{text.strip().replace('%', 'pct')}")
    return "_".join(parts_of_name)


def table_lines(rows, has_labels=True):
    """The table of a compression as aligned lines of text.

    Args:
        rows: a list of `Row`.
        has_labels: whether the test images have labels; without them there are no accuracies.
    """
    accuracy = ["accuracy", ""] if has_labels else []
    further = [name for name in rows[0].costs if name not in part_costs.COSTS]
    titles = ["", "MACs", "params", "int8 kB", "peak kB", *map(_title, further)]
    texts = [[*titles, *accuracy, "agrees", "KL, nats"]]
    for row in rows:
        low, high = statistics.wilson(row.answers.correct, row.answers.images)
        interval = f"({100 * low:.1f}-{100 * high:.1f})"
        texts.append(
            [
                row.name,
                *(_count(row.costs[name]) for name in (*_COLUMNS, *further)),
                *([f"{row.answers.accuracy:.1%}", interval] if has_labels else []),
                f"{row.answers.agreement:.1%}",
                f"{row.answers.kl:.4f}",
            ]
        )
    return formatting.aligned(texts, right=range(1, len(texts[0])))


def _title(cost):
    return cost.replace("_", " ")


def _count(value):
    return "?" if value is None else formatting.format_count(value)
