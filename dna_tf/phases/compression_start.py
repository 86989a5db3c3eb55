"""Shared by quantisation-aware training and pruning: the student, and fields of the results."""

import dataclasses

from dna_tf.common import files, progress
from dna_tf.compression import tf_keras_bridge
from dna_tf.config import run_config
from dna_tf.models import keras_files
from dna_tf.phases import runs


@dataclasses.dataclass(frozen=True)
class Start:
    """A trained student, and what a result depends on.

    Args:
        run: the `runs.Run`.
        model: the student, a `keras.Model`.
        fingerprint: of its weights.
        trained: the result of its training.
        made_from: fingerprint of student, data, settings and version of the method.
        made_from_before: as it was in versions in which `checkpoint_seconds` counted, too.
    """

    run: runs.Run
    model: object
    fingerprint: str
    trained: dict
    made_from: str
    made_from_before: str

    def images(self):
        """The run's images, a `labelled_images.Images`.

        Raises:
            ValueError: they are not those that the teacher and the student were trained with.
        """
        images = self.run.images
        name, seed = self.trained["architecture"], self.trained["seed"]
        folder = self.run.workdir.student(name, seed)
        runs.check_same_data(images, self.trained["data_fingerprint"], f"the student in {folder}")
        return images

    def head(self, kind, images):
        """The first fields of a result, which are the same for both methods.

        Args:
            kind: the kind of the result's file.
            images: the run's images.
        """
        return {
            "kind": kind,
            "architecture": self.trained["architecture"],
            "seed": self.trained["seed"],
            "student": self.fingerprint,
            "data_fingerprint": images.fingerprint,
            "made_from": self.made_from,
        }

    def finished(self, path, kind, what, training):
        """The result in a file, if it was made from the same; `None` otherwise.

        Args:
            path: the result's file.
            kind: its kind.
            what: the start of the progress line, such as `"NAME is pruned"`.
            training: the folder of its training, which is removed if the result is there.
        """
        data, result = self.trained["data_fingerprint"], None
        for made_from in (self.made_from, self.made_from_before):
            result = result or runs.existing_result(
                path, kind, made_from=made_from, data_fingerprint=data
            )
        if result is not None:
            progress.say(f"{what} already: {path.parent / result['file']}")
            if training.exists():  # the process was killed while it removed it
                training.rmtree()
        return result


def start(workdir, config, name, seed, section, version, **settings):
    """Loads a trained student, and identifies the result that is to be made from it.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
        name: the architecture's name.
        seed: which of its students.
        section: the config section with the settings, such as `"prune"`.
        version: of the method.
        settings: other settings that the result depends on.

    Returns:
        A `Start`.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a package is missing.
    """
    run = runs.open_run(workdir, config)
    trained = workdir.student_result(name, seed)
    tf_keras_bridge.import_tfmot()
    model = keras_files.load_model(workdir.student(name, seed) / "model.keras")
    fingerprint = keras_files.weights_fingerprint(model)
    identity = {
        "version": version,
        "student": fingerprint,
        "seed": seed,
        "data": trained["data_fingerprint"],
        **settings,
    }
    made_from = [
        files.fingerprint({**identity, "settings": of_settings(config, ["seed", section])})
        for of_settings in (run_config.result_fingerprint, run_config.config_fingerprint)
    ]
    return Start(run, model, fingerprint, trained, *made_from)


def recipe(section):
    """The fields of a result that describe the training.

    Args:
        section: the config section with the settings.
    """
    return {name: section[name] for name in ("epochs", "batch_size", "learning_rate")}
