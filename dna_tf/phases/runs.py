"""Opens a run: its workdir and config, and on first use its images and its teacher.

All phases open their run here, so that one place decides that the images are those that the
run's teacher saw.
"""

import os

import ml_collections

from dna_tf import workdirs
from dna_tf.common import checks, files
from dna_tf.data import loading
from dna_tf.models import keras_files
from dna_tf.teachers import cutting
from dna_tf.training import determinism


def open_run(
    workdir: str | os.PathLike | workdirs.Workdir,
    config: ml_collections.ConfigDict | None = None,
) -> "Run":
    """Opens a run.

    Example:

        import dna_tf

        run = dna_tf.open_run("digits", dna_tf.default_config())
        print(run.images.counts)  # loaded on first use, and checked against the teacher's

    Args:
        workdir: the run's folder as a path, or as a `workdirs.Workdir`.
        config: its config; `None` reads the one in the workdir. With a path it is checked,
            and written into a new workdir.

    Returns:
        A `Run`.

    Raises:
        FileNotFoundError: there is no config, neither given nor in the workdir.
        ValueError: the config is wrong, or differs from the one in the workdir in a field
            that a phase already used.
    """
    if not isinstance(workdir, workdirs.Workdir):
        workdir, config = workdirs.open_workdir(workdir, config)
    elif config is None:
        workdir, config = workdirs.open_workdir(workdir.path)
    return Run(workdir, config)


class Run:
    """A run whose images and teacher are loaded on first use, once.

    Before either is loaded, TensorFlow is made deterministic and seeded with the config's seed.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
    """

    def __init__(self, workdir, config):
        self.workdir, self.config = workdir, config
        self._seeded = False
        self._images = self._teacher = None

    @property
    def images(self):
        """The images of the run, a `labelled_images.Images`.

        Raises:
            ValueError: they are not those that the run's teacher saw; or they cannot be used.
        """
        if self._images is None:
            self.seed()
            images = loading.load(self.config.data, self.config.seed, self.workdir.path)
            if (self.workdir.teacher / "result.json").exists():
                seen = self.workdir.teacher_result()["data_fingerprint"]
                check_same_data(images, seen, f"the teacher in {self.workdir.teacher}")
            self._images = images
        return self._images

    @property
    def teacher(self):
        """The cut teacher, a `cutting.Teacher`.

        Raises:
            FileNotFoundError: it was not trained yet.
            ValueError: the model file is not the one that the result file describes.
        """
        if self._teacher is None:
            result = self.workdir.teacher_result()
            self.seed()
            path = self.workdir.teacher / "model.keras"
            model = keras_files.load_model(path, workdirs.modules(self.workdir, self.config))
            if keras_files.weights_fingerprint(model) != result["fingerprint"]:
                raise ValueError(
                    f"The weights in {path} are not those that result.json beside it describes. "
                    "Delete the teacher's folder and train it again."
                )
            cuts = [cut["layer"] for cut in result["cuts"]]
            self._teacher = cutting.cut_model(model, cuts, tuple(result["image_shape"]))
        return self._teacher

    def seed(self):
        """Makes TensorFlow deterministic and seeds it, the first time it is called."""
        if not self._seeded:
            determinism.enable(self.config.seed)
            self._seeded = True


def check_same_data(images, fingerprint, model):
    """Checks that images are those with which a model was trained, and takes them up.

    Args:
        images: a `labelled_images.Images`.
        fingerprint: of the images that the model was trained with.
        model: the model in words, such as `"the teacher in runs/digits/teacher"`.

    Raises:
        ValueError: the fingerprints differ.
    """
    if not images.take_up(fingerprint):
        raise ValueError(
            f"The data has changed since {model} was trained: fingerprint {images.fingerprint} "
            f"now, {fingerprint} then. Bring the data back, or start in a new workdir."
        )


def existing_result(path, kind, **identity):
    """The result in a file, if it is there and is of the same identity.

    Args:
        path: the result's JSON file. If it names a `file`, that must lie beside it.
        kind: the file's kind, such as `"dna_tf.pruned"`.
        identity: fields that must have these values.

    Returns:
        The content of the file, or `None`.

    Raises:
        ValueError: the file is damaged or of another kind.
    """
    if not path.exists():
        return None
    result = files.read_json(path, kind, f"Delete {path} and do it again.")
    if any(result.get(name) != value for name, value in identity.items()):
        return None
    if "file" in result:
        name = checks.check_file_name(f"the file in {path}", result["file"])
        if not (path.parent / name).exists():
            return None
    return result
