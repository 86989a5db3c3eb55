"""Reports which layers lose accuracy in int8, and which ones to keep in float.

    python -m tools.quantization_report --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.quantization_report --model=teacher.keras --output=report.json --config=my.py

Columns of the table, the most harmful layers first:
  harm       share of the total squared error (of the column `alone`)
  own error  error of the layer's output in 8 bits, relative rms, with the input that it gets in
             the file
  alone      error of the file's scores, relative rms, with only this layer in 8 bits

Then the 1, 2, 4, ... most harmful layers are kept in float, until the agreement with Keras reaches
config.export.least_agreement. The tool prints the command that exports the student so. Layers in
float make a file slower, and integer-only accelerators refuse them. If many layers are harmful,
use int16, a space with activation='relu6' and se_ratio=0, or tools.quantize.

Value ranges come from config.export.calibration_images training images, errors from --images
rating images. Test images are not used, as layers are chosen here.

Reads:  WORKDIR/students/NAME/seedK/model.keras or --model, and the config's data.
Writes: WORKDIR/quantization/NAME_seedK.json, or --output.
"""

from absl import flags
from ml_collections import config_flags

from dna_tf import cli
from dna_tf.common import files, progress

cli.define_run_flags()
flags.DEFINE_string("arch", "", "Trained student in the workdir.")
flags.DEFINE_integer("seed", 0, "Seed of the student's training.")
flags.DEFINE_string("model", "", "A .keras file of any classifier; instead of --arch.")
flags.DEFINE_string("output", "", "JSON file to write. Default: a file in the workdir.")
flags.DEFINE_integer("images", 100, "Most rating images on which errors are measured.")
flags.DEFINE_integer(
    "tried",
    0,
    "Number of layers whose harm is measured: those with the largest own errors. 0: all layers.",
)


def main():
    """Measures one model."""
    flag = cli.FLAGS
    if bool(flag.model) == bool(flag.arch):
        raise ValueError("Give the model to examine: either --model=FILE or --arch=NAME.")
    if flag.images < 2 or flag.tried < 0:
        raise ValueError(
            "--images must be at least 2 and --tried at least 0. Received: "
            f"--images={flag.images} --tried={flag.tried}"
        )
    if flag.model:
        path = files.as_path(flag.model)
        if not flag.output:
            raise ValueError("--model needs --output, the JSON file, such as --output=report.json.")
        workdir, config = cli.open_for_model(flag.workdir)
        name = path.stem
    else:
        workdir, config = cli.open_beside(flag.workdir)
        workdir.student_result(flag.arch, flag.seed)  # raises if it was not trained
        path = workdir.student(flag.arch, flag.seed) / "model.keras"
        name = f"{flag.arch}_seed{flag.seed}"
    output = files.as_path(flag.output or workdir.path / "quantization" / f"{name}.json")
    from dna_tf.phases import exporting  # loads TensorFlow

    result = exporting.report(path, config, output, workdir, name, flag.images, flag.tried)
    _say_next(flag, workdir, result)


def _say_next(flag, workdir, result):
    """Prints the command that exports the model with the harmful layers in float."""
    names = result["float_layers"]
    if not names:
        progress.say("No layer is worth keeping in float.")
        return
    kept = tuple([*result["kept_in_float"], *names])
    student = [f"--arch={flag.arch}", f"--seed={flag.seed}"]
    what = [f"--model={flag.model}"] if flag.model else student
    folder = "FOLDER"
    if workdir is not None and flag.arch:
        exported = workdir.exported(flag.arch, flag.seed)
        folder = exported.with_name(f"{exported.name}_float_layers")
    text = "(" + "".join(f"'{name}'," for name in kept) + ")"
    words = [*what, f"--output={folder}"]
    if cli.FLAGS["config"].present:
        words.append(f"--config={config_flags.get_config_filename(cli.FLAGS['config'])}")
    fields = config_flags.get_override_values(cli.FLAGS["config"])
    fields = {**fields, "export.float_layers": text}
    if result["float_ends"]:
        fields["export.int8_io"] = "float32"
    words += [f"--config.{field}={value}" for field, value in fields.items()]
    cli.next_command("export_tflite", workdir, *words)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
