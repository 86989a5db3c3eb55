"""What training with rounding and pruning share: the student they start from, and their results."""

import dataclasses

from dna_tf.common import files, progress
from dna_tf.compression import tf_keras_bridge
from dna_tf.config import run_config
from dna_tf.models import keras_files


@dataclasses.dataclass(frozen=True)
class Start:
    """A trained student and what a result depends on.

    Args:
        model: the student, a `keras.Model`.
        fingerprint: of its weights.
        made_from: fingerprint of student, settings and what else decides the result.
    """

    model: object
    fingerprint: str
    made_from: str


def start(workdir, config, name, seed, section, version, **more):
    """Loads a trained student, and says what its result is made from.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
        name: the architecture's name.
        seed: which of its students.
        section: the config section of the settings, such as `"prune"`.
        version: of the method.
        more: other settings that the result depends on.

    Returns:
        A `Start`.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a package is missing.
    """
    trained = workdir.student_result(name, seed)
    tf_keras_bridge.import_tfmot()
    model = keras_files.load_model(workdir.student(name, seed) / "model.keras")
    fingerprint = keras_files.weights_fingerprint(model)
    identity = {
        "version": version,
        "student": fingerprint,
        "seed": seed,
        "data": trained["data_fingerprint"],
        "settings": run_config.config_fingerprint(config, ["seed", section]),
        **more,
    }
    return Start(model, fingerprint, files.fingerprint(identity))


def finished(path, kind, made_from, what):
    """The result that is at `path` already and made from the same; `None` without one.

    Args:
        path: the result's file.
        kind: its kind.
        made_from: as `Start` has it.
        what: what progress says of it, such as `"NAME is pruned"`.
    """
    if not path.exists():
        return None
    result = files.read_json(path, kind, f"Delete {path} and do it again.")
    made = path.parent / result["file"]
    if result.get("made_from") != made_from or not made.exists():
        return None
    progress.say(f"{what} already: {made}")
    return result
