"""A run as plain data: reads all files of a workdir, any of which may be missing or broken."""

import dataclasses

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.report import compression_data
from dna_tf.space import architectures, cost_limits, presets, ratings, spaces, tasks


@dataclasses.dataclass(frozen=True)
class Note:
    """Says why a part of the run is missing.

    Args:
        text: a sentence.
        command: the command line that writes the part; `""` if a file of it is broken.
    """

    text: str
    command: str = ""


@dataclasses.dataclass
class Run:
    """The contents of a workdir: `None` or empty where a part is missing.

    Args:
        path: the folder of the run.
        config: the config as a dict.
        space: the `spaces.SearchSpace`.
        teacher: the content of `teacher/result.json`.
        teacher_epochs: a dict of metrics for each epoch of the teacher.
        supernet_epochs: a dict from cell name to loss for each epoch of the supernet.
        ratings: `ratings[block, cell]`, one float per path, in the metric of the search.
        front: the content of `architectures/front.json`.
        fronts: the contents of the files in `fronts/`, by the costs of the front.
        architectures: each `architectures.Architecture` by its name.
        students: a list of results by architecture name, in order of seeds.
        student_epochs: a list of `(seed, epochs)` by architecture name.
        exports: export results by folder name.
        evaluations: the contents of the files in `evaluations/`.
        compression: a `compression_data.Compression`; `None` without students that inherit.
        notes: lists of `Note` by part: a folder's name, or `"config"`.
    """

    path: str = ""
    config: dict | None = None
    space: spaces.SearchSpace | None = None
    teacher: dict | None = None
    teacher_epochs: list = dataclasses.field(default_factory=list)
    supernet_epochs: list = dataclasses.field(default_factory=list)
    ratings: dict = dataclasses.field(default_factory=dict)
    front: dict | None = None
    fronts: dict = dataclasses.field(default_factory=dict)
    architectures: dict = dataclasses.field(default_factory=dict)
    students: dict = dataclasses.field(default_factory=dict)
    student_epochs: dict = dataclasses.field(default_factory=dict)
    exports: dict = dataclasses.field(default_factory=dict)
    evaluations: list = dataclasses.field(default_factory=list)
    compression: compression_data.Compression | None = None
    notes: dict = dataclasses.field(default_factory=dict)

    def metric(self):
        """The metric of the ratings and of the search, one of `ratings.METRICS`."""
        return (self.config or {}).get("search", {}).get("metric", ratings.METRICS[0])

    def is_of_compression(self):
        """Whether the run compressed a model, and searched for no students from scratch."""
        has_students = self.compression is not None and bool(self.compression.students)
        return has_students and self.front is None and not self.architectures

    def searched(self):
        """Names of the searched architectures, cheapest first."""
        return self._names_by("search")

    def controls(self):
        """Names of the controls, cheapest first."""
        return self._names_by("control")

    def chosen(self):
        """Name of the chosen student, or `None`.

        The one that the config chooses; if it was not searched, the first with a control.
        """
        searched = self.searched()
        if self.config is not None:
            search = self.config.get("search", {})
            budgets, index = search.get("budgets", []), search.get("chosen", 0)
            name = cost_limits.Limits(budgets[index]).name() if index < len(budgets) else None
            if name in searched:
                return name
        controlled = [self.architectures[n].origin.get("control_of") for n in self.controls()]
        return next((name for name in [*controlled, *searched] if name in searched), None)

    def _names_by(self, origin):
        names = [n for n, a in self.architectures.items() if a.origin.get("by") == origin]
        return sorted(names, key=lambda name: (self.architectures[name].costs()["macs"], name))


def task(run):
    """The `tasks.Task` of the students of a `Run`, or `None` without a teacher's result."""
    teacher = run.teacher or {}
    if run.space is None or "image_shape" not in teacher or "num_classes" not in teacher:
        return None
    return tasks.Task.from_image_shape(teacher["image_shape"], teacher["num_classes"])


def missing(part, text):
    """A `Note` with the command that writes the part."""
    return Note(text, workdirs.command(part))


def read_run(path):
    """Reads a workdir.

    Args:
        path: the workdir.

    Returns:
        A `Run`. A missing part has a note with the command that writes it; a file that is
        broken or does not fit has a note that says what is wrong.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    workdir = workdirs.Workdir(path)
    if not workdir.path.is_dir():
        raise FileNotFoundError(
            f"There is no workdir {workdir}. Give the folder that the tools wrote into."
        )
    run = Run(path=str(workdir))
    reader = _Reader(run)
    absent = "The config of the run is not in the workdir."
    config = reader.read("config", workdir.config, workdirs.CONFIG_KIND, absent)
    if config is not None:
        run.config = config.get("config", {})
        run.space = reader.attempt("config", presets.get_space, run.config.get("space"))
    path = workdir.teacher / "result.json"
    absent = "There is no teacher yet."
    run.teacher = reader.read("teacher", path, workdirs.TEACHER_KIND, absent)
    run.teacher_epochs = reader.epochs("teacher", workdir.teacher)
    run.supernet_epochs = reader.supernet_epochs(workdir)
    reader.read_ratings(workdir.ratings)
    absent = "Nothing was searched yet, so there is no front."
    run.front = reader.read("architectures", workdir.front, workdirs.FRONT_KIND, absent)
    for path in sorted(workdir.fronts.glob("*.json")) if workdir.fronts.exists() else ():
        front = reader.read("architectures", path, workdirs.FRONT_KIND, "")
        if front is not None:
            run.fronts[", ".join(front["front_costs"])] = front
    reader.read_architectures(workdir)
    reader.read_students(workdir.path / "students")
    reader.read_exports(workdir.exports)
    for path in sorted(workdir.evaluations.glob("*.json")) if workdir.evaluations.exists() else ():
        evaluation = reader.read("evaluations", path, workdirs.EVALUATION_KIND, "")
        if evaluation is not None:
            run.evaluations.append(evaluation)
    fingerprint = (run.teacher or {}).get("fingerprint")
    run.compression = compression_data.read(workdir.path, run.space, fingerprint, reader)
    return run


class _Reader:
    """Reads files into a run; a note says which are missing or broken."""

    def __init__(self, run):
        self._run = run

    def note(self, part, note):
        self._run.notes.setdefault(part, []).append(note)

    def read(self, part, path, kind, absent):
        """The content of a JSON file; `None` if it is missing or broken.

        Args:
            part: the part that gets a note.
            path: the file.
            kind: the expected kind of the file.
            absent: the note's text if the file is missing; `""` adds no note.
        """
        if not path.exists():
            if absent:
                self.note(part, missing(part, absent))
            return None
        return self.attempt(part, files.read_json, path, kind, "Delete it and run its tool again.")

    def attempt(self, part, function, *args):
        """Returns `function(*args)`; `None`, with the error as a note, if it fails."""
        try:
            return function(*args)
        except (ValueError, TypeError, KeyError) as error:
            self.note(part, Note(f"Could not be used: {error}"))
            return None

    def epochs(self, part, folder, absent=""):
        history = self.read(part, folder / "history.json", workdirs.HISTORY_KIND, absent)
        return [] if history is None else history.get("epochs", [])

    def supernet_epochs(self, workdir):
        """A dict from cell name to loss for each epoch, of all cells with a file."""
        losses = {}
        for path in sorted(workdir.supernet.glob("block*_cell*.json")):
            failed = path.stem.endswith("_failed")
            kind = workdirs.FAILED_CELL_KIND if failed else workdirs.CELL_KIND
            content = self.read("supernet", path, kind, "")
            if content is not None:
                losses[content["cell"]] = content["losses"]
                if failed:
                    self.note("supernet", Note(content["reason"]))
        if not losses:
            self.note("supernet", missing("supernet", "The supernet's cells are not trained yet."))
        epochs = max(map(len, losses.values()), default=0)
        return [
            {name: values[epoch] for name, values in losses.items() if epoch < len(values)}
            for epoch in range(epochs)
        ]

    def read_ratings(self, folder):
        if self._run.space is None:
            if not folder.exists():
                self.note("ratings", missing("ratings", "The paths are not rated yet."))
            return
        try:
            self._run.ratings = (
                self.attempt(
                    "ratings", ratings.load_all, folder, self._run.space, self._run.metric()
                )
                or {}
            )
        except FileNotFoundError:
            rated = sum(1 for _ in folder.glob("*.json")) if folder.exists() else 0
            count = sum(1 for _ in self._run.space.cells())
            text = f"{rated} of {count} cells are rated." if rated else "No path is rated yet."
            self.note("ratings", missing("ratings", text))

    def read_architectures(self, workdir):
        folder = workdir.architectures
        for path in sorted(folder.glob("*.json")) if folder.exists() else ():
            if path.name != workdir.front.name:
                architecture = self.attempt("architectures", self._architecture, path)
                if architecture is not None:
                    self._run.architectures[architecture.name] = architecture

    def _architecture(self, path):
        """The architecture in a file; one that was searched must be of the run's space."""
        architecture, space = architectures.load(path), self._run.space
        if space is None or architecture.origin.get("by") not in ("search", "control"):
            return architecture
        try:
            for b, block in enumerate(architecture.blocks):
                space.path_index(b, block.cell, block.path or ())
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"The architecture in {path} is not of the space {space.name!r}: {error}"
            ) from error
        return architecture

    def read_students(self, folder):
        for student in _folders(folder):
            for seed_folder in sorted(_folders(student), key=_seed_of):
                path = seed_folder / "result.json"
                result = self.read("students", path, workdirs.STUDENT_KIND, "")
                if result is not None:
                    self._run.students.setdefault(student.name, []).append(result)
                epochs = self.epochs("students", seed_folder)
                if epochs:
                    pair = (_seed_of(seed_folder), epochs)
                    self._run.student_epochs.setdefault(student.name, []).append(pair)
        trained = set(self._run.students)
        waiting = [name for name in self._run.architectures if name not in trained]
        if waiting:
            text = f"Not retrained yet: {', '.join(waiting)}."
            self.note("students", missing("students", text))
        elif not trained:
            self.note("students", missing("students", "No student is trained yet."))

    def read_exports(self, folder):
        for exported in _folders(folder):
            result = self.read("exports", exported / "result.json", workdirs.EXPORT_KIND, "")
            if result is not None:
                self._run.exports[exported.name] = result
        if not self._run.exports:
            self.note("exports", missing("exports", "No student is exported to TFLite yet."))


def _folders(folder):
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.exists() else []


def _seed_of(folder):
    number = folder.name.removeprefix("seed")
    return int(number) if number.isdigit() else -1


_COST_WORDS = {"macs": "MACs", "params": "parameters", "authors_flops": "authors' FLOPs"}


def limits_in_words(limits):
    """Limits as text: `{"max_macs": 700000}` becomes `"MACs ≤ 700k"`.

    Args:
        limits: a mapping, text or `None`, as `cost_limits.Limits` takes it.
    """
    return cost_limits.Limits(limits).text(_COST_WORDS, signs=("≤", "≥"))


def role(run, name):
    """What a network is in this run, in a few words: searched, a control, ..."""
    if name not in run.architectures:
        return "no architecture file"
    origin = run.architectures[name].origin
    if origin.get("by") == "search":
        return f"searched, {limits_in_words(origin.get('limits'))}"
    if origin.get("by") == "control":
        return f"random control of {origin.get('control_of')}"
    return str(origin.get("by", "given"))


def ordered_names(run):
    """All networks: the searched ones by cost, each with its controls, then the others."""
    controls = run.controls()
    names = []
    for name in run.searched():
        names.append(name)
        names += [c for c in controls if run.architectures[c].origin.get("control_of") == name]
    return list(dict.fromkeys([*names, *controls, *run.architectures, *run.students]))


def accuracies(run, name):
    """Test accuracies of a student, in order of seeds."""
    return tuple(result["test_accuracy"] for result in run.students.get(name, ()))
