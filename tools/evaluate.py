"""Measures the accuracy of a model: top-1, top-5, for each class, and its confusions.

    python -m tools.evaluate --workdir=runs/digits --arch=max_macs_1.5M --seed=0
    python -m tools.evaluate --workdir=runs/digits --model=teacher
    python -m tools.evaluate --workdir=runs/digits --model=runs/digits/exports/NAME/int8.tflite
    python -m tools.evaluate --model=student.keras --data=folder:/data/val --resize=256
    python -m tools.evaluate --model=dna_d.keras --data=folder:/data/val --image_size=240

--model is a .keras file, a .tflite file of any precision, or the folder of a SavedModel; with
--workdir also "teacher" or the name of a student. Models take images in 0..255; for others give
--preprocessing. The graph of a SavedModel is code that runs as it is, and it can read and write
files: evaluate only SavedModels of people you trust. Keras files are loaded in safe mode.

The images are the test split of the workdir's data. With --data they are the test split of
another source, or all images of a source without one. The shorter side of an image is resized
to --resize (by default --image_size divided by --crop_fraction); then its centre is cropped to
--image_size. A .keras file also runs at image sizes other than its own, if its layers allow it.

Image size, classes and labels are checked before the work. Labels that are off by one are
reported after the first answers.

Writes: evaluations/NAME.json (accuracies, all classes, confusions, settings, fingerprints) and
NAME.html, in the workdir or in the folder --output.
"""

from absl import flags

from dna_tf import cli
from dna_tf.common import files
from dna_tf.config import run_config

cli.define_run_flags()
flags.DEFINE_string(
    "model", "", "A .keras or .tflite file, a SavedModel's folder, 'teacher', or a student's name."
)
flags.DEFINE_string("arch", "", "Trained student in the workdir; instead of --model.")
flags.DEFINE_integer("seed", 0, "Seed of the student's training.")
flags.DEFINE_string(
    "data",
    "",
    "Source of the images, such as folder:/data/val or digits. Default: the workdir's data.",
)
flags.DEFINE_integer("image_size", None, "Height and width of the images in pixels.")
flags.DEFINE_float(
    "crop_fraction", None, "Share of the resized image's side that the central crop keeps."
)
flags.DEFINE_integer(
    "resize", None, "Shorter side in pixels before the crop; instead of --crop_fraction."
)
flags.DEFINE_enum(
    "interpolation",
    None,
    ["bilinear", "bicubic"],
    "Interpolation of the resize; by default the config's.",
)
flags.DEFINE_string(
    "preprocessing",
    "none",
    "Input that the model expects instead of 0..255; values as in config.teacher.",
)
flags.DEFINE_integer("batch_size", 100, "Images in a batch.")
flags.DEFINE_integer("limit", 0, "Most images to measure, classes mixed; 0 takes all.")
flags.DEFINE_integer("first_class", 0, "Index of the score of class 0; 1 skips a background class.")
flags.DEFINE_string("class_names", "", "Text file with one class name on each line.")
flags.DEFINE_string(
    "output", "", "Folder to write into. Default: evaluations/, in the workdir if given."
)


def main():
    """Evaluates one model."""
    flag = cli.FLAGS
    if bool(flag.model) == bool(flag.arch):
        raise ValueError("Give the model to evaluate: either --model=FILE or --arch=NAME.")
    crop_fraction = _crop_fraction(flag)
    workdir, config = None, flag.config
    if flag.workdir or flag.arch:
        workdir, config = cli.open_run(may_create=False)
    else:
        run_config.check_config(config)
        config = run_config.with_image_size(config)
    path = _model_path(flag, workdir)
    from dna_tf.phases import evaluating  # loads TensorFlow

    settings = evaluating.Settings(
        data=flag.data,
        image_size=flag.image_size,
        crop_fraction=crop_fraction,
        interpolation=flag.interpolation,
        preprocessing=flag.preprocessing,
        batch_size=flag.batch_size,
        limit=flag.limit,
        first_class=flag.first_class,
        class_names=flag.class_names,
    )
    folder = files.as_path(flag.output) if flag.output else None
    evaluating.evaluate(workdir, config, path, settings, folder)


def _crop_fraction(flag):
    """The crop fraction: --crop_fraction, or --image_size divided by --resize."""
    if flag.resize is None:
        return flag.crop_fraction
    if flag.crop_fraction is not None:
        raise ValueError("--resize and --crop_fraction set the same crop. Give one of them.")
    if flag.image_size is None:
        raise ValueError(
            f"--resize={flag.resize} needs --image_size, the side of the crop, such as "
            "--resize=256 --image_size=224."
        )
    if flag.resize < flag.image_size:
        raise ValueError(
            "The shorter side must be at least the crop. Received: "
            f"--resize={flag.resize} --image_size={flag.image_size}"
        )
    return flag.image_size / flag.resize


def _model_path(flag, workdir):
    """The path of the model that --model or --arch names."""
    name = flag.arch or flag.model
    path = files.as_path(name)
    if not flag.arch and (path.suffix in (".keras", ".tflite") or path.exists()):
        return path
    if workdir is None:
        raise FileNotFoundError(
            f"There is no model {name}. Expected a SavedModel's folder, or a .keras or .tflite "
            "file; with --workdir also teacher or the name of a student."
        )
    if name == "teacher" and not flag.arch:
        workdir.teacher_result()  # raises if it was not trained
        return workdir.teacher / "model.keras"
    workdir.student_result(name, flag.seed)  # raises if it was not trained
    return workdir.student(name, flag.seed) / "model.keras"


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
