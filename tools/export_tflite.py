"""Exports a trained student to TFLite and checks each file against Keras on real images.

    python -m tools.export_tflite --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.export_tflite --model=my.keras --data=folder:images --output=files
    python -m tools.export_tflite --model=teacher.keras --output=files --config=my_config.py

Without --arch the students of all budgets in the config and the control are exported. --model
exports any Keras classifier from images in 0..255 to scores. Its images are those of --data,
--workdir or --config, at the model's own size.

Precisions (--config.export.precisions="('float32','int8')"):
  float32   the computations of Keras
  float16   weights of half the size; computes in float
  dynamic   8-bit weights, float activations: for CPUs
  int8      8-bit weights and activations: for all kinds of accelerators
  int16     8-bit weights, 16-bit activations: if 8 bits are too few for the activations; slow on
            CPUs

Other fields of config.export, given as --config.export.FIELD=VALUE:
  int8_io             input and output type of int8 files: int8, uint8 or float32; float32 is also
                      possible for int16
  image_size          height and width of the files' images; 0 takes the student's own
  preprocessing       inside: the files take 0..255. outside: the rescaling at the model's start is
                      left out, and the metadata contains the mean and deviation to apply instead
  calibration_images  training images that determine the value ranges of int8 and int16
  per_channel         one scale for each channel of a weight, or one for the whole weight
  float_layers        Keras layers that int8 files compute in float; tools.quantization_report
                      finds the ones worth it
  also                savedmodel and onnx, beside the TFLite files
  least_agreement     an export with a smaller share of answers equal to Keras' fails

Each file is run on the test images. The result has its size, its accuracy and Keras', their
agreement, and the operators, with those that accelerators commonly refuse. The file itself
contains the class names (labels.txt, in a zip archive), TFLite's metadata, and a JSON description.

A workdir keeps its config. To export again with other settings, give another folder with
--output: then config.export may differ from the workdir's config, which stays as it is.

Reads:  WORKDIR/students/NAME/seedK/model.keras or --model, and the config's data.
Writes: WORKDIR/exports/NAME/ or --output: *.tflite and result.json.
"""

from dna_tf import cli
from dna_tf.common import files
from dna_tf.phases import searching

cli.define_run_flags()
cli.define_student_flags(default="all students of the config")
cli.define_model_flags("export")


def main():
    """Exports students, or one model."""
    flag = cli.FLAGS
    path = cli.check_model_flags(students_have_output=True)
    if path is not None:
        _export_model(path)
        return
    if flag.output:
        workdir, config = cli.open_beside(flag.workdir)
    else:
        workdir, config = cli.open_run(may_create=False)
    names = cli.trained_students(workdir, searching.all_names(config))
    folders = [workdir.exported(name, flag.seed) for name in names]
    if flag.output:
        output = files.as_path(flag.output)
        folders = [output] if len(names) == 1 else [output / name for name in names]
    from dna_tf.phases import exporting  # loads TensorFlow

    for name, folder in zip(names, folders, strict=True):
        exporting.export_tflite(workdir, config, name, flag.seed, folder)
    _say_next(config, folders[0], workdir)


def _say_next(config, folder, workdir, *arguments):
    """Prints the command that evaluates the first file, if the tool has its preprocessing."""
    from dna_tf.export import metadata  # loads LiteRT

    path = folder / f"{config.export.precisions[0]}.tflite"
    description = metadata.read(path.read_bytes())["description"]
    if description is None:
        return
    words = [f"--model={path}", *arguments]
    if description["image_size"] != config.data.image_size and not arguments:
        words.append(f"--image_size={description['image_size']}")
    if description["preprocessing"] == "outside":
        if description["preprocessing_kind"] is None:
            return
        words.append(f"--preprocessing={description['preprocessing_kind']}")
    cli.next_command("evaluate", workdir, *words)


def _export_model(path):
    """Exports the file --model."""
    flag = cli.FLAGS
    workdir, config = cli.open_for_model(flag.workdir)
    from dna_tf.phases import exporting  # loads TensorFlow

    result = exporting.export_file(
        path, config, flag.output, workdir, source=flag.data, image_size=flag.image_size
    )
    section, size = config.data, result["image_size"]
    words = [f"--data={flag.data or section.source}", f"--image_size={size}"]
    if section.crop_fraction != 1.0:
        words.append(f"--crop_fraction={section.crop_fraction}")
    _say_next(config, files.as_path(flag.output), None, *words)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
