"""Prunes a trained student: its smallest weights become zero while training continues.

    python -m tools.prune --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.prune --workdir=W --arch=NAME --seed=1 --config.prune.sparsity=0.7
    python -m tools.prune --model=my.keras --data=folder:images --output=files

Pointwise convolutions and dense layers are pruned, which have most of the weights; depthwise
kernels stay dense. The zeros make a file smaller only when it is compressed (an app package, a
download), and runtimes with dense kernels do not become faster. The result has the accuracy
before and after pruning, and the sizes of float32, int8 and sparse files, plain and gzipped.
Without --arch the chosen student of the config is pruned.

--model takes any Keras classifier from images in 0..255, whoever trained it, with the images of
--data, or of --workdir or --config. The pruned model gives logits, also if --model ends in a
softmax. A layer that is not supported is named before any work.

Fields of config.prune, given as --config.prune.FIELD=VALUE:
  sparsity            share of zeros in each pruned kernel at the end
  epochs              epochs of training; the share rises during the first 60 % of them
  batch_size          images in a batch
  learning_rate       learning rate of Adam, which falls to zero by a cosine
  checkpoint_seconds  most work that is lost if the tool is killed

Reads:  WORKDIR/students/NAME/seedK/model.keras and the config's data; or --model and --data.
Writes: WORKDIR/exports/NAME/pruned.keras and pruned.json (exports/NAME_seedK/ for other seeds
        than 0), or OUTPUT/. The Keras model stays as it is.
A killed run resumes from its last checkpoint; a finished result is kept.
Needs the packages tensorflow-model-optimization and tf_keras.
"""

from dna_tf import cli
from dna_tf.common import files
from dna_tf.phases import searching

cli.define_run_flags()
cli.define_student_flags(default="the chosen student of the config")
cli.define_model_flags("prune")


def main():
    """Prunes students."""
    path = cli.check_model_flags()
    if path is not None:
        _prune_model(path)
        return
    workdir, config = cli.open_run(may_create=False)
    names = cli.trained_students(workdir, [searching.chosen_name(config)])
    from dna_tf.phases import pruning  # loads TensorFlow

    for name in names:
        pruning.prune(workdir, config, name, cli.FLAGS.seed)
    path = workdir.exported(names[0], cli.FLAGS.seed) / "pruned.keras"
    cli.next_command("evaluate", workdir, f"--model={path}")


def _prune_model(path):
    """Prunes the model of a file."""
    flag = cli.FLAGS
    workdir, config = cli.open_for_model(flag.workdir, "prune")
    from dna_tf.phases import pruning  # loads TensorFlow

    folder = files.as_path(flag.output)
    pruning.prune_file(path, config, folder, workdir, flag.data, flag.image_size)
    words = [] if workdir else [f"--data={flag.data or config.data.source}"]
    words += [f"--image_size={flag.image_size}"] if flag.image_size else []
    cli.next_command("evaluate", workdir, f"--model={folder / 'pruned.keras'}", *words)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
