"""Trains a student with the rounding of an int8 file (QAT), then writes and checks that file.

    python -m tools.quantize --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.quantize --workdir=W --arch=NAME --seed=1 --config.quantize.epochs=10
    python -m tools.quantize --model=my.keras --data=folder:images --output=files

Try tools.export_tflite first: an int8 file without training costs nothing, and is enough if it
keeps the accuracy. This tool is for students that lose accuracy by rounding, as those with swish
and squeeze-and-excitation may. It measures five accuracies on the same test images: float, int8
without training, the model with rounding before and after training, and the int8 file. Training
starts with value ranges measured on the float student, so few epochs and a small learning rate
are enough. Without --arch the chosen student of the config is quantised.

--model takes any Keras classifier from images in 0..255, whoever trained it, with the images of
--data, or of --workdir or --config. Its file gives logits, also if the model ends in a softmax. A
layer that cannot be trained with rounding is named before any work.

Fields of config.quantize, given as --config.quantize.FIELD=VALUE:
  epochs              epochs of training with rounding
  batch_size          images in a batch
  learning_rate       learning rate of Adam, which falls to zero by a cosine; large ones lead away
                      from the student
  calibration_images  training images that determine the first value ranges, at least 10
  checkpoint_seconds  most work that is lost if the tool is killed
The agreement of the file with the trained model must reach config.export.least_agreement.

Reads:  WORKDIR/students/NAME/seedK/model.keras and the config's data; or --model and --data.
Writes: WORKDIR/exports/NAME/qat_int8.tflite and qat.json (exports/NAME_seedK/ for other seeds
        than 0), or OUTPUT/. The Keras model stays as it is.
A killed run resumes from its last checkpoint; a finished file is kept.
Needs the packages tensorflow-model-optimization and tf_keras.
"""

from dna_tf import cli
from dna_tf.common import files
from dna_tf.phases import searching

cli.define_run_flags()
cli.define_student_flags(default="the chosen student of the config")
cli.define_model_flags("quantise")


def main():
    """Quantises students."""
    path = cli.check_model_flags()
    if path is not None:
        _quantise_model(path)
        return
    workdir, config = cli.open_run(may_create=False)
    names = cli.trained_students(workdir, [searching.chosen_name(config)])
    from dna_tf.phases import quantizing  # loads TensorFlow

    for name in names:
        quantizing.quantize(workdir, config, name, cli.FLAGS.seed)
    path = workdir.exported(names[0], cli.FLAGS.seed) / "qat_int8.tflite"
    cli.next_command("evaluate", workdir, f"--model={path}")


def _quantise_model(path):
    """Quantises the model of a file."""
    flag = cli.FLAGS
    workdir, config = cli.open_for_model(flag.workdir, "quantize")
    from dna_tf.phases import quantizing  # loads TensorFlow

    folder = files.as_path(flag.output)
    quantizing.quantize_file(path, config, folder, workdir, flag.data, flag.image_size)
    words = [] if workdir else [f"--data={flag.data or config.data.source}"]
    words += [f"--image_size={flag.image_size}"] if flag.image_size else []
    cli.next_command("evaluate", workdir, f"--model={folder / 'qat_int8.tflite'}", *words)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
