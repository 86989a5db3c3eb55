"""Measures the accuracy of a model: top-1, top-5, by class, and what it takes for what.

    python -m tools.evaluate --workdir=runs/digits --arch=max_macs_1.5M --seed=0
    python -m tools.evaluate --workdir=runs/digits --model=teacher
    python -m tools.evaluate --workdir=runs/digits --model=runs/digits/exports/NAME/int8.tflite
    python -m tools.evaluate --model=student.keras --data=folder:/data/val --resize=256
    python -m tools.evaluate --model=dna_d.keras --data=folder:/data/val --image_size=240

--model is a .keras file, a .tflite file of any precision, the folder of a SavedModel, or in a
workdir `teacher` or the name of a student. Models take images in 0..255; --preprocessing is for
those of others. The graph of a SavedModel is code that is run as it is, and can read and write
files: evaluate only those of people you trust. Keras files are loaded in safe mode.

Images are the test split of the workdir's data, or with --data the test split of another
source, or the whole of one that has none. Their shorter side is resized to --resize (which
is --image_size over --crop_fraction), then the centre is cropped to --image_size. A .keras
file runs at other sizes than its own where its layers allow it.

Before the work it is checked that image size, classes and labels fit. Labels that are off by
one show in the first answers.

Writes: evaluations/NAME.json (accuracies, every class, confusion, settings, fingerprints) and
NAME.html, in the workdir, or in the folder --output.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string(
    "model", "", "A .keras or .tflite file, a SavedModel's folder, teacher, or a student's name."
)
flags.DEFINE_string("arch", "", "Name of a trained student in the workdir, instead of --model.")
flags.DEFINE_integer("seed", 0, "Which student of --arch.")
flags.DEFINE_string(
    "data", "", "A source instead of the workdir's data, such as folder:/data/val or digits."
)
flags.DEFINE_integer("image_size", None, "Height and width of the images in pixels.")
flags.DEFINE_float("crop_fraction", None, "Central part of the resized image that is kept.")
flags.DEFINE_integer("resize", None, "Shorter side in pixels before the crop, instead of that.")
flags.DEFINE_enum(
    "interpolation", "bilinear", ["bilinear", "bicubic"], "Of the resize; with --data."
)
flags.DEFINE_string(
    "preprocessing", "none", "What the model expects instead of 0..255, as in config.teacher."
)
flags.DEFINE_integer("batch_size", 100, "Images at once.")
flags.DEFINE_integer("limit", 0, "Measure only so many images, classes mixed; 0 takes all.")
flags.DEFINE_integer("first_class", 0, "The score that stands for class 0; 1 skips a background.")
flags.DEFINE_string("class_names", "", "A text file with the name of one class a line.")
flags.DEFINE_string("output", "", "Folder of the results, instead of the workdir's evaluations.")


def main():
    """Evaluates one model."""
    given = cli.FLAGS
    if bool(given.model) == bool(given.arch):
        raise ValueError("Say what to evaluate: either --model=FILE or --arch=NAME.")
    crop_fraction = _crop_fraction(given)
    workdir, config = None, given.config
    if given.workdir or given.arch:
        workdir, config = cli.open_run(may_create=False)
    else:
        from dna_tf.config import run_config

        run_config.check_config(config)
        config = run_config.with_image_size(config)
    path = _model_path(given, workdir)
    from dna_tf.common import files
    from dna_tf.evaluation import measuring
    from dna_tf.phases import evaluating

    settings = measuring.Settings(
        data=given.data,
        image_size=given.image_size,
        crop_fraction=crop_fraction,
        interpolation=given.interpolation,
        preprocessing=given.preprocessing,
        batch_size=given.batch_size,
        limit=given.limit,
        first_class=given.first_class,
        class_names=given.class_names,
    )
    folder = files.as_path(given.output) if given.output else None
    evaluating.evaluate(workdir, config, path, settings, folder)


def _crop_fraction(given):
    """The crop fraction that --crop_fraction, or --resize and --image_size, give."""
    if given.resize is None:
        return given.crop_fraction
    if given.crop_fraction is not None:
        raise ValueError("--resize and --crop_fraction say the same. Give one of them.")
    if given.image_size is None:
        raise ValueError(
            f"--resize={given.resize} needs --image_size, the side of the crop, such as "
            "--resize=256 --image_size=224."
        )
    if given.resize < given.image_size:
        raise ValueError(
            "The shorter side must be at least the crop. Received: "
            f"--resize={given.resize} --image_size={given.image_size}"
        )
    return given.image_size / given.resize


def _model_path(given, workdir):
    """The file or folder of the model."""
    from dna_tf.common import files

    name = given.arch or given.model
    path = files.as_path(name)
    if not given.arch and (path.suffix in (".keras", ".tflite") or path.exists()):
        return path
    if workdir is None:
        raise FileNotFoundError(
            f"There is no model {name}. Expected a SavedModel's folder, or a .keras or .tflite "
            "file; with --workdir also teacher or the name of a student."
        )
    if name == "teacher" and not given.arch:
        workdir.teacher_result()  # refuses one that is not there
        return workdir.teacher / "model.keras"
    workdir.student_result(name, given.seed)  # likewise
    return workdir.student(name, given.seed) / "model.keras"


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
