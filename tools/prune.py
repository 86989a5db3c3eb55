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
Writes: WORKDIR/exports/NAME/pruned.keras and pruned.json.
A run that was killed goes on from its last checkpoint; a result that is there is kept.
Needs tensorflow-model-optimization and tf_keras. Keras students stay as they are.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_list("arch", [], "Names of trained students; default: the chosen one.")
flags.DEFINE_integer("seed", 0, "Which student of each.")


def main():
    """Prunes students."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf import budget_search

    names = cli.FLAGS.arch or [budget_search.all_names(config)[config.search.chosen]]
    for name in names:
        workdir.student_result(name, cli.FLAGS.seed)  # refuses one that is not there, at once
    from dna_tf import pruning

    for name in names:
        pruning.prune(workdir, config, name, cli.FLAGS.seed)
    made = workdir.exports / names[0] / "pruned.keras"
    cli.next_command("evaluate", workdir, f"--model={made}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
