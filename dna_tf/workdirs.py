"""What lies where in a workdir, and which config it belongs to.

config.json                      the config of the run
data.json                        labels of large data sets, read once
broken_images.json               images that are left out, if data.max_broken_images allows some
teacher/                         model.keras, result.json, history.json, checkpoints/
supernet/                        blockN_cellM.npz, blockN_cellM.json, runs/ (checkpoints)
features/                        the teacher's features, if they are cached on disk
tensorboard/                     curves of all training, feature maps
ratings/                         blockN_cellM.json
architectures/                   front.json, one JSON file per architecture
fronts/                          COSTS.json, such as macs_params.json: a front over these costs
comparisons/                     what searches found beside the exact one, one JSON file each
students/NAME/seedK/             model.keras (last epoch), best.keras, result.json, history.json,
                                 checkpoints/
exports/NAME/                    float32.tflite, int8.tflite, ..., result.json; of students of other
                                 seeds than 0 in exports/NAME_seedK/
                                 qat_int8.tflite, qat.json (tools.quantize); pruned.keras,
                                 pruned.json (tools.prune)
quantization/                    NAME_seedK.json: which layers hurt under int8
evaluations/                     one JSON file per evaluated model
report.html
"""

from dna_tf.common import files
from dna_tf.config import run_config

# The "kind" in the files of a workdir. Kinds of files that may lie elsewhere stand with their
# owners (`architectures.KIND`, `ratings.KIND`, ...).
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
EVALUATION_KIND = "dna_tf.evaluation"

# Which folder a phase fills, and the sections of the config that its result depends
# on besides those of the phases before it.
_PHASES = (
    ("teacher", ("seed", "data", "teacher", "teacher_training")),
    ("supernet", ("space", "supernet")),
    ("ratings", ("rating",)),
    ("architectures", ("search",)),
    ("students", ("retrain",)),
    ("exports", ("export",)),
)


class Workdir:
    """The folders and files of one run.

    Args:
        path: the folder, local or remote; it need not exist yet.
    """

    def __init__(self, path):
        if not str(path):
            raise ValueError("Give the folder of the run with --workdir=FOLDER.")
        self.path = files.as_path(path)
        if self.path.is_file():
            raise ValueError(f"The workdir {path} is a file. Give a folder with --workdir=FOLDER.")
        self.config = self.path / "config.json"
        self.teacher = self.path / "teacher"
        self.supernet = self.path / "supernet"
        self.features = self.path / "features"
        self.tensorboard = self.path / "tensorboard"
        self.ratings = self.path / "ratings"
        self.architectures = self.path / "architectures"
        self.front = self.architectures / "front.json"
        self.fronts = self.path / "fronts"
        self.comparisons = self.path / "comparisons"
        self.exports = self.path / "exports"
        self.evaluations = self.path / "evaluations"
        self.report = self.path / "report.html"

    def __str__(self):
        return str(self.path)

    def architecture(self, name):
        """The file of an architecture."""
        return self.architectures / f"{name}.json"

    def student(self, name, seed):
        """The folder of one trained student."""
        return self.path / "students" / name / f"seed{seed}"

    def exported(self, name, seed=0):
        """The folder of what was made of one trained student for phones."""
        return self.exports / (f"{name}_seed{seed}" if seed else name)

    def student_result(self, name, seed):
        """What `retrain` measured of one trained student."""
        hint = f"Train the student first: python -m tools.retrain --workdir={self} --arch={name}"
        return files.read_json(self.student(name, seed) / "result.json", STUDENT_KIND, hint)

    def teacher_result(self):
        """What `train_teacher` wrote: accuracy, cut, shapes, classes, fingerprints."""
        hint = f"Train the teacher first: python -m tools.train_teacher --workdir={self}"
        return files.read_json(self.teacher / "result.json", TEACHER_KIND, hint)

    def cell(self, name):
        """The file with what is known of the training of a cell."""
        return self.supernet / f"{name}.json"

    def failed_cell(self, name):
        """The file that says why the training of a cell was stopped."""
        return self.supernet / f"{name}_failed.json"

    def cell_result(self, name):
        """What `train_supernet` wrote of a cell, checked to belong to the present teacher."""
        hint = f"Train it first: python -m tools.train_supernet --workdir={self}"
        result = files.read_json(self.cell(name), CELL_KIND, hint)
        if result.get("teacher") != self.teacher_result()["fingerprint"]:
            raise ValueError(
                f"The cell {name} in {self.supernet} imitates another teacher than the one in "
                f"{self.teacher}. Delete the supernet's folder and train it again."
            )
        return result

    def ratings_made_from(self, config, name):
        """The fingerprint that fresh ratings of a cell have."""
        return files.fingerprint(
            [
                self.cell_result(name)["fingerprint"],
                self.teacher_result()["data_fingerprint"],
                run_config.config_fingerprint(config, ["seed", "rating"]),
            ]
        )


def open_workdir(path, config=None):
    """Opens a workdir with a config, or with the config that it holds.

    Args:
        path: the folder.
        config: a config, checked here; `None` reads the workdir's own.

    Returns:
        `(Workdir, config)`; the config is written into a new workdir.

    Raises:
        FileNotFoundError: there is no config, given or held.
        ValueError: the config is wrong, or differs from the held one in a field that a
            phase already used; nothing is changed then.
    """
    workdir = Workdir(path)
    if config is None:
        held = _held(workdir)
        try:
            return workdir, run_config.from_plain(held)
        except ValueError as error:
            raise ValueError(f"The config in {workdir.config} cannot be used. {error}") from error
    run_config.check_config(config)
    config = run_config.with_image_size(config)
    # The cells of this call are no property of the run: others train the others.
    plain = run_config.to_plain(config)
    plain["supernet"]["cells"] = []
    if workdir.config.exists():
        held = _held(workdir)
        used = _used_sections(workdir)
        clashing = [
            name for name in run_config.differences(plain, held) if name.partition(".")[0] in used
        ]
        if clashing:
            shown = "; ".join(
                f"{n}: {_at(held, n)!r} there, {_at(plain, n)!r} now" for n in clashing
            )
            raise ValueError(
                f"The workdir {workdir} was made by another config. Differing in what it already "
                f"used: {shown}. Use another --workdir, or the config that made this one "
                "(leave --config out to use it)."
            )
        if held == plain:
            return workdir, config
    files.write_json(workdir.config, {"kind": CONFIG_KIND, "config": plain})
    return workdir, config


def _held(workdir):
    """The plain config that a workdir holds."""
    hint = "Start a run in a new workdir: python -m tools.train_teacher --config=configs/digits.py"
    held = files.read_json(workdir.config, CONFIG_KIND, hint).get("config")
    if not isinstance(held, dict):
        raise ValueError(f"The file {workdir.config} holds no config. {hint}")
    return run_config.with_defaults(held)


def sections_until(folder):
    """The sections of the config that what lies in a phase's folder depends on."""
    last = [name for name, _ in _PHASES].index(folder)
    return tuple(section for _, sections in _PHASES[: last + 1] for section in sections)


def _used_sections(workdir):
    begun = [folder for folder, _ in _PHASES if (workdir.path / folder).exists()]
    return {section for folder in begun for section in sections_until(folder)}


def _at(plain, name):
    value = plain
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
