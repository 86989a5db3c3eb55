"""Prunes a trained student: its smallest weights become zero while it goes on learning.

    python -m tools.prune --workdir=runs/digits --arch=max_macs_1.5M
    python -m tools.prune --workdir=W --arch=NAME --seed=1 --config.prune.sparsity=0.7

Pointwise convolutions and dense layers are pruned, where most weights are; depthwise
kernels stay dense. The zeros make the file smaller only where it is compressed (an app
package, a download); runtimes that compute with dense kernels are no faster for them. The
result says the accuracy before and after and the bytes of float32, int8 and sparse files,
plain and gzipped. Without --arch the chosen student of the config is taken.

Settings (config.prune), given as --config.prune.FIELD=VALUE:
  sparsity            share of zeros in each pruned kernel at the end
  epochs              of training; the share rises during the first 60 % of it
  batch_size          images
  learning_rate       Adam, falling to zero by a cosine
  checkpoint_seconds  work that a kill may lose

Reads:  WORKDIR/students/NAME/seedK/model.keras and the config's data.
Writes: WORKDIR/exports/NAME/pruned.keras and pruned.json (NAME_seedK/ for other seeds than 0).
A run that was killed goes on from its last checkpoint; a result that is there is kept.
Needs tensorflow-model-optimization and tf_keras. Keras students stay as they are.
"""

from dna_tf import cli

cli.define_run_flags()
cli.define_student_flags(default="the chosen one")


def main():
    """Prunes students."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.phases import searching

    names = cli.trained_students(workdir, [searching.chosen_name(config)])
    from dna_tf.phases import pruning

    for name in names:
        pruning.prune(workdir, config, name, cli.FLAGS.seed)
    made = workdir.exported(names[0], cli.FLAGS.seed) / "pruned.keras"
    cli.next_command("evaluate", workdir, f"--model={made}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
