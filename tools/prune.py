"""Prunes a trained student: its smallest weights become zero while training continues.

    python -m tools.prune --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.prune --workdir=W --arch=NAME --seed=1 --config.prune.sparsity=0.7

Pointwise convolutions and dense layers are pruned, which have most of the weights; depthwise
kernels stay dense. The zeros make a file smaller only when it is compressed (an app package, a
download), and runtimes with dense kernels do not become faster. The result has the accuracy
before and after pruning, and the sizes of float32, int8 and sparse files, plain and gzipped.
Without --arch the chosen student of the config is pruned.

Fields of config.prune, given as --config.prune.FIELD=VALUE:
  sparsity            share of zeros in each pruned kernel at the end
  epochs              epochs of training; the share rises during the first 60 % of them
  batch_size          images in a batch
  learning_rate       learning rate of Adam, which falls to zero by a cosine
  checkpoint_seconds  most work that is lost if the tool is killed

Reads:  WORKDIR/students/NAME/seedK/model.keras and the config's data.
Writes: WORKDIR/exports/NAME/pruned.keras and pruned.json (exports/NAME_seedK/ for other seeds
        than 0). The Keras student stays as it is.
A killed run resumes from its last checkpoint; a finished result is kept.
Needs the packages tensorflow-model-optimization and tf_keras.
"""

from dna_tf import cli
from dna_tf.phases import searching

cli.define_run_flags()
cli.define_student_flags(default="the chosen student of the config")


def main():
    """Prunes students."""
    workdir, config = cli.open_run(may_create=False)
    names = cli.trained_students(workdir, [searching.chosen_name(config)])
    from dna_tf.phases import pruning  # loads TensorFlow

    for name in names:
        pruning.prune(workdir, config, name, cli.FLAGS.seed)
    path = workdir.exported(names[0], cli.FLAGS.seed) / "pruned.keras"
    cli.next_command("evaluate", workdir, f"--model={path}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
