"""The workdir of a run: its files and folders, their kinds, and the config it belongs to.

config.json                      the config of the run
data.json                        labels of large data sets, read once
broken_images.json               images that are left out, if data.max_broken_images allows any
teacher/                         model.keras, result.json, history.json, checkpoints/
supernet/                        blockN_cellM.npz, blockN_cellM.json, runs/ (checkpoints),
                                 snapshots/ (cells after every few epochs)
features/                        the teacher's features, if they are cached on disk
tensorboard/                     training curves and feature maps
ratings/                         blockN_cellM.json
angles/PARTS/                    blockN_cellM.json, angles.json: how far training turned weights
ranking/                         SET.json, SET.html: ratings beside accuracies (tools.rank)
progress/                        progress.json, progress.html, ratings during the training of
                                 the cells (tools.progress)
whole/                           weights.npz, result.json, history.json, checkpoints/, scores.json,
                                 angles/PARTS.json: a whole network (tools.train_whole)
replacements/                    blockN_cellM.json: ratings in the teacher's place (tools.compress)
seeds/SEED/                      a second supernet, its ratings, agreement.json (tools.additivity)
additivity.json                  sums of ratings beside what networks lose (tools.additivity)
latency.json                     latencies of the parts of students that inherit (tools.compress)
answers/                         the teacher's answers, kept for further students (tools.compress)
compressed/NAME/                 model.keras, assembly.json, result.json, exports/ (tools.compress)
architectures/                   front.json, and one JSON file for each architecture
fronts/                          COSTS.json, such as macs_params.json: a front over these costs
comparisons/                     results of other searches beside the exact one
students/NAME/seedK/             model.keras (last epoch), best.keras, result.json, history.json,
                                 checkpoints/
exports/NAME/                    float32.tflite, int8.tflite, ..., result.json;
                                 qat_int8.tflite, qat.json (tools.quantize);
                                 pruned.keras, pruned.json (tools.prune);
                                 exports/NAME_seedK/ for a student of a seed other than 0
quantization/                    NAME_seedK.json: the error of each layer under int8
evaluations/                     one JSON file for each evaluated model
tables/                          the paper's table and figure with this run's results
report.html
"""

from dna_tf.common import checks, commands, files, locks, remote
from dna_tf.config import run_config, without_effect

# The field "kind" of a workdir's files. Files that may also lie elsewhere have theirs in the
# module that writes them: `architectures.KIND`, `ratings.KIND` and so on.
CONFIG_KIND = "dna_tf.config"
TEACHER_KIND = "dna_tf.teacher"
CELL_KIND = "dna_tf.cell"
FAILED_CELL_KIND = "dna_tf.failed_cell"
FRONT_KIND = "dna_tf.front"
STUDENT_KIND = "dna_tf.student"
HISTORY_KIND = "dna_tf.history"
EXPORT_KIND = "dna_tf.export"
QAT_KIND = "dna_tf.qat"
PRUNED_KIND = "dna_tf.pruned"
COMPRESSED_KIND = "dna_tf.compressed"
ADDITIVITY_KIND = "dna_tf.additivity"
SEEDS_KIND = "dna_tf.seeds"
ANGLES_KIND = "dna_tf.angles"
SCORES_KIND = "dna_tf.network_scores"
RANKING_KIND = "dna_tf.network_ranking"
BLOCK_WEIGHTS_KIND = "dna_tf.block_weights"
MATRIX_KIND = "dna_tf.matrix"
PROGRESS_KIND = "dna_tf.search_progress"
WHOLE_KIND = "dna_tf.whole"
WHOLE_SCORES_KIND = "dna_tf.whole_scores"
SLIMMED_KIND = "dna_tf.slimmed"
EVALUATION_KIND = "dna_tf.evaluation"

# The folder of each phase, and the sections of the config on which its result depends
# besides those of the phases before it.
_PHASES = (
    ("teacher", ("seed", "data", "teacher", "teacher_training")),
    ("supernet", ("space", "supernet")),
    ("ratings", ("rating",)),
    ("architectures", ("search",)),
    ("students", ("retrain",)),
    ("exports", ("export",)),
)

# Folders beside them: the phase that they follow, if any, and further sections.
_BESIDE = (
    ("replacements", "ratings", ("compress",)),
    ("whole", None, ("seed", "data", "space", "whole")),
)

# The tool that writes each part.
_TOOLS = {
    "config": "train_teacher",
    "teacher": "train_teacher",
    "supernet": "train_supernet",
    "whole": "train_whole",
    "ratings": "rate",
    "architectures": "search",
    "students": "retrain",
    "exports": "export_tflite",
    "evaluations": "evaluate",
    "maps": "report",
}


def command(part, workdir="...", *arguments):
    """The command line that writes a part of a workdir, for messages.

    Args:
        part: `"config"`, `"maps"` (feature maps of the report) or a folder of the workdir.
        workdir: the workdir.
        arguments: more flags.
    """
    flags = [f"--config={commands.config_path('digits')}"] if part == "config" else []
    return commands.line(_TOOLS[part], *flags, f"--workdir={workdir}", *arguments)


class Workdir:
    """The folders and files of one run.

    Args:
        path: the folder, local or remote (`gs://`); it need not exist yet.

    Raises:
        ValueError: the path is empty or a file.
    """

    # Modules that only the stored config names; see `modules`.
    stored_modules = ()

    def __init__(self, path):
        if not str(path):
            raise ValueError("Give the folder of the run with --workdir=FOLDER.")
        self.path = files.as_path(path)
        if remote.reached(self.path).is_file():
            raise ValueError(f"The workdir {path} is a file. Give a folder with --workdir=FOLDER.")
        self.config = self.path / "config.json"
        self.teacher = self.path / "teacher"
        self.supernet = self.path / "supernet"
        self.features = self.path / "features"
        self.tensorboard = self.path / "tensorboard"
        self.ratings = self.path / "ratings"
        self.replacements = self.path / "replacements"
        self.answers = self.path / "answers"
        self.angles = self.path / "angles"
        self.ranking = self.path / "ranking"
        self.progress = self.path / "progress"
        self.whole = self.path / "whole"
        self.architectures = self.path / "architectures"
        self.front = self.architectures / "front.json"
        self.fronts = self.path / "fronts"
        self.comparisons = self.path / "comparisons"
        self.exports = self.path / "exports"
        self.evaluations = self.path / "evaluations"
        self.tables = self.path / "tables"
        self.report = self.path / "report.html"

    def __str__(self):
        return str(self.path)

    def angle(self, parts, name):
        """A file of angles: that of a cell, or `angles` with the comparison and the best."""
        return self.angles / parts / f"{name}.json"

    def whole_angle(self, parts):
        """The file with the angles of a whole network's paths."""
        return self.whole / "angles" / f"{parts}.json"

    def architecture(self, name):
        """The file of an architecture."""
        return self.architectures / f"{_checked(name)}.json"

    def compressed(self, name):
        """The folder of one compressed student."""
        return self.path / "compressed" / _checked(name)

    def student(self, name, seed):
        """The folder of one trained student."""
        return self.path / "students" / _checked(name) / f"seed{seed}"

    def exported(self, name, seed=0):
        """The folder of the files that were exported from one trained student."""
        return self.exports / (f"{_checked(name)}_seed{seed}" if seed else _checked(name))

    def student_result(self, name, seed):
        """The result of one trained student: accuracy, costs, fingerprints."""
        hint = f"Train the student first: {command('students', self, f'--arch={name}')}"
        return files.read_json(self.student(name, seed) / "result.json", STUDENT_KIND, hint)

    def teacher_result(self):
        """The result of the teacher: accuracy, cuts, shapes, classes, fingerprints."""
        hint = f"Train the teacher first: {command('teacher', self)}"
        return files.read_json(self.teacher / "result.json", TEACHER_KIND, hint)

    def cell(self, name):
        """The result file of a trained cell."""
        return self.supernet / f"{name}.json"

    def failed_cell(self, name):
        """The file that says why the training of a cell failed."""
        return self.supernet / f"{name}_failed.json"

    def cell_result(self, name):
        """The result of a trained cell, checked to belong to the teacher in the workdir.

        Raises:
            FileNotFoundError: the cell or the teacher is not trained.
            ValueError: the cell was trained with another teacher.
        """
        hint = f"Train it first: {command('supernet', self)}"
        result = files.read_json(self.cell(name), CELL_KIND, hint)
        if result.get("teacher") != self.teacher_result()["fingerprint"]:
            raise ValueError(
                f"The cell {name} in {self.supernet} imitates another teacher than the one in "
                f"{self.teacher}. Delete the folder of the supernet and train it again."
            )
        return result

    def ratings_made_from(self, config, name):
        """The fingerprint of everything that the ratings of a cell are made from.

        Ratings with another fingerprint are out of date, unless it is one of
        `ratings_fingerprints`.
        """
        return self.ratings_fingerprints(config, name)[0]

    def ratings_fingerprints(self, config, name):
        """All fingerprints with which ratings of a cell are up to date.

        The first is `ratings_made_from`. With the others ratings were made by versions in which
        `config.rating.checkpoint_seconds` counted, too.
        """
        settings = [
            fingerprint(config, ["seed", "rating"])
            for fingerprint in (run_config.result_fingerprint, run_config.config_fingerprint)
        ]
        cell = self.cell_result(name)["fingerprint"]
        data = self.teacher_result()["data_fingerprint"]
        return tuple(files.fingerprint([cell, data, each]) for each in settings)


def _checked(name):
    # An architecture has checked its name; names of the command line or of a caller come as text.
    return checks.check_file_name("an architecture", name)


def open_workdir(path, config=None):
    """Opens a workdir with a config, or with the config that is stored in it.

    Args:
        path: the folder.
        config: a config, checked here; `None` reads the stored one.

    Returns:
        `(Workdir, config)`. The config is stored in the workdir, unless an equal one is.

    Raises:
        FileNotFoundError: `config` is `None` and none is stored.
        ValueError: the config is wrong, or differs from the stored one in a field on which the
            result of a finished or started phase depends. Nothing is written then.
    """
    workdir = Workdir(path)
    _remove_left(workdir)
    if config is None:
        stored = _stored_config(workdir)
        try:
            config = run_config.from_plain(stored)
        except ValueError as error:
            raise ValueError(
                f"The config in {workdir.config} cannot be used. {checks.cut(error)}"
            ) from error
        workdir.stored_modules = tuple(config.teacher.modules)
        return workdir, config
    run_config.check_config(config)
    config = run_config.with_image_size(config)
    # Which cells this call trains does not belong to the run: other calls train the others.
    plain = run_config.to_plain(config)
    plain["supernet"]["cells"] = []
    if workdir.config.exists():
        stored = _stored_config(workdir)
        used = _used_sections(workdir)
        fields = [
            name
            for name in run_config.differences(plain, stored)
            if name.partition(".")[0] in used and not without_effect.has_none(name)
        ]
        if fields:
            changes = "; ".join(
                f"{field}: {_value(stored, field)!r} there, {_value(plain, field)!r} now"
                for field in fields
            )
            raise ValueError(
                f"The workdir {workdir} was made with another config. Fields that its results "
                f"depend on differ: {changes}. Use another --workdir, or the config of this one "
                "(leave --config out to use it)."
            )
        if stored == plain:
            return workdir, config
    files.write_json(workdir.config, {"kind": CONFIG_KIND, "config": plain})
    return workdir, config


# Where killed processes may leave temporary files and locks. Features have a way of their own.
_WRITTEN = ("teacher", "supernet", "ratings", "architectures", "fronts", "comparisons")
_WRITTEN += (
    "replacements",
    "angles",
    "ranking",
    "progress",
    "whole",
    "compressed",
    "students",
    "exports",
    "quantization",
    "evaluations",
)


def _remove_left(workdir):
    for module in (files, locks):
        module.remove_left(workdir.path, below=False)
        for name in _WRITTEN:
            module.remove_left(workdir.path / name)


def _stored_config(workdir):
    """The config that is stored in a workdir, as a dict."""
    hint = f"Start a run in a new workdir: {command('config')}"
    stored = files.read_json(workdir.config, CONFIG_KIND, hint).get("config")
    if not isinstance(stored, dict):
        raise ValueError(f"The file {workdir.config} contains no config. {hint}")
    return run_config.with_defaults(stored)


def modules(workdir, config):
    """The modules that are imported before a model file of a run is loaded.

    Importing runs code, and a workdir may come from somebody else. So modules that only its
    `config.json` names are refused: the user asks for them again.

    Args:
        workdir: the `Workdir` of the config, or `None`.
        config: the config.

    Returns:
        A tuple of names.

    Raises:
        ValueError: the names come from the workdir alone.
    """
    names = tuple(config.teacher.modules)
    if names and workdir is not None and names == workdir.stored_modules:
        flags = " ".join(commands.quote(f"--config.teacher.modules={name}") for name in names)
        raise ValueError(
            f"The config in {workdir.config} names modules whose code would run: "
            f"{', '.join(map(checks.short_repr, names))}. If you trust this workdir, name them "
            f"again: {flags}; or give the --config file that has them."
        )
    return names


def sections_until(folder):
    """The sections of the config on which the contents of a phase's folder depend."""
    last = [name for name, _ in _PHASES].index(folder)
    return tuple(section for _, sections in _PHASES[: last + 1] for section in sections)


def _used_sections(workdir):
    started = [folder for folder, _ in _PHASES if _is_begun(workdir.path / folder)]
    used = {section for folder in started for section in sections_until(folder)}
    for folder, after, sections in _BESIDE:
        if _is_begun(workdir.path / folder):
            used.update(sections_until(after) if after else (), sections)
    return used


def _is_begun(folder):
    """Whether a phase has written into its folder, or a process is about to."""
    return locks.is_held(folder) or (folder.exists() and not _has_only_left_locks(folder))


def _has_only_left_locks(folder):
    """Whether all that is in a folder are locks of processes that were killed."""
    entries = list(folder.iterdir())
    return bool(entries) and all(map(_is_left_lock, entries))


def _is_left_lock(path):
    if locks.is_lock(path.name):
        return not locks.is_held(path.parent / path.name[1 : -len(".lock")])
    return path.is_dir() and _has_only_left_locks(path)


def _value(plain, field):
    value = plain
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
