"""Trains a student with the rounding of an int8 file (QAT), and writes and checks that file.

    python -m tools.quantize --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.quantize --workdir=W --arch=NAME --seed=1 --config.quantize.epochs=10

Try tools.export_tflite first: an int8 file without training costs nothing, and is enough
where it keeps the accuracy. This tool is for students that lose by it, as those with swish
and squeeze-and-excitation may. It measures both: float, int8 without training, the model
with rounding before and after training, and the file itself, on the same test images.
It starts with ranges measured on the float student, so it needs few epochs and a small
learning rate. Without --arch the chosen student of the config is taken.

Settings (config.quantize), given as --config.quantize.FIELD=VALUE:
  epochs              of training with rounding
  batch_size          images
  learning_rate       Adam, falling to zero by a cosine; larger ones move away from the student
  calibration_images  training images for the first ranges, at least 10
  checkpoint_seconds  work that a kill may lose
The file must give the answers of the model that was trained: config.export.least_agreement.

Reads:  WORKDIR/students/NAME/seedK/model.keras and the config's data.
Writes: WORKDIR/exports/NAME/qat_int8.tflite and qat.json (NAME_seedK/ for other seeds than 0).
A run that was killed goes on from its last checkpoint; a file that is there is kept.
Needs tensorflow-model-optimization and tf_keras. Keras students stay as they are.
"""

from dna_tf import cli

cli.define_run_flags()
cli.define_student_flags(default="the chosen one")


def main():
    """Quantises students."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.phases import searching

    names = cli.trained_students(workdir, [searching.chosen_name(config)])
    from dna_tf.phases import quantizing

    for name in names:
        quantizing.quantize(workdir, config, name, cli.FLAGS.seed)
    made = workdir.exported(names[0], cli.FLAGS.seed) / "qat_int8.tflite"
    cli.next_command("evaluate", workdir, f"--model={made}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
