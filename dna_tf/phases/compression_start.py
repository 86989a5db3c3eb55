"""Shared by quantisation-aware training and pruning: the model, and fields of the results."""

import collections.abc
import dataclasses

import keras

from dna_tf.common import files, progress
from dna_tf.compression import tf_keras_bridge
from dna_tf.config import run_config
from dna_tf.models import keras_files
from dna_tf.phases import exporting, model_files, runs


@dataclasses.dataclass(frozen=True)
class Start:
    """A trained model, and what a result depends on.

    Args:
        name: the architecture's name, or the name of the model's file.
        seed: which of the students of that name; 0 for a file.
        model: the `keras.Model`, from images in 0..255 to logits.
        fingerprint: of its weights.
        data_fingerprint: of its images.
        open_images: function that returns them, a `labelled_images.Images`.
        made_from: fingerprint of model, data, settings and version of the method.
        made_from_before: as it was in versions in which `checkpoint_seconds` counted, too.
        architecture: the fingerprint of its architecture; `None` for a file.
    """

    name: str
    seed: int
    model: keras.Model
    fingerprint: str
    data_fingerprint: str
    open_images: collections.abc.Callable
    made_from: str
    made_from_before: str
    architecture: str | None = None

    def images(self):
        """The images, a `labelled_images.Images`.

        Raises:
            ValueError: they are not those that the teacher and the student were trained with.
        """
        return self.open_images()

    def head(self, kind, images):
        """The first fields of a result, which are the same for both methods.

        Args:
            kind: the kind of the result's file.
            images: the images.
        """
        return {
            "kind": kind,
            "architecture": self.name,
            "seed": self.seed,
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
        data, result = self.data_fingerprint, None
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
    folder, data = workdir.student(name, seed), trained["data_fingerprint"]
    model = keras_files.load_model(folder / "model.keras")
    fingerprint = keras_files.weights_fingerprint(model)

    def open_images():
        runs.check_same_data(run.images, data, f"the student in {folder}")
        return run.images

    made_from = _made_from(config, section, version, fingerprint, seed, data, settings)
    architecture = exporting.architecture_fingerprint(folder)
    return Start(name, seed, model, fingerprint, data, open_images, *made_from, architecture)


def start_of_file(
    path, config, section, version, workdir=None, source="", image_size=0, **settings
):
    """As `start`, for the model in a file of any Keras code.

    Args:
        path: a `.keras` file of a classifier from images in 0..255 to logits or probabilities.
        config: the config; its data are the images.
        section, version, settings: as of `start`.
        workdir: the `workdirs.Workdir` of the config, or `None`.
        source, image_size: as of `model_files.config_for`.

    Returns:
        `(Start, config)`: the config with the images that the model takes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a package is missing, or the model cannot be loaded, has a layer that is not
            supported, gives no distribution over classes, or does not fit the images.
    """
    tf_keras_bridge.import_tfmot()
    path = files.as_path(path)
    model, config = model_files.classifier(path, config, workdir, source, image_size)
    tf_keras_bridge.read(model)  # names a layer that is not supported, before images are read
    images = model_files.images_for(model, path, config, workdir)
    fingerprint, data = keras_files.weights_fingerprint(model), images.fingerprint
    made_from = _made_from(config, section, version, fingerprint, 0, data, settings)
    return Start(path.stem, 0, model, fingerprint, data, lambda: images, *made_from), config


def _made_from(config, section, version, fingerprint, seed, data, settings):
    identity = {"version": version, "student": fingerprint, "seed": seed, "data": data, **settings}
    return [
        files.fingerprint({**identity, "settings": of_settings(config, ["seed", section])})
        for of_settings in (run_config.result_fingerprint, run_config.config_fingerprint)
    ]


def recipe(section):
    """The fields of a result that describe the training.

    Args:
        section: the config section with the settings.
    """
    return {name: section[name] for name in ("epochs", "batch_size", "learning_rate")}
