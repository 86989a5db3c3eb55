"""What a run has of students that inherit, as plain data: read by `run_data`."""

import dataclasses

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.search import assembly_problem, fronts
from dna_tf.space import assemblies, cost_limits, ratings, replaced_cells, spaces

KL = "kl"  # the name of the rating by replacing in the files
COSTS = {"macs": "MACs", "params": "parameters"}  # scores that are baselines
PART = "compressed"  # of the notes of a run


@dataclasses.dataclass(frozen=True)
class Row:
    """One network of a student's table: the teacher, the assembled or the fine-tuned network.

    Args:
        name: what it is.
        costs: a dict from the name of a cost to a number, or `None` if it is not known.
        kl: divergence of the teacher's answers from its own on the test images, in nats.
        agreed: number of test images with the teacher's answer.
        correct: number of test images with the right answer.
        images: number of test images.
    """

    name: str
    costs: dict
    kl: float
    agreed: int
    correct: int
    images: int


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that was put together, before any training.

    Args:
        assembly: its parts as text.
        costs: as of `Row`; empty if the file has none.
        rating: the sum of its ratings.
        kl: its divergence on the rating images.
        correct: number of rating images with the right answer.
        images: number of rating images.
    """

    assembly: str
    costs: dict
    rating: float
    kl: float
    correct: int
    images: int


@dataclasses.dataclass(frozen=True)
class Student:
    """A compressed student.

    Args:
        name: the name of its folder.
        limits: the limits of its search, numbers by name.
        rows: a `Row` each for the teacher, the assembled and the fine-tuned network.
        candidates: a `Candidate` for each network that was put together; the first was taken.
        assembly: the `assemblies.Assembly`.
        exports: TFLite files: a dict from precision to what `result.json` has of the file.
        epochs: of its fine-tuning; `None` if the file does not say it.
    """

    name: str
    limits: dict
    rows: tuple
    candidates: tuple
    assembly: assemblies.Assembly
    exports: dict
    epochs: int | None

    @property
    def tuned(self):
        """The `Row` of the fine-tuned network."""
        return self.rows[-1]

    def has(self, block, cell):
        """Whether a path of this cell stands in this block's place."""
        return self.assembly.parts[block].cell == cell


@dataclasses.dataclass(frozen=True)
class Order:
    """How one score orders networks by what they lose; as `additivity.Order`."""

    score: str
    tau: float
    low: float
    high: float
    slope: float | None


@dataclasses.dataclass(frozen=True)
class Network:
    """One random network: its parts as text, costs, divergence, and sums of ratings by name."""

    assembly: str
    macs: int | None
    params: int | None
    kl: float
    sums: dict


@dataclasses.dataclass(frozen=True)
class Additivity:
    """Random networks beside the sums of their ratings."""

    orders: tuple
    networks: tuple
    rating_images: int


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Kendall's tau between the ratings of two supernets: `(cell, paths, taus)` by cell.

    `intervals` has for each cell a dict from rating to the ends of the interval of its tau.
    """

    seeds: tuple
    cells: tuple
    intervals: tuple


@dataclasses.dataclass(frozen=True)
class Compression:
    """What a run has of students that inherit.

    Args:
        students: a `Student` each, cheapest first.
        replaced: `replaced[block, cell]`, a `replaced_cells.ReplacedCell`; empty if a cell has
            none.
        mse: `mse[block, cell]`, the mean squared error of each path on the rating images; empty
            if a cell has none.
        additivity: an `Additivity`, or `None`.
        agreements: an `Agreement` for each further supernet.
    """

    students: tuple = ()
    replaced: dict = dataclasses.field(default_factory=dict)
    mse: dict = dataclasses.field(default_factory=dict)
    additivity: Additivity | None = None
    agreements: tuple = ()

    def problem(self):
        """The `assembly_problem.AssemblyProblem` of the ratings by replacing, or `None`."""
        if not self.students or not self.replaced:
            return None
        of_one = self.students[0].assembly
        kl = {key: cell.kl for key, cell in self.replaced.items()}
        return assembly_problem.build_problem(of_one.space, of_one.teacher, kl)

    def cost(self):
        """The cost against which networks are drawn, and its name in words."""
        is_known = self.students[0].assembly.teacher.costs()["macs"] is not None
        return ("macs", "MACs") if is_known else ("params", "parameters")

    def front(self):
        """The exact front of the sum of ratings by replacing against `cost`.

        Returns:
            A list of `(choice, text)`, best rating first: a `problems.Choice` and its parts as
            text. Empty without ratings of all cells.

        Raises:
            fronts.FrontTooLarge: it has too many states.
        """
        problem = self.problem()
        if problem is None or self.cost()[0] not in problem.names:
            return []
        choices = fronts.front(problem, (self.cost()[0],))
        return [(choice, problem.describe(choice)) for choice in choices]


def read(folder, space, teacher, reader):
    """Reads what a run has of students that inherit.

    Args:
        folder: the folder of the run.
        space: the `spaces.SearchSpace` of its config, or `None`.
        teacher: the fingerprint of its teacher, or `None`.
        reader: reads files and notes what is wrong, as `run_data` does: `read(part, path, kind,
            absent)` and `attempt(part, function, *args)`.

    Returns:
        A `Compression`, or `None` for a run that has nothing of it.
    """
    folder = files.as_path(folder)
    students = []
    for place in _folders(folder / "compressed"):
        if (place / "result.json").exists():
            students.append(reader.attempt(PART, _student, place, space, teacher))
    students = [student for student in students if student is not None]
    additivity, agreements = None, []
    if (folder / "additivity.json").exists():
        additivity = reader.attempt(PART, _additivity, folder / "additivity.json")
    for place in sorted(
        _folders(folder / "seeds"), key=lambda place: (len(place.name), place.name)
    ):
        if (place / "agreement.json").exists():
            agreements.append(reader.attempt(PART, _agreement, place / "agreement.json"))
    agreements = [agreement for agreement in agreements if agreement is not None]
    if not students and additivity is None and not agreements:
        return None
    replaced, mse = {}, {}
    if space is not None:
        replaced = reader.attempt(PART, _replaced, folder / "replacements", space) or {}
        mse = _mse(folder / "ratings", space)
    students.sort(key=lambda s: (s.tuned.costs.get("macs") or 0, s.name))
    return Compression(tuple(students), replaced, mse, additivity, tuple(agreements))


_HINT = "Compress again."


def _student(place, space, teacher):
    path, of_assembly = place / "result.json", place / "assembly.json"
    result = files.read_json(path, workdirs.COMPRESSED_KIND, _HINT)
    assembly = assemblies.load(of_assembly)
    if space is not None and assembly.space != space:
        raise ValueError(
            f"The assembly in {of_assembly} is not of the space {space.name!r}. {_HINT}"
        )
    if teacher is not None and assembly.teacher.fingerprint != teacher:
        raise ValueError(
            f"The assembly in {of_assembly} is of another teacher than the run's. {_HINT}"
        )
    fields = ("assembly", "rating", "kl", "correct", "images")
    candidates = tuple(
        Candidate(costs=each.get("costs", {}), **{name: each[name] for name in fields})
        for each in result["realised"]
    )
    fields = [field.name for field in dataclasses.fields(Row)]
    rows = tuple(Row(**{name: row[name] for name in fields}) for row in result["table"])
    if len(rows) < 2 or not candidates:
        raise ValueError(f"The result in {path} has no rows of networks. {_HINT}")
    exports = {}
    if (place / "exports" / "result.json").exists():
        exported = place / "exports" / "result.json"
        content = files.read_json(exported, workdirs.EXPORT_KIND, _HINT)
        names = ("bytes", "accuracy", "agreement", "good")
        for precision, file in content["files"].items():
            exports[precision] = {name: file[name] for name in names}
    epochs = result.get("fine_tune", {}).get("epochs")
    epochs = epochs if type(epochs) is int else None  # the recipe is not checked here
    try:
        limits = dict(cost_limits.Limits(result["limits"]))
    except ValueError as error:
        raise ValueError(f"The limits in {path} cannot be used. {error}") from error
    return Student(place.name, limits, rows, candidates, assembly, exports, epochs)


def _additivity(path):
    content = files.read_json(path, workdirs.ADDITIVITY_KIND, _HINT)
    orders = tuple(
        Order(*(row[name] for name in ("score", "tau", "low", "high")), row.get("slope"))
        for row in content["orders"]
    )
    networks = tuple(
        Network(each["assembly"], each["macs"], each["params"], each["kl"], dict(each["sums"]))
        for each in content["networks"]
    )
    scores = [order.score for order in orders if order.score not in COSTS]
    if not networks or any(set(scores) - set(network.sums) for network in networks):
        raise ValueError(f"The file {path} has no networks, or not all sums of ratings. {_HINT}")
    return Additivity(orders, networks, content["rating_images"])


def _agreement(path):
    content = files.read_json(path, workdirs.SEEDS_KIND, _HINT)
    cells = tuple((row["cell"], row["paths"], dict(row["taus"])) for row in content["cells"])
    if not cells or any(set(taus) != set(cells[0][2]) for *_, taus in cells):
        raise ValueError(f"The file {path} has no cells, or not the same ratings of all. {_HINT}")
    intervals = tuple(row.get("intervals", {}) for row in content["cells"])
    return Agreement(tuple(content["seeds"]), cells, intervals)


def _replaced(folder, space):
    replaced = {}
    for b, c, _ in space.cells():
        path = folder / f"{spaces.cell_name(b, c)}.json"
        if not path.exists():
            return {}
        replaced[b, c] = replaced_cells.read(path, space, b, c)[0]
    return replaced


def _mse(folder, space):
    try:
        return ratings.load_all(folder, space, "mse")
    except (FileNotFoundError, ValueError):
        return {}  # what is broken is noted with the ratings of the search


def _folders(folder):
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.exists() else []
