"""Reports which layers hurt when a student is quantised to int8, and which to keep in float.

    python -m tools.quantization_report --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.quantization_report --model=teacher.keras --output=report.json --config=my.py

Columns of the table, the most harmful layers first:
  harm       share in the sum of the squared errors of the next column but one
  own error  of what the layer gives in 8 bits, relative rms, its input being as it is in the file
  alone      error of the file's scores, relative rms, with this layer alone in 8 bits

Then the 1, 2, 4, ... most harmful ones are kept in float at once, until the agreement is
config.export.least_agreement. The command that exports with these layers in float is printed.
Parts in float make a file slower, and accelerators of whole numbers refuse them: where many
layers hurt, take int16, activation='relu6' and se_ratio=0, or quantisation-aware training.

The ranges come from config.export.calibration_images training images, the errors from --images
rating images: the test images stay out of the choice.

Reads:  WORKDIR/students/NAME/seedK/model.keras or --model, and the config's data.
Writes: WORKDIR/quantization/NAME_seedK.json, or --output.
"""

from absl import flags
from ml_collections import config_flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("arch", "", "Name of a trained student.")
flags.DEFINE_integer("seed", 0, "Which student of it.")
flags.DEFINE_string("model", "", "A .keras file of any classifier, instead of --arch.")
flags.DEFINE_string("output", "", "The JSON file, instead of the workdir's.")
flags.DEFINE_integer("images", 100, "Rating images on which errors are measured, at most.")
flags.DEFINE_integer(
    "tried", 0, "Layers whose harm is measured, those with the largest own errors; 0: all."
)


def main():
    """Measures one model."""
    given = cli.FLAGS
    if bool(given.model) == bool(given.arch):
        raise ValueError("Say what to look at: either --model=FILE or --arch=NAME.")
    if given.images < 2 or given.tried < 0:
        raise ValueError(
            "--images must be at least 2 and --tried at least 0. Received: "
            f"--images={given.images} --tried={given.tried}"
        )
    from dna_tf.common import files

    if given.model:
        path = files.as_path(given.model)
        if not given.output:
            raise ValueError("--model needs --output, the JSON file, such as --output=report.json.")
        workdir, config = cli.open_for_model(given.workdir)
        name = path.stem
    else:
        workdir, config = cli.open_beside(given.workdir)
        workdir.student_result(given.arch, given.seed)  # refuses one that is not there
        path = workdir.student(given.arch, given.seed) / "model.keras"
        name = f"{given.arch}_seed{given.seed}"
    output = files.as_path(given.output or workdir.path / "quantization" / f"{name}.json")
    from dna_tf.phases import exporting

    result = exporting.report(path, config, output, workdir, name, given.images, given.tried)
    _say_next(given, workdir, result)


def _say_next(given, workdir, result):
    from dna_tf.common import progress

    names = result["float_layers"]
    if not names:
        progress.say("No layers that are worth keeping in float.")
        return
    kept = tuple([*result["kept_in_float"], *names])
    what = f"--model={given.model}" if given.model else f"--arch={given.arch} --seed={given.seed}"
    folder = "FOLDER"
    if workdir is not None and given.arch:
        exported = workdir.exported(given.arch, given.seed)
        folder = exported.with_name(f"{exported.name}_float_layers")
    text = "(" + "".join(f"'{name}'," for name in kept) + ")"
    words = [what, f"--output={folder}"]
    if cli.FLAGS["config"].present:
        words.append(f"--config={config_flags.get_config_filename(cli.FLAGS['config'])}")
    fields = config_flags.get_override_values(cli.FLAGS["config"])
    fields = {**fields, "export.float_layers": text}
    if result["float_ends"]:
        fields["export.int8_io"] = "float32"
    words += [f'"--config.{field}={value}"' for field, value in fields.items()]
    cli.next_command("export_tflite", workdir, *words)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
