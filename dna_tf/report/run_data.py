"""Reads what a workdir holds into plain data for the report; any part may be missing."""
# MERGED: "What a run's networks are and reached, for the report, tables and evaluations; no HTML."

import dataclasses

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.space import architectures, cost_limits, presets, ratings, spaces, tasks

# Which tool makes a part.
_TOOLS = {
    "config": "train_teacher --config=configs/digits.py",
    "teacher": "train_teacher",
    "supernet": "train_supernet",
    "ratings": "rate",
    "architectures": "search",
    "students": "retrain",
    "exports": "export_tflite",
    "maps": "report",
}


@dataclasses.dataclass(frozen=True)
class Note:
    """Says why something is not in the report.

    Args:
        text: a sentence.
        command: the command line that makes it; `""` if the text says enough.
    """

    text: str
    command: str = ""


@dataclasses.dataclass
class Run:
    """What was found in a workdir: `None` or empty where a part is missing.

    Args:
        config: the plain config.
        space: the `spaces.SearchSpace`.
        teacher: the teacher's result.
        teacher_epochs: a dict of metrics for each epoch of the teacher.
        supernet_epochs: a dict from cell name to loss for each epoch of the supernet.
        ratings: `ratings[block, cell]`, one float per path, in the config's `search.metric`.
        front: the content of the front's file.
        fronts: the contents of the files of other fronts, by name.
        architectures: `architectures.Architecture` by name.
        students: a list of results by architecture name, in order of seeds.
        student_epochs: a list of `(seed, epochs)` by architecture name.
        exports: export results by architecture name.
        notes: `Note`s by part (the keys are those of the folders, and `config`).
    """

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
    notes: dict = dataclasses.field(default_factory=dict)

    def metric(self):
        """The metric of the ratings, one of `ratings.METRICS`: what the search went by."""
        return (self.config or {}).get("search", {}).get("metric", ratings.METRICS[0])

    def searched(self):
        """Names of the searched architectures, cheapest first."""
        return self._names_by("search")

    def controls(self):
        """Names of the controls, cheapest first."""
        return self._names_by("control")

    def chosen(self):
        """Name of the chosen student, or `None`: the config's, else the first with a control."""
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
        found = [n for n, a in self.architectures.items() if a.origin.get("by") == origin]
        return sorted(found, key=lambda name: (self.architectures[name].costs()["macs"], name))


def task(run):
    """The `tasks.Task` of the students of a `Run`, or `None` without a teacher's result."""
    teacher = run.teacher or {}
    if run.space is None or "image_shape" not in teacher or "num_classes" not in teacher:
        return None
    return tasks.Task.from_image_shape(teacher["image_shape"], teacher["num_classes"])


def missing(part, text):
    """A `Note` with the command that makes a part."""
    return Note(text, f"python -m tools.{_TOOLS[part]} --workdir=...")


def read_run(path):
    """Reads a workdir.

    Args:
        path: the workdir.

    Returns:
        A `Run`. What is missing has a note with the command that makes it; a file that
        is broken or does not fit has a note with what is wrong.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    workdir = workdirs.Workdir(path)
    if not workdir.path.is_dir():
        raise FileNotFoundError(
            f"There is no workdir {workdir}. Give the folder that the tools wrote into."
        )
    run = Run()
    reader = _Reader(run)
    read, root = reader.read, workdir.path
    config = read(
        "config",
        workdir.config,
        workdirs.CONFIG_KIND,
        "The config of the run is not in the workdir.",
    )
    if config is not None:
        run.config = config.get("config", {})
        run.space = reader.attempt("config", presets.get_space, run.config.get("space"))
    run.teacher = read(
        "teacher",
        workdir.teacher / "result.json",
        workdirs.TEACHER_KIND,
        "There is no teacher yet.",
    )
    run.teacher_epochs = reader.epochs("teacher", workdir.teacher)
    run.supernet_epochs = reader.supernet_epochs(workdir)
    reader.read_ratings(workdir.ratings)
    run.front = read(
        "architectures", workdir.front, workdirs.FRONT_KIND, "Nothing was searched yet: no front."
    )
    for path in sorted(workdir.fronts.glob("*.json")) if workdir.fronts.exists() else ():
        content = read("architectures", path, workdirs.FRONT_KIND, "")
        if content is not None:
            run.fronts[", ".join(content["front_costs"])] = content
    reader.read_architectures(workdir)
    reader.read_students(root / "students")
    reader.read_exports(workdir.exports)
    return run


class _Reader:
    """Reads files into a run and takes notes of those that are missing or broken."""

    def __init__(self, run):
        self._run = run

    def note(self, part, note):
        self._run.notes.setdefault(part, []).append(note)

    def read(self, part, path, kind, absent):
        """The content of a JSON file, or `None` and a note (no note if `absent` is "")."""
        if not path.exists():
            if absent:
                self.note(part, missing(part, absent))
            return None
        return self.attempt(part, files.read_json, path, kind, "Make it again.")

    def attempt(self, part, function, *args):
        """What `function` returns, or `None` and a note with the error's message."""
        try:
            return function(*args)
        except (ValueError, TypeError, KeyError) as error:
            self.note(part, Note(f"Could not be used: {error}"))
            return None

    def epochs(self, part, folder, absent=""):
        history = self.read(part, folder / "history.json", workdirs.HISTORY_KIND, absent)
        return [] if history is None else history.get("epochs", [])

    def supernet_epochs(self, workdir):
        """A dict from cell name to loss for each epoch, of the cells that there are."""
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
                one = self.attempt("architectures", architectures.load, path)
                if one is not None:
                    self._run.architectures[one.name] = one

    def read_students(self, folder):
        for student in _folders(folder):
            for place in sorted(_folders(student), key=_seed_of):
                result = self.read("students", place / "result.json", workdirs.STUDENT_KIND, "")
                if result is not None:
                    self._run.students.setdefault(student.name, []).append(result)
                epochs = self.epochs("students", place)
                if epochs:
                    pair = (_seed_of(place), epochs)
                    self._run.student_epochs.setdefault(student.name, []).append(pair)
        trained = set(self._run.students)
        waiting = [name for name in self._run.architectures if name not in trained]
        if waiting:
            text = f"Not retrained yet: {', '.join(waiting)}."
            self.note("students", missing("students", text))
        elif not trained:
            self.note("students", missing("students", "No student is trained yet."))

    def read_exports(self, folder):
        for place in _folders(folder):
            result = self.read("exports", place / "result.json", workdirs.EXPORT_KIND, "")
            if result is not None:
                self._run.exports[place.name] = result
        if not self._run.exports:
            self.note("exports", missing("exports", "No student is exported to TFLite yet."))


def _folders(folder):
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.exists() else []


def _seed_of(place):
    number = place.name.removeprefix("seed")
    return int(number) if number.isdigit() else -1


_COST_WORDS = {"macs": "MACs", "params": "parameters", "authors_flops": "authors' FLOPs"}


def percent(share):
    """A share for people: `0.97222` becomes `"97.22 %"`, and `None` a dash."""
    return "–" if share is None else f"{100 * share:.2f} %"


def limits_text(limits):
    """Limits for readers of a report: `{"max_macs": 700000}` becomes `"MACs ≤ 700k"`.

    Args:
        limits: what makes `cost_limits.Limits`: a mapping, text, or `None`.
    """
    return cost_limits.Limits(limits).text(_COST_WORDS, signs=("≤", "≥"))


def role(run, name):
    """What a network is in this run, in a few words."""
    if name not in run.architectures:
        return "no architecture file"
    origin = run.architectures[name].origin
    if origin.get("by") == "search":
        return f"searched, {limits_text(origin.get('limits'))}"
    if origin.get("by") == "control":
        return f"random control of {origin.get('control_of')}"
    return str(origin.get("by", "given"))


def ordered_names(run):
    """All networks: the searched ones by cost, each with its controls, then the others."""
    controls = run.controls()
    names = []
    for name in run.searched():
        own = [c for c in controls if run.architectures[c].origin.get("control_of") == name]
        names += [name, *own]
    return list(dict.fromkeys([*names, *controls, *run.architectures, *run.students]))


def accuracies(run, name):
    """Test accuracies of a student, in order of seeds."""
    return tuple(result["test_accuracy"] for result in run.students.get(name, ()))
